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
//! - `requests`: what signals ask for
//! - `reading`: one chunk after another; [`chunk`]: its statement, and its rows; `watermark`: what marks its window
//! - `stream`: what the stream does to the chunk; [`window`]: the rows that wait for the window to close

pub mod chunk;
mod reading;
mod requests;
mod stream;
mod watermark;
pub mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use proto::lsn::Lsn;
use proto::position::incremental::{Collection, IncrementalOffset, Key};
use proto::xid::Xid;
use tokio_postgres::Client;

use super::Outputs;
use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::notify::{Aggregate, Notification};
use crate::source::catalog::Types;
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

    fn names(&self) -> String {
        self.collections.iter().map(|collection| collection.id.as_str()).collect::<Vec<_>>().join(",")
    }

    async fn notify(
        &self,
        kind: &'static str,
        data: &[(&'static str, String)],
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let tables = self.collections.iter().map(|collection| collection.id.clone()).collect();
        outputs.producer.metrics().live.snapshots.incremental(kind, tables, self.scanned);
        self.count(kind, data, outputs);
        let notification =
            Notification { id: self.correlation_id.as_deref(), aggregate: Aggregate::IncrementalSnapshot, kind, data };
        outputs.notifier.send(outputs.emitter.outlet(), outputs.producer, notification).await
    }

    /// Whoever is told what happens, the metrics are told too.
    fn count(&self, kind: &str, data: &[(&'static str, String)], outputs: &Outputs<'_>) {
        let table = |key| data.iter().find(|(name, _)| *name == key).map(|(_, table)| table.as_str());
        let mut progress = outputs.producer.metrics().beans.progress();
        match kind {
            "STARTED" => progress.begin(self.collections.iter().map(|collection| collection.id.clone())),
            "IN_PROGRESS" => {
                if let Some(table) = table("current_collection_in_progress") {
                    progress.scanned(table, self.scanned);
                }
            }
            "TABLE_SCAN_COMPLETED" => {
                if let Some(table) = table("scanned_collection") {
                    progress.ended(table, self.scanned);
                }
            }
            "PAUSED" => progress.pause(),
            "RESUMED" => progress.resume(),
            "COMPLETED" => progress.complete(),
            // Some of its tables are left out, and the others go on.
            "ABORTED" if self.is_running() && table("data_collections") != Some(&*self.names()) => {}
            "ABORTED" => progress.abort(),
            _ => {}
        }
    }
}
