//! Tables as the stream describes them, each compiled once a version.

use std::collections::HashMap;
use std::sync::Arc;

use proto::envelope::{EnvelopeSettings, TableEnvelope};
use proto::oid::Oid;
use proto::pgoutput::Relation;
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
            Some(Arc::new(self.compile(&table)))
        } else {
            None
        };
        tracing::debug!(schema = %relation.namespace, table = %relation.name, captured, "table described by the stream");
        self.known.insert(relation.oid, envelope);
        Ok(())
    }

    /// Compiles a table with the connector's column filters and value settings.
    pub fn compile(&self, table: &proto::table::Table) -> TableEnvelope {
        let filters = &self.config.filters;
        TableEnvelope::compile(
            table,
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
