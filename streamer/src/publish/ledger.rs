//! Which records Kafka has acknowledged, and the position that is safe because of it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Histogram;
use rdkafka::error::KafkaError;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use trace::Span;

use crate::position::Checkpoint;

/// Acknowledgements arrive per partition, in any order between partitions; the safe position moves only behind the
/// oldest record that is still under way.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    /// The bytes of the records under way.
    bytes: AtomicUsize,
    /// One more than how few bytes somebody waits for, 0 for nobody.
    awaited: AtomicUsize,
    /// Each wakes who waits for that. A report comes with every record, and none of them is to be woken a thousand times a batch.
    room: Notify,
    emptied: Notify,
    refused: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the oldest record not yet acknowledged; records are numbered from 0 as they are enqueued.
    oldest: u64,
    /// One flag a record from `oldest` on: acknowledged or not.
    acknowledged: VecDeque<bool>,
    /// Checkpoints in order: safe once `oldest` has reached the number.
    checkpoints: VecDeque<(u64, Checkpoint)>,
    /// The newest checkpoint that became safe and was not yet taken.
    safe: Option<Checkpoint>,
    /// Whether checkpoints become safe by [`Ledger::committed`] only: records are published in transactions.
    is_transactional: bool,
    /// Spans in order: each ends with the checkpoint that has its number.
    spans: VecDeque<(u64, Span)>,
    delays: Delays,
    failure: Option<DeliveryFailure>,
}

/// How long it takes from a commit in the source until Kafka has acknowledged its last record.
#[derive(Debug)]
struct Delays {
    histogram: Histogram,
    /// That of the newest transaction, in microseconds.
    newest: Option<i64>,
    /// How many were not looked at since one was.
    passed: u8,
}

impl Default for Delays {
    fn default() -> Self {
        Self { histogram: Histogram::noop(), newest: None, passed: 0 }
    }
}

/// Where many transactions are acknowledged at once, only one of so many is looked at.
const PASSED: u8 = 16;

/// A record that is not, or not surely, in Kafka.
#[derive(Debug, Clone)]
pub struct DeliveryFailure {
    /// The topic it was meant for.
    pub topic: String,
    /// How long its key and value are together.
    pub bytes: usize,
    /// Why it is not there.
    pub reason: Undelivered,
}

/// Why a record is not in Kafka.
#[derive(Debug, Clone)]
pub enum Undelivered {
    /// Kafka finally refused it.
    Refused(KafkaError),
    /// librdkafka took it for delivered because one behind it was (`rd_kafka_dr_implicit_ack`), and has no offset for it.
    /// That holds only where the broker refuses a gap in a producer's sequence numbers, which it does not for the first
    /// batches that it ever sees of the producer in a partition (Kafka's `ProducerAppendInfo.checkSequence`).
    Presumed,
}

impl Ledger {
    /// For records that are published in transactions, where acknowledged is not committed, or without. How long each
    /// transaction of the source took to get there goes into `delays`, in seconds.
    pub fn new(is_transactional: bool, delays: Histogram) -> Self {
        let delays = Delays { histogram: delays, ..Delays::default() };
        Self { state: Mutex::new(State { is_transactional, delays, ..State::default() }), ..Self::default() }
    }

    /// How far what Kafka has acknowledged is behind the source's commits, in microseconds: as long ago as the oldest commit was
    /// that it has not, at least as much as the newest took that it has. `None` before the first.
    pub fn behind_us(&self) -> Option<i64> {
        let state = self.lock();
        let waiting = state.checkpoints.iter().find_map(|(_, checkpoint)| committed_us(checkpoint));
        waiting.map(|at| now_us() - at).max(state.delays.newest)
    }

    /// What the checkpoints still to be committed say together, if nothing is enqueued behind the newest of them: a transaction
    /// may end here.
    pub fn boundary(&self) -> Option<Checkpoint> {
        let state = self.lock();
        let enqueued = state.oldest + state.acknowledged.len() as u64;
        state.checkpoints.back().filter(|(behind, _)| *behind == enqueued)?;
        let mut checkpoints = state.checkpoints.iter().map(|(_, checkpoint)| checkpoint.clone());
        let first = checkpoints.next()?;
        Some(checkpoints.fold(first, |mut all, newer| {
            all.supersede(newer);
            all
        }))
    }

    /// The transaction that ends at the [boundary](Self::boundary) is committed, its offset included.
    pub fn committed(&self, checkpoint: Checkpoint) {
        let mut state = self.lock();
        state.checkpoints.clear();
        state.end_spans();
        state.delays.look(committed_us(&checkpoint), true);
        let stored = Checkpoint { offset: None, ..checkpoint };
        match &mut state.safe {
            Some(safe) => safe.supersede(stored),
            None => state.safe = Some(stored),
        }
    }

    /// Gives the next record its number.
    pub fn enqueue(&self) -> u64 {
        let mut state = self.lock();
        state.acknowledged.push_back(false);
        state.oldest + state.acknowledged.len() as u64 - 1
    }

    /// Takes back the number of the record just enqueued, which the producer did not accept.
    pub fn withdraw(&self) {
        self.lock().acknowledged.pop_back();
    }

    /// Everything enqueued so far leads to this position: it is safe once all of it is acknowledged.
    pub fn checkpoint(&self, checkpoint: Checkpoint) {
        let mut state = self.lock();
        let behind = state.oldest + state.acknowledged.len() as u64;
        // Only the newest checkpoint behind the same record matters: an idle stream of keepalives must not pile up.
        if let Some((number, last)) = state.checkpoints.back_mut()
            && *number == behind
        {
            last.supersede(checkpoint);
        } else {
            state.checkpoints.push_back((behind, checkpoint));
        }
        state.settle();
    }

    /// A span ends when Kafka has all that is enqueued so far; in transactions, when that is committed there.
    pub fn ends_with_what_is_enqueued(&self, span: Span) {
        let mut state = self.lock();
        let behind = state.oldest + state.acknowledged.len() as u64;
        state.spans.push_back((behind, span));
    }

    /// Kafka has the record.
    pub fn acknowledge(&self, number: u64) {
        let mut state = self.lock();
        let Some(index) = number.checked_sub(state.oldest) else { return };
        if let Some(flag) = usize::try_from(index).ok().and_then(|index| state.acknowledged.get_mut(index)) {
            *flag = true;
        }
        state.settle();
        if state.acknowledged.is_empty() {
            drop(state);
            self.emptied.notify_waiters();
        }
    }

    /// Kafka does not have the record, or may not: nothing behind it may become safe.
    pub fn fail(&self, failure: DeliveryFailure) {
        self.lock().failure.get_or_insert(failure);
        for waiting in [&self.room, &self.emptied, &self.refused] {
            waiting.notify_waiters();
        }
    }

    /// The first failure, if any.
    pub fn failure(&self) -> Option<DeliveryFailure> {
        self.lock().failure.clone()
    }

    /// The newest safe checkpoint that was not taken yet.
    pub fn take_safe(&self) -> Option<Checkpoint> {
        self.lock().safe.take()
    }

    /// Whether a record of so many bytes may be under way beside those that are; a larger one than the limit may be alone.
    pub fn has_room(&self, bytes: usize, limit: usize) -> bool {
        let under_way = self.bytes.load(Ordering::SeqCst);
        under_way == 0 || under_way.saturating_add(bytes) <= limit
    }

    /// A record of so many bytes is under way, until [`Ledger::vacate`] says that it is not any more.
    pub fn occupy(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// A record of so many bytes is not under way any more.
    pub fn vacate(&self, bytes: usize) {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst).saturating_sub(bytes);
        let awaited = self.awaited.load(Ordering::SeqCst);
        if left < awaited && self.awaited.compare_exchange(awaited, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.room.notify_waiters();
        }
    }

    /// The bytes under way.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// How many records are under way.
    pub fn in_flight(&self) -> usize {
        self.lock().acknowledged.len()
    }

    /// How many records were enqueued so far.
    pub fn enqueued(&self) -> u64 {
        let state = self.lock();
        state.oldest + state.acknowledged.len() as u64
    }

    /// How many records Kafka has, counted up to the oldest that is under way.
    pub fn acknowledged(&self) -> u64 {
        self.lock().oldest
    }

    /// Completes when no more than so many bytes are under way, or a record is refused: register before looking whether it is so
    /// already, then await. One may wait at a time.
    pub fn room(&self, bytes: usize) -> Notified<'_> {
        let room = self.room.notified();
        self.awaited.store(bytes.saturating_add(1), Ordering::SeqCst);
        room
    }

    /// The same for when nothing is under way.
    pub fn emptied(&self) -> Notified<'_> {
        self.emptied.notified()
    }

    /// The same for when a record is refused.
    pub fn refused(&self) -> Notified<'_> {
        self.refused.notified()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is whole between any two statements that can panic, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Delays {
    /// A transaction that committed at this time is acknowledged.
    fn look(&mut self, committed_us: Option<i64>, is_newest: bool) {
        let Some(committed_us) = committed_us else { return };
        self.passed += 1;
        if !is_newest && self.passed < PASSED {
            return;
        }
        self.passed = 0;
        let delay = (now_us() - committed_us).max(0);
        self.newest = Some(delay);
        self.histogram.record(delay as f64 / 1e6);
    }
}

/// When the transaction committed behind which a checkpoint lies; `None` inside of one, and where nothing was published.
fn committed_us(checkpoint: &Checkpoint) -> Option<i64> {
    checkpoint.offset.as_ref().filter(|offset| offset.partial.is_none()).and_then(|offset| offset.ts_usec)
}

fn now_us() -> i64 {
    crate::emit::now_ns() / 1000
}

impl State {
    /// Ends the spans of which everything is acknowledged.
    fn end_spans(&mut self) {
        while self.spans.front().is_some_and(|(number, _)| *number <= self.oldest) {
            if let Some((_, span)) = self.spans.pop_front() {
                span.end();
            }
        }
    }

    /// Moves `oldest` over what is acknowledged, and makes the checkpoints safe that it passes.
    fn settle(&mut self) {
        while self.acknowledged.front() == Some(&true) {
            self.acknowledged.pop_front();
            self.oldest += 1;
        }
        if self.is_transactional {
            return;
        }
        self.end_spans();
        while let Some((number, _)) = self.checkpoints.front() {
            if *number > self.oldest {
                break;
            }
            if let Some((_, checkpoint)) = self.checkpoints.pop_front() {
                self.delays.look(committed_us(&checkpoint), self.checkpoints.is_empty());
                match &mut self.safe {
                    Some(safe) => safe.supersede(checkpoint),
                    None => self.safe = Some(checkpoint),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use proto::lsn::Lsn;
    use proto::position::Offset;

    use super::*;

    fn at(lsn: u64) -> Checkpoint {
        Checkpoint { flush: Some(Lsn::from(lsn)), offset: None }
    }

    fn safe(ledger: &Ledger) -> Option<u64> {
        ledger.take_safe().and_then(|checkpoint| checkpoint.flush).map(Lsn::as_u64)
    }

    #[test]
    fn a_position_is_safe_only_when_every_record_before_it_is_acknowledged() {
        let ledger = Ledger::default();
        let (first, second) = (ledger.enqueue(), ledger.enqueue());
        ledger.checkpoint(at(10));
        let third = ledger.enqueue();
        ledger.checkpoint(at(20));
        ledger.acknowledge(third);
        ledger.acknowledge(second);
        assert_eq!(safe(&ledger), None, "the first record is still under way");
        ledger.acknowledge(first);
        assert_eq!(safe(&ledger), Some(20));
        assert_eq!(ledger.in_flight(), 0);
    }

    #[test]
    fn a_keepalive_with_nothing_under_way_is_safe_at_once() {
        let ledger = Ledger::default();
        ledger.checkpoint(at(5));
        assert_eq!(safe(&ledger), Some(5));
        assert_eq!(safe(&ledger), None, "taken once");
    }

    #[test]
    fn a_keepalive_behind_a_record_under_way_waits_for_it() {
        let ledger = Ledger::default();
        let record = ledger.enqueue();
        ledger.checkpoint(at(5));
        assert_eq!(safe(&ledger), None);
        ledger.acknowledge(record);
        assert_eq!(safe(&ledger), Some(5));
    }

    #[test]
    fn a_refused_record_keeps_everything_behind_it_unsafe() {
        let ledger = Ledger::default();
        let (_refused, accepted) = (ledger.enqueue(), ledger.enqueue());
        ledger.checkpoint(at(9));
        ledger.fail(DeliveryFailure { topic: "t".to_owned(), bytes: 1, reason: Undelivered::Presumed });
        ledger.acknowledge(accepted);
        assert_eq!(safe(&ledger), None);
        assert!(ledger.failure().is_some());
    }

    #[test]
    fn a_transaction_may_end_only_right_behind_its_newest_checkpoint() {
        let ledger = Ledger::new(true, Histogram::noop());
        let flush = |ledger: &Ledger| ledger.boundary().and_then(|checkpoint| checkpoint.flush).map(Lsn::as_u64);
        let first = ledger.enqueue();
        ledger.checkpoint(at(10));
        assert_eq!(flush(&ledger), Some(10));
        let second = ledger.enqueue();
        assert_eq!(flush(&ledger), None, "the second record has no position yet");
        ledger.acknowledge(first);
        ledger.acknowledge(second);
        assert_eq!(safe(&ledger), None, "acknowledged is not committed");
        ledger.checkpoint(at(20));
        let end = ledger.boundary().expect("a boundary");
        ledger.committed(end);
        assert_eq!(safe(&ledger), Some(20));
        assert_eq!(flush(&ledger), None, "committed once");
    }

    #[test]
    fn what_is_not_acknowledged_grows_older_and_what_is_says_how_long_it_took() {
        let ledger = Ledger::default();
        let commit = |seconds_ago: i64| Checkpoint {
            flush: None,
            offset: Some(Offset { ts_usec: Some(now_us() - seconds_ago * 1_000_000), ..Offset::default() }),
        };
        let behind_seconds = |ledger: &Ledger| ledger.behind_us().map(|us| us / 1_000_000);
        let (first, second) = (ledger.enqueue(), ledger.enqueue());
        assert_eq!(behind_seconds(&ledger), None);
        ledger.checkpoint(commit(100));
        ledger.acknowledge(first);
        assert_eq!(behind_seconds(&ledger), Some(100), "the oldest that waits");
        ledger.acknowledge(second);
        assert_eq!(behind_seconds(&ledger), Some(100), "as long as the newest took");
        let third = ledger.enqueue();
        ledger.checkpoint(commit(0));
        ledger.acknowledge(third);
        assert_eq!(behind_seconds(&ledger), Some(0));
    }

    #[test]
    fn who_waits_for_room_is_woken_when_there_is_as_much_as_was_asked_for() {
        let ledger = Ledger::default();
        ledger.occupy(90);
        let is_there = |room: Pin<&mut Notified<'_>>| room.poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let mut room = pin!(ledger.room(50));
        ledger.vacate(30);
        assert!(!is_there(room.as_mut()), "60 are under way");
        ledger.vacate(10);
        assert!(is_there(room));
        let room = pin!(ledger.room(0));
        ledger.fail(DeliveryFailure { topic: "t".to_owned(), bytes: 1, reason: Undelivered::Presumed });
        assert!(is_there(room), "nothing more will be acknowledged");
    }

    #[test]
    fn a_record_larger_than_the_limit_has_room_alone() {
        let ledger = Ledger::default();
        assert!(ledger.has_room(200, 100));
        ledger.occupy(40);
        assert!(ledger.has_room(60, 100) && !ledger.has_room(61, 100) && !ledger.has_room(200, 100));
        ledger.vacate(40);
        assert!(ledger.has_room(200, 100));
    }
}
