//! What is known of the tables that a topic's records are of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_postgres::Client;

use super::copied;
use crate::consume::Reading;
use crate::error::SinkError;
use crate::jdbc::topic::Topic;
use crate::parse::handling::Handling;
use crate::parse::record::Shape;
use crate::plan::table::TargetTable;

/// The tables that a topic's records are of.
#[derive(Debug)]
pub(super) enum Tables {
    /// The source's, of the same names.
    Replica(Replicas),
    /// Those that a JDBC sink connector's configuration names.
    Jdbc(Topic),
}

/// The source's tables of a topic. It is one, but two names can come to one topic when they differ in characters that Kafka
/// refuses.
#[derive(Debug)]
pub(super) struct Replicas {
    by_name: HashMap<(String, String), Arc<TargetTable>>,
    handling: Arc<Handling>,
    /// How the topic's records are.
    pub(super) shape: Shape,
    /// Those that neither the target nor the source has, in this batch.
    passed_over: HashSet<(String, String)>,
    /// Whether columns of some are.
    passes_columns: bool,
    /// Those of which rows were refused, in this batch.
    refusing: HashSet<(String, String)>,
    /// Whether tables were changed in this batch's transaction.
    is_changed: bool,
}

impl Tables {
    /// Knows no table yet.
    pub(super) fn new(topic: &str, reading: &Reading) -> Self {
        match reading {
            Reading::Replica(handling) => Tables::Replica(Replicas::of(handling.shape(topic), handling.clone())),
            Reading::Jdbc(settings, schema) => Tables::Jdbc(Topic::new(settings.clone(), schema, topic)),
        }
    }

    /// Of envelopes of any topic.
    pub(super) fn of_envelopes(handling: Arc<Handling>) -> Self {
        Tables::Replica(Replicas::of(Shape::Envelope, handling))
    }

    /// What was done to tables in the transaction is undone.
    pub(super) fn rolled_back(&mut self) {
        match self {
            Tables::Replica(tables) if tables.is_changed => tables.forget_all(),
            Tables::Replica(_) => {}
            Tables::Jdbc(topic) => topic.forget(),
        }
    }

    /// A batch begins. What was passed over in the last one is asked for again: there may be another of its name by now.
    pub(super) fn begin(&mut self) {
        if let Tables::Replica(tables) = self {
            tables.begin();
        }
    }
}

impl Replicas {
    fn of(shape: Shape, handling: Arc<Handling>) -> Self {
        Self {
            by_name: HashMap::new(),
            handling,
            shape,
            passed_over: HashSet::new(),
            passes_columns: false,
            refusing: HashSet::new(),
            is_changed: false,
        }
    }

    /// A table that is known.
    pub(super) fn get(&self, schema: &str, name: &str) -> Option<&Arc<TargetTable>> {
        self.by_name.get(&(schema.to_owned(), name.to_owned()))
    }

    /// Gets to know a table; whether it is there. A row without its envelope may be of another one than its topic's name seems
    /// to say.
    ///
    /// # Errors
    /// The server's; stop when two tables come to one topic and rows do not say which they are of.
    pub(super) async fn describe(
        &mut self,
        client: &Client,
        topic: &str,
        schema: &str,
        name: &str,
    ) -> Result<bool, SinkError> {
        let mut table = TargetTable::describe(client, schema, name, &self.handling).await?;
        if let Shape::Row(rows) = &mut self.shape {
            let prefix = self.handling.topic_prefix();
            if let Some((schema, name)) = rows.find(TargetTable::of_topic(client, prefix, topic).await?, topic)? {
                table = TargetTable::describe(client, schema, name, &self.handling).await?;
            }
            table.iter_mut().for_each(|table| table.passed_over.extend(rows.passed_over().map(str::to_owned)));
        }
        let found = table.as_ref().map(|table| (table.schema.clone(), table.name.clone()));
        let (schema, name) = found.as_ref().map_or((schema, name), |(schema, name)| (schema, name));
        // Also of one that is not there: it may be about to be copied.
        let copied_in = copied::snapshot_of(client, schema, name).await?;
        let Some(mut table) = table else { return Ok(false) };
        table.copied_in = copied_in;
        self.by_name.insert((table.schema.clone(), table.name.clone()), Arc::new(table));
        Ok(true)
    }

    /// A table is another now.
    pub(super) fn forget(&mut self, schema: &str, name: &str) {
        self.by_name.remove(&(schema.to_owned(), name.to_owned()));
        self.is_changed = true;
    }

    /// Any table may be another now.
    pub(super) fn forget_all(&mut self) {
        self.by_name.clear();
        self.passed_over.clear();
        self.refusing.clear();
        self.passes_columns = false;
        self.is_changed = true;
    }

    fn begin(&mut self) {
        self.is_changed = false;
        self.passed_over.clear();
        self.refusing.clear();
        if std::mem::take(&mut self.passes_columns) {
            self.by_name.retain(|_, table| table.passed_over.is_empty());
        }
    }

    /// Changes of a table that is nowhere any more are passed over.
    pub(super) fn pass_over(&mut self, schema: &str, name: &str) {
        self.passed_over.insert((schema.to_owned(), name.to_owned()));
    }

    /// Whether they are.
    pub(super) fn passes_over(&self, schema: &str, name: &str) -> bool {
        !self.passed_over.is_empty() && self.passed_over.contains(&(schema.to_owned(), name.to_owned()))
    }

    /// Values of a column that is nowhere any more are passed over.
    pub(super) fn pass_over_column(&mut self, table: &TargetTable, column: &str) {
        let mut table = table.clone();
        table.passed_over.push(column.to_owned());
        self.passes_columns = true;
        self.by_name.insert((table.schema.clone(), table.name.clone()), Arc::new(table));
    }

    /// Whether it is the first time in the batch that the target refuses a row of a table.
    pub(super) fn refuses_first(&mut self, table: &TargetTable) -> bool {
        self.refusing.insert((table.schema.clone(), table.name.clone()))
    }
}
