//! The metrics' names, all in one place.

use metrics::{describe_counter, describe_gauge};

/// Records applied, by topic.
pub const APPLIED: &str = "headwater_sink_records_applied_total";
/// Records set aside, by topic.
pub const SET_ASIDE: &str = "headwater_sink_records_set_aside_total";
/// Transactions on the target, by topic.
pub const TRANSACTIONS: &str = "headwater_sink_transactions_total";
/// Times a partition was begun anew, by topic.
pub const RETRIES: &str = "headwater_sink_retries_total";
/// From the source's commit to the target's, in seconds, of the newest record, by topic.
pub const LAG: &str = "headwater_sink_lag_seconds";

/// How many partitions of a topic this sink reads.
pub const PARTITIONS: &str = "headwater_sink_partitions";

/// Times that all tables were compared (`sink verify --watch`).
pub const VERIFY_ROUNDS: &str = "headwater_sink_verify_rounds_total";
/// Rows compared.
pub const VERIFY_ROWS: &str = "headwater_sink_verify_rows_total";
/// Rounds that failed.
pub const VERIFY_FAILURES: &str = "headwater_sink_verify_failures_total";
/// Rows that the last round found to differ, by table and by how: `missing`, `extra`, `different`.
pub const VERIFY_DIFFERENCES: &str = "headwater_sink_verify_differences";
/// Those of them that were not mended, by table.
pub const VERIFY_LEFT: &str = "headwater_sink_verify_differences_left";
/// Rows of which the last round could not say it, by table.
pub const VERIFY_UNDECIDED: &str = "headwater_sink_verify_undecided";
/// Whether the last round found a table equal.
pub const VERIFY_EQUAL: &str = "headwater_sink_verify_equal";
/// Rows mended, by table.
pub const VERIFY_MENDED: &str = "headwater_sink_verify_mended_total";
/// How long the last round took.
pub const VERIFY_SECONDS: &str = "headwater_sink_verify_round_seconds";
/// When the last round ended, in seconds since 1970.
pub const VERIFY_LAST: &str = "headwater_sink_verify_last_round_timestamp_seconds";

/// Gives Prometheus a sentence for each.
pub fn describe() {
    describe_counter!(VERIFY_ROUNDS, "Times that all tables of source and target were compared.");
    describe_counter!(VERIFY_ROWS, "Rows of the source compared with the target's.");
    describe_counter!(VERIFY_FAILURES, "Rounds of comparing that failed.");
    describe_gauge!(VERIFY_DIFFERENCES, "Rows that the last round found to differ.");
    describe_gauge!(VERIFY_LEFT, "Rows that the last round found to differ and did not mend.");
    describe_gauge!(VERIFY_UNDECIDED, "Rows of which the last round could not say whether they differ.");
    describe_gauge!(VERIFY_EQUAL, "1 where the last round found, or made, the table equal.");
    describe_counter!(VERIFY_MENDED, "Rows of the target written as the source has them.");
    describe_gauge!(VERIFY_SECONDS, "Seconds that the last round took.");
    describe_gauge!(VERIFY_LAST, "When the last round ended, in seconds since 1970.");
    describe_counter!(APPLIED, "Records applied to the target.");
    describe_counter!(SET_ASIDE, "Records set aside in headwater.set_aside.");
    describe_counter!(TRANSACTIONS, "Transactions committed on the target.");
    describe_counter!(RETRIES, "Times a partition was begun anew from its stored offset.");
    describe_gauge!(LAG, "Seconds from the source's commit to the target's, of the newest record.");
    describe_gauge!(PARTITIONS, "Partitions of the topic that the group gave to this sink.");
}
