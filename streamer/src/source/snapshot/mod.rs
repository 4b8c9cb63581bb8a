//! The rows that were there before the slot (`snapshot.mode`).
//!
//! Read with COPY inside one transaction that imports the slot's exported snapshot: the rows are exactly those of all
//! transactions before the slot's consistent point, and streaming brings all after it.
//!
//! # Layout
//! - [`copy_text`]: COPY's text format into values
//! - [`incremental`]: tables read between the changes
//! - [`marker`]: which row is the first, the last

pub mod copy_text;
pub mod incremental;
pub mod marker;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use proto::connect::java;
use proto::envelope::TableEnvelope;
use proto::lsn::Lsn;
use proto::pgoutput::Datum;
use proto::position::{Offset, SnapshotOffset};
use proto::table::Table;
use proto::xid::Xid;
use tokio_postgres::Client;

use super::catalog::{self, TableName, Types};
use super::session::{self, query_error};
use super::slot::CreatedSlot;
use super::{quote_identifier, quote_literal};
use crate::capture::relations::Relations;
use crate::config::ConnectorConfig;
use crate::emit::{RowEmitter, RowOrigin};
use crate::error::TaskError;
use crate::notify::{Aggregate, Notification, Notifier};
use crate::position::Checkpoint;
use crate::publish::producer::RecordProducer;
use marker::Markers;

/// The state of the database that the snapshot shows.
#[derive(Debug, Clone, Copy)]
struct Instant {
    lsn: Lsn,
    last_commit_lsn: Option<Lsn>,
    tx_id: Option<Xid>,
    started_us: i64,
}

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
    outputs.notify("SKIPPED", &[]).await
}

/// Publishes every row of the planned tables and gives the offset that stands for "snapshot complete", still to be
/// checkpointed behind its last row.
///
/// # Errors
/// Retry begins the snapshot anew: no offset is stored before its end.
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

async fn read(config: &ConnectorConfig, plan: Plan, outputs: &mut Outputs<'_>) -> Result<Checkpoint, TaskError> {
    let client = session::connect(&config.connection, "snapshot").await?;
    begin(&client, config, plan.created.as_ref()).await?;
    if config.snapshot.locks_tables {
        lock(&client, config, &plan.tables).await?;
    }
    let instant = instant(&client, &plan).await?;
    // The snapshot is imported: the session that exported it is no longer needed.
    drop(plan.created);

    let mut names: Vec<String> = plan.tables.iter().map(ToString::to_string).collect();
    let in_order = names.join(",");
    // `new HashSet<>(tables)`, which has room for a third more.
    let buckets = (names.len() * 4 / 3 + 1).max(16).next_power_of_two();
    names.sort_by_key(|name| java::bucket(name, buckets));
    let in_set = names.join(",");

    let mut rows = Rows { markers: Markers::default(), instant, outputs, read: 0, published: 0 };
    let mut types = Types::default();
    let progress = Progress::new(plan.tables.len());
    for (number, name) in plan.tables.iter().enumerate() {
        progress.table(number, name);
        let Some(table) = catalog::describe_table(&client, &mut types, name).await? else { continue };
        let collection = name.to_string();
        rows.notify(
            "IN_PROGRESS",
            &[("current_collection_in_progress", collection.clone()), ("data_collections", in_set.clone())],
        )
        .await?;
        let envelope = Arc::new(rows.outputs.relations.compile(&table));
        let source = RowSource::of(&client, &table, plan.selects.get(&collection)).await?;
        let before = rows.read;
        copy_table(&client, &source, number, &envelope, &mut rows, &progress).await?;
        rows.notify(
            "TABLE_SCAN_COMPLETED",
            &[
                ("scanned_collection", collection),
                ("data_collections", in_order.clone()),
                ("total_rows_scanned", (rows.read - before).to_string()),
                ("status", "SUCCEEDED".to_owned()),
            ],
        )
        .await?;
    }
    let published = rows.finish().await?;
    progress.finish(published);
    client.batch_execute("COMMIT").await.map_err(|error| query_error("ending the snapshot", error))?;
    tracing::info!(rows = published, tables = plan.tables.len(), lsn = %instant.lsn, "snapshot is read");
    Ok(Checkpoint {
        flush: None,
        offset: Some(Offset {
            lsn: Some(plan.start.unwrap_or(instant.lsn)),
            tx_id: instant.tx_id,
            ts_usec: Some(instant.started_us),
            snapshot: Some(SnapshotOffset { completed: true, last_record: true }),
            ..Offset::default()
        }),
    })
}

async fn begin(client: &Client, config: &ConnectorConfig, created: Option<&CreatedSlot>) -> Result<(), TaskError> {
    let sql = match created {
        Some(created) => format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT {}",
            quote_literal(&created.snapshot_name)
        ),
        None => format!("BEGIN {}", config.snapshot.isolation.as_sql()),
    };
    client.batch_execute(&sql).await.map_err(|error| query_error("beginning the snapshot", error))
}

/// Keeps the tables from being altered until the snapshot ends (`snapshot.locking.mode=shared`); rows can be written.
async fn lock(client: &Client, config: &ConnectorConfig, tables: &[TableName]) -> Result<(), TaskError> {
    let mut sql = format!("SET LOCAL lock_timeout = {}", config.snapshot.lock_timeout.as_millis());
    for table in tables {
        sql.push_str(&format!("; LOCK TABLE {} IN ACCESS SHARE MODE", table.quoted()));
    }
    client.batch_execute(&sql).await.map_err(|error| query_error("locking the tables for the snapshot", error))
}

async fn instant(client: &Client, plan: &Plan) -> Result<Instant, TaskError> {
    let row = client
        .query_one(
            "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE txid_current() END, \
                    (extract(epoch FROM clock_timestamp()) * 1000000)::int8, \
                    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text",
            &[],
        )
        .await
        .map_err(|error| query_error("reading the snapshot's transaction", error))?;
    // The epoch is in the upper half; `source.txId` is the 32-bit id.
    let tx_id = row.get::<_, Option<i64>>(0).map(|id| Xid::from(id as u32));
    let now = row.get::<_, Option<&str>>(2).and_then(|text| text.parse().ok()).unwrap_or(Lsn::ZERO);
    let started_us = row.get(1);
    Ok(match plan.origin {
        Some(RowOrigin { last_commit_lsn, lsn, tx_id, .. }) => {
            Instant { lsn: lsn.unwrap_or(now), last_commit_lsn, tx_id, started_us }
        }
        None => {
            let lsn = plan.created.as_ref().map_or(now, |created| created.consistent_point);
            Instant { lsn, last_commit_lsn: None, tx_id, started_us }
        }
    })
}

/// What is read as a table's rows.
struct RowSource<'a> {
    name: String,
    select: String,
    /// Where each of the table's columns is among the selected ones; `None` for one that is not selected.
    columns: Option<Vec<Option<usize>>>,
    table: &'a Table,
}

impl<'a> RowSource<'a> {
    /// The whole table, or what `select` (`snapshot.select.statement.overrides`) gives instead.
    ///
    /// # Errors
    /// Stop when the statement selects a column that the table does not have.
    async fn of(client: &Client, table: &'a Table, select: Option<&String>) -> Result<Self, TaskError> {
        let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
        let Some(select) = select else {
            let columns = table.columns.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>();
            // A SELECT, not the table itself: it reads partitioned tables and includes generated columns.
            let select = format!("SELECT {} FROM {}", columns.join(", "), name.quoted());
            return Ok(Self { name: name.to_string(), select, columns: None, table });
        };
        let what = format!("preparing the statement that is read instead of table {name}");
        let statement = client.prepare(select).await.map_err(|error| query_error(&what, error))?;
        let selected: Vec<&str> = statement.columns().iter().map(tokio_postgres::Column::name).collect();
        if let Some(unknown) = selected.iter().find(|name| !table.columns.iter().any(|column| &&column.name == name)) {
            return Err(TaskError::stop(format!(
                "{what}: it selects {unknown}, which is not a column of the table; select columns of the table only"
            )));
        }
        let place = |column: &proto::table::Column| selected.iter().position(|name| *name == column.name);
        let columns = Some(table.columns.iter().map(place).collect());
        Ok(Self { name: name.to_string(), select: select.clone(), columns, table })
    }

    /// A selected row as a row of the table: a column that is not selected is null, as in Debezium.
    fn arrange(&self, selected: &mut Vec<Datum>) -> Vec<Datum> {
        let Some(columns) = &self.columns else { return std::mem::take(selected) };
        let value = |place: &Option<usize>| place.and_then(|place| selected.get(place)).cloned().unwrap_or(Datum::Null);
        columns.iter().map(value).collect()
    }
}

async fn copy_table(
    client: &Client,
    source: &RowSource<'_>,
    number: usize,
    envelope: &Arc<TableEnvelope>,
    rows: &mut Rows<'_, '_>,
    progress: &Progress,
) -> Result<(), TaskError> {
    let name = &source.name;
    let failed = |error| query_error(&format!("reading table {name} for the snapshot"), error);
    let lines = client.copy_out(&format!("COPY ({}) TO STDOUT", source.select)).await.map_err(failed)?;
    let mut lines = std::pin::pin!(lines);
    let mut values = Vec::with_capacity(source.table.columns.len());
    while let Some(line) = lines.next().await {
        let line: Bytes = line.map_err(failed)?;
        // The server sends one row a message, with its newline.
        let line = line.slice(..line.len().saturating_sub(1));
        copy_text::parse_line(&line, &mut values)
            .map_err(|error| TaskError::retry(format!("reading table {name} for the snapshot: {error}")))?;
        rows.push(number, envelope, source.arrange(&mut values)).await?;
        progress.row();
    }
    Ok(())
}

/// A row waiting for its marker, with the envelope of its table.
type HeldRow = (Arc<TableEnvelope>, Vec<Datum>);

/// The rows on their way out: one is held back for its marker.
struct Rows<'a, 'b> {
    markers: Markers<HeldRow>,
    instant: Instant,
    outputs: &'a mut Outputs<'b>,
    read: u64,
    published: u64,
}

impl Rows<'_, '_> {
    async fn notify(&mut self, kind: &'static str, data: &[(&'static str, String)]) -> Result<(), TaskError> {
        self.outputs.notify(kind, data).await
    }

    async fn push(&mut self, table: usize, envelope: &Arc<TableEnvelope>, values: Vec<Datum>) -> Result<(), TaskError> {
        self.read += 1;
        match self.markers.push(table, (envelope.clone(), values)) {
            Some(((envelope, values), marker)) => self.publish(&envelope, &values, marker).await,
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<u64, TaskError> {
        if let Some(((envelope, values), marker)) = std::mem::take(&mut self.markers).finish() {
            self.publish(&envelope, &values, marker).await?;
        }
        Ok(self.published)
    }

    async fn publish(
        &mut self,
        envelope: &TableEnvelope,
        values: &[Datum],
        snapshot: proto::envelope::SnapshotMarker,
    ) -> Result<(), TaskError> {
        let origin = RowOrigin {
            ts_us: self.instant.started_us,
            snapshot,
            last_commit_lsn: self.instant.last_commit_lsn,
            lsn: Some(self.instant.lsn),
            tx_id: self.instant.tx_id,
        };
        self.outputs.emitter.read(self.outputs.producer, envelope, values, origin).await?;
        self.published += 1;
        self.outputs.producer.metrics().snapshot_rows.increment(1);
        Ok(())
    }
}

/// A bar on a terminal; without one, a log line for each table.
struct Progress {
    bar: ProgressBar,
    tables: usize,
}

impl Progress {
    fn new(tables: usize) -> Self {
        // indicatif draws nothing where standard error is not a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} snapshot {msg}: {pos} rows, {per_sec}, {elapsed}") {
            bar.set_style(style);
        }
        Self { bar, tables }
    }

    fn table(&self, number: usize, name: &TableName) {
        self.bar.set_message(format!("{}/{} {name}", number + 1, self.tables));
        tracing::info!(table = %name, number = number + 1, of = self.tables, "reading for the snapshot");
    }

    fn row(&self) {
        self.bar.inc(1);
    }

    fn finish(&self, rows: u64) {
        self.bar.finish_with_message(format!("complete, {rows} rows"));
    }
}
