//! All topics of the prefix through one sink, in the order of the source's commits.
//!
//! The group's one partition is that of the transactions' topic: the sink that has it reads everything, and the others stand by.
//! Where a step fails, everything is read again from the stored offsets, for transactions have parts in many partitions.
//!
//! # Layout
//! - `reading`: what is read, and from where

mod reading;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use proto::lsn::Lsn;
use proto::xid::Xid;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::reader::{Reader, Received};
use super::record::Record;
use super::resume::Resume;
use super::{Feed, TransactionTopics};
use crate::apply::batch::Applier;
use crate::apply::ledger::Place;
use crate::apply::ordered::{Applied, Ordered};
use crate::assemble::Assembly;
use crate::error::SinkError;
use crate::metrics::health::Health;
use crate::metrics::names;

/// What is applied at once.
const CHUNK_BYTES: usize = 4 << 20;

/// What waits for its transaction to be whole, or to be applied. Partitions of which something waits are read no further then.
const WAITING_BYTES: usize = 16 << 20;

/// How often new topics are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is looked what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often Kafka gets its copy of the offsets.
const SHOW_INTERVAL: Duration = Duration::from_millis(500);

/// How long nothing is read while a chunk is applied: Kafka takes a client for dead that does not ask for minutes.
const SILENCE: Duration = Duration::from_secs(1);

/// How long the group waits for the chunk that is applied.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How many records are taken in before the next chunk is looked for.
const AT_ONCE: usize = 1000;

/// Everything between Kafka and the target.
pub(super) struct InOrder<'a> {
    feed: &'a Feed,
    names: &'a TransactionTopics,
    health: &'a Health,
    reader: Reader,
    /// The topics, with their numbers of partitions.
    topics: BTreeMap<String, usize>,
    discovered: Instant,
    /// Whether the group gave this sink the transactions' topic.
    is_mine: bool,
    /// Since when the group waits for what it takes away.
    awaited: Option<Instant>,
    /// What is read, and whether its topic is the one that was read before.
    reading: HashMap<Place, Resume>,
    /// Those whose last applied record is not looked at again: it is not there any more.
    unverified: HashSet<Place>,
    paused: HashSet<Place>,
    /// Where the transactions' topic goes on.
    from: i64,
    /// Since when what comes in no transaction is waited for.
    free_since: Instant,
    assembly: Assembly,
    /// The session to the target; not here while a chunk is applied.
    target: Option<Target>,
    under_way: JoinSet<Done>,
    busy_since: Option<Instant>,
    /// When everything is read from the stored offsets.
    due: Option<Instant>,
    pause: Duration,
    /// Which transaction is not whole, how much of it has come, and since when that is so.
    missing: Option<((Xid, i64, i64), Instant)>,
    /// Whether it was said that it is not.
    has_complained: bool,
    to_show: HashMap<Place, i64>,
}

struct Target {
    session: Applier,
    state: Ordered,
}

/// A chunk that was applied, or not.
struct Done {
    target: Target,
    result: Result<Applied, SinkError>,
}

impl<'a> InOrder<'a> {
    /// Knows no topic yet.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub(super) fn new(feed: &'a Feed, names: &'a TransactionTopics, health: &'a Health) -> Result<Self, SinkError> {
        Ok(Self {
            feed,
            names,
            health,
            // Told from sinks that share out the tables' topics: both at once would take each other's records.
            reader: Reader::new(
                &feed.subscription,
                &format!("{}-transactions", feed.target_id),
                feed.traces.is_some(),
            )?,
            topics: BTreeMap::new(),
            discovered: Instant::now(),
            is_mine: false,
            awaited: None,
            reading: HashMap::new(),
            unverified: HashSet::new(),
            paused: HashSet::new(),
            from: 0,
            free_since: Instant::now(),
            assembly: Assembly::new(&names.transaction, Lsn::ZERO),
            target: None,
            under_way: JoinSet::new(),
            busy_since: None,
            due: None,
            pause: FIRST_PAUSE,
            missing: None,
            has_complained: false,
            to_show: HashMap::new(),
        })
    }

    /// Runs until cancelled, and leaves the group behind the last chunk; or until the Kafka client has to be another, which is
    /// `true`.
    pub(super) async fn run(mut self, cancel: &CancellationToken) -> bool {
        let mut discovery = tokio::time::interval(DISCOVERY_INTERVAL);
        let mut looking = tokio::time::interval(LOOK_INTERVAL);
        let mut showing = tokio::time::interval(SHOW_INTERVAL);
        let mut again = false;
        while !again {
            self.follow_group();
            self.start_chunk();
            self.regulate();
            let reads = self.assembly.size() < WAITING_BYTES || !self.is_busy();
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = discovery.tick() => again = self.discover().await,
                _ = looking.tick() => again = self.look().await,
                _ = showing.tick() => self.reader.show(self.to_show.drain()),
                Some(done) = self.under_way.join_next() => self.done(done),
                received = self.reader.receive(), if reads => self.receive(received).await,
            }
        }
        while let Some(done) = self.under_way.join_next().await {
            self.done(done);
        }
        self.reader.show(self.to_show.drain());
        self.reader.close().await;
        again
    }

    fn place(&self) -> Place {
        (self.names.transaction.clone(), 0)
    }

    /// Whether a chunk is applied that has not taken long yet.
    fn is_busy(&self) -> bool {
        self.busy_since.is_some_and(|since| since.elapsed() < SILENCE)
    }

    /// Takes up the transactions' topic when the group gives it, and gives it back when no chunk is under way.
    fn follow_group(&mut self) {
        if let Some(mine) = self.reader.changed() {
            let is_mine = mine.contains(&self.place());
            self.health.group(None);
            if is_mine && !self.is_mine {
                tracing::info!("the group gave this sink the prefix's transactions");
                self.due = Some(Instant::now());
            } else if !is_mine && self.is_mine {
                tracing::info!("the group gave the prefix's transactions to another sink; this one stands by");
                self.leave();
                self.due = None;
            }
            self.is_mine = is_mine;
            self.awaited = self.reader.is_awaited().then(Instant::now);
        }
        if let Some(since) = self.awaited
            && (self.under_way.is_empty() || since.elapsed() >= GIVING_BACK)
        {
            self.reader.show(self.to_show.drain());
            self.reader.give_back();
            self.awaited = None;
        }
    }

    /// Reads nothing more, and forgets what waits.
    fn leave(&mut self) {
        for place in self.reading.keys() {
            self.reader.leave(place);
            self.health.leaves(&place.0, place.1);
        }
        self.reading.clear();
        self.paused.clear();
        self.assembly.begin_again(Lsn::ZERO, 0);
        // With it goes what is not committed.
        self.target = None;
        (self.missing, self.has_complained) = (None, false);
    }

    /// It cannot go on: everything is read again from the stored offsets, later.
    fn fail(&mut self, error: &SinkError) {
        // A chunk under way may have begun before: what it comes to is known when it ends.
        let place = self.place();
        self.leave();
        if !self.is_mine {
            return;
        }
        if !error.is_retry() {
            self.pause = LONGEST_PAUSE;
        }
        let pause = self.pause;
        self.due = Some(Instant::now() + pause);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        match error {
            SinkError::Retry(text) => tracing::warn!(?pause, "{text}; trying again from the stored offsets"),
            SinkError::Stop { id, text } => tracing::error!(code = id, "{text}"),
        }
        metrics::counter!(names::RETRIES, "topic" => place.0.clone()).increment(1);
        self.health.reads(&place.0, place.1);
        self.health.partition(&place.0, place.1, Some(error.into()));
    }

    fn start_chunk(&mut self) {
        if self.target.is_none() || self.awaited.is_some() {
            return;
        }
        let chunk = match self.assembly.take(CHUNK_BYTES, WAITING_BYTES) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return,
            Err(error) => return self.fail(&error),
        };
        let Some(Target { mut session, mut state }) = self.target.take() else { return };
        self.busy_since = Some(Instant::now());
        self.under_way.spawn(async move {
            let result = session.apply_chunk(&mut state, &chunk).await;
            Done { target: Target { session, state }, result }
        });
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        self.busy_since = None;
        let Done { target, result } = match done {
            Ok(done) => done,
            Err(error) => return self.fail(&SinkError::retry(format!("applying a chunk broke off: {error}"))),
        };
        match result {
            Ok(applied) => {
                self.report(&applied);
                // Nothing is read where everything is to be read anew.
                if !self.reading.is_empty() {
                    self.target = Some(target);
                }
                self.pause = FIRST_PAUSE;
            }
            Err(error) => self.fail(&error),
        }
    }

    fn report(&mut self, applied: &Applied) {
        for (topic, (count, set_aside)) in &applied.of_topics {
            self.health.applied(topic, *count, *set_aside);
            metrics::counter!(names::APPLIED, "topic" => topic.to_string()).increment(*count);
            metrics::counter!(names::SET_ASIDE, "topic" => topic.to_string()).increment(*set_aside);
        }
        let topic = &self.names.transaction;
        if !applied.committed.is_empty() {
            metrics::counter!(names::TRANSACTIONS, "topic" => topic.clone()).increment(1);
        }
        if let Some(ts_ms) = applied.newest_ts_ms {
            self.health.committed(topic, ts_ms);
            names::applied_behind(topic, ts_ms);
        }
        for ((topic, partition), next) in &applied.committed {
            self.health.next(topic, *partition, *next);
        }
        self.to_show.extend(applied.committed.iter().cloned());
    }

    /// Where too much waits, only partitions of which nothing does are read on: what is missing comes through one of them.
    fn regulate(&mut self) {
        let is_full = self.assembly.size() >= WAITING_BYTES;
        if self.is_busy() || (!is_full && self.paused.is_empty()) {
            return;
        }
        let waits = |place: &&Place| self.assembly.waits_of(place);
        let is_low = self.assembly.size() < WAITING_BYTES / 2;
        let resumed: Vec<Place> = self.paused.iter().filter(|place| is_low || !waits(place)).cloned().collect();
        let paused: Vec<Place> = match is_full {
            true => {
                self.reading.keys().filter(|place| !self.paused.contains(*place) && waits(place)).cloned().collect()
            }
            false => Vec::new(),
        };
        for place in &resumed {
            self.paused.remove(place);
        }
        let changed = self.reader.pause(resumed.iter(), false).and_then(|()| self.reader.pause(paused.iter(), true));
        self.paused.extend(paused);
        if let Err(error) = changed {
            self.fail(&error);
        }
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
            if self.assembly.size() >= WAITING_BYTES {
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
        match self.feed.converters.read(record).await {
            Ok(record) => self.take_in(record),
            Err(error) => self.fail(&error),
        }
    }

    fn take_in(&mut self, record: Record) {
        let place = (record.topic.to_string(), record.partition);
        let Some(resume) = self.reading.get_mut(&place) else { return };
        // Of the transactions more is read than what comes next.
        let is_history = record.offset + 1 < self.from && place.0 == self.names.transaction;
        let taken = match if is_history { Ok(true) } else { resume.admits(&place.0, &record) } {
            Ok(is_next) if is_next || place.0 == self.names.transaction => self.assembly.push(record),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            self.fail(&error);
        }
    }
}
