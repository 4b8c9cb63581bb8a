//! Our own metrics that are asked for at the moment of a scrape: a lag grows while nothing happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metrics::Label;

use super::beans::{Beans, Changes};
use super::names;
use super::slots::WatchedSlots;
use super::text::{Kind, Pairs, Text};

/// Which of a table's changes are an operation's.
type OfOperation = fn(&Changes) -> u64;

/// The operations.
const OPERATIONS: [(&str, OfOperation); 5] = [
    ("create", |changes| changes.created),
    ("update", |changes| changes.updated),
    ("delete", |changes| changes.deleted),
    ("truncate", |changes| changes.truncated),
    ("read", |changes| changes.read),
];

/// Adds them.
pub(super) fn write(text: &mut Text, present: &[Arc<Beans>]) {
    let gauge = |text: &mut Text, name: &'static str, value: &dyn Fn(&Beans) -> Option<f64>| {
        let series = present.iter().filter_map(|beans| Some((pairs(&beans.labels, []), value(beans)?)));
        text.family((name, Kind::Gauge, names::help(name)), series);
    };
    gauge(text, names::LAG_DECODED, &|beans| {
        let behind = beans.behind_ms.load(Ordering::Relaxed);
        Some(behind.max(0) as f64 / 1000.0)
    });
    gauge(text, names::LAG_ACKNOWLEDGED, &|beans| {
        Some(beans.queue().and_then(|queue| queue.ledger.behind_us()).map_or(0.0, |us| us.max(0) as f64 / 1e6))
    });
    gauge(text, names::IN_FLIGHT, &|beans| Some(beans.queue()?.ledger.in_flight() as f64));
    gauge(text, names::BYTES_IN_FLIGHT, &|beans| Some(beans.queue()?.ledger.bytes() as f64));
    gauge(text, names::BYTES_IN_FLIGHT_LIMIT, &|beans| Some(beans.queue()?.limit as f64));
    let tables: Vec<(&Arc<Beans>, BTreeMap<String, Changes>)> =
        present.iter().map(|beans| (beans, beans.tables())).collect();
    let series = tables.iter().flat_map(|(beans, tables)| {
        tables.iter().flat_map(|(table, changes)| {
            OPERATIONS.map(|(operation, count)| {
                let labels = pairs(&beans.labels, [("table", table.clone()), ("operation", operation.to_owned())]);
                (labels, count(changes) as f64)
            })
        })
    });
    text.family((names::TABLE_CHANGES, Kind::Counter, names::help(names::TABLE_CHANGES)), series);
    slots(text);
}

/// What is known of the connectors' slots.
fn slots(text: &mut Text) {
    let known = WatchedSlots::present();
    let mut gauge = |name: &'static str, value: &dyn Fn(&crate::source::slot::Usage) -> Option<f64>| {
        let series = known.iter().flat_map(|(labels, usages)| {
            usages.iter().filter_map(|usage| Some((pairs(labels, [("slot", usage.slot.clone())]), value(usage)?)))
        });
        text.family((name, Kind::Gauge, names::help(name)), series);
    };
    let is = |is: bool| Some(f64::from(u8::from(is)));
    gauge(names::SLOT_ACTIVE, &|usage| is(usage.is_active));
    gauge(names::SLOT_LOST, &|usage| is(usage.is_lost));
    gauge(names::SLOT_LAG, &|usage| usage.unconfirmed.map(|bytes| bytes as f64));
    gauge(names::SLOT_RETAINED, &|usage| usage.retained.map(|bytes| bytes as f64));
    // Without a limit there is as much as one likes.
    gauge(names::SLOT_LIMIT, &|usage| Some(usage.limit.map_or(f64::INFINITY, |bytes| bytes as f64)));
    gauge(names::SLOT_LEFT, &|usage| Some(usage.left.map_or(f64::INFINITY, |bytes| bytes as f64)));
}

fn pairs<const N: usize>(labels: &[Label], more: [(&'static str, String); N]) -> Pairs {
    let names = more.each_ref().map(|(name, _)| *name);
    let labels = labels.iter().filter(|label| !names.contains(&label.key()));
    let labels = labels.map(|label| (label.key().to_owned().into(), label.value().to_owned()));
    labels.chain(more.into_iter().map(|(name, value)| (name.into(), value))).collect()
}
