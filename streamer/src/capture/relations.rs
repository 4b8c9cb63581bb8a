//! Tables as the stream describes them, each compiled once a version.

use std::collections::HashMap;
use std::sync::Arc;

use proto::envelope::{EnvelopeSettings, TableEnvelope};
use proto::oid::Oid;
use proto::pgoutput::Relation;
use proto::table::Table;
use tokio_postgres::Client;

use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::source::catalog::{self, Types};
use crate::source::session;

/// The relations of one replication session. The server describes a table before its first change in a session, and again
/// when it changed, so nothing of this outlives a session.
#[derive(Debug)]
pub struct Relations {
    settings: EnvelopeSettings,
    config: Arc<ConnectorConfig>,
    types: Types,
    /// `None`: described, but not captured by the connector's filters.
    known: HashMap<Oid, Option<Arc<TableEnvelope>>>,
}

impl Relations {
    /// Knows no table yet.
    pub fn new(config: Arc<ConnectorConfig>, settings: EnvelopeSettings) -> Self {
        Self { settings, config, types: Types::default(), known: HashMap::new() }
    }

    /// Takes in a Relation message; `client` is replaced when its session broke, for the server may have closed it while
    /// the stream was quiet.
    ///
    /// # Errors
    /// Retry when the catalog cannot be read.
    pub async fn describe(&mut self, client: &mut Client, relation: &Relation) -> Result<(), TaskError> {
        let captured = self.config.filters.captures_table(&relation.namespace, &relation.name);
        let envelope = if captured {
            if client.is_closed() {
                *client = session::connect(&self.config.connection, "catalog").await?;
            }
            let table = catalog::describe_relation(client, &mut self.types, relation).await?;
            let envelope = self.compile(&table);
            self.warn_of_shared_topic(&envelope);
            Some(Arc::new(envelope))
        } else {
            None
        };
        tracing::debug!(schema = %relation.namespace, table = %relation.name, captured, "table described by the stream");
        self.known.insert(relation.oid, envelope);
        Ok(())
    }

    /// Two tables can come to share a topic, for what is replaced in their names is replaced by one character.
    fn warn_of_shared_topic(&self, envelope: &TableEnvelope) {
        let others = self.known.values().flatten().filter(|other| other.table().oid != envelope.table().oid);
        let is_told_apart = envelope.key_schema().schema().fields().len() > envelope.table().key.len();
        for other in others.filter(|other| other.topic() == envelope.topic() && !is_told_apart) {
            tracing::warn!(
                topic = envelope.topic(),
                table = envelope.collection(),
                other = other.collection(),
                "two tables share a topic, and their keys do not say which one a record is of: a compacted topic would lose \
                 rows. Take topic.naming.strategy=io.debezium.schema.SchemaUnicodeTopicNamingStrategy, or rename one of them"
            );
        }
    }

    /// Compiles a table with the connector's column filters and value settings.
    pub fn compile(&self, table: &Table) -> TableEnvelope {
        let (filters, topics) = (&self.config.filters, &self.config.topics);
        let keyed;
        let table = match topics.key_of(table) {
            Some(key) => {
                keyed = Table { key, ..table.clone() };
                &keyed
            }
            None => table,
        };
        TableEnvelope::compile(
            table,
            topics.of_table(&table.schema, &table.name),
            &|column| filters.captures_column(&table.schema, &table.name, column),
            &self.settings,
        )
    }

    /// The envelope of a described table, `None` when the connector does not capture it.
    ///
    /// # Errors
    /// Retry when the stream never described it: a new session begins with descriptions.
    pub fn envelope(&self, relation: Oid) -> Result<Option<&Arc<TableEnvelope>>, TaskError> {
        self.known.get(&relation).map(Option::as_ref).ok_or_else(|| {
            TaskError::retry(format!(
                "the stream brought a change of table OID {relation} without describing the table first"
            ))
        })
    }
}
