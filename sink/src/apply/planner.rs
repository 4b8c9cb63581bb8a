//! Records into stages.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Client;

use super::batch::Record;
use crate::error::SinkError;
use crate::parse::handling::Handling;
use crate::parse::record::{Change, Shape, TableChange, read};
use crate::parse::row::{self, RowError};
use crate::plan::stage::{First, Stage, Step};
use crate::plan::table::TargetTable;

/// The tables that a topic's records are of. It is one, but two names can come to one topic when they differ in characters
/// that Kafka refuses.
#[derive(Debug)]
pub(super) struct Tables {
    by_name: HashMap<(String, String), Arc<TargetTable>>,
    handling: Arc<Handling>,
    /// How the topic's records are.
    shape: Shape,
}

impl Tables {
    /// Knows no table yet.
    pub(super) fn new(topic: &str, handling: Arc<Handling>) -> Self {
        Self { by_name: HashMap::new(), shape: handling.shape(topic), handling }
    }

    /// The same with nothing known.
    pub(super) fn afresh(self, topic: &str) -> Self {
        Self::new(topic, self.handling)
    }

    fn get(&self, schema: &str, name: &str) -> Option<&Arc<TargetTable>> {
        self.by_name.get(&(schema.to_owned(), name.to_owned()))
    }

    /// Gets to know a table. A row without its envelope may be of another one than its topic's name seems to say.
    ///
    /// # Errors
    /// Stop when it is missing or has no key, or when two tables come to one topic and rows do not say which they are of.
    pub(super) async fn describe(
        &mut self,
        client: &Client,
        topic: &str,
        schema: &str,
        name: &str,
    ) -> Result<(), SinkError> {
        let mut table = TargetTable::describe(client, schema, name, &self.handling).await?;
        if let Shape::Row(rows) = &mut self.shape {
            let prefix = self.handling.topic_prefix();
            if let Some((schema, name)) = rows.find(TargetTable::of_topic(client, prefix, topic).await?, topic)? {
                table = TargetTable::describe(client, schema, name, &self.handling).await?;
            }
            table.iter_mut().for_each(|table| table.passed_over.extend(rows.passed_over().map(str::to_owned)));
        }
        let table = table.ok_or_else(|| {
            SinkError::stop(format!(
                "table {schema}.{name} is not in the target. Its changes wait in topic {topic}; create the table there as it is \
                 in the source, and they are applied"
            ))
        })?;
        if table.key.is_empty() {
            return Err(SinkError::stop(format!(
                "table {schema}.{name} has no primary key in the target, and an upsert cannot find its rows. Its changes wait \
                 in topic {topic}; ALTER TABLE {} ADD PRIMARY KEY (…), in source and target",
                table.sql_name()
            )));
        }
        self.by_name.insert((table.schema.clone(), table.name.clone()), Arc::new(table));
        Ok(())
    }
}

/// What comes next.
pub(super) enum Planned {
    /// Steps to carry out.
    Stage(Stage),
    /// A table of this schema and name has to be described first.
    Unknown(String, String),
    /// No more.
    Nothing,
}

/// Makes stages of a batch's records, one after the other.
pub(super) struct Planner<'a> {
    /// The records' topic.
    pub(super) topic: &'a str,
    /// What cannot be applied, and why.
    pub(super) set_aside: Vec<(&'a Record, String)>,
    /// When the newest change was committed in the source, in milliseconds since 1970.
    pub(super) newest_ts_ms: Option<i64>,
    all: &'a [Record],
    records: &'a [Record],
    is_one_of_several: bool,
}

impl<'a> Planner<'a> {
    /// Begins with the first record. Where the topic has several partitions, a truncate is set aside.
    pub(super) fn new(topic: &'a str, records: &'a [Record], is_one_of_several: bool) -> Self {
        Self { topic, set_aside: Vec::new(), newest_ts_ms: None, all: records, records, is_one_of_several }
    }

    /// The next stage, not much larger than `bytes`, which is a single record's for 0.
    ///
    /// # Errors
    /// Stop when a table lacks a column.
    pub(super) fn next(&mut self, tables: &Tables, bytes: usize) -> Result<Planned, SinkError> {
        let mut stage: Option<Stage> = None;
        while let Some((record, rest)) = self.records.split_first() {
            let change = read(&tables.shape, record.key.as_deref(), record.value.as_ref(), record.new_key.as_deref());
            let change = match change {
                Ok(change) => change,
                Err(unreadable) => {
                    self.set_aside.push((record, unreadable.to_string()));
                    self.records = rest;
                    continue;
                }
            };
            let (schema, name) = match &change {
                Change::Nothing => {
                    self.records = rest;
                    continue;
                }
                Change::Truncate { schema, table } => (schema, table),
                Change::Upsert(TableChange { schema, table, .. })
                | Change::Delete(TableChange { schema, table, .. })
                | Change::Rename { old: TableChange { schema, table, .. }, .. } => (schema, table),
            };
            let is_of = |stage: &Stage| stage.table.name == *name && stage.table.schema == *schema;
            let mut current = match stage.take() {
                // A rename comes first in its stage.
                Some(current) if is_of(&current) && !matches!(change, Change::Rename { .. }) => current,
                Some(before) if !before.is_empty() => return Ok(Planned::Stage(before)),
                _ => match tables.get(schema, name) {
                    Some(table) => Stage::new(table.clone()),
                    None => return Ok(Planned::Unknown(schema.to_string(), name.to_string())),
                },
            };
            if let Err(reason) = self.add(&mut current, change)? {
                self.set_aside.push((record, reason));
            }
            self.records = rest;
            if current.size() >= bytes && !current.is_empty() {
                return Ok(Planned::Stage(current));
            }
            stage = Some(current);
        }
        Ok(stage.filter(|stage| !stage.is_empty()).map_or(Planned::Nothing, Planned::Stage))
    }

    /// Which is the last stage's last record.
    pub(super) fn last(&self) -> usize {
        (self.all.len() - self.records.len()).saturating_sub(1)
    }

    /// Sets that record aside.
    pub(super) fn set_last_aside(&mut self, reason: String) {
        self.set_aside.extend(self.all.get(self.last()).map(|record| (record, reason)));
    }

    /// Adds a change to a stage of its table; the inner error is the record's, the outer one the table's.
    fn add(&mut self, stage: &mut Stage, change: Change<'_>) -> Result<Result<(), String>, SinkError> {
        let Stage { table, rows, .. } = stage;
        let step = match &change {
            Change::Nothing => return Ok(Ok(())),
            Change::Truncate { .. } if self.is_one_of_several => {
                return Ok(Err(
                    "a truncate of a table whose topic has several partitions: which rows of the other partitions are older \
                     than it cannot be told. Remove the rows that the source does not have, as `sink verify` finds them; give \
                     the topic of a table that is truncated one partition"
                        .to_owned(),
                ));
            }
            Change::Truncate { .. } => {
                stage.truncate();
                return Ok(Ok(()));
            }
            Change::Upsert(TableChange { row, ts_ms, is_insert, .. }) => {
                self.newest_ts_ms = self.newest_ts_ms.max(*ts_ms);
                row::row(row, table, rows).map(if *is_insert { Step::Insert } else { Step::Upsert })
            }
            Change::Delete(TableChange { row, ts_ms, .. }) => {
                self.newest_ts_ms = self.newest_ts_ms.max(*ts_ms);
                row::key(row, table, rows).map(Step::Delete).map_err(RowError::from)
            }
            Change::Rename { old, new_key } => {
                self.newest_ts_ms = self.newest_ts_ms.max(old.ts_ms);
                let rename = row::key(old.row, table, rows)
                    .and_then(|old| Ok(First::Rename { old, new: row::key(new_key, table, rows)? }));
                return Ok(match rename {
                    Ok(rename) => {
                        stage.first = Some(rename);
                        Ok(())
                    }
                    Err(unreadable) => Err(unreadable.to_string()),
                });
            }
        };
        match step {
            Ok(step) => {
                stage.push(step);
                Ok(Ok(()))
            }
            Err(RowError::Unreadable(unreadable)) => Ok(Err(unreadable.to_string())),
            Err(RowError::NoColumn(name)) => Err(SinkError::stop(format!(
                "table {}.{} has no column {name} in the target, and changes bring it. They wait in Kafka; add the column \
                 there as it is in the source, and they are applied",
                table.schema, table.name
            ))),
        }
    }
}
