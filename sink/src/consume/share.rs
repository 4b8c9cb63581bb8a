//! This sink's share of the partitions: which they are, and where reading them goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::Reading;
use super::dispatch::Dispatcher;
use super::partition::Partition;
use super::reader::Reader;
use super::resume;
use crate::apply::ledger::Place;
use crate::error::SinkError;
use crate::metrics::names;

/// How long the group waits for the batches of what it takes away. One that takes longer commits nothing behind its successor.
const GIVING_BACK: Duration = Duration::from_secs(3);

impl Dispatcher<'_> {
    /// Takes up what the group gave, and gives back what it took away when no batch of it is under way.
    pub(super) fn follow_group(&mut self) {
        if let Some(mine) = self.reader.changed() {
            self.share(&mine);
            self.awaited = self.reader.is_awaited().then(Instant::now);
        }
        if let Some(since) = self.awaited {
            let is_under_way = self.partitions.values().any(|partition| !partition.is_mine);
            if !is_under_way || since.elapsed() >= GIVING_BACK {
                self.reader.show(self.to_show.drain());
                self.reader.give_back();
                self.awaited = None;
            }
        }
    }

    /// From here on these are this sink's partitions.
    fn share(&mut self, mine: &BTreeSet<Place>) {
        let gone: Vec<Place> = self
            .partitions
            .iter()
            .filter(|(place, partition)| partition.is_mine && !mine.contains(*place))
            .map(|(place, _)| place.clone())
            .collect();
        let mut new = 0;
        for place in mine {
            let partition = self.partitions.entry(place.clone()).or_insert_with(|| {
                new += 1;
                Partition::new(place, &self.feed.reading)
            });
            if !std::mem::replace(&mut partition.is_mine, true) {
                // It came back before its batch had ended.
                new += 1;
                partition.due = Some(Instant::now());
            }
            self.health.reads(&place.0, place.1);
        }
        for place in &gone {
            if let Some(partition) = self.partitions.get_mut(place) {
                (partition.is_mine, partition.due) = (false, None);
                self.waiting_bytes -= partition.release();
            }
            self.forget(place);
        }
        self.health.group(None);
        if new > 0 || !gone.is_empty() {
            tracing::info!(partitions = mine.len(), new, gone = gone.len(), "the group shared out the partitions");
        }
        let mut counts: BTreeMap<&str, u32> = gone.iter().map(|(topic, _)| (topic.as_str(), 0)).collect();
        for (topic, _) in mine {
            *counts.entry(topic).or_default() += 1;
        }
        for (topic, count) in counts {
            metrics::gauge!(names::PARTITIONS, "topic" => topic.to_owned()).set(count);
        }
    }

    /// Knows nothing more of a partition that is not this sink's and has no batch under way.
    pub(super) fn forget(&mut self, place: &Place) {
        let Some(partition) = self.partitions.get(place).filter(|partition| !partition.is_mine) else { return };
        let has_ended = partition.state.is_some();
        self.health.leaves(&place.0, place.1);
        if has_ended {
            self.partitions.remove(place);
        }
    }

    /// Looks for new topics, and for topics that are gone.
    pub(super) async fn discover(&mut self) {
        if let Some(why) = self.reader.fatal() {
            return self.read_anew(&format!("the Kafka client gave up: {why}")).await;
        }
        let found = match self.reader.topics(&[]).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "topics cannot be listed");
                if self.reader.has_lost_kafka().await {
                    self.read_anew("the Kafka client has lost its brokers, and does not find them again by itself")
                        .await;
                }
                return;
            }
        };
        if self.topics.is_empty()
            && let Some(error) = self.reader.beside_others().await
        {
            return self.refused(&error);
        }
        let gone: Vec<String> = self.topics.keys().filter(|topic| !found.contains_key(*topic)).cloned().collect();
        for topic in &gone {
            let error = SinkError::retry(format!("topic {topic} is gone from Kafka"));
            let places: Vec<Place> = self.partitions.keys().filter(|(of, _)| of == topic).cloned().collect();
            for place in &places {
                self.fail(place, &error);
            }
            if !places.is_empty() {
                self.health.topic(topic, Some((&error).into()));
            }
        }
        let mut is_other = !gone.is_empty();
        for (topic, partitions) in &found {
            match self.topics.get(topic) {
                None => {
                    is_other = true;
                    self.health.topic(topic, None);
                }
                Some(known) if known != partitions => {
                    tracing::info!(topic, partitions, "the topic has another number of partitions now");
                }
                Some(_) => {}
            }
        }
        if is_other && let Err(error) = self.reader.subscribe(found.keys()) {
            tracing::warn!(%error, "the topics cannot be subscribed to");
            return;
        }
        self.topics = found;
    }

    /// Reads everything with a new client, which joins the group anew.
    async fn read_anew(&mut self, why: &str) {
        let reader = match Reader::new(&self.feed.subscription, &self.feed.target_id, self.feed.traces.is_some()) {
            Ok(reader) => reader,
            Err(error) => return tracing::error!(%error, "the consumer cannot be made"),
        };
        tracing::warn!("{why}: a new one goes on from the stored offsets");
        let gone = std::mem::replace(&mut self.reader, reader);
        self.awaited = None;
        self.share(&BTreeSet::new());
        // Subscribed to when they are found again.
        self.topics.clear();
        gone.close().await;
    }

    /// Reads those partitions whose time it is, from the stored offsets.
    pub(super) async fn assign(&mut self) {
        let now = Instant::now();
        let due: Vec<Place> =
            self.partitions.iter().filter(|(_, at)| at.is_due(now)).map(|(place, _)| place.clone()).collect();
        // What the client is told while the group waits, it takes for the answer.
        if due.is_empty() || self.awaited.is_some() {
            return;
        }
        if let Err(error) = self.assign_all(&due).await {
            for place in &due {
                self.fail(place, &error);
            }
        }
    }

    async fn assign_all(&mut self, due: &[Place]) -> Result<(), SinkError> {
        let mut session = match self.idle.pop() {
            Some(session) => session,
            None => self.feed.applier().await?,
        };
        let named = |(topic, at): &Place| (self.feed.reading.ledger_name(topic), *at);
        let names: Vec<Place> = due.iter().map(named).collect();
        let stored = session.offsets(&names).await?;
        self.idle.push(session);
        let elsewhere = match &self.feed.reading {
            Reading::Replica(_) => HashMap::new(),
            Reading::Jdbc(settings, _) => {
                let is_stored = |place: &Place| stored.contains_key(&named(place));
                self.reader.shown(due, settings.begins_at_end, is_stored).await?
            }
        };
        let mut begins = Vec::with_capacity(due.len());
        for (place, name) in due.iter().zip(&names) {
            let Some(partition) = self.partitions.get_mut(place) else { continue };
            if let Some(state) = &mut partition.state {
                state.next = stored.get(name).copied();
            }
            begins.extend(partition.begin().map(|(place, begin)| {
                // Only where somebody has read on: what is shown otherwise is what is stored, and its last record is looked at again.
                let next = stored.get(name).map(|next| next.offset);
                let begin = elsewhere.get(&place).copied().filter(|shown| Some(*shown) > next).or(begin);
                (place, begin)
            }));
            self.health.partition(&place.0, place.1, None);
            if let Some(next) = stored.get(name) {
                self.health.next(&place.0, place.1, next.offset);
            }
        }
        tracing::debug!(partitions = begins.len(), "consuming");
        self.reader.read(&begins)
    }

    /// A partition cannot go on: it is read again from the stored offset, later.
    pub(super) fn fail(&mut self, place: &Place, error: &SinkError) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        let (topic, at) = place;
        if partition.is_read {
            self.reader.leave(place);
        }
        self.waiting_bytes -= partition.release();
        if !partition.is_mine {
            tracing::info!(
                topic,
                partition = at,
                "its last batch here was not applied, and is left to the sink that has it now: {error}"
            );
            return;
        }
        let pause = partition.failed(error);
        match error {
            SinkError::Retry(text) => {
                tracing::warn!(topic, partition = at, ?pause, "{text}; trying again from the stored offset");
            }
            SinkError::Stop { id, text } => tracing::error!(topic, partition = at, code = id, "{text}"),
        }
        metrics::counter!(names::RETRIES, "topic" => topic.to_owned()).increment(1);
        self.health.partition(topic, *at, Some(error.into()));
    }

    /// A record waits for changes of other partitions: it is read again soon, at once where others were applied before it.
    pub(super) fn wait_for_others(&mut self, place: &Place, offset: i64, has_moved: bool) {
        let why = SinkError::retry(format!(
            "the target does not take the record at offset {offset} yet: a change that comes through another partition of the topic \
             may have to be there first"
        ));
        self.fail(place, &why);
        if let Some(partition) = self.partitions.get_mut(place).filter(|partition| has_moved && partition.is_mine) {
            partition.moved();
        }
    }

    /// The group does not let this sink in.
    pub(super) fn refused(&self, error: &SinkError) {
        if self.health.group(Some(error.into())) {
            tracing::error!("{error}");
        }
    }

    /// Finds out which partitions have no record at the offset that was to be read, and what that means.
    pub(super) async fn explain(&mut self) {
        // Those that are busy are looked at when they are read again.
        let idle = self.partitions.iter().filter_map(|(place, partition)| {
            let state = partition.state.as_ref().filter(|_| partition.is_read)?;
            Some((place.clone(), state.next?))
        });
        let idle: BTreeMap<_, _> = idle.collect();
        match resume::explain(&self.feed.subscription.kafka, &idle).await {
            Ok(explained) => {
                for (place, meaning) in explained {
                    match meaning {
                        Err(error) => self.fail(&place, &error),
                        Ok(()) => {
                            let Some(partition) = self.partitions.get_mut(&place) else { continue };
                            self.reader.leave(&place);
                            self.waiting_bytes -= partition.release();
                            partition.begin_behind();
                        }
                    }
                }
            }
            Err(error) => {
                for place in idle.keys() {
                    self.fail(place, &error);
                }
            }
        }
    }
}
