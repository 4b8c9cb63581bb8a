//! The rows that were there before the slot (`snapshot.mode=initial`).
//!
//! Read with COPY inside one transaction that imports the slot's exported snapshot: the rows are exactly those of all
//! transactions before the slot's consistent point, and streaming brings all after it.
//!
//! # Layout
//! - [`copy_text`]: COPY's text format into values
//! - [`marker`]: which row is the first, the last

pub mod copy_text;
pub mod marker;

use bytes::Bytes;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use proto::envelope::TableEnvelope;
use proto::lsn::Lsn;
use proto::pgoutput::Datum;
use proto::position::{Offset, SnapshotOffset};
use proto::table::Table;
use proto::xid::Xid;
use tokio_postgres::Client;

use super::catalog::{self, ListedTable, TableName, Types};
use super::session::{self, query_error};
use super::slot::CreatedSlot;
use super::{quote_identifier, quote_literal};
use crate::capture::relations::Relations;
use crate::config::ConnectorConfig;
use crate::emit::{RowEmitter, RowOrigin};
use crate::error::TaskError;
use crate::position::Checkpoint;
use crate::publish::producer::RecordProducer;
use marker::Markers;

/// The state of the database that the snapshot shows.
#[derive(Debug, Clone, Copy)]
struct Instant {
    lsn: Lsn,
    tx_id: Xid,
    started_us: i64,
}

/// Publishes every row of the captured tables and gives the offset that stands for "snapshot complete", still to be
/// checkpointed behind its last row.
///
/// `created` is the slot just made for this start; without it the slot was there before, streaming will repeat some of
/// what this snapshot shows, and consumers that take the newest record of a key are right in the end.
///
/// # Errors
/// Retry begins the snapshot anew: no offset is stored before its end.
pub async fn run(
    config: &ConnectorConfig,
    created: Option<CreatedSlot>,
    slot_position: Lsn,
    tables: &[ListedTable],
    relations: &Relations,
    emitter: &mut RowEmitter,
    producer: &RecordProducer,
) -> Result<Checkpoint, TaskError> {
    let client = session::connect(&config.connection, "snapshot").await?;
    begin(&client, created.as_ref()).await?;
    let instant = instant(&client, slot_position).await?;
    // The snapshot is imported: the session that exported it is no longer needed.
    drop(created);

    let mut rows = Rows { markers: Markers::default(), instant, emitter, producer, published: 0 };
    let mut types = Types::default();
    let progress = Progress::new(tables.len());
    for (number, ListedTable { name, .. }) in tables.iter().enumerate() {
        progress.table(number, name);
        let Some(table) = catalog::describe_table(&client, &mut types, name).await? else { continue };
        let envelope = std::sync::Arc::new(relations.compile(&table));
        copy_table(&client, &table, number, &envelope, &mut rows, &progress).await?;
    }
    let published = rows.finish().await?;
    progress.finish(published);
    client.batch_execute("COMMIT").await.map_err(|error| query_error("ending the snapshot", error))?;
    tracing::info!(rows = published, tables = tables.len(), lsn = %instant.lsn, "snapshot is read");
    Ok(Checkpoint {
        flush: None,
        offset: Some(Offset {
            lsn: Some(instant.lsn),
            tx_id: Some(instant.tx_id),
            ts_usec: Some(instant.started_us),
            snapshot: Some(SnapshotOffset { completed: true, last_record: true }),
            ..Offset::default()
        }),
    })
}

async fn begin(client: &Client, created: Option<&CreatedSlot>) -> Result<(), TaskError> {
    let mut sql = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned();
    if let Some(created) = created {
        sql.push_str(&format!("; SET TRANSACTION SNAPSHOT {}", quote_literal(&created.snapshot_name)));
    }
    client.batch_execute(&sql).await.map_err(|error| query_error("beginning the snapshot", error))
}

async fn instant(client: &Client, lsn: Lsn) -> Result<Instant, TaskError> {
    let row = client
        .query_one("SELECT txid_current(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8", &[])
        .await
        .map_err(|error| query_error("reading the snapshot's transaction", error))?;
    // The epoch is in the upper half; `source.txId` is the 32-bit id.
    let tx_id = Xid::from(row.get::<_, i64>(0) as u32);
    Ok(Instant { lsn, tx_id, started_us: row.get(1) })
}

async fn copy_table(
    client: &Client,
    table: &Table,
    number: usize,
    envelope: &std::sync::Arc<TableEnvelope>,
    rows: &mut Rows<'_>,
    progress: &Progress,
) -> Result<(), TaskError> {
    let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
    let columns = table.columns.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>().join(", ");
    // A SELECT, not the table itself: it reads partitioned tables and includes generated columns.
    let statement = format!("COPY (SELECT {columns} FROM {}) TO STDOUT", name.quoted());
    let failed = |error| query_error(&format!("reading table {name} for the snapshot"), error);
    let lines = client.copy_out(&statement).await.map_err(failed)?;
    let mut lines = std::pin::pin!(lines);
    let mut values = Vec::with_capacity(table.columns.len());
    while let Some(line) = lines.next().await {
        let line: Bytes = line.map_err(failed)?;
        // The server sends one row a message, with its newline.
        let line = line.slice(..line.len().saturating_sub(1));
        copy_text::parse_line(&line, &mut values)
            .map_err(|error| TaskError::retry(format!("reading table {name} for the snapshot: {error}")))?;
        rows.push(number, envelope, std::mem::take(&mut values)).await?;
        progress.row();
    }
    Ok(())
}

/// A row waiting for its marker, with the envelope of its table.
type HeldRow = (std::sync::Arc<TableEnvelope>, Vec<Datum>);

/// The rows on their way out: one is held back for its marker.
struct Rows<'a> {
    markers: Markers<HeldRow>,
    instant: Instant,
    emitter: &'a mut RowEmitter,
    producer: &'a RecordProducer,
    published: u64,
}

impl Rows<'_> {
    async fn push(
        &mut self,
        table: usize,
        envelope: &std::sync::Arc<TableEnvelope>,
        values: Vec<Datum>,
    ) -> Result<(), TaskError> {
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
            last_commit_lsn: None,
            lsn: Some(self.instant.lsn),
            tx_id: Some(self.instant.tx_id),
        };
        self.emitter.read(self.producer, envelope, values, origin).await?;
        self.published += 1;
        self.producer.metrics().snapshot_rows.increment(1);
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
