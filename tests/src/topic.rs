//! What is in a topic.

use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

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

/// All records of a topic's first partition, as of now.
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
    const ANSWER: Duration = Duration::from_secs(10);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "tests")
        .set("enable.auto.commit", "false")
        .create()?;
    let (begin, end) = consumer.fetch_watermarks(topic, 0, ANSWER).with_context(|| topic.to_owned())?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(begin))?;
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    let mut next = begin;
    while next < end {
        let message = consumer.poll(ANSWER).with_context(|| format!("topic {topic}: no record at offset {next}"))??;
        next = message.offset() + 1;
        records.push(of(&message)?);
    }
    Ok(records)
}

/// How many partitions a topic has.
///
/// # Errors
/// Kafka does not answer.
pub fn partitions(bootstrap_servers: &str, topic: &str) -> anyhow::Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
}

/// How many records a topic's first partition has had.
///
/// # Errors
/// Kafka does not answer, or has no such topic.
pub fn end(bootstrap_servers: &str, topic: &str) -> anyhow::Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create()?;
    let (_, end) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).with_context(|| topic.to_owned())?;
    Ok(usize::try_from(end)?)
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
