//! The metrics' names, all in one place.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::health::Health;

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

/// From the source's commit to the target's, in seconds, of the newest record of each batch.
pub const COMMIT_TO_APPLIED: &str = "headwater_sink_commit_to_applied_seconds";
/// How many of this sink's partitions stand still for a reason that `/health` tells, by topic.
pub const STANDING_STILL: &str = "headwater_sink_partitions_standing_still";
/// Whether nothing stands still.
pub const HEALTHY: &str = "headwater_sink_healthy";

/// Spans that did not get to the collector, by why (`OTEL_EXPORTER_OTLP_ENDPOINT`).
pub const SPANS_DROPPED: &str = "headwater_sink_spans_dropped_total";

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
    describe_histogram!(
        COMMIT_TO_APPLIED,
        "Seconds from the source's commit to the target's, of the newest record of each batch."
    );
    describe_gauge!(STANDING_STILL, "Partitions of the topic that stand still; /health says why.");
    describe_gauge!(HEALTHY, "1 while nothing stands still, as /health says it.");
    describe_counter!(SPANS_DROPPED, "Spans that did not get to the collector.");
    describe_gauge!(PARTITIONS, "Partitions of the topic that the group gave to this sink.");
}

/// A batch is applied whose newest record was committed in the source at `ts_ms`, in Unix milliseconds.
pub fn applied_behind(topic: &str, ts_ms: i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let lag = now.as_secs_f64() - ts_ms as f64 / 1000.0;
    gauge!(LAG, "topic" => topic.to_owned()).set(lag);
    histogram!(COMMIT_TO_APPLIED).record(lag.max(0.0));
}

/// What is asked at the moment of a scrape. What is still 0 is said too: an alert cannot tell a counter that is not there from one
/// that never was.
pub(super) fn of_the_moment(health: &Health) {
    let (is_healthy, topics) = health.standing_still();
    gauge!(HEALTHY).set(if is_healthy { 1.0 } else { 0.0 });
    for (topic, standing) in topics {
        for counted in [APPLIED, SET_ASIDE, RETRIES] {
            counter!(counted, "topic" => topic.clone()).increment(0);
        }
        gauge!(STANDING_STILL, "topic" => topic).set(standing as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_metric_and_no_other() {
        let constant =
            |line: &'static str| line.strip_suffix("\";")?.split_once("= \"headwater_sink_").map(|(_, name)| name);
        let known: BTreeSet<&str> = include_str!("names.rs").lines().filter_map(constant).collect();
        let row = |line: &'static str| line.strip_prefix("| `headwater_sink_")?.split_once('`').map(|(name, _)| name);
        let written: BTreeSet<&str> = include_str!("../../../docs/metrics.md").lines().filter_map(row).collect();
        assert_eq!(written, known);
    }
}
