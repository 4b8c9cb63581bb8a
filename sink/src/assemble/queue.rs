//! What waits of a partition.

use std::collections::VecDeque;

use crate::apply::ledger::Place;
use crate::consume::record::Record;
use crate::parse::transaction::Event;

/// A record that waits, and its place in a transaction.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) event: Option<Event>,
    pub(super) record: Record,
}

/// A partition's records, in their order.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) place: Place,
    /// Those before this offset are in no transaction.
    pub(super) free_until: i64,
    /// Where the next record may be.
    next: i64,
    records: VecDeque<Waiting>,
}

impl Queue {
    pub(super) fn new(place: Place) -> Self {
        Self { place, free_until: 0, next: 0, records: VecDeque::new() }
    }

    /// Reading begins at `next`; those before `until` are in no transaction.
    pub(super) fn begin_free(&mut self, next: i64, until: i64) {
        (self.next, self.free_until) = (next, until);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether what comes in no transaction has not all come.
    pub(super) fn is_free(&self) -> bool {
        self.next < self.free_until
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.next = waiting.record.offset + 1;
        self.records.push_back(waiting);
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.records.front()
    }

    pub(super) fn pop(&mut self) -> Option<Record> {
        self.records.pop_front().map(|waiting| waiting.record)
    }
}
