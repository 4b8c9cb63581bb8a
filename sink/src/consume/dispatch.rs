//! Records to their topics, batches to the sessions.
//!
//! What waits for a session is bounded in bytes, of a topic and of all together. Where it is full, nothing more is read, and
//! Kafka keeps the rest. A topic whose batch takes long, because its table is locked, does not hold up the others: what waits
//! of it is dropped, and read again behind that batch.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::reader::{Reader, Received};
use super::resume;
use super::topic::Topic;
use crate::apply::batch::{Applied, Applier, TopicState};
use crate::apply::owner::Claim;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::metrics::health::Health;
use crate::metrics::names;

/// How many batches are applied at once, each in a session of its own.
const SESSIONS: usize = 8;

/// What waits for a session, of all topics together, in bytes.
const WAITING_BYTES: usize = 16 << 20;

/// What is applied at once, in units of 1024 bytes: a batch takes several times its records' bytes. A larger record is applied
/// alone.
const APPLIED_KB: u32 = 8 << 10;

/// How often new topics are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is looked which topics are to be read again.
const ASSIGN_INTERVAL: Duration = Duration::from_millis(100);

/// How long a full topic may stop the reading of the others.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many records are taken in before sessions get their work.
const AT_ONCE: usize = 1000;

/// Everything between Kafka and the target.
pub(super) struct Dispatcher<'a> {
    config: &'a RunConfig,
    claim: &'a Claim,
    health: &'a Health,
    reader: Reader,
    topics: HashMap<String, Topic>,
    /// Topics with a batch to apply.
    ready: VecDeque<String>,
    /// Sessions without work.
    idle: Vec<Applier>,
    batches: JoinSet<Done>,
    budget: Arc<Semaphore>,
    waiting_bytes: usize,
    /// Since when nothing is read, and the topic that is full.
    stalled: Option<Instant>,
    full: Option<String>,
}

/// A batch that was applied, or not.
struct Done {
    topic: String,
    state: TopicState,
    session: Option<Applier>,
    result: Result<Applied, SinkError>,
}

impl<'a> Dispatcher<'a> {
    /// Knows no topic yet.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub(super) fn new(config: &'a RunConfig, claim: &'a Claim, health: &'a Health) -> Result<Self, SinkError> {
        Ok(Self {
            config,
            claim,
            health,
            reader: Reader::new(config)?,
            topics: HashMap::new(),
            ready: VecDeque::new(),
            idle: Vec::new(),
            batches: JoinSet::new(),
            budget: Arc::new(Semaphore::new(APPLIED_KB as usize)),
            waiting_bytes: 0,
            stalled: None,
            full: None,
        })
    }

    /// Runs until cancelled, or another sink has taken over.
    pub(super) async fn run(mut self, cancel: &CancellationToken) {
        let mut discovery = tokio::time::interval(DISCOVERY_INTERVAL);
        let mut assigning = tokio::time::interval(ASSIGN_INTERVAL);
        while !self.claim.is_lost() {
            self.start_batches();
            let has_room = self.has_room();
            let patience = self.stalled.map_or_else(Instant::now, |since| since + PATIENCE);
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = discovery.tick() => self.discover().await,
                _ = assigning.tick() => self.assign().await,
                Some(done) = self.batches.join_next() => self.done(done),
                received = self.reader.receive(), if has_room => self.receive(received).await,
                () = tokio::time::sleep_until(patience.into()), if !has_room => self.release_slow(),
            }
        }
        while let Some(done) = self.batches.join_next().await {
            self.done(done);
        }
    }

    /// Whether more may be read.
    fn has_room(&mut self) -> bool {
        let is_full = self.full.as_ref().and_then(|full| self.topics.get(full)).is_some_and(Topic::is_full);
        let has_room = !is_full && self.waiting_bytes < WAITING_BYTES;
        self.stalled = if has_room { None } else { self.stalled.or_else(|| Some(Instant::now())) };
        has_room
    }

    fn start_batches(&mut self) {
        while self.batches.len() < SESSIONS {
            let Some(name) = self.ready.pop_front() else { return };
            let Some(topic) = self.topics.get_mut(&name) else { continue };
            topic.is_queued = false;
            if !topic.is_ready() {
                continue;
            }
            let Some(mut state) = topic.state.take() else { continue };
            let (records, bytes) = topic.take_batch();
            topic.busy_since = Some(Instant::now());
            self.waiting_bytes -= bytes;
            let kilobytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(APPLIED_KB);
            let (session, budget) = (self.idle.pop(), self.budget.clone());
            let (target, claim) = (self.config.target.clone(), self.claim.clone());
            self.batches.spawn(async move {
                // Never closed: without it a batch would only be applied beside others.
                let _permit = budget.acquire_many(kilobytes).await;
                let connected = match session {
                    Some(session) => Ok(session),
                    None => Applier::connect(&target, claim).await,
                };
                let (session, result) = match connected {
                    Ok(mut session) => {
                        let result = session.apply(&mut state, records).await;
                        (Some(session).filter(|_| result.is_ok()), result)
                    }
                    Err(error) => (None, Err(error)),
                };
                Done { topic: name, state, session, result }
            });
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let Done { topic: name, state, session, result } = match done {
            Ok(done) => done,
            Err(error) => {
                // Its topic stays busy: what broke off would break off again. The log says so, and so does `/health`.
                tracing::error!(%error, "applying a batch broke off; the topic stands still until the sink is started again");
                self.health.topic("(broken off)", |topic| topic.error = Some(error.to_string()));
                return;
            }
        };
        self.idle.extend(session);
        let Some(topic) = self.topics.get_mut(&name) else { return };
        match result {
            Ok(applied) => {
                self.reader.show(&name, state.next.iter().map(|(partition, next)| (*partition, next.offset)));
                topic.applied(state);
                report(&name, &applied, self.health);
                queue(&mut self.ready, &name, topic);
            }
            Err(error) => {
                (topic.state, topic.busy_since) = (Some(TopicState::new(&name)), None);
                self.fail(&name, &error);
            }
        }
    }

    async fn receive(&mut self, received: Received) {
        let mut next = Some(received);
        for _ in 0..AT_ONCE {
            match next {
                Some(Received::Record(name, record)) => self.take_in(&name, record),
                Some(Received::OutOfRange) => self.explain().await,
                Some(Received::Nothing) => {}
                None => return,
            }
            if !self.has_room() {
                return;
            }
            next = self.reader.try_receive();
        }
        if let Some(Received::Record(name, record)) = next {
            self.take_in(&name, record);
        }
    }

    fn take_in(&mut self, name: &str, record: crate::apply::batch::Record) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        match topic.take_in(name, record) {
            Ok(bytes) => self.waiting_bytes += bytes,
            Err(error) => return self.fail(name, &error),
        }
        if topic.is_full() {
            self.full = Some(name.to_owned());
        }
        queue(&mut self.ready, name, topic);
    }

    /// Looks for new topics, and for topics that are gone.
    async fn discover(&mut self) {
        let found = match self.reader.topics(self.config).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "topics cannot be listed");
                if self.reader.has_lost_kafka(self.config).await {
                    self.read_anew();
                }
                return;
            }
        };
        let is_gone = |(name, topic): &(&String, &Topic)| topic.is_there && !found.contains_key(*name);
        let gone: Vec<String> = self.topics.iter().filter(is_gone).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.fail(&name, &SinkError::retry(format!("topic {name} is gone from Kafka")));
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.is_there = false;
            }
        }
        for (name, partitions) in found {
            let topic = self.topics.entry(name.clone()).or_insert_with(|| Topic::new(&name, partitions));
            topic.is_there = true;
            if topic.partitions != partitions {
                tracing::info!(topic = %name, partitions, "the topic has more partitions now");
                self.reader.unassign(&name, topic.partitions);
                self.waiting_bytes -= topic.release();
                (topic.partitions, topic.due) = (partitions, Some(Instant::now()));
            }
        }
    }

    /// Reads everything with a new client, from the stored offsets.
    fn read_anew(&mut self) {
        let reader = match Reader::new(self.config) {
            Ok(reader) => reader,
            Err(error) => return tracing::error!(%error, "the consumer cannot be made"),
        };
        tracing::warn!(
            "the Kafka client has lost its brokers, and does not find them again by itself: a new one goes on from the stored \
             offsets"
        );
        std::mem::replace(&mut self.reader, reader).close();
        for topic in self.topics.values_mut().filter(|topic| topic.is_assigned) {
            self.waiting_bytes -= topic.release();
            topic.due = Some(Instant::now());
        }
    }

    /// Reads those topics whose time it is, from the stored offsets.
    async fn assign(&mut self) {
        let now = Instant::now();
        let due: Vec<String> =
            self.topics.iter().filter(|(_, topic)| topic.is_due(now)).map(|(name, _)| name.clone()).collect();
        if due.is_empty() {
            return;
        }
        if let Err(error) = self.assign_all(&due).await {
            for name in &due {
                self.fail(name, &error);
            }
        }
    }

    async fn assign_all(&mut self, due: &[String]) -> Result<(), SinkError> {
        let session = match self.idle.pop() {
            Some(session) => session,
            None => Applier::connect(&self.config.target, self.claim.clone()).await?,
        };
        let mut stored = session.offsets(due).await?;
        self.idle.push(session);
        let mut places = Vec::with_capacity(due.len());
        for name in due {
            let Some(topic) = self.topics.get_mut(name) else { continue };
            if let Some(state) = &mut topic.state {
                state.next = stored.remove(name).unwrap_or_default();
            }
            places.extend(topic.begin());
            self.health.topic(name, |topic| topic.error = None);
        }
        tracing::debug!(topics = due.len(), partitions = places.len(), "consuming");
        self.reader.assign(&places)
    }

    /// A topic cannot go on: it is read again from the stored offsets, later.
    fn fail(&mut self, name: &str, error: &SinkError) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        if topic.is_assigned {
            self.reader.unassign(name, topic.partitions);
        }
        self.waiting_bytes -= topic.release();
        let pause = topic.failed(error);
        if self.claim.is_lost() {
            // The whole sink ends, and says why.
            return;
        }
        match error {
            SinkError::Retry(text) => {
                tracing::warn!(topic = name, ?pause, "{text}; trying again from the stored offsets");
            }
            SinkError::Stop(text) => tracing::error!(topic = name, "{text}"),
        }
        metrics::counter!(names::RETRIES, "topic" => name.to_owned()).increment(1);
        self.health.topic(name, |topic| topic.error = Some(error.to_string()));
    }

    /// Of the topics that are full while their batch takes long, what waits is dropped, and read again behind that batch.
    fn release_slow(&mut self) {
        (self.stalled, self.full) = (None, None);
        let is_slow = |topic: &Topic| topic.busy_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        for (name, topic) in self.topics.iter_mut().filter(|(_, topic)| topic.is_assigned && is_slow(topic)) {
            self.reader.unassign(name, topic.partitions);
            self.waiting_bytes -= topic.release();
        }
    }

    /// Finds out which topics have no record at the offset that was to be read, and what that means.
    async fn explain(&mut self) {
        // Those that are busy are looked at when they are read again.
        let idle = self.topics.iter().filter_map(|(name, topic)| {
            let state = topic.state.as_ref().filter(|_| topic.is_assigned)?;
            Some((name.clone(), (topic.partitions, state.next.clone())))
        });
        let idle: BTreeMap<_, _> = idle.collect();
        match resume::explain(self.config, &idle).await {
            Ok(explained) => {
                for (name, meaning) in explained {
                    match meaning {
                        Err(error) => self.fail(&name, &error),
                        Ok(()) => {
                            let Some(topic) = self.topics.get_mut(&name) else { continue };
                            self.reader.unassign(&name, topic.partitions);
                            self.waiting_bytes -= topic.release();
                            topic.begin_behind();
                        }
                    }
                }
            }
            Err(error) => {
                for name in idle.keys() {
                    self.fail(name, &error);
                }
            }
        }
    }
}

/// Its turn comes when there is a session.
fn queue(ready: &mut VecDeque<String>, name: &str, topic: &mut Topic) {
    if topic.is_ready() && !std::mem::replace(&mut topic.is_queued, true) {
        ready.push_back(name.to_owned());
    }
}

fn report(topic: &str, applied: &Applied, health: &Health) {
    health.topic(topic, |topic| {
        topic.applied += applied.applied;
        topic.set_aside += applied.set_aside;
        topic.error = None;
    });
    metrics::counter!(names::APPLIED, "topic" => topic.to_owned()).increment(applied.applied);
    metrics::counter!(names::SET_ASIDE, "topic" => topic.to_owned()).increment(applied.set_aside);
    metrics::counter!(names::TRANSACTIONS, "topic" => topic.to_owned()).increment(1);
    if let Some(ts_ms) = applied.newest_ts_ms {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!(names::LAG, "topic" => topic.to_owned()).set(now.as_secs_f64() - ts_ms as f64 / 1000.0);
    }
}
