//! How far a snapshot is, as Debezium's MBean `context=snapshot` says it (`SnapshotMeter`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Of the last snapshot, of whatever kind.
#[derive(Debug, Default)]
pub struct SnapshotProgress {
    pub(super) tables: BTreeSet<String>,
    pub(super) remaining: BTreeSet<String>,
    pub(super) rows: BTreeMap<String, u64>,
    pub(super) state: Option<State>,
    pub(super) is_skipped: bool,
    begun: Option<Instant>,
    ended: Option<Instant>,
    paused: Option<Instant>,
    paused_for: Duration,
}

/// How a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Paused,
    Completed,
    Aborted,
}

impl SnapshotProgress {
    /// A snapshot of these tables begins, in the form `schema.table`.
    pub fn begin(&mut self, tables: impl Iterator<Item = String>) {
        (self.state, self.is_skipped) = (Some(State::Running), false);
        (self.begun, self.ended, self.paused, self.paused_for) = (Some(Instant::now()), None, None, Duration::ZERO);
        for table in tables {
            self.remaining.insert(table.clone());
            self.tables.insert(table);
        }
    }

    /// So many rows of a table were read until now.
    pub fn scanned(&mut self, table: &str, rows: u64) {
        match self.rows.get_mut(table) {
            Some(known) => *known = rows,
            None => _ = self.rows.insert(table.to_owned(), rows),
        }
    }

    /// A table is read, and has so many rows.
    pub fn ended(&mut self, table: &str, rows: u64) {
        self.scanned(table, rows);
        self.remaining.remove(table);
    }

    /// It waits until it is told to go on.
    pub fn pause(&mut self) {
        (self.state, self.paused) = (Some(State::Paused), Some(Instant::now()));
    }

    /// It goes on.
    pub fn resume(&mut self) {
        self.state = Some(State::Running);
        self.paused_for += self.paused.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// It is complete.
    pub fn complete(&mut self) {
        (self.state, self.ended) = (Some(State::Completed), Some(Instant::now()));
    }

    /// It broke off.
    pub fn abort(&mut self) {
        (self.state, self.ended) = (Some(State::Aborted), Some(Instant::now()));
    }

    /// None is taken.
    pub fn skip(&mut self) {
        self.is_skipped = true;
    }

    /// How long it has been read, in whole seconds.
    pub(super) fn seconds(&self) -> u64 {
        let until = |begun: Instant| self.ended.map_or_else(|| begun.elapsed(), |ended| ended.duration_since(begun));
        self.begun.map_or(0, |begun| until(begun).as_secs())
    }

    /// How long it was paused, in whole seconds.
    pub(super) fn paused_seconds(&self) -> u64 {
        self.paused_for.as_secs()
    }
}
