//! The metrics' names, all in one place.

use metrics::{describe_counter, describe_gauge};

/// Records given to the producer.
pub const RECORDS_ENQUEUED: &str = "headwater_streamer_records_enqueued_total";
/// Times that the producer's queue was full and reading waited.
pub const QUEUE_FULL: &str = "headwater_streamer_queue_full_total";
/// Records that a transform or a converter failed on and that were passed over, as errors.tolerance=all asks.
pub const RECORDS_TOLERATED: &str = "headwater_streamer_records_tolerated_total";
/// Changes that could not be processed and were passed over, as event.processing.failure.handling.mode asks.
pub const EVENTS_SKIPPED: &str = "headwater_streamer_events_skipped_total";
/// Rows read by snapshots.
pub const SNAPSHOT_ROWS: &str = "headwater_streamer_snapshot_rows_total";
/// Rows that snapshots read of a table, label `table`.
pub const SNAPSHOT_TABLE_ROWS: &str = "headwater_streamer_snapshot_rows_scanned_total";
/// Tables of the snapshot.
pub const SNAPSHOT_TABLES: &str = "headwater_streamer_snapshot_tables";
/// Tables of the snapshot that are still to be read.
pub const SNAPSHOT_REMAINING: &str = "headwater_streamer_snapshot_tables_remaining";
/// 1 while a snapshot is read.
pub const SNAPSHOT_RUNNING: &str = "headwater_streamer_snapshot_running";
/// 1 when the last snapshot was read to its end.
pub const SNAPSHOT_COMPLETED: &str = "headwater_streamer_snapshot_completed";
/// 1 when the last snapshot broke off.
pub const SNAPSHOT_ABORTED: &str = "headwater_streamer_snapshot_aborted";
/// How long the snapshot has been read.
pub const SNAPSHOT_SECONDS: &str = "headwater_streamer_snapshot_duration_seconds";
/// Times that the task started again by itself.
pub const RETRIES: &str = "headwater_streamer_retries_total";
/// 1 while the stream stands still: Kafka acknowledges nothing, or the server does not answer.
pub const STALLED: &str = "headwater_streamer_stalled";
/// Transactions read whole.
pub const TRANSACTIONS: &str = "headwater_streamer_transactions_total";
/// Transactions of Kafka's that were ended whole (`exactly.once.source.support`).
pub const KAFKA_TRANSACTIONS: &str = "headwater_streamer_kafka_transactions_total";
/// Values that lost something on their way into a record, by table and column.
pub const VALUES_DEGRADED: &str = "headwater_streamer_values_degraded_total";
/// The end of the server's log, as of its last keepalive, in bytes.
pub const SERVER_LSN: &str = "headwater_streamer_server_lsn_bytes";
/// The end of the last transaction that was read, in bytes.
pub const COMMIT_LSN: &str = "headwater_streamer_commit_lsn_bytes";
/// What the slot was confirmed up to, in bytes: everything before it is in Kafka.
pub const CONFIRMED_LSN: &str = "headwater_streamer_confirmed_lsn_bytes";

/// Gives Prometheus a sentence for each.
pub(super) fn describe() {
    describe_counter!(RECORDS_ENQUEUED, "Records given to the Kafka producer.");
    describe_counter!(QUEUE_FULL, "Times the producer's queue was full and reading the slot waited.");
    describe_counter!(RECORDS_TOLERATED, "Records passed over as errors.tolerance=all asks.");
    describe_counter!(
        EVENTS_SKIPPED,
        "Changes lost because event.processing.failure.handling.mode asks to pass over what cannot be processed."
    );
    describe_counter!(SNAPSHOT_ROWS, "Rows read by snapshots.");
    describe_counter!(SNAPSHOT_TABLE_ROWS, "Rows that snapshots read of a table.");
    describe_gauge!(SNAPSHOT_TABLES, "Tables of the snapshot.");
    describe_gauge!(SNAPSHOT_REMAINING, "Tables of the snapshot that are still to be read.");
    describe_gauge!(SNAPSHOT_RUNNING, "Whether a snapshot is read.");
    describe_gauge!(SNAPSHOT_COMPLETED, "Whether the last snapshot was read to its end.");
    describe_gauge!(SNAPSHOT_ABORTED, "Whether the last snapshot broke off.");
    describe_gauge!(SNAPSHOT_SECONDS, "How long the snapshot has been read.");
    describe_counter!(RETRIES, "Times the task started again by itself.");
    describe_gauge!(
        STALLED,
        "Whether the stream stands still: Kafka acknowledges nothing, or the server does not answer."
    );
    describe_counter!(TRANSACTIONS, "Transactions read whole from the slot.");
    describe_counter!(KAFKA_TRANSACTIONS, "Transactions of Kafka's that were committed (exactly.once.source.support).");
    describe_counter!(
        VALUES_DEGRADED,
        "Values that lost something on their way into a record, as they do in Debezium's (headwater.value.fidelity)."
    );
    describe_gauge!(SERVER_LSN, "End of the server's log as of its last keepalive.");
    describe_gauge!(COMMIT_LSN, "End of the last transaction that was read.");
    describe_gauge!(CONFIRMED_LSN, "Position the slot was confirmed up to: everything before it is in Kafka.");
}
