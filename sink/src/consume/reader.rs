//! The one Kafka consumer that reads all topics.
//!
//! librdkafka keeps what it has read ahead in one queue, whose limit holds for all partitions together. A consumer a table
//! would have a queue, a connection and three threads a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::kafka::has_lost;
use futures_util::FutureExt as _;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{kafka_client, topics};
use crate::apply::batch::Record;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::parse::record::NEW_KEY;

/// Where to read: topic, partition, and the offset, `None` for the beginning.
pub(super) type Place = (String, i32, Option<i64>);

/// What came from Kafka.
pub(super) enum Received {
    /// A record of a topic.
    Record(String, Record),
    /// Somewhere there is no record at the offset that was to be read; the client does not say where.
    OutOfRange,
    /// What the client mends itself, or who lists the topics sees.
    Nothing,
}

/// The consumer. Partitions are assigned to it one by one, each from the offset that the target has.
pub(super) struct Reader {
    consumer: Arc<StreamConsumer>,
}

impl Reader {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn new(config: &RunConfig) -> Result<Self, SinkError> {
        let consumer: StreamConsumer = kafka_client(config)
            .set("group.id", format!("headwater-sink-{}", config.topic_prefix))
            .set("enable.auto.commit", "false")
            // Records that retention took away must be missed aloud.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            // Of all partitions together: what is read ahead, and what one answer brings. A larger record comes alone.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.max.bytes", "4194304")
            // Not memory, but what an answer may claim to be long: a record as large as Kafka takes any.
            .set("receive.message.max.bytes", "2147483647")
            .create()
            .map_err(|error| failed(&error))?;
        Ok(Self { consumer: Arc::new(consumer) })
    }

    /// The topics of the prefix, as this client sees them.
    ///
    /// # Errors
    /// Retry when Kafka does not answer.
    pub(super) async fn topics(&self, config: &RunConfig) -> Result<BTreeMap<String, usize>, SinkError> {
        topics::list_by(self.consumer.clone(), config).await
    }

    /// Whether only this client does not find Kafka: [`has_lost`].
    pub(super) async fn has_lost_kafka(&self, config: &RunConfig) -> bool {
        let (consumer, settings) = (self.consumer.clone(), kafka_client(config));
        topics::blocking(move || Ok(has_lost(consumer.client(), None, &settings))).await.unwrap_or(false)
    }

    /// Ends it; closing the client takes a moment.
    pub(super) fn close(self) {
        tokio::task::spawn_blocking(move || drop(self));
    }

    /// Reads partitions from now on.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn assign(&self, places: &[Place]) -> Result<(), SinkError> {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition, offset) in places {
            let offset = offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(topic, *partition, offset).map_err(|error| failed(&error))?;
        }
        self.consumer.incremental_assign(&list).map_err(|error| failed(&error))
    }

    /// Reads a topic no longer; what was read ahead of it does not come any more.
    pub(super) fn unassign(&self, topic: &str, partitions: usize) {
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            list.add_partition(topic, partition);
        }
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            tracing::debug!(topic, %error, "the topic was not read");
        }
    }

    /// Waits for what comes next. Cancel safe.
    pub(super) async fn receive(&self) -> Received {
        received(self.consumer.recv().await)
    }

    /// What is there already.
    pub(super) fn try_receive(&self) -> Option<Received> {
        self.consumer.recv().now_or_never().map(received)
    }

    /// The offsets that count are the target's. Kafka's own copy is for those who look at consumer lag there.
    pub(super) fn show(&self, topic: &str, next: impl Iterator<Item = (i32, i64)>) {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            if offsets.add_partition_offset(topic, partition, Offset::Offset(offset)).is_err() {
                return;
            }
        }
        if let Err(error) = self.consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(topic, %error, "offsets are not shown in Kafka");
        }
    }
}

fn failed(error: &KafkaError) -> SinkError {
    SinkError::retry(format!("Kafka: {error}"))
}

fn received(received: Result<BorrowedMessage<'_>, KafkaError>) -> Received {
    match received {
        Ok(message) => Received::Record(message.topic().to_owned(), record(&message)),
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
            Received::OutOfRange
        }
        Err(error) => {
            tracing::debug!(%error, "kafka");
            Received::Nothing
        }
    }
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let new_key = message.headers().and_then(|headers| {
        headers.iter().find(|header| header.key == NEW_KEY).and_then(|header| header.value.map(<[u8]>::to_vec))
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        new_key,
    }
}
