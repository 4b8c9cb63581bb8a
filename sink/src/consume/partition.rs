//! One partition of a topic, between Kafka and the target.

use std::time::{Duration, Instant};

use super::Reading;
use super::reader::Begin;
use super::record::Record;
use super::resume::Resume;
use crate::apply::batch::PartitionState;
use crate::apply::ledger::Place;
use crate::error::SinkError;

/// The largest batch: one transaction's work, and what is held in memory.
const BATCH_RECORDS: usize = 10_000;
const BATCH_BYTES: usize = 4 << 20;

/// What waits at most. Kafka's answers bring one partition's records behind another's, so that the next partition's are only seen
/// when there is room for these.
const FULL_RECORDS: usize = 4 * BATCH_RECORDS;

/// Pauses between attempts: short while time may mend it, longer when a person must.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A partition that the group gave to this sink.
pub(super) struct Partition {
    /// Where it is in the target; not here while a batch of it is applied.
    pub(super) state: Option<PartitionState>,
    /// Whether it is still this sink's; one that is not stays until its batch has ended.
    pub(super) is_mine: bool,
    /// Whether it is read.
    pub(super) is_read: bool,
    /// When to read it from the stored offset.
    pub(super) due: Option<Instant>,
    /// Since when a batch of it is applied.
    pub(super) busy_since: Option<Instant>,
    /// Whether it waits for a session.
    pub(super) is_queued: bool,
    resume: Resume,
    verifies: bool,
    pause: Duration,
    waiting: Vec<Record>,
    /// How many are applied at once, at most.
    batch_records: usize,
    waiting_bytes: usize,
}

impl Partition {
    /// One that is to be read.
    pub(super) fn new(place: &Place, reading: &Reading) -> Self {
        Self {
            state: Some(PartitionState::new(place.clone(), reading)),
            batch_records: reading.batch_records().unwrap_or(BATCH_RECORDS).min(BATCH_RECORDS),
            is_mine: true,
            is_read: false,
            due: Some(Instant::now()),
            busy_since: None,
            is_queued: false,
            resume: Resume::default(),
            verifies: true,
            pause: FIRST_PAUSE,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Whether it is time to read it from the stored offset.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_mine && self.state.is_some() && self.due.is_some_and(|due| due <= now)
    }

    /// It is read from here on, from what the state knows; where to begin.
    pub(super) fn begin(&mut self) -> Option<Begin> {
        let state = self.state.as_ref()?;
        self.resume =
            if std::mem::replace(&mut self.verifies, true) { Resume::of(state.next) } else { Resume::default() };
        (self.is_read, self.due) = (true, None);
        Some(((state.topic.clone(), state.partition), self.resume.begin(state.next)))
    }

    /// It is read again, from the same offset, without its last applied record, which is not there any more.
    pub(super) fn begin_behind(&mut self) {
        self.verifies = false;
        self.due = Some(Instant::now());
    }

    /// A record came. Whether it is to be applied; the bytes that wait are counted then.
    ///
    /// # Errors
    /// As [`Resume::admits`].
    pub(super) fn take_in(&mut self, topic: &str, record: Record) -> Result<usize, SinkError> {
        if !self.is_read || !self.resume.admits(topic, &record)? {
            return Ok(0);
        }
        let bytes = record.size();
        self.waiting_bytes += bytes;
        self.waiting.push(record);
        Ok(bytes)
    }

    /// Whether more than the next batches waits.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= FULL_RECORDS || self.waiting_bytes >= BATCH_BYTES
    }

    /// What waits, in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether a batch can be applied.
    pub(super) fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && self.state.is_some()
    }

    /// What is applied next, and its bytes.
    pub(super) fn take_batch(&mut self) -> (Vec<Record>, usize) {
        let mut bytes = 0;
        let mut fits = |record: &Record| {
            let fits = bytes == 0 || bytes + record.size() <= BATCH_BYTES;
            bytes += record.size();
            fits
        };
        let count = self.waiting.iter().take(self.batch_records).take_while(|record| fits(record)).count();
        let rest = self.waiting.split_off(count);
        let batch = std::mem::replace(&mut self.waiting, rest);
        let bytes = batch.iter().map(Record::size).sum();
        self.waiting_bytes -= bytes;
        (batch, bytes)
    }

    /// It is read no longer; gives the bytes that do not wait any more.
    pub(super) fn release(&mut self) -> usize {
        self.is_read = false;
        self.waiting = Vec::new();
        std::mem::take(&mut self.waiting_bytes)
    }

    /// A batch was applied.
    pub(super) fn applied(&mut self, state: PartitionState) {
        (self.state, self.busy_since, self.pause) = (Some(state), None, FIRST_PAUSE);
        if !self.is_read && self.due.is_none() {
            self.due = Some(Instant::now());
        }
    }

    /// It failed, but got on: it is read again at once.
    pub(super) fn moved(&mut self) {
        (self.due, self.pause) = (Some(Instant::now()), FIRST_PAUSE);
    }

    /// It failed: how long to wait before it is read again.
    pub(super) fn failed(&mut self, error: &SinkError) -> Duration {
        if !error.is_retry() {
            self.pause = LONGEST_PAUSE;
        }
        let pause = self.pause;
        self.due = Some(Instant::now() + pause);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}
