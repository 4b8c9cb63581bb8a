//! One connector's metrics, looked up once: a look-up for every record would cost more than the record's own bookkeeping.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use proto::types::Losses;

use super::beans::Beans;
use super::labels::Labels;
use super::live::Live;
use super::names;
use crate::config::ConnectorConfig;

/// The handles, each with the connector's labels.
#[derive(Clone)]
pub struct TaskMetrics {
    /// [`names::RECORDS_ENQUEUED`].
    pub records_enqueued: Counter,
    /// [`names::RECORDS_TOLERATED`].
    pub records_tolerated: Counter,
    /// [`names::EVENTS_SKIPPED`].
    pub events_skipped: Counter,
    /// [`names::QUEUE_FULL`].
    pub queue_full: Counter,
    /// [`names::SNAPSHOT_ROWS`].
    pub snapshot_rows: Counter,
    /// [`names::RETRIES`].
    pub retries: Counter,
    /// [`names::STALLED`].
    pub stalled: Gauge,
    /// [`names::TRANSACTIONS`].
    pub transactions: Counter,
    /// [`names::KAFKA_TRANSACTIONS`].
    pub kafka_transactions: Counter,
    /// [`names::SERVER_LSN`].
    pub server_lsn: Gauge,
    /// [`names::COMMIT_LSN`].
    pub commit_lsn: Gauge,
    /// [`names::CONFIRMED_LSN`].
    pub confirmed_lsn: Gauge,
    /// What the page shows of it.
    pub live: Arc<Live>,
    /// [`names::COMMIT_TO_DECODED`].
    pub commit_to_decoded: Histogram,
    /// [`names::COMMIT_TO_ACKNOWLEDGED`].
    pub commit_to_acknowledged: Histogram,
    /// What is counted for Debezium's metrics, and asked at the moment of a scrape.
    pub beans: Arc<Beans>,
}

impl TaskMetrics {
    /// Those of a connector.
    pub fn of(config: &ConnectorConfig, live: Arc<Live>) -> Self {
        let labels = Labels::of(config);
        let beans = Beans::of(config, &labels);
        let (counter, gauge) =
            (|name: &'static str| counter!(name, labels.all()), |name: &'static str| gauge!(name, labels.all()));
        Self {
            records_enqueued: counter(names::RECORDS_ENQUEUED),
            records_tolerated: counter(names::RECORDS_TOLERATED),
            events_skipped: counter(names::EVENTS_SKIPPED),
            queue_full: counter(names::QUEUE_FULL),
            snapshot_rows: counter(names::SNAPSHOT_ROWS),
            retries: counter(names::RETRIES),
            stalled: gauge(names::STALLED),
            transactions: counter(names::TRANSACTIONS),
            kafka_transactions: counter(names::KAFKA_TRANSACTIONS),
            server_lsn: gauge(names::SERVER_LSN),
            commit_lsn: gauge(names::COMMIT_LSN),
            confirmed_lsn: gauge(names::CONFIRMED_LSN),
            live,
            commit_to_decoded: histogram!(names::COMMIT_TO_DECODED, labels.all()),
            commit_to_acknowledged: histogram!(names::COMMIT_TO_ACKNOWLEDGED, labels.all()),
            beans,
        }
    }
}

/// Counts a connector's [`names::VALUES_DEGRADED`] by table and column. A column has no counter before its first loss.
pub fn losses(labels: Labels) -> Losses {
    Losses::new(move |table, column| {
        let labels =
            labels.with([("table", format!("{}.{}", table.schema, table.name)), ("column", column.name.clone())]);
        Arc::new(move || counter!(names::VALUES_DEGRADED, labels.iter()).increment(1))
    })
}

/// A snapshot's metrics, as Debezium's MBean `context=snapshot` has them.
#[derive(Clone)]
pub struct SnapshotMetrics {
    labels: Labels,
    /// [`names::SNAPSHOT_TABLES`].
    pub tables: Gauge,
    /// [`names::SNAPSHOT_REMAINING`].
    pub remaining: Gauge,
    /// [`names::SNAPSHOT_RUNNING`].
    pub running: Gauge,
    /// [`names::SNAPSHOT_COMPLETED`].
    pub completed: Gauge,
    /// [`names::SNAPSHOT_ABORTED`].
    pub aborted: Gauge,
    /// [`names::SNAPSHOT_SECONDS`].
    pub seconds: Gauge,
}

impl SnapshotMetrics {
    /// Those of a connector.
    pub fn of(labels: Labels) -> Self {
        let gauge = |name: &'static str| gauge!(name, labels.all());
        Self {
            tables: gauge(names::SNAPSHOT_TABLES),
            remaining: gauge(names::SNAPSHOT_REMAINING),
            running: gauge(names::SNAPSHOT_RUNNING),
            completed: gauge(names::SNAPSHOT_COMPLETED),
            aborted: gauge(names::SNAPSHOT_ABORTED),
            seconds: gauge(names::SNAPSHOT_SECONDS),
            labels,
        }
    }

    /// So many rows of a table were read.
    pub fn scanned(&self, table: &str, rows: u64) {
        counter!(names::SNAPSHOT_TABLE_ROWS, self.labels.with([("table", table.to_owned())])).increment(rows);
    }
}

impl std::fmt::Debug for SnapshotMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotMetrics").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TaskMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskMetrics").finish_non_exhaustive()
    }
}
