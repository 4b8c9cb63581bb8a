//! How a snapshot's progress is seen: a bar on a terminal, a log line for each table without one, and metrics.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::ConnectorConfig;
use crate::metrics::beans::Beans;
use crate::metrics::labels::Labels;
use crate::metrics::live::Live;
use crate::metrics::task::SnapshotMetrics;

/// A snapshot's progress. Dropped before its end, it says that the snapshot broke off.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    metrics: SnapshotMetrics,
    live: Arc<Live>,
    beans: Arc<Beans>,
    tables: usize,
    ended: usize,
    begun_at: std::time::Instant,
    is_complete: bool,
}

impl Progress {
    pub(super) fn new(
        config: &ConnectorConfig,
        beans: Arc<Beans>,
        live: Arc<Live>,
        names: impl ExactSizeIterator<Item = String>,
    ) -> Self {
        let tables = names.len();
        // indicatif draws nothing where standard error is not a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} snapshot {msg}: {pos} rows, {per_sec}, {elapsed}") {
            bar.set_style(style);
        }
        let metrics = SnapshotMetrics::of(Labels::of(config));
        metrics.tables.set(tables as f64);
        metrics.remaining.set(tables as f64);
        metrics.running.set(1.0);
        metrics.completed.set(0.0);
        metrics.aborted.set(0.0);
        live.snapshots.begin(tables);
        beans.progress().begin(names);
        Self { bar, metrics, live, beans, tables, ended: 0, begun_at: std::time::Instant::now(), is_complete: false }
    }

    pub(super) fn begin(&self, number: usize, name: &str) {
        self.live.snapshots.table(name);
        self.bar.set_message(format!("{}/{} {name}", number + 1, self.tables));
        tracing::info!(table = %name, number = number + 1, of = self.tables, "reading for the snapshot");
    }

    /// So many more rows of a table are read, `until_now` in all.
    pub(super) fn rows(&self, table: &str, rows: usize, until_now: u64) {
        self.beans.progress().scanned(table, until_now);
        self.bar.inc(rows as u64);
        self.live.snapshots.rows(rows);
        self.metrics.scanned(table, rows as u64);
        self.metrics.seconds.set(self.begun_at.elapsed().as_secs_f64());
    }

    pub(super) fn end(&mut self, name: &str, rows: u64) {
        self.ended += 1;
        self.live.snapshots.done(self.ended);
        self.beans.progress().ended(name, rows);
        self.metrics.remaining.set((self.tables - self.ended.min(self.tables)) as f64);
        tracing::info!(table = %name, rows, remaining = self.tables - self.ended.min(self.tables), "read for the snapshot");
    }

    pub(super) fn finish(mut self, rows: u64) {
        self.is_complete = true;
        self.beans.progress().complete();
        self.metrics.completed.set(1.0);
        self.live.snapshots.end("completed");
        self.bar.finish_with_message(format!("complete, {rows} rows"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.metrics.running.set(0.0);
        self.metrics.seconds.set(self.begun_at.elapsed().as_secs_f64());
        if !self.is_complete {
            self.metrics.aborted.set(1.0);
            self.live.snapshots.end("aborted");
            self.beans.progress().abort();
        }
    }
}
