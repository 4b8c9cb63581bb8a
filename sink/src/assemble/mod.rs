//! The source's transactions, put together again from the records of many topics.
//!
//! # Layout
//! - [`chunk`]: records to apply, in the order in which the source wrote them
//! - `queue`: what waits of a partition
//! - `finished`: transactions that are done
//!
//! # How
//! The topic `<prefix>.transaction` has the transactions in the order in which they were committed, and says of each how many changes
//! it has; each change says which transaction it is of, and its place in it. A partition's records are in the order of their
//! commits, so what comes next of a transaction is the first that waits of some partition. So the next change is the
//! one with the next number, wherever it waits, and a transaction is whole when there are as many as its end says.
//!
//! # What comes twice
//! A streamer that went on from an older position publishes transactions once more, as they were before: beginning, changes, end.
//! A transaction's end has the LSN of its commit, which only grows: an end that is not behind the last one applied is of a
//! transaction that was applied, and its changes are dropped wherever they come. Of the transaction that is at hand, changes with
//! numbers that were there are dropped. Nothing is dropped of which that cannot be said.
//!
//! Changes that come again may stand behind those by which their transaction was whole, with no other end to come. A sink that is
//! started there would not know them: so it reads the transactions' topic from some way before where it goes on.

pub mod chunk;
mod finished;
mod queue;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use proto::lsn::Lsn;
use proto::xid::Xid;

use self::chunk::{Building, Chunk};
use self::finished::Finished;
use self::queue::{Queue, Waiting};
use crate::apply::ledger::Place;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::parse::transaction::{Boundary, Event, boundary, event};

/// Puts transactions together.
#[derive(Debug)]
pub struct Assembly {
    /// The topic that says where transactions begin and end.
    topic: Arc<str>,
    queues: Vec<Queue>,
    by_place: HashMap<(Arc<str>, i32), usize>,
    /// The queues whose first record is of a transaction, by its place in that.
    heads: HashMap<Xid, BTreeSet<(i64, usize)>>,
    /// The queues whose first record is of none.
    free: Vec<usize>,
    /// How many records of a transaction wait.
    waiting: HashMap<Xid, i64>,
    /// Which changes of a transaction were applied before transactions were put together.
    early: HashMap<Xid, BTreeSet<i64>>,
    /// Whether records may be missing that come in no transaction.
    has_free: bool,
    boundaries: VecDeque<(Boundary, Record)>,
    current: Option<Current>,
    finished: Finished,
    /// Where the transactions' topic goes on: what stands before it is history.
    from: i64,
    /// One that was taken for the next, and had been applied before.
    comes_again: Option<Xid>,
    /// What is given out next.
    chunk: Building,
    size: usize,
}

/// The transaction that comes next.
#[derive(Debug)]
struct Current {
    transaction: Xid,
    /// The number of its next change.
    next: i64,
    end: Option<End>,
    /// Whether something of it was given out.
    is_begun: bool,
}

/// A transaction's end, as its record says.
#[derive(Debug)]
struct End {
    lsn: Lsn,
    events: i64,
    record: Record,
}

impl Current {
    fn new(transaction: Xid) -> Self {
        Self { transaction, next: 1, end: None, is_begun: false }
    }

    fn events(&self) -> Option<i64> {
        self.end.as_ref().map(|end| end.events)
    }
}

/// What a transaction does when it is asked for its next change.
enum Step {
    /// It goes on.
    On,
    /// It is whole.
    Ended,
    /// Its next change has not come.
    Waits,
}

impl Assembly {
    /// Nothing waits yet. The last commit that was applied is at `last`.
    pub fn new(topic: &str, last: Lsn) -> Self {
        Self {
            topic: topic.into(),
            queues: Vec::new(),
            by_place: HashMap::new(),
            heads: HashMap::new(),
            free: Vec::new(),
            waiting: HashMap::new(),
            early: HashMap::new(),
            has_free: false,
            boundaries: VecDeque::new(),
            current: None,
            finished: Finished::new(last),
            from: 0,
            comes_again: None,
            chunk: Building::default(),
            size: 0,
        }
    }

    /// Forgets what waits, for it is read again from behind the commit at `last`; the transactions' topic goes on at offset `from`,
    /// and may be read from before that.
    pub fn begin_again(&mut self, last: Lsn, from: i64) {
        let comes_again = self.comes_again;
        *self = Self { comes_again, from, ..Self::new(&self.topic, last) };
        if let Some(transaction) = comes_again {
            self.finished.comes_again(transaction, i64::MAX);
        }
    }

    /// A partition, read from offset `next`, gives out its records up to `until` as they come, in no transaction: they were published
    /// before it was known where transactions begin. No transaction is given out before those have come.
    pub fn free_until(&mut self, (topic, partition): &Place, next: i64, until: i64) {
        let index = self.queue(&topic.as_str().into(), *partition);
        if let Some(queue) = self.queues.get_mut(index) {
            queue.begin_free(next, until);
        }
        self.has_free = true;
    }

    /// Transactions are given out whether or not everything before them has come: of a partition that ends with a mark of Kafka's own,
    /// the last record is before its end.
    pub fn await_no_more(&mut self) {
        self.has_free = false;
    }

    /// Whether records before the first transaction are waited for.
    pub fn awaits_free(&mut self) -> bool {
        self.has_free = self.has_free && self.queues.iter().any(Queue::is_free);
        self.has_free
    }

    /// How many bytes wait.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether something of a partition waits.
    pub fn waits_of(&self, (topic, partition): &Place) -> bool {
        if **topic == *self.topic {
            return !self.boundaries.is_empty();
        }
        let index = self.by_place.get(&(topic.as_str().into(), *partition));
        index.and_then(|index| self.queues.get(*index)).is_some_and(|queue| !queue.is_empty())
    }

    /// The transaction that is next and whose changes have not all come: how many of how many have.
    pub fn missing(&self) -> Option<(Xid, i64, i64)> {
        let current = self.current.as_ref()?;
        let come = current.next - 1 + self.waiting.get(&current.transaction).copied().unwrap_or_default();
        Some((current.transaction, come, current.events()?)).filter(|(_, come, events)| come < events)
    }

    /// Takes in the next record of a partition.
    ///
    /// # Errors
    /// Stop where the transactions' topic has a record that says nothing of any.
    pub fn push(&mut self, record: Record) -> Result<(), SinkError> {
        if record.topic == self.topic {
            // A tombstone, where somebody has the topic compacted.
            let Some(value) = &record.value else { return Ok(()) };
            let boundary = boundary(value).map_err(|why| {
                SinkError::stop("transaction-boundaries", format!(
                    "the record at offset {} of topic {} is none of Debezium's: {why}. Where transactions begin and end cannot be \
                     told, so nothing is applied. Let only the connector write there",
                    record.offset, record.topic
                ))
            })?;
            self.size += record.size();
            self.boundaries.push_back((boundary, record));
            return Ok(());
        }
        self.size += record.size();
        let index = self.queue(&record.topic, record.partition);
        let Some(queue) = self.queues.get_mut(index) else { return Ok(()) };
        let mut event = record.value.as_ref().and_then(event);
        if record.offset < queue.free_until
            && let Some(Event { transaction, order }) = event.take()
        {
            self.early.entry(transaction).or_default().insert(order);
        }
        if let Some(Event { transaction, .. }) = event {
            *self.waiting.entry(transaction).or_default() += 1;
        }
        let was_empty = queue.is_empty();
        queue.push(Waiting { event, record });
        if was_empty {
            self.settle(index);
        }
        Ok(())
    }

    /// What is to be applied next, about `most` bytes of it: whole transactions if there are any, or a part of one that is so large
    /// that more than `too_much` waits. `None` while there is nothing.
    ///
    /// # Errors
    /// Stop where the topics contradict each other; retry where it has come out that what was given out was applied before.
    pub fn take(&mut self, most: usize, too_much: usize) -> Result<Option<Chunk>, SinkError> {
        while self.chunk.size() < most {
            self.give_free();
            if self.awaits_free() {
                break;
            }
            self.find_current()?;
            if !self.may_begin(too_much) {
                break;
            }
            match self.advance() {
                Step::On => {}
                Step::Ended => self.end(),
                Step::Waits => break,
            }
        }
        let is_open = self.current.as_ref().is_some_and(|current| current.is_begun);
        let queues = &self.queues;
        Ok(self.chunk.build(is_open, |queue| queues.get(queue).map(|queue| queue.place.clone())))
    }

    /// Gives out what is in no transaction.
    fn give_free(&mut self) {
        while let Some(index) = self.free.pop() {
            if let Some(record) = self.pop(index) {
                match record.value {
                    Some(_) => self.chunk.give(index, record),
                    // A tombstone.
                    None => self.chunk.pass(index, record),
                }
            }
            self.settle(index);
        }
    }

    /// Looks for the transaction that comes next, and for its end.
    fn find_current(&mut self) -> Result<(), SinkError> {
        while self.current.as_ref().is_none_or(|current| current.end.is_none()) {
            let Some((boundary, record)) = self.boundaries.pop_front() else { return Ok(()) };
            self.size -= record.size();
            match boundary {
                Boundary::Begin(transaction) => {
                    if self.current.is_none() && self.finished.events(transaction).is_none() {
                        self.current = Some(Current::new(transaction));
                    }
                    self.pass(record);
                }
                Boundary::End { transaction, lsn, events } if lsn <= self.finished.last() => {
                    self.forget_current(transaction, &record)?;
                    self.finished.comes_again(transaction, events);
                    self.pass(record);
                    self.drop_heads(transaction);
                }
                Boundary::End { transaction, lsn, events } => {
                    let current = self.current.get_or_insert(Current::new(transaction));
                    if current.transaction != transaction {
                        return Err(SinkError::stop(
                            "transaction-boundaries",
                            format!(
                                "topic {} has the beginning of transaction {} and, at offset {}, the end of transaction {transaction} \
                             instead of its own. Records are missing there, and which changes belong together cannot be told, so \
                             nothing is applied. If somebody deleted records, copy anew, as docs/operations.md says",
                                record.topic, current.transaction, record.offset
                            ),
                        ));
                    }
                    current.end = Some(End { lsn, events, record });
                }
            }
        }
        Ok(())
    }

    fn pass(&mut self, record: Record) {
        if record.offset >= self.from {
            self.chunk.pass_boundary(record);
        }
    }

    /// The transaction comes once more: it is not what is to be applied next.
    fn forget_current(&mut self, transaction: Xid, end: &Record) -> Result<(), SinkError> {
        let Some(current) = self.current.take_if(|current| current.transaction == transaction) else { return Ok(()) };
        if !current.is_begun {
            return Ok(());
        }
        self.comes_again = Some(transaction);
        Err(SinkError::retry(format!(
            "a part of transaction {transaction} was applied, and not committed, before its end came (offset {} of topic {}), which \
             says that it had been applied before",
            end.offset, end.topic
        )))
    }

    /// Whether something of the current transaction may be given out.
    fn may_begin(&mut self, too_much: usize) -> bool {
        let Some(current) = &mut self.current else { return false };
        if !current.is_begun {
            let waiting = self.waiting.get(&current.transaction).copied().unwrap_or_default();
            let early = self.early.get(&current.transaction).map_or(0, |early| early.len() as i64);
            let is_whole = current.events().is_some_and(|events| waiting + early >= events);
            // What is whole is not held up by what is not.
            current.is_begun = is_whole || (self.size >= too_much && self.chunk.is_empty());
        }
        current.is_begun
    }

    /// Gives out the current transaction's next change.
    fn advance(&mut self) -> Step {
        let Some(current) = &mut self.current else { return Step::Waits };
        let transaction = current.transaction;
        if self.early.get(&transaction).is_some_and(|early| early.contains(&current.next)) {
            current.next += 1;
            return Step::On;
        }
        let first = self.heads.get(&transaction).and_then(BTreeSet::first).copied();
        let Some((order, index)) = first.filter(|(order, _)| *order <= current.next) else {
            let is_ended = current.events().is_some_and(|events| current.next > events);
            return if is_ended { Step::Ended } else { Step::Waits };
        };
        let is_next = order == current.next;
        current.next += i64::from(is_next);
        self.leave_head(transaction, order, index);
        if let Some(record) = self.pop(index) {
            match is_next {
                true => self.chunk.give(index, record),
                false => self.chunk.pass(index, record),
            }
        }
        self.settle(index);
        Step::On
    }

    /// The current transaction is whole.
    fn end(&mut self) {
        let Some(Current { transaction, end: Some(End { lsn, events, record }), .. }) = self.current.take() else {
            return;
        };
        self.early.remove(&transaction);
        self.finished.add(transaction, lsn, events);
        self.chunk.end(lsn, record);
        self.drop_heads(transaction);
    }

    /// Drops what waits at the head of partitions of a transaction that is done.
    fn drop_heads(&mut self, transaction: Xid) {
        for (_, index) in self.heads.remove(&transaction).unwrap_or_default() {
            self.settle(index);
        }
    }

    fn leave_head(&mut self, transaction: Xid, order: i64, index: usize) {
        if let Some(heads) = self.heads.get_mut(&transaction) {
            heads.remove(&(order, index));
            if heads.is_empty() {
                self.heads.remove(&transaction);
            }
        }
        self.count_down(transaction);
    }

    fn count_down(&mut self, transaction: Xid) {
        if let Some(waiting) = self.waiting.get_mut(&transaction) {
            *waiting -= 1;
            if *waiting <= 0 {
                self.waiting.remove(&transaction);
            }
        }
    }

    /// A queue has another first record.
    fn settle(&mut self, index: usize) {
        while let Some(Waiting { event, .. }) = self.queues.get(index).and_then(Queue::first) {
            let Some(Event { transaction, order }) = *event else {
                self.free.push(index);
                return;
            };
            // One that its transaction's end did not count is no repetition, as far as is known.
            if self.finished.events(transaction).is_none_or(|events| order > events) {
                self.heads.entry(transaction).or_default().insert((order, index));
                return;
            }
            // It comes once more.
            if let Some(record) = self.pop(index) {
                self.chunk.pass(index, record);
            }
            self.count_down(transaction);
        }
    }

    fn pop(&mut self, index: usize) -> Option<Record> {
        let record = self.queues.get_mut(index).and_then(Queue::pop)?;
        self.size -= record.size();
        Some(record)
    }

    fn queue(&mut self, topic: &Arc<str>, partition: i32) -> usize {
        *self.by_place.entry((topic.clone(), partition)).or_insert_with(|| {
            self.queues.push(Queue::new((topic.to_string(), partition)));
            self.queues.len() - 1
        })
    }
}

#[cfg(test)]
mod tests;
