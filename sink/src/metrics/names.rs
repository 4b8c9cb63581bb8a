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

/// Gives Prometheus a sentence for each.
pub fn describe() {
    describe_counter!(APPLIED, "Records applied to the target.");
    describe_counter!(SET_ASIDE, "Records set aside in headwater.set_aside.");
    describe_counter!(TRANSACTIONS, "Transactions committed on the target.");
    describe_counter!(RETRIES, "Times a partition was begun anew from its stored offset.");
    describe_gauge!(LAG, "Seconds from the source's commit to the target's, of the newest record.");
    describe_gauge!(PARTITIONS, "Partitions of the topic that the group gave to this sink.");
}
