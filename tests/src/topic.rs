//! What is in a topic.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::wait::{Condition, wait_until};

/// How long Kafka may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its key, null for none.
    pub key: Value,
    /// Its value, null for a tombstone.
    pub value: Value,
    /// The names of its headers.
    pub headers: Vec<String>,
}

impl Record {
    /// The envelope's operation, empty for what is no envelope.
    pub fn op(&self) -> &str {
        self.value.get("op").and_then(Value::as_str).unwrap_or_default()
    }
}

/// All committed records of a topic as of now, partition by partition.
///
/// # Errors
/// Kafka does not answer, or a record is no JSON.
pub fn read(bootstrap_servers: &str, topic: &str) -> anyhow::Result<Vec<Record>> {
    messages(bootstrap_servers, topic, |message| {
        let json = |bytes: Option<&[u8]>| bytes.map_or(Ok(Value::Null), serde_json::from_slice);
        Ok(Record {
            key: json(message.key())?,
            value: json(message.payload())?,
            headers: message
                .headers()
                .map(|headers| headers.iter().map(|header| header.key.to_owned()).collect())
                .unwrap_or_default(),
        })
    })
}

/// Key and value of a record, whatever their format.
pub type Bytes = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The same as they are, in whatever format.
///
/// # Errors
/// Kafka does not answer.
pub fn read_bytes(bootstrap_servers: &str, topic: &str) -> anyhow::Result<Vec<Bytes>> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    messages(bootstrap_servers, topic, |message| Ok((owned(message.key()), owned(message.payload()))))
}

fn messages<T>(
    bootstrap_servers: &str,
    topic: &str,
    of: impl Fn(&BorrowedMessage<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    Ok(read_on(bootstrap_servers, topic, &mut BTreeMap::new(), of)?.into_values().flatten().collect())
}

/// All committed records of a topic as of now, by partition, from where `next` says; it says then where to go on.
///
/// # Errors
/// Kafka does not answer, or `of`'s.
pub fn read_on<T>(
    bootstrap_servers: &str,
    topic: &str,
    next: &mut BTreeMap<i32, i64>,
    of: impl Fn(&BorrowedMessage<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<BTreeMap<i32, Vec<T>>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "tests")
        .set("enable.auto.commit", "false")
        // A transaction's end has an offset and is no record.
        .set("enable.partition.eof", "true")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    let mut left: BTreeMap<i32, i64> = BTreeMap::new();
    for (partition, begin, end) in watermarks(&consumer, topic)? {
        let begin = next.get(&partition).copied().unwrap_or_default().max(begin);
        if begin < end {
            assignment.add_partition_offset(topic, partition, Offset::Offset(begin))?;
            left.insert(partition, end);
        }
    }
    consumer.assign(&assignment)?;
    let mut records: BTreeMap<i32, Vec<T>> = BTreeMap::new();
    while !left.is_empty() {
        let missing = || format!("topic {topic}: no record in partitions {:?}", left.keys());
        let message = match consumer.poll(ANSWER).with_context(missing)? {
            Err(KafkaError::PartitionEOF(partition)) => {
                left.remove(&partition);
                continue;
            }
            message => message?,
        };
        let partition = message.partition();
        // What came behind the end is not of now.
        if let Some(end) = left.get(&partition).copied().filter(|end| message.offset() < *end) {
            records.entry(partition).or_default().push(of(&message)?);
            next.insert(partition, message.offset() + 1);
            if message.offset() + 1 == end {
                left.remove(&partition);
            }
        }
    }
    Ok(records)
}

/// Of each partition, where it begins and ends.
fn watermarks(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<(i32, i64, i64)>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let partitions = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
    ensure!(!partitions.is_empty(), "topic {topic} is not there");
    partitions
        .iter()
        .map(|partition| {
            let (begin, end) =
                consumer.fetch_watermarks(topic, partition.id(), ANSWER).with_context(|| topic.to_owned())?;
            Ok((partition.id(), begin, end))
        })
        .collect()
}

/// How many partitions a topic has.
///
/// # Errors
/// Kafka does not answer.
pub fn partitions(bootstrap_servers: &str, topic: &str) -> anyhow::Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
}

/// How many records a topic has had, ends of transactions included.
///
/// # Errors
/// Kafka does not answer, or has no such topic.
pub fn end(bootstrap_servers: &str, topic: &str) -> anyhow::Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    let end: i64 = watermarks(&consumer, topic)?.iter().map(|(_, _, end)| end).sum();
    Ok(usize::try_from(end)?)
}

/// Creates a topic with so many partitions.
///
/// # Errors
/// Kafka does not.
pub async fn create(bootstrap_servers: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    make(bootstrap_servers, NewTopic::new(topic, partitions, TopicReplication::Fixed(1))).await
}

/// Creates a topic of one partition that keeps the newest record of each key, as a worker's topics have to.
///
/// # Errors
/// Kafka does not.
pub async fn create_compacted(bootstrap_servers: &str, topic: &str) -> anyhow::Result<()> {
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    make(bootstrap_servers, new).await
}

async fn make(bootstrap_servers: &str, new: NewTopic<'_>) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    for result in admin.create_topics(&[new], &AdminOptions::new().operation_timeout(Some(ANSWER))).await? {
        result.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
    }
    Ok(())
}

/// Deletes a topic, and waits until it is gone.
///
/// # Errors
/// Kafka does not.
pub async fn delete(bootstrap_servers: &str, topic: &str) -> anyhow::Result<()> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap_servers).set("allow.auto.create.topics", "false");
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let options = AdminOptions::new().operation_timeout(Some(ANSWER));
    for result in admin.delete_topics(&[topic], &options).await? {
        result.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
    }
    wait_until(&format!("topic {topic} to be gone"), ANSWER * 3, async || {
        let consumer: BaseConsumer = client.create()?;
        let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(None, ANSWER))?;
        let is_there = metadata.topics().iter().any(|found| found.name() == topic);
        Ok(if is_there { Condition::NotYet("it is there".to_owned()) } else { Condition::Met(()) })
    })
    .await
}

/// Writes bytes that may be no envelope; gives the offset they are at.
///
/// # Errors
/// Kafka does not take them.
pub async fn write(bootstrap_servers: &str, topic: &str, key: &[u8], value: &[u8]) -> anyhow::Result<i64> {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    let delivery = producer.send(FutureRecord::to(topic).key(key).payload(value), Timeout::Never).await;
    delivery.map(|delivery| delivery.offset).map_err(|(error, _)| error.into())
}
