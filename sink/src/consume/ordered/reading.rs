//! What is read, and from where.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::lsn::Lsn;

use super::super::reader::Begin;
use super::super::resume::{self, Resume};
use super::super::topics;
use super::{InOrder, Target};
use crate::apply::ledger::{Next, Place};
use crate::apply::ordered::Ordered;
use crate::error::SinkError;

/// How soon new topics are looked for where changes are missing: they may be in one.
const DISCOVERY_SOON: Duration = Duration::from_millis(300);

/// How long what was published before transactions are whole may take to come.
const FREE_PATIENCE: Duration = Duration::from_secs(10);

/// How many records of the transactions' topic are read again: those that say which transactions were applied last.
const HISTORY: i64 = 10_000;

/// How long a transaction's changes may be on their way when its end is there.
const ON_THE_WAY: Duration = Duration::from_secs(30);

impl InOrder<'_> {
    /// What is due: reading from the stored offsets, topics that may have what is missing, a word on what is missing.
    pub(super) async fn look(&mut self) -> bool {
        if self.is_mine
            && self.awaited.is_none()
            && self.under_way.is_empty()
            && self.due.is_some_and(|due| due <= Instant::now())
            && !self.topics.is_empty()
        {
            self.due = None;
            if let Err(error) = self.begin().await {
                self.fail(&error);
            }
        }
        if self.free_since.elapsed() >= FREE_PATIENCE && self.assembly.awaits_free() {
            self.assembly.await_no_more();
        }
        let missing = self.assembly.missing();
        match (missing, &self.missing) {
            (Some(now), Some((before, since))) if now == *before => {
                let (transaction, come, events) = now;
                let since = since.elapsed();
                if since >= ON_THE_WAY && !std::mem::replace(&mut self.has_complained, true) {
                    let place = self.place();
                    let why = SinkError::retry(format!(
                        "transaction {transaction} has {events} changes, and {come} of them came. The others are in none of the topics of the \
                         prefix, or a transform drops them: nothing behind it is applied. Run the sink with --mode table where \
                         the connector's transforms drop records or give them other topics"
                    ));
                    tracing::error!("{why}");
                    self.health.partition(&place.0, place.1, Some((&why).into()));
                }
                if since >= DISCOVERY_SOON && self.discovered.elapsed() >= DISCOVERY_SOON {
                    return self.discover().await;
                }
            }
            (missing, _) => {
                if std::mem::take(&mut self.has_complained) {
                    self.health.partition(&self.names.transaction, 0, None);
                }
                self.missing = missing.map(|missing| (missing, Instant::now()));
            }
        }
        false
    }

    /// Looks for new topics, and for topics that are gone. Whether the Kafka client has to be another.
    pub(super) async fn discover(&mut self) -> bool {
        self.discovered = Instant::now();
        if let Some(why) = self.reader.fatal() {
            tracing::warn!("the Kafka client gave up: {why}: a new one goes on from the stored offsets");
            return true;
        }
        let found = match self.reader.topics(&self.names.all()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "topics cannot be listed");
                return self.reader.has_lost_kafka().await;
            }
        };
        let Some(partitions) = found.get(&self.names.transaction).copied() else {
            self.refused(&SinkError::retry(format!(
                "topic {} is not there: the connector makes it when it publishes the first transaction",
                self.names.transaction
            )));
            return false;
        };
        if partitions != 1 {
            self.refused(&topics::several_partitions(&self.names.transaction, partitions).into());
            return false;
        }
        if self.topics.is_empty() {
            if let Some(error) = self.reader.beside_others().await {
                self.refused(&error);
                return false;
            }
            if let Err(error) = self.reader.subscribe(std::iter::once(&self.names.transaction)) {
                tracing::warn!(%error, "the transactions' topic cannot be subscribed to");
                return false;
            }
        }
        let gone = self.topics.keys().find(|topic| !found.contains_key(*topic)).cloned();
        self.topics = found;
        if let Some(topic) = gone {
            self.fail(&SinkError::retry(format!("topic {topic} is gone from Kafka")));
        } else if !self.reading.is_empty()
            && let Err(error) = self.read_new().await
        {
            self.fail(&error);
        }
        false
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.topics.iter().flat_map(|(topic, partitions)| {
            (0..i32::try_from(*partitions).unwrap_or(i32::MAX)).map(|partition| (topic.clone(), partition))
        })
    }

    /// Reads partitions that are new.
    async fn read_new(&mut self) -> Result<(), SinkError> {
        let new: Vec<Place> = self.places().filter(|place| !self.reading.contains_key(place)).collect();
        // Looked for again where a chunk is under way.
        let Some(target) = self.target.as_mut().filter(|_| !new.is_empty()) else { return Ok(()) };
        let stored = target.session.offsets(&new).await?;
        tracing::info!(partitions = new.len(), "new topics are read");
        let begins = self.begins(new, |place| stored.get(place).copied());
        if let Some(target) = &mut self.target {
            target.state.know(stored);
        }
        self.reader.read(&begins)
    }

    /// Reads everything from the stored offsets.
    async fn begin(&mut self) -> Result<(), SinkError> {
        self.leave();
        let mut session = self.feed.applier().await?;
        let places: Vec<Place> = self.places().collect();
        let (mut stored, transactions) = (session.offsets(&places).await?, self.place());
        let last = session.last_commit(&self.names.transaction).await?;
        let state = Ordered::new(&self.names.transaction, stored.clone(), self.feed.reading.handling());
        let mut free = topics::Offsets::new();
        if !stored.is_empty() && !stored.contains_key(&transactions) {
            // Tables were applied by themselves up to now. Which transactions they are within cannot be told: what is published is
            // applied as it comes, and those that end behind that are whole. The ends of the transactions come first, for a
            // transaction's end is published behind its changes.
            let only = |name: &String| *name == self.names.transaction;
            let split = |of: bool| {
                self.topics.clone().into_iter().filter(|(name, _)| only(name) == of).collect::<BTreeMap<_, _>>()
            };
            let begins_at = topics::ends(&self.feed.subscription.kafka, &split(true)).await?;
            free = topics::ends(&self.feed.subscription.kafka, &split(false)).await?;
            let next = begins_at.get(&transactions).map(|end| Next { offset: *end, last_record: None });
            stored.extend(next.map(|next| (transactions.clone(), next)));
            tracing::info!("transactions that are committed from here on are applied whole");
        }
        self.from = stored.get(&transactions).map_or(0, |next| next.offset);
        self.assembly.begin_again(last.unwrap_or(Lsn::ZERO), self.from);
        for (place, end) in free {
            let next = stored.get(&place).map_or(0, |next| next.offset);
            self.assembly.free_until(&place, next, end);
        }
        self.free_since = Instant::now();
        let mut begins = self.begins(places, |place| stored.get(place).copied());
        let first =
            topics::begins(&self.feed.subscription.kafka, &BTreeMap::from([(self.names.transaction.clone(), 1)]))
                .await?;
        // Where none was applied, all that stand before are none of this target's.
        if last.is_some()
            && let Some((_, Some(begin))) = begins.iter_mut().find(|(place, _)| *place == transactions)
        {
            let first = first.get(&transactions).copied().unwrap_or_default();
            // What is gone, if it should have been read, says the client.
            *begin = (*begin).min((self.from - HISTORY).max(first));
        }
        self.target = Some(Target { session, state });
        self.reader.read(&begins)
    }

    fn begins(&mut self, places: Vec<Place>, stored: impl Fn(&Place) -> Option<Next>) -> Vec<Begin> {
        let mut begins = Vec::with_capacity(places.len());
        for place in places {
            let next = stored(&place);
            let resume = if self.unverified.remove(&place) { Resume::default() } else { Resume::of(next) };
            begins.push((place.clone(), resume.begin(next)));
            self.health.reads(&place.0, place.1);
            self.health.partition(&place.0, place.1, None);
            if let Some(next) = next {
                self.health.next(&place.0, place.1, next.offset);
            }
            self.reading.insert(place, resume);
        }
        begins
    }

    /// The group does not let this sink in, or there is nothing to read.
    pub(super) fn refused(&self, error: &SinkError) {
        if self.health.group(Some(error.into())) {
            tracing::error!("{error}");
        }
    }

    /// Finds out which partitions have no record at the offset that was to be read, and what that means.
    pub(super) async fn explain(&mut self) {
        let stored = match self.stored().await {
            Ok(stored) => stored,
            Err(error) => return self.fail(&error),
        };
        match resume::explain(&self.feed.subscription.kafka, &stored).await {
            Ok(explained) => {
                let mut why = None;
                for (place, meaning) in explained {
                    match meaning {
                        Err(error) => why = Some(error),
                        Ok(()) => _ = self.unverified.insert(place),
                    }
                }
                let again = SinkError::retry("the record that was applied last is no longer in Kafka");
                self.fail(&why.unwrap_or(again));
            }
            Err(error) => self.fail(&error),
        }
    }

    async fn stored(&self) -> Result<resume::Stored, SinkError> {
        let places: Vec<Place> = self.reading.keys().cloned().collect();
        let mut session = self.feed.applier().await?;
        Ok(session.offsets(&places).await?.into_iter().collect())
    }
}
