//! Incremental snapshots: tables read chunk by chunk between the changes (the DBLog paper, "DBLog: A Watermark Based
//! Change-Data-Capture Framework"; `AbstractIncrementalSnapshotChangeEventSource`).
//!
//! # Why every key ends in its newest state
//! A row is written into the signal table, the chunk is read, another row is written. When the stream brings the first of
//! the two, the window opens; rows of the chunk that a change in the window touches are taken out, for the stream has a
//! newer state of them; when it brings the second, the rest is published. So a chunk's row is published behind every change
//! that it shows, and never behind one that it does not show:
//! - changes in transactions that the chunk shows came before it, or in the window;
//! - changes in transactions that it does not show come in the window, or behind it. A transaction that is in the log before
//!   the window and became visible late is known by [`Visible`]: its changes count as in the window.
//!
//! With `read.only` nothing is written: the window opens with the reading, and closes when the stream has come to where the
//! log ended after it.
//!
//! # Layout
//! - [`chunk`]: a chunk's statement, and its rows
//! - [`window`]: the rows that wait for the window to close

pub mod chunk;
pub mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use proto::envelope::{SnapshotMarker, TableEnvelope};
use proto::lsn::Lsn;
use proto::pgoutput::Datum;
use proto::position::incremental::{Collection, IncrementalOffset, Key};
use proto::xid::Xid;
use tokio_postgres::Client;
use uuid::Uuid;

use super::Outputs;
use crate::capture::relations::Relations;
use crate::config::{ConnectorConfig, Watermarking};
use crate::emit::{RowOrigin, now_ns};
use crate::error::TaskError;
use crate::notify::{Aggregate, Notification};
use crate::signal::SnapshotRequest;
use crate::signal::action::{CLOSE_WINDOW, OPEN_WINDOW};
use crate::source::catalog::{self, Types};
use crate::source::session::{self, query_error};
use crate::source::table_name::TableName;
use crate::transform::java_regex::Pattern;
use chunk::{ChunkTable, Visible};
use window::Window;

/// The incremental snapshot of a connector, under way or not.
#[expect(missing_debug_implementations, reason = "a tokio_postgres::Client shows nothing")]
pub struct Incremental {
    config: Arc<ConnectorConfig>,
    client: Option<Client>,
    types: Types,
    /// The tables still to be read, the one under way first.
    collections: VecDeque<Collection>,
    correlation_id: Option<String>,
    table: Option<ChunkTable>,
    /// The key of the last row that was published.
    last_sent: Option<Key>,
    /// The key of the last row that was read.
    chunk_end: Option<Key>,
    maximum: Option<Key>,
    window: Window,
    visible: Visible,
    is_open: bool,
    /// A change came of which nobody can say which row of the chunk it touches: the chunk is read again.
    is_stale: bool,
    chunk_id: Option<String>,
    opened_at: String,
    /// Where the stream has to come for the window to close, with `read.only`.
    closes_at: Option<Lsn>,
    is_paused: bool,
    /// What signals asked to stop.
    stops: Vec<String>,
    scanned: u64,
}

impl Incremental {
    /// As the stored offset has it.
    pub fn new(config: Arc<ConnectorConfig>, stored: Option<IncrementalOffset>) -> Self {
        let stored = stored.unwrap_or_default();
        Self {
            config,
            client: None,
            types: Types::default(),
            collections: stored.collections.into(),
            correlation_id: stored.correlation_id,
            table: None,
            chunk_end: stored.last_key.clone(),
            last_sent: stored.last_key,
            maximum: stored.maximum_key,
            window: Window::default(),
            visible: Visible::default(),
            is_open: false,
            is_stale: false,
            chunk_id: None,
            opened_at: String::new(),
            closes_at: None,
            is_paused: false,
            stops: Vec::new(),
            scanned: 0,
        }
    }

    /// Whether there are tables to be read.
    pub fn is_running(&self) -> bool {
        !self.collections.is_empty()
    }

    /// Where it is, for the offset.
    pub fn position(&self) -> Option<IncrementalOffset> {
        self.is_running().then(|| IncrementalOffset {
            collections: self.collections.iter().cloned().collect(),
            last_key: self.last_sent.clone(),
            maximum_key: self.maximum.clone(),
            classes: self.table.as_ref().and_then(ChunkTable::key_classes),
            correlation_id: self.correlation_id.clone(),
        })
    }

    /// Goes on where the last run stopped.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn go_on(&mut self, last: Option<Xid>, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        if self.is_running() {
            tracing::info!(connector = %self.config.name, tables = self.collections.len(), "going on with the incremental snapshot");
            self.read_chunk(last, outputs).await?;
        }
        Ok(())
    }

    /// Adds a request's tables; begins to read when nothing is under way.
    ///
    /// # Errors
    /// Retry when the database or Kafka is away.
    pub async fn request(
        &mut self,
        id: &str,
        request: &SnapshotRequest,
        last: Option<Xid>,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        if self.config.signals.table.is_none() && !self.config.signals.read_only {
            tracing::warn!(id, "an incremental snapshot needs signal.data.collection, or read.only: passed over");
            return Ok(());
        }
        let was_running = self.is_running();
        for table in self.expanded(&request.tables).await? {
            // Its own operators must not mix with those of the chunk's condition.
            let condition = request.condition(&table).filter(|filter| !filter.is_empty());
            self.collections.push_back(Collection {
                condition: condition.map(|filter| format!("({filter})")),
                surrogate_key: request.surrogate_key.clone(),
                id: table,
            });
        }
        self.correlation_id = Some(id.to_owned());
        tracing::info!(id, tables = %self.names(), "incremental snapshot requested");
        if was_running {
            return Ok(());
        }
        self.notify("STARTED", &[("data_collections", self.names())], outputs).await?;
        self.read_chunk(last, outputs).await
    }

    /// A window opens.
    pub fn open_window(&mut self, id: &str) {
        if self.is_current(id) {
            self.is_open = true;
        }
    }

    /// A window closes: its rows are published, and the next chunk is read.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn close_window(
        &mut self,
        id: &str,
        origin: RowOrigin,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        if !self.is_current(id) {
            return Ok(());
        }
        self.finish_window(origin, outputs).await?;
        self.read_chunk(origin.tx_id, outputs).await
    }

    /// The stream has come to `position`, between two transactions: closes windows that nothing in the stream marks.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn reached(
        &mut self,
        position: Lsn,
        origin: RowOrigin,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        while self.closes_at.is_some_and(|end| end <= position) {
            self.closes_at = None;
            self.finish_window(origin, outputs).await?;
            self.read_chunk(origin.tx_id, outputs).await?;
        }
        Ok(())
    }

    /// A row was changed in transaction `xid`; `row` has its key.
    pub fn changed(&mut self, table: &TableEnvelope, row: &[Datum], xid: Option<Xid>) {
        let Some(current) = &self.table else { return };
        let (name, changed) = (&current.name, table.table());
        let counts = self.is_open || xid.is_some_and(|xid| !self.visible.shows(xid));
        if !counts || name.schema != changed.schema || name.name != changed.name {
            return;
        }
        let key = &changed.key;
        let has_key = key.iter().all(|column| matches!(row.get(*column), Some(Datum::Text(_))));
        if has_key {
            self.window.remove(row, key);
        } else if !key.is_empty() && !self.window.is_empty() {
            self.is_stale = true;
        }
    }

    /// A table was truncated: none of the rows that wait are there any more.
    pub fn truncated(&mut self, table: &TableEnvelope) {
        let truncated = table.table();
        if let Some(ChunkTable { name, .. }) = &self.table
            && name.schema == truncated.schema
            && name.name == truncated.name
        {
            self.window.take();
        }
    }

    /// Reads no further chunk for now.
    ///
    /// # Errors
    /// Those of the notification.
    pub async fn pause(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        if !self.is_running() || std::mem::replace(&mut self.is_paused, true) {
            return Ok(());
        }
        tracing::info!(connector = %self.config.name, "incremental snapshot paused");
        self.notify("PAUSED", &[("data_collections", self.names())], outputs).await
    }

    /// Goes on behind a pause.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn resume(&mut self, last: Option<Xid>, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        if !self.is_running() || !std::mem::replace(&mut self.is_paused, false) {
            return Ok(());
        }
        tracing::info!(connector = %self.config.name, "incremental snapshot goes on");
        self.notify("RESUMED", &[("data_collections", self.names())], outputs).await?;
        if self.chunk_id.is_some() || self.closes_at.is_some() {
            // A chunk is still on its way through its window; the next one follows it.
            return Ok(());
        }
        self.read_chunk(last, outputs).await
    }

    /// Stops reading these tables, all when none is named, before the next chunk.
    pub fn stop(&mut self, tables: Vec<String>) {
        if self.is_running() {
            self.stops.extend(if tables.is_empty() { vec![".*".to_owned()] } else { tables });
        }
    }

    fn is_current(&self, id: &str) -> bool {
        self.chunk_id.as_ref().is_some_and(|current| id.starts_with(current.as_str()))
    }

    fn names(&self) -> String {
        self.collections.iter().map(|collection| collection.id.as_str()).collect::<Vec<_>>().join(",")
    }

    async fn finish_window(&mut self, origin: RowOrigin, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        (self.is_open, self.chunk_id) = (false, None);
        let rows = self.window.take();
        if std::mem::take(&mut self.is_stale) {
            self.chunk_end = self.last_sent.clone();
            return Ok(());
        }
        let Some(table) = &self.table else { return Ok(()) };
        for row in rows {
            let origin =
                RowOrigin { ts_us: now_ns() / 1000, snapshot: SnapshotMarker::Incremental, tx_id: None, ..origin };
            outputs.emitter.read(outputs.producer, &table.envelope, &row, origin).await?;
            outputs.producer.metrics().snapshot_rows.increment(1);
            self.last_sent = Some(table.key_of(&row));
        }
        Ok(())
    }

    async fn read_chunk(&mut self, last: Option<Xid>, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        self.stop_what_was_asked(outputs).await?;
        if !self.is_running() || self.is_paused {
            return Ok(());
        }
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(session::connect(&self.config.connection, "incremental snapshot").await?);
        }
        let Some(client) = self.client.take() else { return Ok(()) };
        let read = self.read_window(&client, last, outputs).await;
        self.client = Some(client);
        match read {
            Err(error) if !error.is_retry() => {
                // As in Debezium the stream goes on: a snapshot that somebody asked for is not worth the changes.
                tracing::error!(connector = %self.config.name, tables = %self.names(), %error, "the incremental snapshot is given up");
                let tables = self.names();
                self.collections.clear();
                self.forget_table();
                (self.chunk_id, self.closes_at, self.client) = (None, None, None);
                self.notify("ABORTED", &[("data_collections", tables)], outputs).await
            }
            read => read,
        }
    }

    /// Marks where a window opens, reads its chunk and marks where it closes.
    async fn read_window(
        &mut self,
        client: &Client,
        last: Option<Xid>,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let chunk_id = Uuid::new_v4().to_string();
        if !self.config.signals.read_only {
            self.opened_at = now();
            let data = format!("{{\"openWindowTimestamp\": \"{}\"}}", self.opened_at);
            self.mark(client, &format!("{chunk_id}-open"), OPEN_WINDOW, &data).await?;
        }
        self.chunk_id = Some(chunk_id.clone());
        self.visible = chunk::begin(client, last).await?;
        let read = self.read_rows(client, outputs).await;
        chunk::end(client).await?;
        read?;
        if self.config.signals.read_only {
            self.is_open = true;
            self.closes_at = Some(log_end(client).await?);
            return Ok(());
        }
        match self.config.signals.watermarking {
            Watermarking::InsertInsert => {
                let data = format!(
                    "{{\"openWindowTimestamp\": \"{}\", \"closeWindowTimestamp\": \"{}\"}}",
                    self.opened_at,
                    now()
                );
                self.mark(client, &format!("{chunk_id}-close"), CLOSE_WINDOW, &data).await
            }
            Watermarking::InsertDelete => {
                let sql = format!("DELETE FROM {} WHERE id = $1", self.signal_table());
                let id = format!("{chunk_id}-open");
                let deleted = client.execute(&sql, &[&id]).await;
                deleted.map(|_| ()).map_err(|error| query_error("closing a window in the signal table", error))
            }
        }
    }

    /// Reads the next rows there are: of the table under way, or the first that has any.
    async fn read_rows(&mut self, client: &Client, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        while let Some(collection) = self.collections.front().cloned() {
            if self.table.is_none() {
                match self.describe(client, &collection, outputs.relations).await? {
                    Ok(table) => self.table = Some(table),
                    Err(why) => {
                        tracing::warn!(table = %collection.id, why, "the incremental snapshot passes over a table");
                        self.next_table(&collection.id, why, outputs).await?;
                        continue;
                    }
                }
            }
            let Some(table) = &self.table else { return Ok(()) };
            if self.maximum.is_none() {
                let rows = chunk::rows(client, &table.name, &table.maximum()).await?;
                self.maximum = rows.first().map(|row| table.key_of(row));
                if self.maximum.is_none() {
                    self.next_table(&collection.id, "EMPTY", outputs).await?;
                    continue;
                }
            }
            let limit = self.config.signals.chunk_size;
            let select = table.chunk(self.chunk_end.as_ref(), self.maximum.as_ref(), limit);
            let rows = chunk::rows(client, &table.name, &select).await?;
            let Some(end) = rows.last().map(|row| table.key_of(row)) else {
                self.next_table(&collection.id, "SUCCEEDED", outputs).await?;
                continue;
            };
            self.scanned += rows.len() as u64;
            for row in rows {
                self.window.push(row, &table.envelope.table().key);
            }
            let data = [
                ("data_collections", self.names()),
                ("current_collection_in_progress", collection.id),
                ("maximum_key", self.maximum.as_ref().map(|key| table.key_text(key)).unwrap_or_default()),
                ("last_processed_key", table.key_text(&end)),
            ];
            self.chunk_end = Some(end);
            return self.notify("IN_PROGRESS", &data, outputs).await;
        }
        Ok(())
    }

    /// The table of a collection, or why it is passed over, in the words of the notification.
    async fn describe(
        &mut self,
        client: &Client,
        collection: &Collection,
        relations: &Relations,
    ) -> Result<Result<ChunkTable, &'static str>, TaskError> {
        let (schema, name) = collection.id.split_once('.').unwrap_or(("public", &collection.id));
        let name = TableName { schema: schema.to_owned(), name: name.to_owned() };
        let captured = self.config.filters.captures_table(&name.schema, &name.name);
        let table = catalog::describe_table(client, &mut self.types, &name).await?.filter(|_| captured);
        let Some(table) = table else { return Ok(Err("UNKNOWN_SCHEMA")) };
        let envelope = Arc::new(relations.compile(&table));
        Ok(ChunkTable::new(name, envelope, collection)?.ok_or("NO_PRIMARY_KEY"))
    }

    async fn next_table(
        &mut self,
        table: &str,
        status: &'static str,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let data = [
            ("data_collections", self.names()),
            ("scanned_collection", table.to_owned()),
            ("total_rows_scanned", self.scanned.to_string()),
            ("status", status.to_owned()),
        ];
        self.notify("TABLE_SCAN_COMPLETED", &data, outputs).await?;
        tracing::info!(table, status, rows = self.scanned, "incremental snapshot of a table ended");
        self.leave_table(outputs).await
    }

    async fn leave_table(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        self.collections.pop_front();
        self.forget_table();
        if self.is_running() {
            return Ok(());
        }
        self.notify("COMPLETED", &[], outputs).await?;
        self.correlation_id = None;
        tracing::info!(connector = %self.config.name, "incremental snapshot completed");
        Ok(())
    }

    fn forget_table(&mut self) {
        (self.table, self.last_sent, self.chunk_end, self.maximum) = (None, None, None, None);
        self.window.take();
        self.scanned = 0;
    }

    async fn stop_what_was_asked(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        let asked = std::mem::take(&mut self.stops);
        if asked.is_empty() || !self.is_running() {
            return Ok(());
        }
        let current = self.table.as_ref().map(|table| table.name.to_string());
        let (mut stopped, mut stops_current) = (Vec::new(), false);
        for table in self.expanded(&asked).await? {
            if current.as_ref() == Some(&table) {
                stops_current = true;
                continue;
            }
            let before = self.collections.len();
            self.collections.retain(|collection| collection.id != table);
            if self.collections.len() < before {
                stopped.push(table);
            }
        }
        if let Some(current) = current.filter(|_| stops_current) {
            stopped.push(current);
            self.leave_table(outputs).await?;
        }
        tracing::info!(connector = %self.config.name, tables = %stopped.join(","), "incremental snapshot stopped");
        self.notify("ABORTED", &[("data_collections", stopped.join(","))], outputs).await?;
        if !self.is_running() {
            self.correlation_id = None;
        }
        Ok(())
    }

    /// The captured tables that the expressions match; an expression that matches none stands for itself.
    async fn expanded(&self, expressions: &[String]) -> Result<Vec<String>, TaskError> {
        let client = session::connect(&self.config.connection, "catalog").await?;
        let tables: Vec<String> = catalog::list_tables(&client)
            .await?
            .into_iter()
            .filter(|table| self.config.filters.captures_table(&table.name.schema, &table.name.name))
            .map(|table| table.name.to_string())
            .collect();
        let mut expanded: Vec<String> = Vec::new();
        for expression in expressions {
            let pattern = Pattern::new(expression);
            let is_match = |table: &&String| pattern.as_ref().is_ok_and(|pattern| pattern.matches(table));
            let mut matching: Vec<String> = tables.iter().filter(is_match).cloned().collect();
            if matching.is_empty() {
                matching.push(TableName::parse(expression).to_string());
            }
            matching.retain(|table| !expanded.contains(table));
            expanded.extend(matching);
        }
        Ok(expanded)
    }

    fn signal_table(&self) -> String {
        let (schema, name) = self.config.signals.table.clone().unwrap_or_default();
        TableName { schema, name }.quoted()
    }

    async fn mark(&self, client: &Client, id: &str, kind: &str, data: &str) -> Result<(), TaskError> {
        let sql = format!("INSERT INTO {} VALUES ($1, $2, $3)", self.signal_table());
        let inserted = client.execute(&sql, &[&id, &kind, &data]).await;
        inserted.map(|_| ()).map_err(|error| query_error("marking a window in the signal table", error))
    }

    async fn notify(
        &self,
        kind: &'static str,
        data: &[(&'static str, String)],
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let notification =
            Notification { id: self.correlation_id.as_deref(), aggregate: Aggregate::IncrementalSnapshot, kind, data };
        outputs.notifier.send(outputs.emitter.outlet(), outputs.producer, notification).await
    }
}

/// Where the server's log ends.
async fn log_end(client: &Client) -> Result<Lsn, TaskError> {
    let row = client
        .query_one(
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text",
            &[],
        )
        .await
        .map_err(|error| query_error("reading where the log ends", error))?;
    Ok(row.get::<_, &str>(0).parse().unwrap_or(Lsn::ZERO))
}

/// The time as Java's `Instant` writes it.
fn now() -> String {
    let ns = now_ns();
    let (seconds, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = proto::types::datetime::civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}
