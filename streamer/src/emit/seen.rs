//! What was emitted, counted here and told at times: what a record costs must not be what it costs to count it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use proto::envelope::{Op, SnapshotMarker};
use proto::xid::Xid;

use super::RowOrigin;
use crate::metrics::beans::Changes;
use crate::metrics::task::TaskMetrics;

/// Counts of one emitter's records.
#[derive(Debug, Default)]
pub(super) struct Seen {
    streaming: Changes,
    snapshot: Changes,
    /// Events that are of no row.
    messages: u64,
    committed: u64,
    last_transaction: Option<Xid>,
    /// From the newest event's commit to when it was seen, in nanoseconds.
    behind_ns: Option<i64>,
    /// When the newest event was seen, in Unix milliseconds.
    at_ms: i64,
    /// The table that the last event was of, and its changes since it is that.
    table: String,
    changes: Changes,
    tables: HashMap<String, Changes>,
}

impl Seen {
    /// A change of a table was emitted at `ts_ns`.
    pub(super) fn change(&mut self, table: &str, op: Op, origin: &RowOrigin, ts_ns: i64) {
        if self.table != table {
            self.leave_table();
            table.clone_into(&mut self.table);
        }
        let is_incremental = op == Op::Read && origin.snapshot == SnapshotMarker::Incremental;
        let counts = if op == Op::Read { &mut self.snapshot } else { &mut self.streaming };
        count(counts, op);
        count(&mut self.changes, op);
        self.at_ms = ts_ns / 1_000_000;
        // To Debezium what an incremental snapshot reads is an event of both.
        if is_incremental {
            count(&mut self.streaming, op);
        }
        if op != Op::Read {
            self.event(origin, ts_ns);
        }
    }

    /// A logical decoding message was emitted.
    pub(super) fn message(&mut self, origin: &RowOrigin, ts_ns: i64) {
        self.messages += 1;
        self.at_ms = ts_ns / 1_000_000;
        self.event(origin, ts_ns);
    }

    fn event(&mut self, origin: &RowOrigin, ts_ns: i64) {
        self.behind_ns = Some(ts_ns.saturating_sub(origin.ts_us.saturating_mul(1000)));
        if origin.tx_id.is_some() && origin.tx_id != self.last_transaction {
            self.last_transaction = origin.tx_id;
            self.committed += 1;
        }
    }

    fn leave_table(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        if changes.total() == 0 {
            return;
        }
        match self.tables.get_mut(&self.table) {
            Some(counted) => counted.add(&changes),
            None => _ = self.tables.insert(std::mem::take(&mut self.table), changes),
        }
    }

    /// Adds what was counted since the last time to the connector's.
    pub(super) fn tell(&mut self, metrics: &TaskMetrics) {
        let (streaming, snapshot) = (std::mem::take(&mut self.streaming), std::mem::take(&mut self.snapshot));
        let messages = std::mem::take(&mut self.messages);
        let beans = &metrics.beans;
        if snapshot.total() > 0 {
            beans.snapshot.add(&snapshot, self.at_ms);
        }
        if streaming.total() + messages > 0 {
            beans.streaming.add(&streaming, self.at_ms);
            beans.streaming.total.fetch_add(messages, Ordering::Relaxed);
        }
        if let Some(behind) = self.behind_ns.take() {
            beans.behind_ms.store(behind / 1_000_000, Ordering::Relaxed);
            beans.committed.fetch_add(std::mem::take(&mut self.committed), Ordering::Relaxed);
            metrics.commit_to_decoded.record(behind.max(0) as f64 / 1e9);
        }
        self.leave_table();
        if !self.tables.is_empty() {
            metrics.live.changed(&self.tables);
            beans.changed(self.tables.drain());
        }
    }
}

fn count(changes: &mut Changes, op: Op) {
    let counter = match op {
        Op::Read => &mut changes.read,
        Op::Create => &mut changes.created,
        Op::Update => &mut changes.updated,
        Op::Delete => &mut changes.deleted,
        Op::Truncate => &mut changes.truncated,
    };
    *counter += 1;
}
