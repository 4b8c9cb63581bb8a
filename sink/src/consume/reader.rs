//! The one Kafka consumer that reads all partitions that are this sink's.
//!
//! librdkafka keeps what it has read ahead in one queue, whose limit holds for all partitions together. A consumer a table
//! would have a queue, a connection and three threads a table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::kafka::has_lost;
use futures_util::FutureExt as _;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use trace::TraceContext;

use super::group::{self, Member};
use super::record::Record;
use super::{Subscription, topics};
use crate::apply::ledger::Place;
use crate::error::SinkError;
use crate::parse::head::Heads;
use crate::parse::record::NEW_KEY;

/// Where to read: the partition, and the offset, `None` for the beginning.
pub(super) type Begin = (Place, Option<i64>);

/// How long leaving the group may take.
const LEAVING: Duration = Duration::from_secs(5);

/// How long Kafka may take to say what it was shown.
const SHOWN: Duration = Duration::from_secs(10);

/// What came from Kafka.
pub(super) enum Received {
    /// A record.
    Record(Record),
    /// Somewhere there is no record at the offset that was to be read; the client does not say where.
    OutOfRange,
    /// The group does not let this sink in.
    Refused(SinkError),
    /// What the client mends itself, or who lists the topics sees.
    Nothing,
}

/// The consumer. Of the partitions that the group gives, each is read from the offset that the target has.
pub(super) struct Reader {
    consumer: Arc<StreamConsumer<Member>>,
    subscription: Subscription,
    target_id: String,
    traces: bool,
    known: Mutex<Known>,
}

/// What records have in common, kept once.
#[derive(Default)]
struct Known {
    heads: Heads,
    topics: HashSet<Arc<str>>,
    traced: LastTraced,
}

/// The last `traceparent` header, and what it says: a transaction's records have the same.
#[derive(Default)]
struct LastTraced {
    header: Vec<u8>,
    context: Option<Arc<TraceContext>>,
}

impl LastTraced {
    fn of(&mut self, header: &[u8]) -> Option<Arc<TraceContext>> {
        if self.header != header {
            header.clone_into(&mut self.header);
            self.context = TraceContext::read(header).map(Arc::new);
        }
        self.context.clone()
    }
}

impl Reader {
    /// Reads nothing yet, and is in no group. With `traces`, records say which span they are of.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn new(subscription: &Subscription, target_id: &str, traces: bool) -> Result<Self, SinkError> {
        let mut client = subscription.kafka.client();
        group::configure(&mut client, &subscription.group, target_id);
        let consumer: StreamConsumer<Member> = client
            .set("enable.auto.commit", "false")
            // Records that retention took away must be missed aloud.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            // Of all partitions together: what is read ahead, and what one answer brings. A larger record comes alone.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.max.bytes", "4194304")
            // Where so much waits, it is looked again so soon; a second otherwise, in which nothing is left to apply.
            .set("fetch.queue.backoff.ms", "5")
            // Not memory, but what an answer may claim to be long: a record as large as Kafka takes any.
            .set("receive.message.max.bytes", "2147483647")
            .create_with_context(Member::default())
            .map_err(|error| SinkError::retry(format!("Kafka: {error}")))?;
        Ok(Self {
            consumer: Arc::new(consumer),
            subscription: subscription.clone(),
            target_id: target_id.to_owned(),
            traces,
            known: Mutex::default(),
        })
    }

    /// The topics that are subscribed to, and of these others those that are there, as this client sees them.
    ///
    /// # Errors
    /// Retry when Kafka does not answer.
    pub(super) async fn topics(&self, others: &[String]) -> Result<BTreeMap<String, usize>, SinkError> {
        topics::list_by(self.consumer.clone(), &self.subscription.topics, others).await
    }

    /// Why this sink must not join the group: others than the sinks of its target are in it.
    pub(super) async fn beside_others(&self) -> Option<SinkError> {
        let (consumer, group, target_id) =
            (self.consumer.clone(), self.subscription.group.clone(), self.target_id.clone());
        topics::blocking(move || Ok(group::others(consumer.as_ref(), &group, &target_id)))
            .await
            .ok()
            .flatten()
            .map(SinkError::from)
    }

    /// Takes part in the reading of these topics, and of no others.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn subscribe<'a>(&self, topics: impl Iterator<Item = &'a String>) -> Result<(), SinkError> {
        let topics: Vec<&str> = topics.map(String::as_str).collect();
        if topics.is_empty() {
            self.consumer.unsubscribe();
            return Ok(());
        }
        self.consumer.subscribe(&topics).map_err(|error| SinkError::retry(format!("Kafka: {error}")))
    }

    /// Which partitions are this sink's, if that has changed since it was asked last.
    pub(super) fn changed(&self) -> Option<BTreeSet<Place>> {
        self.consumer.context().changed()
    }

    /// Whether the group waits for [`give_back`](Self::give_back).
    pub(super) fn is_awaited(&self) -> bool {
        self.consumer.context().is_awaited()
    }

    /// Gives back what the group took away.
    pub(super) fn give_back(&self) {
        self.consumer.context().give_back(self.consumer.as_ref());
    }

    /// Whether this client will not find Kafka, or its group, again: [`has_lost`].
    pub(super) async fn has_lost_kafka(&self) -> bool {
        let (consumer, settings) = (self.consumer.clone(), self.subscription.kafka.client());
        topics::blocking(move || Ok(has_lost(consumer.client(), None, &settings))).await.unwrap_or(false)
    }

    /// Why this client has given up for good, if it has.
    pub(super) fn fatal(&self) -> Option<String> {
        self.consumer.client().fatal_error().map(|(_, reason)| reason)
    }

    /// Leaves the group, and ends the client, which takes a moment.
    pub(super) async fn close(self) {
        self.consumer.context().close(self.consumer.as_ref());
        let closing = tokio::task::spawn_blocking(move || drop(self));
        if tokio::time::timeout(LEAVING, closing).await.is_err() {
            tracing::debug!("Kafka does not answer that the group was left");
        }
    }

    /// Reads partitions from now on.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn read(&self, begins: &[Begin]) -> Result<(), SinkError> {
        self.consumer.context().read(self.consumer.as_ref(), begins)
    }

    /// Reads a partition no longer; what was read ahead of it does not come any more.
    pub(super) fn leave(&self, place: &Place) {
        self.consumer.context().leave(self.consumer.as_ref(), place);
    }

    /// Reads partitions no further for now, or goes on with them. What was read ahead of one that is paused is read again.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn pause<'p>(&self, places: impl Iterator<Item = &'p Place>, pauses: bool) -> Result<(), SinkError> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in places {
            _ = list.add_partition(topic, *partition);
        }
        if list.count() == 0 {
            return Ok(());
        }
        let done = if pauses { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        done.map_err(|error| SinkError::retry(format!("Kafka: {error}")))
    }

    /// Waits for what comes next. Cancel safe.
    pub(super) async fn receive(&self) -> Received {
        self.received(self.consumer.recv().await)
    }

    /// What is there already.
    pub(super) fn try_receive(&self) -> Option<Received> {
        self.consumer.recv().now_or_never().map(|received| self.received(received))
    }

    /// The offsets that count are the target's. Kafka's own copy is for those who look at consumer lag there.
    pub(super) fn show(&self, nexts: impl Iterator<Item = (Place, i64)>) {
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), next) in nexts {
            if let Err(error) = offsets.add_partition_offset(&topic, partition, Offset::Offset(next)) {
                tracing::debug!(topic, partition, %error, "the offset is not shown in Kafka");
            }
        }
        if offsets.count() > 0
            && let Err(error) = self.consumer.commit(&offsets, CommitMode::Async)
        {
            tracing::debug!(%error, "offsets are not shown in Kafka");
        }
    }

    /// Where a group whose offsets are Kafka's was last: a connector's, which another program may have run meanwhile. With `from_end`
    /// a partition that nobody knows an offset of begins at its end.
    ///
    /// # Errors
    /// Retry when Kafka does not answer.
    pub(super) async fn shown(
        &self,
        places: &[Place],
        from_end: bool,
        is_stored: impl Fn(&Place) -> bool,
    ) -> Result<HashMap<Place, i64>, SinkError> {
        let (consumer, asked) = (self.consumer.clone(), places.to_vec());
        let mut shown: HashMap<Place, i64> = topics::blocking(move || {
            let fail = |error: KafkaError| SinkError::retry(format!("Kafka: {error}"));
            let mut list = TopicPartitionList::new();
            for (topic, partition) in &asked {
                list.add_partition(topic, *partition);
            }
            let committed = consumer.committed_offsets(list, SHOWN).map_err(fail)?;
            let offset = |partition: &TopicPartitionListElem<'_>| match partition.offset() {
                Offset::Offset(offset) => Some(((partition.topic().to_owned(), partition.partition()), offset)),
                _ => None,
            };
            Ok(committed.elements().iter().filter_map(offset).collect())
        })
        .await?;
        if from_end {
            let new = places.iter().filter(|place| !shown.contains_key(*place) && !is_stored(place));
            let topics =
                new.clone().map(|(topic, at)| (topic.clone(), usize::try_from(at + 1).unwrap_or_default())).collect();
            let new: BTreeSet<&Place> = new.collect();
            let ends = topics::ends(&self.subscription.kafka, &topics).await?;
            let ends: Vec<(Place, i64)> = ends.into_iter().filter(|(place, _)| new.contains(place)).collect();
            shown.extend(ends);
        }
        Ok(shown)
    }

    fn received(&self, received: Result<BorrowedMessage<'_>, KafkaError>) -> Received {
        match received {
            Ok(message) => Received::Record(self.record(&message)),
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            )) => Received::OutOfRange,
            Err(error) => {
                tracing::debug!(%error, "kafka");
                group::refusal(&error, &self.subscription.group).map_or(Received::Nothing, Received::Refused)
            }
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Record {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = match known.topics.get(message.topic()) {
            Some(topic) => topic.clone(),
            None => {
                let topic: Arc<str> = message.topic().into();
                known.topics.insert(topic.clone());
                topic
            }
        };
        let header = |key: &str| {
            let headers = message.headers()?;
            headers.iter().find(|header| header.key == key)?.value
        };
        let new_key = header(NEW_KEY).map(<[u8]>::to_vec);
        let traceparent = if self.traces { header(trace::HEADER) } else { None };
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(|value| known.heads.value(&topic, value)),
            new_key,
            traced: traceparent.and_then(|header| known.traced.of(header)),
            topic,
        }
    }
}
