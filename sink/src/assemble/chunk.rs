//! Records to apply, in the order in which the source wrote them.

use std::collections::HashMap;

use proto::lsn::Lsn;

use crate::apply::ledger::{Next, Place};
use crate::consume::record::Record;

/// Records to apply together, and where reading goes on behind them.
#[derive(Debug)]
pub struct Chunk {
    /// The changes of whole transactions, one behind the other; or a part of one, or what is in none.
    pub records: Vec<Record>,
    /// Where reading goes on in each partition of which something was taken.
    pub behind: Vec<(Place, Next)>,
    /// The last commit that is whole with it.
    pub commit: Option<Lsn>,
    /// How many transactions are whole with it.
    pub transactions: u64,
    /// Whether a transaction goes on in the next chunk: nothing may be committed before that.
    pub is_open: bool,
}

/// A chunk that is being made.
#[derive(Debug, Default)]
pub(super) struct Building {
    records: Vec<Record>,
    size: usize,
    last: HashMap<usize, Last>,
    boundary: Option<Record>,
    commit: Option<Lsn>,
    transactions: u64,
}

/// The last record that was taken from a queue.
#[derive(Debug)]
enum Last {
    /// It is applied: its number.
    Given(usize),
    /// It has nothing to apply.
    Passed(Record),
}

impl Building {
    /// How many bytes its records take.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether there is nothing to commit yet.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.transactions == 0
    }

    /// A queue's next record, to be applied.
    pub(super) fn give(&mut self, queue: usize, record: Record) {
        self.size += record.size();
        self.last.insert(queue, Last::Given(self.records.len()));
        self.records.push(record);
    }

    /// A queue's next record, which has nothing to apply.
    pub(super) fn pass(&mut self, queue: usize, record: Record) {
        self.last.insert(queue, Last::Passed(record));
    }

    /// The next record of the transactions' topic.
    pub(super) fn pass_boundary(&mut self, record: Record) {
        self.boundary = Some(record);
    }

    /// A transaction is whole, whose commit is there.
    pub(super) fn end(&mut self, lsn: Lsn, record: Record) {
        (self.commit, self.boundary) = (Some(lsn), Some(record));
        self.transactions += 1;
    }

    /// What was gathered; `None` where that is nothing. `place` gives a queue's partition.
    pub(super) fn build(&mut self, is_open: bool, place: impl Fn(usize) -> Option<Place>) -> Option<Chunk> {
        let Self { records, last, boundary, commit, transactions, .. } = std::mem::take(self);
        let next = |record: &Record| Next { offset: record.offset + 1, last_record: Some(record.mark()) };
        let mut behind = Vec::with_capacity(last.len() + 1);
        for (queue, last) in &last {
            let record = match last {
                Last::Given(index) => records.get(*index),
                Last::Passed(record) => Some(record),
            };
            behind.extend(record.and_then(|record| Some((place(*queue)?, next(record)))));
        }
        behind.extend(boundary.map(|record| ((record.topic.to_string(), record.partition), next(&record))));
        let chunk = Chunk { records, behind, commit, transactions, is_open };
        (!chunk.behind.is_empty()).then_some(chunk)
    }
}
