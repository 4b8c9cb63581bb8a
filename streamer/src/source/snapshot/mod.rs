//! The rows that were there before the slot (`snapshot.mode`).
//!
//! Read with COPY in transactions that import the slot's exported snapshot: the rows are exactly those of all transactions
//! before the slot's consistent point, and streaming brings all after it. `snapshot.max.threads` sessions read side by side,
//! big tables in ranges of their blocks. What is published is kept in the offset, see [`done`].
//!
//! # Layout
//! - `instant`: the transactions in which tables are read
//! - `unit`: what is read at one go
//! - `reader`: the sessions that read
//! - [`copy_text`]: COPY's text format into values
//! - `rows`: the rows on their way out
//! - [`marker`]: which row is the first, the last
//! - [`done`]: what is published, so that an interrupted snapshot goes on where it was
//! - `progress`: how that is seen
//! - [`incremental`]: tables read between the changes

pub mod copy_text;
pub mod done;
pub mod incremental;
mod instant;
pub mod marker;
mod progress;
mod reader;
mod rows;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::connect::java;
use proto::lsn::Lsn;

use super::activity;
use super::slot::CreatedSlot;
use super::table_name::TableName;
use crate::capture::relations::Relations;
use crate::capture::watchdog::{Pulse, Sources};
use crate::config::ConnectorConfig;
use crate::emit::{RowEmitter, RowOrigin};
use crate::error::TaskError;
use crate::notify::{Aggregate, Notification, Notifier};
use crate::position::Checkpoint;
use crate::publish::producer::RecordProducer;
use done::Done;
use progress::Progress;
use reader::{Read, Readers};
use rows::Rows;
use unit::Units;

/// What a snapshot reads, and from where.
#[derive(Debug)]
pub struct Plan {
    /// The slot just made for this start: the tables are read as of its consistent point. Without it they are read as of
    /// now; streaming repeats what happened since its own position, and consumers that take the newest record of a key are
    /// right in the end.
    pub created: Option<CreatedSlot>,
    /// Where streaming begins, `None` where there is no slot.
    pub start: Option<Lsn>,
    /// The tables in their order.
    pub tables: Vec<TableName>,
    /// What is read instead of a whole table, by `schema.table`.
    pub selects: BTreeMap<String, String>,
    /// What an interrupted snapshot published, as the offset has it.
    pub done: Option<String>,
    /// Whether what is done is kept in the offset: not where that is a position to stream from.
    pub keeps_done: bool,
    /// The last row that was streamed, where the snapshot is asked for while streaming.
    pub origin: Option<RowOrigin>,
}

/// What publishing needs.
#[expect(missing_debug_implementations, reason = "it lives for one call")]
pub struct Outputs<'a> {
    /// Compiles tables.
    pub relations: &'a Relations,
    /// Makes records of rows.
    pub emitter: &'a mut RowEmitter,
    /// Publishes them.
    pub producer: &'a RecordProducer,
    /// Tells of what happens.
    pub notifier: &'a Notifier,
    /// What the watchdog looks at.
    pub pulse: &'a Arc<Pulse>,
}

impl Outputs<'_> {
    async fn notify(&mut self, kind: &'static str, data: &[(&'static str, String)]) -> Result<(), TaskError> {
        let notification = Notification { id: None, aggregate: Aggregate::InitialSnapshot, kind, data };
        self.notifier.send(self.emitter.outlet(), self.producer, notification).await
    }
}

/// Tells that no snapshot is taken.
///
/// # Errors
/// Those of the notification.
pub async fn skipped(outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
    outputs.producer.metrics().beans.progress().skip();
    outputs.notify("SKIPPED", &[]).await
}

/// Publishes every row of the planned tables and gives the offset that stands for "snapshot complete", still to be
/// checkpointed behind its last row.
///
/// # Errors
/// Retry goes on with what is not published yet, where the offset keeps that, and begins anew elsewhere.
pub async fn run(config: &ConnectorConfig, plan: Plan, outputs: &mut Outputs<'_>) -> Result<Checkpoint, TaskError> {
    if !config.snapshot.delay.is_zero() {
        tracing::info!(connector = %config.name, delay = ?config.snapshot.delay, "waiting before the snapshot");
        tokio::time::sleep(config.snapshot.delay).await;
    }
    outputs.notify("STARTED", &[]).await?;
    let read = read(config, plan, outputs).await;
    outputs.notify(if read.is_ok() { "COMPLETED" } else { "ABORTED" }, &[]).await?;
    read
}

async fn read(config: &ConnectorConfig, mut plan: Plan, outputs: &mut Outputs<'_>) -> Result<Checkpoint, TaskError> {
    let (first, instant) = instant::begin(config, &plan).await?;
    // The snapshot is imported: the session that exported it is no longer needed.
    if let Some(created) = plan.created.take() {
        created.session.end().await;
    }
    let done = match &plan.done {
        Some(stored) => Done::parse(stored),
        None => Done { xmin: instant.xmin, ..Done::default() },
    };
    if !done.tables.is_empty() || !done.parts.is_empty() {
        tracing::info!(
            connector = %config.name, tables = done.tables.len(), in_part = done.parts.len(),
            "going on with an interrupted snapshot: what is published already is not read again"
        );
    }
    let pulse = outputs.pulse.clone();
    let first_process = activity::process_of(&first).await?;
    let _listening = pulse.listen(Sources { processes: vec![first_process], may_compute: true });
    let Units { tables, units } = Units::plan(&first, &plan, &done, outputs.relations).await?;
    let clients = instant::join(config, first, config.snapshot.threads.min(units.len())).await?;
    let names = Names::of(&plan.tables);
    let mut left: Vec<(usize, u64)> = vec![(0, 0); tables.len()];
    for unit in &units {
        if let Some((units, _)) = left.get_mut(unit.table) {
            *units += 1;
        }
    }
    let mut begun = vec![false; tables.len()];
    let metrics = outputs.producer.metrics();
    let (beans, live) = (metrics.beans.clone(), metrics.live.clone());
    let mut progress = Progress::new(config, beans, live, tables.iter().map(|table| table.name.clone()));
    let mut sources = Sources { processes: Vec::new(), may_compute: !plan.selects.is_empty() };
    for client in &clients {
        sources.processes.push(activity::process_of(client).await?);
    }
    let _reading = pulse.listen(sources);
    let mut rows = Rows::new(outputs, &tables, instant, &plan, done, clients.len() > 1);
    let mut readers = Readers::start(clients, units);
    while let Some(read) = readers.next().await? {
        let _working = pulse.work();
        match read {
            Read::Begun(unit) => {
                let (Some(begun), Some(table)) = (begun.get_mut(unit.table), tables.get(unit.table)) else { continue };
                if !std::mem::replace(begun, true) {
                    progress.begin(unit.table, &table.name);
                    rows.outputs.notify("IN_PROGRESS", &names.in_progress(&table.name)).await?;
                }
            }
            Read::Rows(table, read) => {
                if let (Some((_, count)), Some(source)) = (left.get_mut(table), tables.get(table)) {
                    *count += read.len() as u64;
                    progress.rows(&source.name, read.len(), *count);
                }
                rows.push(table, read).await?;
                rows.outputs.emitter.count(rows.outputs.producer);
            }
            Read::Ended(unit) => {
                let table = unit.table;
                rows.ended(unit);
                let (Some((units, count)), Some(source)) = (left.get_mut(table), tables.get(table)) else { continue };
                *units -= 1;
                if *units == 0 {
                    let count = *count;
                    rows.table_ended(table).await?;
                    progress.end(&source.name, count);
                    rows.outputs.notify("TABLE_SCAN_COMPLETED", &names.completed(&source.name, count)).await?;
                }
            }
            // An error ends the loop above.
            Read::Failed(error) => return Err(error),
        }
    }
    rows.finish().await?;
    rows.outputs.emitter.count(rows.outputs.producer);
    progress.finish(rows.published);
    tracing::info!(rows = rows.published, tables = plan.tables.len(), lsn = %instant.lsn, "snapshot is read");
    Ok(Checkpoint { flush: None, offset: Some(rows.completed()) })
}

/// The tables' names as notifications list them.
struct Names {
    in_order: String,
    in_set: String,
}

impl Names {
    fn of(tables: &[TableName]) -> Self {
        let mut names: Vec<String> = tables.iter().map(ToString::to_string).collect();
        let in_order = names.join(",");
        // `new HashSet<>(tables)`, which has room for a third more.
        let buckets = (names.len() * 4 / 3 + 1).max(16).next_power_of_two();
        names.sort_by_key(|name| java::bucket(name, buckets));
        Self { in_order, in_set: names.join(",") }
    }

    fn in_progress(&self, table: &str) -> [(&'static str, String); 2] {
        [("current_collection_in_progress", table.to_owned()), ("data_collections", self.in_set.clone())]
    }

    fn completed(&self, table: &str, rows: u64) -> [(&'static str, String); 4] {
        [
            ("scanned_collection", table.to_owned()),
            ("data_collections", self.in_order.clone()),
            ("total_rows_scanned", rows.to_string()),
            ("status", "SUCCEEDED".to_owned()),
        ]
    }
}
