//! Debezium's metrics under the names that dashboards know: those that the Prometheus JMX exporter gives with the rules of
//! Debezium's own example (`debezium-examples`, `monitoring/debezium-jmx-exporter/config.yml`).
//!
//! `tests/tests/end_to_end/debezium_metrics.rs` compares them with a real one's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::beans::{Beans, Events};
use super::progress::State;
use super::text::{Kind, Pairs, Text};

/// Both of a task's MBeans have it.
type OfBoth = fn(&Beans, &Events) -> f64;
/// Only the one of streaming does.
type OfStreaming = fn(&Beans) -> f64;

const OF_BOTH: [(&str, OfBoth); 11] = [
    ("TotalNumberOfEventsSeen", |_, events| count(&events.total)),
    ("TotalNumberOfCreateEventsSeen", |_, events| count(&events.created)),
    ("TotalNumberOfUpdateEventsSeen", |_, events| count(&events.updated)),
    ("TotalNumberOfDeleteEventsSeen", |_, events| count(&events.deleted)),
    // What is not captured does not come: the publication leaves it out.
    ("NumberOfEventsFiltered", |_, _| 0.0),
    ("NumberOfErroneousEvents", |_, events| count(&events.erroneous)),
    ("MilliSecondsSinceLastEvent", |_, events| since(events.last_ms.load(Ordering::Relaxed))),
    ("QueueTotalCapacity", |beans, _| beans.queue_size as f64),
    ("QueueRemainingCapacity", |beans, _| ((1.0 - filled(beans)) * beans.queue_size as f64).floor()),
    ("MaxQueueSizeInBytes", |beans, _| beans.queue().map_or(0.0, |queue| queue.limit as f64)),
    ("CurrentQueueSizeInBytes", |beans, _| beans.queue().map_or(0.0, |queue| queue.ledger.bytes() as f64)),
];

const OF_STREAMING: [(&str, OfStreaming); 3] = [
    ("Connected", |beans| f64::from(u8::from(beans.connected.load(Ordering::Relaxed)))),
    ("MilliSecondsBehindSource", |beans| beans.behind_ms.load(Ordering::Relaxed) as f64),
    ("NumberOfCommittedTransactions", |beans| count(&beans.committed)),
];

/// Of the snapshot's MBean.
const OF_SNAPSHOT: [(&str, OfStreaming); 9] = [
    ("TotalTableCount", |beans| beans.progress().tables.len() as f64),
    ("RemainingTableCount", |beans| beans.progress().remaining.len() as f64),
    ("SnapshotRunning", |beans| is(beans, State::Running)),
    ("SnapshotPaused", |beans| is(beans, State::Paused)),
    ("SnapshotCompleted", |beans| is(beans, State::Completed)),
    ("SnapshotAborted", |beans| is(beans, State::Aborted)),
    ("SnapshotSkipped", |beans| f64::from(u8::from(beans.progress().is_skipped))),
    ("SnapshotDurationInSeconds", |beans| beans.progress().seconds() as f64),
    ("SnapshotPausedDurationInSeconds", |beans| beans.progress().paused_seconds() as f64),
];

/// Adds them.
pub(super) fn write(text: &mut Text, present: &[Arc<Beans>]) {
    for (attribute, value) in OF_BOTH {
        let series = present.iter().flat_map(|beans| {
            [("snapshot", &beans.snapshot), ("streaming", &beans.streaming)]
                .map(|(context, events)| (labels(beans, context), value(beans, events)))
        });
        family(text, attribute, series);
    }
    for (context, attributes) in [("streaming", &OF_STREAMING[..]), ("snapshot", &OF_SNAPSHOT[..])] {
        for (attribute, value) in attributes {
            family(text, attribute, present.iter().map(|beans| (labels(beans, context), value(beans))));
        }
    }
    let rows = present.iter().flat_map(|beans| {
        let rows = beans.progress().rows.clone();
        rows.into_iter().map(|(table, rows)| {
            let mut labels = labels(beans, "snapshot");
            labels.push(("table".into(), table));
            (labels, rows as f64)
        })
    });
    family(text, "RowsScanned", rows);
}

fn family(text: &mut Text, attribute: &str, series: impl Iterator<Item = (Pairs, f64)>) {
    let help = format!("{attribute} of Debezium's MBean debezium.postgres:type=connector-metrics.");
    text.family((&format!("debezium_metrics_{attribute}"), Kind::Untyped, &help), series);
}

fn labels(beans: &Beans, context: &str) -> Pairs {
    let own = [("context", context), ("name", &beans.prefix), ("plugin", "postgres")];
    let more = beans.more.iter().filter(|label| own.iter().all(|(name, _)| *name != label.key()));
    let own = own.iter().map(|(name, value)| ((*name).into(), (*value).to_owned()));
    own.chain(more.map(|label| (label.key().to_owned().into(), label.value().to_owned()))).collect()
}

fn count(counter: &std::sync::atomic::AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

/// How long ago a time was, in milliseconds; -1 for none.
fn since(ms: i64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if ms == 0 { -1.0 } else { now.as_millis() as f64 - ms as f64 }
}

/// Which part of what may be under way to Kafka is.
fn filled(beans: &Beans) -> f64 {
    beans.queue().map_or(0.0, |queue| (queue.ledger.bytes() as f64 / queue.limit.max(1) as f64).min(1.0))
}

fn is(beans: &Beans, state: State) -> f64 {
    f64::from(u8::from(beans.progress().state == Some(state)))
}

/// Every attribute that is one of the metrics.
#[cfg(test)]
pub(super) fn attributes() -> impl Iterator<Item = &'static str> {
    let of_both = OF_BOTH.iter().map(|(attribute, _)| *attribute);
    of_both.chain(OF_STREAMING.iter().chain(&OF_SNAPSHOT).map(|(attribute, _)| *attribute)).chain(["RowsScanned"])
}
