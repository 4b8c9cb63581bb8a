//! A compacted topic as a map: read whole at the start, written through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::diagnosis::Severity;
use access::kafka::producer::ReportedProducer;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::condition::Condition;
use crate::config::WorkerConfig;
use crate::config::worker::StorageTopic;
use crate::error::TaskError;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The newest value of every key.
#[derive(Clone)]
pub struct KafkaLog {
    topic: String,
    /// `None` for a map that lives with this process only.
    producer: Option<Arc<Writer>>,
    entries: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    fence: CancellationToken,
}

/// What writes to the topic.
struct Writer {
    settings: ClientConfig,
    producer: Mutex<ReportedProducer<Reports>>,
}

/// Tells who wrote a record what became of it: its offset.
struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<oneshot::Sender<Result<i64, KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, writes: Self::DeliveryOpaque) {
        // Who wrote it may have gone.
        writes.send(result.as_ref().map(Message::offset).map_err(|(error, _)| error.clone())).ok();
    }
}

impl Writer {
    fn new(settings: ClientConfig) -> Result<Self, KafkaError> {
        Ok(Self { producer: Mutex::new(ReportedProducer::new(&settings, Reports)?), settings })
    }

    /// Gives the record's offset when all in-sync replicas have it.
    async fn write(&self, topic: &str, key: &[u8], value: Option<&[u8]>) -> Result<i64, KafkaError> {
        let (writes, written) = oneshot::channel();
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Box::new(writes)).key(key);
        record.payload = value;
        let producer = self.lock().clone();
        producer.send(record).map_err(|(error, _)| error)?;
        // Every record is reported, that of a producer that ends as purged.
        let written = written.await.unwrap_or(Err(KafkaError::Canceled));
        // One that did not find Kafka for so long may have lost it for good: see `access::kafka::has_lost`.
        if let Err(error) = &written
            && error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut)
        {
            *self.lock() = ReportedProducer::new(&self.settings, Reports)?;
        }
        written
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReportedProducer<Reports>> {
        // It is replaced whole.
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// Creates the topic if it is not there, and reads it to its end. Behind `fence` nothing is written any more: another
    /// worker writes then.
    ///
    /// # Errors
    /// Retry when Kafka does not answer; stop when it refuses the topic.
    pub async fn open(
        worker: &WorkerConfig,
        topic: &StorageTopic,
        fence: CancellationToken,
    ) -> Result<Self, TaskError> {
        create(worker, topic).await?;
        let entries = read_to_end(worker, &topic.name, &BTreeMap::new()).await?;
        let mut settings = worker.kafka_client();
        settings
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "30000");
        let writer = Writer::new(settings).map_err(|error| failed(&topic.name, "writing", &error))?;
        let producer = Some(Arc::new(writer));
        Ok(Self { topic: topic.name.clone(), producer, entries: Arc::new(Mutex::new(entries)), fence })
    }

    /// Reads a topic that is there to its end, to look at it only.
    ///
    /// # Errors
    /// Retry when Kafka does not answer.
    pub async fn look(worker: &WorkerConfig, topic: &StorageTopic) -> Result<Self, TaskError> {
        let entries = read_to_end(worker, &topic.name, &BTreeMap::new()).await?;
        let entries = Arc::new(Mutex::new(entries));
        Ok(Self { topic: topic.name.clone(), producer: None, entries, fence: CancellationToken::new() })
    }

    /// A map that is kept nowhere, for what a connector that runs alone does not need.
    pub fn in_memory(topic: &StorageTopic, fence: CancellationToken) -> Self {
        Self { topic: topic.name.clone(), producer: None, entries: Arc::default(), fence }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().get(key).cloned()
    }

    /// All keys and values.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.lock().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Writes a value, or with `None` removes it; returns when all in-sync replicas have it.
    ///
    /// # Errors
    /// Retry when Kafka does not take it in time, or the worker has lost its place in the group.
    pub async fn write(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), TaskError> {
        if self.fence.is_cancelled() {
            return Err(TaskError::retry(format!(
                "{} was not written: this worker has lost its place in the group, another one goes on",
                self.topic
            )));
        }
        if let Some(producer) = &self.producer {
            let written = producer.write(&self.topic, key, value).await;
            // Taken for delivered because a record behind it was: see `publish::ledger::Undelivered::Presumed`.
            if written.map_err(|error| failed(&self.topic, "writing", &error))? < 0 {
                return Err(TaskError::retry(format!(
                    "topic {}: Kafka may not have taken a record; what depends on it is not done, and it is tried again",
                    self.topic
                )));
            }
        }
        self.remember(key, value);
        Ok(())
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// A value is in the topic, or with `None` gone from it, by a record that was published elsewhere.
    pub fn remember(&self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.lock().insert(key.to_vec(), value.to_vec()),
            None => self.lock().remove(key),
        };
    }

    /// Reads some keys again, of which others may have written. What is in transactions that are open now is waited for: the
    /// newest value of a key may stand behind one that is another's.
    ///
    /// # Errors
    /// Retry when Kafka does not answer, or such a transaction stays open.
    pub async fn refresh(&self, worker: &WorkerConfig, concerns: impl Fn(&[u8]) -> bool) -> Result<(), TaskError> {
        if self.producer.is_some() {
            let ends = decided_ends(worker, &self.topic).await?;
            let entries = read_to_end(worker, &self.topic, &ends).await?;
            let mut known = self.lock();
            // Those of others they write through this map, and may have done so meanwhile.
            known.retain(|key, _| !concerns(key));
            known.extend(entries.into_iter().filter(|(key, _)| concerns(key)));
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        // No statement under the lock can leave the map half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a topic of the worker's if it is not there, and looks at it if it is.
///
/// # Errors
/// Retry when Kafka does not answer; stop when it refuses the topic, or the topic would not keep what is in it.
pub async fn create(worker: &WorkerConfig, topic: &StorageTopic) -> Result<(), TaskError> {
    let admin: AdminClient<_> =
        worker.kafka_client().create().map_err(|error| failed(&topic.name, "creating", &error))?;
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication))
        .set("cleanup.policy", "compact");
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT)).request_timeout(Some(ANSWER_TIMEOUT));
    let results =
        admin.create_topics([&new], &options).await.map_err(|error| failed(&topic.name, "creating", &error))?;
    for result in results {
        match result {
            Ok(_) => continue,
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Kafka may be reachable and forbid creation, while the topic is there.
            Err((_, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)) => {}
            Err((name, code)) => {
                return Err(TaskError::stop("storage-topic", format!("the worker's topic {name} could not be created: {code}")).mended_by("Create it with cleanup.policy=compact, or set its …storage.replication.factor to what the brokers allow",
                ));
            }
        }
        let findings = Condition::of(&admin, &topic.name).await.findings(worker, topic, 0);
        if let Some(finding) = findings.into_iter().find(|finding| finding.severity == Severity::Error) {
            return Err(finding.into());
        }
    }
    Ok(())
}

/// Reads a topic up to these ends of its partitions at least, and where none is known, as far as it is committed. Who waits for
/// the end of one that is written to all the time waits for ever.
async fn read_to_end(
    worker: &WorkerConfig,
    topic: &str,
    ends: &BTreeMap<i32, i64>,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, TaskError> {
    let failed = |error: KafkaError| failed(topic, "reading", &error);
    let consumer: StreamConsumer = worker
        .kafka_client()
        .set("group.id", format!("headwater-{}", worker.group_id))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .map_err(failed)?;
    let partitions = partitions(&consumer, topic).await.map_err(failed)?;
    let mut assignment = TopicPartitionList::new();
    for partition in &partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed)?;
    }
    consumer.assign(&assignment).map_err(failed)?;
    let mut open: BTreeSet<i32> = partitions.into_iter().collect();
    let mut entries = BTreeMap::new();
    while !open.is_empty() {
        let received = tokio::time::timeout(ANSWER_TIMEOUT, consumer.recv()).await.map_err(|_| {
            TaskError::retry(format!(
                "Kafka did not deliver the worker's topic {topic} within {} s",
                ANSWER_TIMEOUT.as_secs()
            ))
        })?;
        match received {
            Ok(record) => {
                if ends.get(&record.partition()).is_some_and(|end| record.offset() + 1 >= *end) {
                    open.remove(&record.partition());
                }
                let Some(key) = record.key() else { continue };
                match record.payload() {
                    Some(value) => entries.insert(key.to_vec(), value.to_vec()),
                    None => entries.remove(key),
                };
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                open.remove(&partition);
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(entries)
}

/// Where a topic's partitions end now, when all transactions before that are decided.
async fn decided_ends(worker: &WorkerConfig, topic: &str) -> Result<BTreeMap<i32, i64>, TaskError> {
    let failed = |error: KafkaError| failed(topic, "reading", &error);
    let client = |isolation: &str| -> Result<BaseConsumer, KafkaError> {
        worker.kafka_client().set("isolation.level", isolation).create()
    };
    let (all, decided) = (client("read_uncommitted").map_err(failed)?, client("read_committed").map_err(failed)?);
    let end = |client: &BaseConsumer, partition| {
        let asked = tokio::task::block_in_place(|| client.fetch_watermarks(topic, partition, ANSWER_TIMEOUT));
        asked.map(|(_, end)| end).map_err(failed)
    };
    let mut ends = BTreeMap::new();
    for partition in partitions(&all, topic).await.map_err(failed)? {
        ends.insert(partition, end(&all, partition)?);
    }
    let deadline = std::time::Instant::now() + ANSWER_TIMEOUT;
    for (partition, is_to_be) in &ends {
        while end(&decided, *partition)? < *is_to_be {
            if std::time::Instant::now() > deadline {
                return Err(TaskError::retry(format!(
                    "the worker's topic {topic} cannot be read to its end: somebody's transaction is open there since more than {} s. \
                     Nothing is lost: it is gone on with when that ends, at the latest with its transaction.timeout.ms",
                    ANSWER_TIMEOUT.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(ends)
}

/// A topic's partitions. It was there a moment ago, but not every broker knows it at once.
async fn partitions<C: ConsumerContext>(consumer: &impl Consumer<C>, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let deadline = std::time::Instant::now() + ANSWER_TIMEOUT;
    loop {
        let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT))?;
        let found: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|known| known.name() == topic && known.error().is_none())
            .flat_map(|known| known.partitions())
            .map(|partition| partition.id())
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if std::time::Instant::now() > deadline {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn failed(topic: &str, doing: &str, error: &KafkaError) -> TaskError {
    TaskError::retry(format!("{doing} the worker's topic {topic} failed: {error}"))
}
