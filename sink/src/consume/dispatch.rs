//! Records to their partitions, batches to the sessions.
//!
//! What waits for a session is bounded in bytes, of a partition and of all together. Where it is full, nothing more is read, and
//! Kafka keeps the rest. A partition whose batch takes long, because its table is locked, does not hold up the others: what waits
//! of it is dropped, and read again behind that batch.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Feed;
use super::partition::Partition;
use super::reader::{Reader, Received};
use super::record::Record;
use crate::apply::batch::{Applied, Applier, PartitionState};
use crate::apply::ledger::Place;
use crate::error::SinkError;
use crate::metrics::health::Health;
use crate::metrics::names;

/// How many batches are applied at once, each in a session of its own.
const SESSIONS: usize = 8;

/// What waits for a session, of all partitions together, in bytes.
const WAITING_BYTES: usize = 16 << 20;

/// What is applied at once, in units of 1024 bytes: a batch takes several times its records' bytes. A larger record is applied
/// alone.
const APPLIED_KB: u32 = 8 << 10;

/// How often new topics are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is looked which partitions are to be read again, and whether the group has changed.
const ASSIGN_INTERVAL: Duration = Duration::from_millis(100);

/// How often Kafka gets its copy of the offsets.
const SHOW_INTERVAL: Duration = Duration::from_millis(500);

/// How long a full partition may stop the reading of the others.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many records are taken in before sessions get their work.
const AT_ONCE: usize = 1000;

/// Everything between Kafka and the target.
pub(super) struct Dispatcher<'a> {
    pub(super) feed: &'a Feed,
    pub(super) health: &'a Health,
    pub(super) reader: Reader,
    /// The topics of the prefix, with their numbers of partitions.
    pub(super) topics: BTreeMap<String, usize>,
    pub(super) partitions: HashMap<Place, Partition>,
    /// Since when the group waits for what it takes away.
    pub(super) awaited: Option<Instant>,
    pub(super) waiting_bytes: usize,
    /// Partitions with a batch to apply.
    ready: VecDeque<Place>,
    /// Sessions without work.
    pub(super) idle: Vec<Applier>,
    batches: JoinSet<Done>,
    /// How many of them are of a topic.
    busy: HashMap<String, usize>,
    budget: Arc<Semaphore>,
    /// Offsets that Kafka's copy does not have yet.
    pub(super) to_show: HashMap<Place, i64>,
    /// Since when nothing is read, and the partition that is full.
    stalled: Option<Instant>,
    full: Option<Place>,
}

/// A batch that was applied, or not.
struct Done {
    state: PartitionState,
    session: Option<Applier>,
    result: Result<Applied, SinkError>,
}

impl<'a> Dispatcher<'a> {
    /// Knows no topic yet.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub(super) fn new(feed: &'a Feed, health: &'a Health) -> Result<Self, SinkError> {
        Ok(Self {
            feed,
            health,
            reader: Reader::new(&feed.subscription, &feed.target_id, feed.traces.is_some())?,
            topics: BTreeMap::new(),
            partitions: HashMap::new(),
            awaited: None,
            waiting_bytes: 0,
            ready: VecDeque::new(),
            idle: Vec::new(),
            batches: JoinSet::new(),
            busy: HashMap::new(),
            budget: Arc::new(Semaphore::new(APPLIED_KB as usize)),
            to_show: HashMap::new(),
            stalled: None,
            full: None,
        })
    }

    /// Runs until cancelled; the group is left behind the last batch.
    pub(super) async fn run(mut self, cancel: &CancellationToken) {
        let mut discovery = tokio::time::interval(DISCOVERY_INTERVAL);
        let mut assigning = tokio::time::interval(ASSIGN_INTERVAL);
        let mut showing = tokio::time::interval(SHOW_INTERVAL);
        loop {
            self.follow_group();
            self.start_batches();
            let has_room = self.has_room();
            let patience = self.stalled.map_or_else(Instant::now, |since| since + PATIENCE);
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = discovery.tick() => self.discover().await,
                _ = assigning.tick() => self.assign().await,
                _ = showing.tick() => self.reader.show(self.to_show.drain()),
                Some(done) = self.batches.join_next() => self.done(done),
                received = self.reader.receive(), if has_room => self.receive(received).await,
                () = tokio::time::sleep_until(patience.into()), if !has_room => self.release_slow(),
            }
        }
        while let Some(done) = self.batches.join_next().await {
            self.done(done);
        }
        self.reader.show(self.to_show.drain());
        self.reader.close().await;
    }

    /// Whether more may be read.
    fn has_room(&mut self) -> bool {
        let is_full = self.full.as_ref().and_then(|full| self.partitions.get(full)).is_some_and(Partition::is_full);
        let has_room = !is_full && self.waiting_bytes < WAITING_BYTES;
        self.stalled = if has_room { None } else { self.stalled.or_else(|| Some(Instant::now())) };
        has_room
    }

    fn start_batches(&mut self) {
        while self.batches.len() < SESSIONS {
            let Some(place) = self.ready.pop_front() else { return };
            let Some(partition) = self.partitions.get_mut(&place) else { continue };
            partition.is_queued = false;
            if !partition.is_ready() {
                continue;
            }
            let Some(mut state) = partition.state.take() else { continue };
            let (records, bytes) = partition.take_batch();
            partition.busy_since = Some(Instant::now());
            self.waiting_bytes -= bytes;
            state.is_one_of_several = self.topics.get(&place.0).is_some_and(|partitions| *partitions > 1);
            // A locked table takes one session: the other partitions do not wait for it in theirs.
            let busy = self.busy.entry(place.0).or_default();
            let gives_way = *busy > 0;
            *busy += 1;
            let kilobytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(APPLIED_KB);
            let (session, budget, feed) = (self.idle.pop(), self.budget.clone(), self.feed.clone());
            self.batches.spawn(async move {
                // Never closed: without it a batch would only be applied beside others.
                let _permit = budget.acquire_many(kilobytes).await;
                let connected = match session {
                    Some(session) => Ok(session),
                    None => feed.applier().await,
                };
                let (session, result) = match connected {
                    Ok(mut session) => {
                        let result = session.apply(&mut state, records, gives_way).await;
                        (Some(session).filter(|_| result.is_ok()), result)
                    }
                    Err(error) => (None, Err(error)),
                };
                Done { state, session, result }
            });
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let Done { state, session, result } = match done {
            Ok(done) => done,
            Err(error) => {
                // Its partition stays busy: what broke off would break off again. The log says so, and so does `/health`.
                tracing::error!(%error, "applying a batch broke off; the partition stands still until the sink is started again");
                let why = SinkError::retry(format!("applying a batch broke off: {error}"));
                self.health.group(Some((&why).into()));
                return;
            }
        };
        self.idle.extend(session);
        let place = (state.topic.clone(), state.partition);
        if let Some(busy) = self.busy.get_mut(&place.0) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&place.0);
            }
        }
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        match result {
            Ok(applied) => {
                report(&place, &applied, self.health);
                if let Some(next) = state.next {
                    self.health.next(&place.0, place.1, next.offset);
                    self.to_show.insert(place.clone(), next.offset);
                }
                match applied.waits {
                    None => {
                        partition.applied(state);
                        queue(&mut self.ready, &place, partition);
                    }
                    Some(offset) => {
                        (partition.state, partition.busy_since) = (Some(state), None);
                        self.wait_for_others(&place, offset, applied.applied > 0);
                    }
                }
            }
            Err(error) => {
                (partition.state, partition.busy_since) = (Some(state.afresh()), None);
                self.fail(&place, &error);
            }
        }
        self.forget(&place);
    }

    async fn receive(&mut self, received: Received) {
        let mut next = Some(received);
        for _ in 0..AT_ONCE {
            match next {
                Some(Received::Record(record)) => self.convert(record).await,
                Some(Received::OutOfRange) => self.explain().await,
                Some(Received::Refused(error)) => self.refused(&error),
                Some(Received::Nothing) => {}
                None => return,
            }
            if !self.has_room() {
                return;
            }
            next = self.reader.try_receive();
        }
        if let Some(Received::Record(record)) = next {
            self.convert(record).await;
        }
    }

    async fn convert(&mut self, record: Record) {
        if self.feed.converters.are_json() {
            return self.take_in(record);
        }
        let place = (record.topic.to_string(), record.partition);
        match self.feed.converters.read(record).await {
            Ok(record) => self.take_in(record),
            Err(error) => self.fail(&place, &error),
        }
    }

    fn take_in(&mut self, record: Record) {
        let place = (record.topic.to_string(), record.partition);
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        match partition.take_in(&place.0, record) {
            Ok(bytes) => self.waiting_bytes += bytes,
            Err(error) => return self.fail(&place, &error),
        }
        queue(&mut self.ready, &place, partition);
        if partition.is_full() {
            self.full = Some(place);
        }
    }

    /// Of the partitions that are full while their batch takes long, what waits is dropped, and read again behind that batch.
    fn release_slow(&mut self) {
        (self.stalled, self.full) = (None, None);
        let is_slow = |partition: &Partition| partition.busy_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        for (place, partition) in
            self.partitions.iter_mut().filter(|(_, partition)| partition.is_read && is_slow(partition))
        {
            self.reader.leave(place);
            self.waiting_bytes -= partition.release();
        }
        // All sessions have slow ones: what waits for one is given up as well, so that the group's questions are heard.
        if self.waiting_bytes >= WAITING_BYTES
            && let Some((place, partition)) =
                self.partitions.iter_mut().max_by_key(|(_, partition)| partition.waiting_bytes())
        {
            self.reader.leave(place);
            self.waiting_bytes -= partition.release();
            partition.due = Some(Instant::now() + PATIENCE);
        }
    }
}

/// Its turn comes when there is a session.
fn queue(ready: &mut VecDeque<Place>, place: &Place, partition: &mut Partition) {
    if partition.is_ready() && !std::mem::replace(&mut partition.is_queued, true) {
        ready.push_back(place.clone());
    }
}

fn report((topic, partition): &Place, applied: &Applied, health: &Health) {
    health.applied(topic, applied.applied, applied.set_aside);
    health.partition(topic, *partition, None);
    metrics::counter!(names::APPLIED, "topic" => topic.to_owned()).increment(applied.applied);
    metrics::counter!(names::SET_ASIDE, "topic" => topic.to_owned()).increment(applied.set_aside);
    metrics::counter!(names::TRANSACTIONS, "topic" => topic.to_owned()).increment(1);
    if let Some(ts_ms) = applied.newest_ts_ms {
        health.committed(topic, ts_ms);
        names::applied_behind(topic, ts_ms);
    }
}
