//! The one place that enqueues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::kafka::has_lost;
use access::kafka::producer::ReportedProducer;
use proto::failpoint;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext};

use super::hurry::Hurry;
use super::ledger::{DeliveryFailure, Ledger, Undelivered};
use super::topics::Topics;
use super::transactions::Transactions;
use super::{preflight, settings};
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::metrics::task::TaskMetrics;
use crate::pipeline::TaskContext;
use crate::position::{OffsetStore, Positions};
use crate::worker::storage::statuses::StatusStore;

/// How long a full queue is waited for before it is looked at again.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(10);

/// A full queue is waited for until this part of it is free: about what Kafka acknowledges at once.
const ROOM: usize = 32;

/// What a record takes beside its bytes: librdkafka's own structure and its headers'. A queue of small records is mostly that.
const OVERHEAD: usize = 256;

/// A record ready for Kafka. `value` `None` is a tombstone.
#[derive(Debug)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition, where it is fixed; otherwise the key decides.
    pub partition: Option<i32>,
    /// The key's bytes, `None` for a table without a key.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// The record's headers, `None` for none.
    pub headers: Option<OwnedHeaders>,
    /// Its timestamp in Unix milliseconds; without one it gets the producer's clock.
    pub timestamp: Option<i64>,
}

/// Publishes one connector's records in the order it is given them.
pub struct RecordProducer {
    pub(super) producer: ReportedProducer<Acknowledgements>,
    ledger: Arc<Ledger>,
    metrics: TaskMetrics,
    topics: Topics,
    positions: Positions,
    /// `None` where records are published without.
    pub(super) transactions: Option<Transactions>,
    /// How many bytes may be under way.
    limit: usize,
    /// How many bytes a record may have (`max.request.size`).
    largest: usize,
    /// What it sends is smaller than the records are.
    compresses: bool,
    /// `None` where records wait as long as somebody has said.
    hurry: Option<Hurry>,
    /// Whether a record was enqueued since it was last said that nothing more is at hand.
    is_waited_with: AtomicBool,
}

impl std::fmt::Debug for RecordProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordProducer").field("in_flight", &self.ledger.in_flight()).finish_non_exhaustive()
    }
}

/// librdkafka's delivery reports, on its own thread, into the ledger.
pub(super) struct Acknowledgements {
    ledger: Arc<Ledger>,
}

impl Acknowledgements {
    fn fail(&self, record: &BorrowedMessage<'_>, reason: Undelivered) {
        let bytes = record.key_len() + record.payload_len();
        self.ledger.fail(DeliveryFailure { topic: record.topic().to_owned(), bytes, reason });
    }
}

impl ClientContext for Acknowledgements {
    fn error(&self, error: KafkaError, reason: &str) {
        // Brokers that went away come back; the records wait. What cannot pass by itself arrives with the record.
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(record) if record.offset() >= 0 => {
                self.ledger.vacate(record.key_len() + record.payload_len() + OVERHEAD);
                self.ledger.acknowledge(number as u64);
            }
            Ok(record) => self.fail(record, Undelivered::Presumed),
            Err((error, record)) => self.fail(record, Undelivered::Refused(error.clone())),
        }
    }
}

impl RecordProducer {
    /// Connects lazily: an unreachable Kafka shows as records that wait.
    ///
    /// # Errors
    /// Stop when librdkafka refuses a producer property, with its words, or `topic.creation.*` cannot be used, or transactions
    /// cannot.
    pub fn new(
        worker: &WorkerConfig,
        config: &ConnectorConfig,
        metrics: TaskMetrics,
        statuses: StatusStore,
        offsets: OffsetStore,
    ) -> Result<Self, TaskError> {
        let topics = Topics::new(worker, config, statuses)?;
        let positions = Positions::new(config, offsets);
        let transactions = Transactions::new(worker, config, positions.clone())?;
        let ledger = Arc::new(Ledger::new(transactions.is_some(), metrics.commit_to_acknowledged.clone()));
        metrics.live.has_ledger(&ledger);
        let (settings, limit) = settings::producer(worker, config)?;
        metrics.beans.goes_through(ledger.clone(), limit);
        let largest = settings::largest_record(&settings);
        let compresses = settings.get("compression.codec").is_some_and(|codec| codec != "none");
        let producer =
            ReportedProducer::new(&settings, Acknowledgements { ledger: ledger.clone() }).map_err(|error| {
                TaskError::stop("producer-settings", format!("the producer's settings are not accepted: {error}"))
            })?;
        let hurry = (!settings::has_linger(worker, config)).then(|| Hurry::new(producer.clone(), ledger.clone()));
        let hurry = hurry
            .transpose()
            .map_err(|error| TaskError::retry("the system gives no thread for the producer").because(error))?;
        let is_waited_with = AtomicBool::new(false);
        Ok(Self {
            producer,
            ledger,
            metrics,
            topics,
            positions,
            transactions,
            limit,
            largest,
            compresses,
            hurry,
            is_waited_with,
        })
    }

    /// What is counted of the connector.
    pub fn metrics(&self) -> &TaskMetrics {
        &self.metrics
    }

    /// The ledger of what this producer has under way.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Whether only this client does not find Kafka: [`has_lost`].
    pub async fn has_lost_kafka(self: &Arc<Self>, context: &TaskContext) -> bool {
        let Ok(settings) = settings::admin(&context.worker, &context.config) else { return false };
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || has_lost(this.producer.client(), None, &settings));
        asked.await.unwrap_or(false)
    }

    /// Where the position behind what it publishes is stored.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Whether it takes the record of a row that comes in `row` bytes and has `at_least` as many itself.
    ///
    /// # Errors
    /// Stop when it surely does not.
    pub fn may_take(&self, topic: &str, row: usize, at_least: usize) -> Result<(), TaskError> {
        if at_least <= self.largest {
            return Ok(());
        }
        Err(TaskError::stop(
            "record-too-large",
            format!(
                "the row has {row} bytes as PostgreSQL sends it, and its record for topic {topic} cannot be within the {} that the \
             producer takes (max.request.size). Nothing is lost: the change is kept in the slot, and nothing behind it is \
             published. Raise producer.override.max.request.size, the topic's max.message.bytes and the broker's \
             message.max.bytes to what the row needs, then restart the connector",
                self.largest
            ),
        ))
    }

    /// Enqueues a record, waiting while the queue is full: order is kept because the caller cannot go on meanwhile.
    ///
    /// # Errors
    /// The first refusal of any record before this one, or of this one.
    pub async fn publish(&self, record: Record<'_>) -> Result<(), TaskError> {
        self.topics.before_record(&self.producer, record.topic).await?;
        let _open = self.in_transaction().await?;
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        self.enqueue(record).await?;
        failpoint::reached("record-enqueued");
        self.metrics.records_enqueued.increment(1);
        self.metrics.live.published(bytes);
        Ok(())
    }

    pub(super) async fn enqueue(&self, record: Record<'_>) -> Result<(), TaskError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + OVERHEAD;
        if !self.compresses {
            self.topics.take(record.topic, bytes - OVERHEAD).await?;
        }
        while !self.ledger.has_room(bytes, self.limit) {
            let room = self.ledger.room(self.limit.saturating_sub(bytes.max(self.limit / ROOM)));
            self.check()?;
            if self.ledger.has_room(bytes, self.limit) {
                break;
            }
            self.metrics.queue_full.increment(1);
            if tokio::time::timeout(LOOK_FOR_ROOM, room).await.is_err() {
                // Many partitions, none of which has a batch full.
                self.send_now();
            }
        }
        let number = Numbered { ledger: &self.ledger, number: Some(self.ledger.enqueue()), bytes };
        self.ledger.occupy(bytes);
        let mut pending = BaseRecord::with_opaque_to(record.topic, number.as_opaque());
        pending.partition = record.partition;
        pending.key = record.key;
        pending.payload = record.value;
        pending.headers = record.headers;
        pending.timestamp = record.timestamp;
        loop {
            match self.producer.send(pending) {
                Ok(()) => {
                    number.accepted();
                    self.is_waited_with.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    self.check()?;
                    self.metrics.queue_full.increment(1);
                    pending = same;
                    let under_way = self.ledger.bytes();
                    let room = self.ledger.room(under_way - under_way / ROOM);
                    // librdkafka makes room only behind the report of a delivery: the last report can wake this too early.
                    let _either = tokio::time::timeout(LOOK_FOR_ROOM, room).await;
                }
                Err((error, _)) => return Err(refused(record.topic, bytes - OVERHEAD, &error).of_record()),
            }
        }
    }

    /// Nothing more is at hand for now: what is enqueued is sent, and waits for no company.
    pub fn nothing_more(&self) {
        if self.is_waited_with.swap(false, Ordering::Relaxed) {
            self.send_now();
            if let Some(transactions) = &self.transactions {
                transactions.rests();
            }
        }
    }

    /// Has what is enqueued sent, where records wait for company.
    pub fn send_now(&self) {
        if let Some(hurry) = &self.hurry {
            hurry.ask();
        }
    }

    /// The first refusal so far, as an error.
    pub fn check(&self) -> Result<(), TaskError> {
        match self.ledger.failure() {
            Some(DeliveryFailure { topic, bytes, reason: Undelivered::Refused(error) }) => {
                Err(refused(&topic, bytes, &error))
            }
            Some(DeliveryFailure { topic, reason: Undelivered::Presumed, .. }) => Err(TaskError::retry(format!(
                "Kafka acknowledged records for topic {topic} behind one that it may not have taken. Nothing is lost: what \
                 is not surely there is published again from the slot, and may be there twice"
            ))),
            None => Ok(()),
        }
    }

    /// Completes with the first refusal, and only then.
    pub async fn failed(&self) -> TaskError {
        loop {
            let refused = self.ledger.refused();
            if let Err(error) = self.check() {
                return error;
            }
            refused.await;
        }
    }

    /// Waits until everything enqueued is acknowledged.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn drain(&self) -> Result<(), TaskError> {
        self.send_now();
        loop {
            let emptied = self.ledger.emptied();
            self.check()?;
            if self.ledger.in_flight() == 0 {
                return Ok(());
            }
            emptied.await;
        }
    }
}

/// A number in the ledger that is taken back unless the producer accepts the record: also when the caller gives up waiting
/// for room, which happens by dropping the future.
struct Numbered<'a> {
    ledger: &'a Ledger,
    number: Option<u64>,
    bytes: usize,
}

impl Numbered<'_> {
    fn as_opaque(&self) -> usize {
        self.number.unwrap_or_default() as usize
    }

    fn accepted(mut self) {
        self.number = None;
    }
}

impl Drop for Numbered<'_> {
    fn drop(&mut self) {
        if self.number.is_some() {
            self.ledger.withdraw();
            self.ledger.vacate(self.bytes);
        }
    }
}

/// What Kafka's refusal of a record of so many bytes means.
fn refused(topic: &str, bytes: usize, error: &KafkaError) -> TaskError {
    let code = match error {
        KafkaError::MessageProduction(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    let text = format!("Kafka did not take a record for topic {topic}: {error}");
    match code {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => TaskError::stop(
            "record-too-large",
            format!(
                "{text}. With {bytes} bytes it is larger than the producer or the topic allows. Nothing is lost: the change is kept in the \
             slot, and nothing behind it is published. Raise producer.override.max.request.size, the topic's max.message.bytes \
             and the broker's message.max.bytes above that, then restart the connector"
            ),
        ),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::PolicyViolation,
        ) => TaskError::stop(
            "topic-forbidden",
            format!("{text}. Nothing is lost: the change is kept in the slot, and nothing behind it is published"),
        )
        .mended_by(
            "Give the worker's principal Write, Describe and Create on the topics of the prefix, or put right what names the topic, then \
             restart the connector",
        ),
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            TaskError::from(preflight::missing_topic(topic)).because(TaskError::retry(text))
        }
        _ => TaskError::retry(text),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::Producer as _;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    /// librdkafka's own broker, for a real one cannot be told to answer so: a batch that is said to be there already is reported as
    /// delivered, without an offset, as one is that the client takes for delivered because a later one was.
    #[test]
    fn a_record_that_is_reported_without_an_offset_is_not_acknowledged() -> anyhow::Result<()> {
        let cluster = MockCluster::new(1)?;
        cluster.create_topic("t", 1, 1)?;
        cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER]);
        let ledger = Arc::new(Ledger::default());
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", cluster.bootstrap_servers()).set("enable.idempotence", "true");
        let producer = ReportedProducer::new(&settings, Acknowledgements { ledger: ledger.clone() })?;
        ledger.occupy(1);
        let number = ledger.enqueue() as usize;
        let record = BaseRecord::with_opaque_to("t", number).key("k").payload("");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(Duration::from_secs(30))?;
        let failure = ledger.failure();
        assert!(matches!(failure, Some(DeliveryFailure { reason: Undelivered::Presumed, .. })), "{failure:?}");
        assert_eq!(ledger.in_flight(), 1, "nothing behind it becomes safe");
        Ok(())
    }
}
