//! Records into stages.

use std::collections::VecDeque;
use std::sync::Arc;

use super::tables::{Replicas, Tables};
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::evolve::definition::Told;
use crate::jdbc::topic::{Said, Topic, What};
use crate::parse::Unreadable;
use crate::parse::record::{Change, Op, TableChange, read};
use crate::parse::row::{self, RowError};
use crate::plan::rows::{Cell, Rows};
use crate::plan::snapshot::Written;
use crate::plan::stage::{First, Stage, Step};
use crate::plan::table::TargetTable;

/// What comes next.
pub(super) enum Planned {
    /// Steps to carry out.
    Stage(Stage),
    /// A table of this schema and name has to be described first.
    Unknown(String, String),
    /// This table lacks a column of that name, which the next record brings.
    Lacks(Arc<TargetTable>, String),
    /// The source's tables are others behind this.
    Definition(Box<(Told, Option<Written>)>),
    /// No more.
    Nothing,
}

/// Why a truncate is not applied.
const TRUNCATE_OF_SEVERAL: &str = "a truncate of a table whose topic has several partitions: which rows of the other partitions are older \
     than it cannot be told. Remove the rows that the source does not have, as `sink verify` finds them; give the topic of a table that is \
     truncated one partition";

/// So many tables have a stage that is being made: what they hold together is bounded.
const MOST_OPEN: usize = 32;

/// Makes stages of a batch's records, one after the other. Each is of one table: what other tables' records stand between its own does
/// not matter, for the target does not look from one table to another while it is written.
pub(super) struct Planner<'a> {
    /// What cannot be applied, and why.
    pub(super) set_aside: Vec<(&'a Record, String)>,
    /// When the newest change was committed in the source, in milliseconds since 1970.
    pub(super) newest_ts_ms: Option<i64>,
    all: &'a [Record],
    records: &'a [Record],
    is_one_of_several: bool,
    open: VecDeque<Stage>,
}

impl<'a> Planner<'a> {
    /// Begins with the first record. Where the topic has several partitions, a truncate is set aside.
    pub(super) fn new(records: &'a [Record], is_one_of_several: bool) -> Self {
        let (set_aside, open) = (Vec::new(), VecDeque::new());
        Self { set_aside, newest_ts_ms: None, all: records, records, is_one_of_several, open }
    }

    /// The next record's topic.
    pub(super) fn topic(&self) -> &'a str {
        self.records.first().map_or("", |record| &record.topic)
    }

    /// The next stage, not much larger than `bytes`, which is a single record's for 0.
    ///
    /// # Errors
    /// Stop when a table lacks its key.
    pub(super) fn next(&mut self, tables: &mut Tables, bytes: usize) -> Result<Planned, SinkError> {
        match tables {
            Tables::Replica(tables) => self.next_change(tables, bytes),
            Tables::Jdbc(topic) => Ok(self.next_row(topic, bytes)),
        }
    }

    fn next_change(&mut self, tables: &Replicas, bytes: usize) -> Result<Planned, SinkError> {
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
            let (schema, name, written) = match &change {
                Change::Nothing => {
                    self.records = rest;
                    continue;
                }
                Change::Definition(content, written) => {
                    // Rows before it are written into the tables as they were.
                    if let Some(before) = self.next_open() {
                        return Ok(Planned::Stage(before));
                    }
                    self.records = rest;
                    match Told::read(content) {
                        Ok(told) => return Ok(Planned::Definition(Box::new((told, *written)))),
                        Err(unreadable) => {
                            self.set_aside.push((record, unreadable.to_string()));
                            continue;
                        }
                    }
                }
                Change::Truncate { schema, table, written }
                | Change::Upsert(TableChange { schema, table, written, .. })
                | Change::Delete(TableChange { schema, table, written, .. })
                | Change::Rename { old: TableChange { schema, table, written, .. }, .. } => (schema, table, *written),
            };
            if tables.passes_over(schema, name) {
                self.records = rest;
                continue;
            }
            let is_of = |stage: &Stage| stage.table.name == *name && stage.table.schema == *schema;
            let at = self.open.iter().position(is_of);
            let mut current = match at.and_then(|at| self.open.remove(at)) {
                // A rename comes first in its stage.
                Some(before) if matches!(change, Change::Rename { .. }) && !before.is_empty() => {
                    return Ok(Planned::Stage(before));
                }
                Some(current) => current,
                None => match tables.get(schema, name) {
                    Some(table) => Stage::new(table.clone()),
                    None => return Ok(Planned::Unknown(schema.to_string(), name.to_string())),
                },
            };
            if let Some(snapshot) = &current.table.copied_in
                && written.is_some_and(|written| snapshot.has(written))
            {
                // Its rows came with it.
                self.records = rest;
                if !current.is_empty() {
                    self.open.push_front(current);
                }
                continue;
            }
            match self.add(&mut current, change)? {
                Ok(()) => {}
                Err(Unfit::Record(reason)) => self.set_aside.push((record, reason)),
                // What is before it comes first.
                Err(Unfit::Lacks(_)) if !current.is_empty() => return Ok(Planned::Stage(current)),
                Err(Unfit::Lacks(column)) => return Ok(Planned::Lacks(current.table, column)),
            }
            self.records = rest;
            if current.size() >= bytes && !current.is_empty() {
                return Ok(Planned::Stage(current));
            }
            // The tables of the next records are most likely those of the last ones.
            self.open.push_front(current);
            if self.open.len() > MOST_OPEN
                && let Some(oldest) = self.open.pop_back().filter(|oldest| !oldest.is_empty())
            {
                return Ok(Planned::Stage(oldest));
            }
        }
        Ok(self.next_open().map_or(Planned::Nothing, Planned::Stage))
    }

    /// The same of rows that go where a configuration says.
    fn next_row(&mut self, topic: &mut Topic, bytes: usize) -> Planned {
        while let Some((record, rest)) = self.records.split_first() {
            let said = topic.look(record).and_then(|()| topic.read(record));
            let Said { table: (schema, name), what, ts_ms } = match said {
                Ok(Some(said)) => said,
                Ok(None) => {
                    self.records = rest;
                    continue;
                }
                Err(unreadable) => {
                    self.set_aside.push((record, unreadable.to_string()));
                    self.records = rest;
                    continue;
                }
            };
            if topic.is_absent(&schema, &name) {
                self.records = rest;
                continue;
            }
            let Some(table) = topic.table(&schema, &name) else {
                // What is before it is written into the table as it was.
                return self.next_open().map_or(Planned::Unknown(schema, name), Planned::Stage);
            };
            if what == What::Truncate && self.is_one_of_several {
                self.set_aside.push((record, TRUNCATE_OF_SEVERAL.to_owned()));
                self.records = rest;
                continue;
            }
            let at = self.open.iter().position(|stage| Arc::ptr_eq(&stage.table, table));
            let mut current = at.and_then(|at| self.open.remove(at)).unwrap_or_else(|| Stage::new(table.clone()));
            match topic.step(record, &what, table, &mut current.rows) {
                Ok(None) => current.truncate(),
                Ok(Some(step)) if !current.takes(step) => {
                    // It is read again, into the next stage.
                    return Planned::Stage(current);
                }
                Ok(Some(step)) => current.push(step),
                Err(RowError::Unreadable(unreadable)) => self.set_aside.push((record, unreadable.to_string())),
                Err(RowError::NoColumn(_)) if !current.is_empty() => return Planned::Stage(current),
                Err(RowError::NoColumn(field)) => return Planned::Lacks(current.table, field),
            }
            self.newest_ts_ms = self.newest_ts_ms.max(ts_ms);
            self.records = rest;
            if current.size() >= bytes && !current.is_empty() {
                return Planned::Stage(current);
            }
            self.open.push_front(current);
        }
        self.next_open().map_or(Planned::Nothing, Planned::Stage)
    }

    /// The next stage of those that are being made, as it is.
    fn next_open(&mut self) -> Option<Stage> {
        while let Some(stage) = self.open.pop_back() {
            if !stage.is_empty() {
                return Some(stage);
            }
        }
        None
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
    fn add(&mut self, stage: &mut Stage, change: Change<'_>) -> Result<Result<(), Unfit>, SinkError> {
        let (table, rows) = (stage.table.clone(), &mut stage.rows);
        let table = table.as_ref();
        let step = match &change {
            Change::Nothing | Change::Definition(..) => return Ok(Ok(())),
            Change::Truncate { .. } if self.is_one_of_several => {
                return Ok(Err(Unfit::Record(TRUNCATE_OF_SEVERAL.to_owned())));
            }
            Change::Truncate { .. } => {
                stage.truncate();
                return Ok(Ok(()));
            }
            Change::Upsert(change) | Change::Delete(change) if change.has_key && table.key.is_empty() => {
                return Err(SinkError::stop(
                    "target-key",
                    format!(
                        "table {}.{} has no primary key in the target, and the source's has one, by which rows are told. Its changes wait in \
                     Kafka; ALTER TABLE {} ADD PRIMARY KEY (…)",
                        table.schema,
                        table.name,
                        table.sql_name()
                    ),
                ));
            }
            Change::Upsert(change) if !change.has_key && (table.key.is_empty() || change.old.is_some()) => {
                self.newest_ts_ms = self.newest_ts_ms.max(change.ts_ms);
                match (row::row(change.row, table, rows), change.op) {
                    (Ok(new), Op::Update) => match whole_old(change, table, rows) {
                        Ok(old) => {
                            // What the change left out is as it was.
                            rows.complete(new, old);
                            stage.push(Step::Delete(old));
                            Ok(Step::Upsert(new))
                        }
                        Err(error) => Err(error),
                    },
                    (written, Op::Insert) => written.map(Step::Insert),
                    (written, _) => written.map(Step::Upsert),
                }
            }
            Change::Delete(change) if !change.has_key => {
                self.newest_ts_ms = self.newest_ts_ms.max(change.ts_ms);
                whole_old(change, table, rows).map(Step::Delete)
            }
            Change::Upsert(TableChange { row, ts_ms, op, .. }) => {
                self.newest_ts_ms = self.newest_ts_ms.max(*ts_ms);
                row::row(row, table, rows).map(if *op == Op::Insert { Step::Insert } else { Step::Upsert })
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
                    Err(unreadable) => Err(Unfit::Record(unreadable.to_string())),
                });
            }
        };
        match step {
            Ok(step) => {
                stage.push(step);
                Ok(Ok(()))
            }
            Err(RowError::Unreadable(unreadable)) => Ok(Err(Unfit::Record(unreadable.to_string()))),
            Err(RowError::NoColumn(name)) => Ok(Err(Unfit::Lacks(name))),
        }
    }
}

/// Why a change cannot be added to a stage.
enum Unfit {
    /// The record's fault.
    Record(String),
    /// The table has no column of this name.
    Lacks(String),
}

/// The row of a table without a key as it was before a change: by that it is found.
fn whole_old(change: &TableChange<'_>, table: &TargetTable, rows: &mut Rows) -> Result<usize, RowError> {
    let lacks = || {
        Unreadable::new(format!(
            "table {}.{} has no key, and the change does not say what the row was before: ALTER TABLE {} REPLICA IDENTITY FULL in the \
             source",
            table.schema,
            table.name,
            table.sql_name()
        ))
    };
    let old = row::row(change.old.ok_or_else(lacks)?, table, rows)?;
    if rows.row(old).contains(&Cell::Unchanged) { Err(lacks().into()) } else { Ok(old) }
}
