//! The metrics' names, all in one place.

use metrics::{describe_counter, describe_gauge, describe_histogram};

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
/// From a transaction's commit to when its changes were read, in seconds.
pub const COMMIT_TO_DECODED: &str = "headwater_streamer_commit_to_decoded_seconds";
/// From a transaction's commit to when Kafka had acknowledged its last record, in seconds.
pub const COMMIT_TO_ACKNOWLEDGED: &str = "headwater_streamer_commit_to_acknowledged_seconds";
/// How far the newest change that was read is behind its commit, in seconds.
pub const LAG_DECODED: &str = "headwater_streamer_lag_decoded_seconds";
/// How far what Kafka has acknowledged is behind the commits, in seconds.
pub const LAG_ACKNOWLEDGED: &str = "headwater_streamer_lag_acknowledged_seconds";
/// Records that Kafka has not acknowledged yet.
pub const IN_FLIGHT: &str = "headwater_streamer_records_in_flight";
/// Their bytes.
pub const BYTES_IN_FLIGHT: &str = "headwater_streamer_bytes_in_flight";
/// How many bytes may be under way before reading waits.
pub const BYTES_IN_FLIGHT_LIMIT: &str = "headwater_streamer_bytes_in_flight_limit";
/// Changes published, by table and operation.
pub const TABLE_CHANGES: &str = "headwater_streamer_table_changes_total";
/// Whether somebody reads the slot.
pub const SLOT_ACTIVE: &str = "headwater_streamer_slot_active";
/// Whether the slot has lost WAL that it needed.
pub const SLOT_LOST: &str = "headwater_streamer_slot_lost";
/// Spans of transactions that did not get to the collector, by why (`OTEL_EXPORTER_OTLP_ENDPOINT`).
pub const SPANS_DROPPED: &str = "headwater_streamer_spans_dropped_total";
/// WAL behind what the slot was confirmed up to, in bytes.
pub const SLOT_LAG: &str = "headwater_streamer_slot_lag_bytes";
/// WAL that the server keeps because of the slot, in bytes.
pub const SLOT_RETAINED: &str = "headwater_streamer_slot_retained_wal_bytes";
/// How much it keeps at most, in bytes (`max_slot_wal_keep_size`).
pub const SLOT_LIMIT: &str = "headwater_streamer_slot_wal_limit_bytes";
/// How much may still be written before the slot is lost, in bytes.
pub const SLOT_LEFT: &str = "headwater_streamer_slot_wal_left_bytes";

/// The sentences for those that are asked for at the moment of a scrape.
const OF_THE_MOMENT: [(&str, &str); 12] = [
    (LAG_DECODED, "How far the newest change that was read was behind its commit."),
    (
        LAG_ACKNOWLEDGED,
        "How far what Kafka has acknowledged is behind the commits: the age of the oldest commit that it has not.",
    ),
    (IN_FLIGHT, "Records that Kafka has not acknowledged yet."),
    (BYTES_IN_FLIGHT, "Bytes of the records that Kafka has not acknowledged yet."),
    (BYTES_IN_FLIGHT_LIMIT, "How many bytes may be under way before reading the slot waits."),
    (TABLE_CHANGES, "Changes published, by table and operation."),
    (SLOT_ACTIVE, "Whether somebody reads the slot."),
    (SLOT_LOST, "Whether the slot has lost WAL that it still needed."),
    (SLOT_LAG, "WAL behind what the slot was confirmed up to."),
    (SLOT_RETAINED, "WAL that the server keeps because of the slot."),
    (SLOT_LIMIT, "WAL that the server keeps for a slot at most (max_slot_wal_keep_size), +Inf without a limit."),
    (SLOT_LEFT, "WAL that may still be written before the slot is lost, +Inf without a limit."),
];

/// The sentence for one of them.
pub(super) fn help(name: &str) -> &'static str {
    OF_THE_MOMENT.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help)
}

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
    describe_counter!(SPANS_DROPPED, "Spans of transactions that did not get to the collector.");
    describe_counter!(TRANSACTIONS, "Transactions read whole from the slot.");
    describe_counter!(KAFKA_TRANSACTIONS, "Transactions of Kafka's that were committed (exactly.once.source.support).");
    describe_counter!(
        VALUES_DEGRADED,
        "Values that lost something on their way into a record, as they do in Debezium's (headwater.value.fidelity)."
    );
    describe_histogram!(COMMIT_TO_DECODED, "Seconds from a transaction's commit until its changes were read.");
    describe_histogram!(
        COMMIT_TO_ACKNOWLEDGED,
        "Seconds from a transaction's commit until Kafka had acknowledged its last record."
    );
    describe_gauge!(SERVER_LSN, "End of the server's log as of its last keepalive.");
    describe_gauge!(COMMIT_LSN, "End of the last transaction that was read.");
    describe_gauge!(CONFIRMED_LSN, "Position the slot was confirmed up to: everything before it is in Kafka.");
}
