//! Transactions that are done.

use std::collections::{HashMap, VecDeque};

use proto::lsn::Lsn;
use proto::xid::Xid;

/// So many are known by their ids. One that comes again behind so many others is known by its end.
const MOST: usize = 20_000;

/// The transactions that were applied.
#[derive(Debug)]
pub(super) struct Finished {
    /// The last commit.
    last: Lsn,
    /// How many changes each of the latest has.
    events: HashMap<Xid, i64>,
    order: VecDeque<Xid>,
}

impl Finished {
    /// All up to the commit at `last`, which are not known by their ids.
    pub(super) fn new(last: Lsn) -> Self {
        Self { last, events: HashMap::new(), order: VecDeque::new() }
    }

    /// The last one's commit.
    pub(super) fn last(&self) -> Lsn {
        self.last
    }

    /// How many changes a transaction had that is done, `None` where it is not, or not known.
    pub(super) fn events(&self, transaction: Xid) -> Option<i64> {
        self.events.get(&transaction).copied()
    }

    /// The next one.
    pub(super) fn add(&mut self, transaction: Xid, lsn: Lsn, events: i64) {
        self.last = lsn;
        self.know(transaction, events);
    }

    /// One that was done before comes once more, with so many changes: a count that was begun anew in the middle goes further.
    pub(super) fn comes_again(&mut self, transaction: Xid, events: i64) {
        self.know(transaction, self.events(transaction).unwrap_or_default().max(events));
    }

    fn know(&mut self, transaction: Xid, events: i64) {
        if self.events.insert(transaction, events).is_none() {
            self.order.push_back(transaction);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.events.remove(&oldest);
        }
    }
}
