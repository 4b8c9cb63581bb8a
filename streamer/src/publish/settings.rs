//! Kafka Connect's producer properties in librdkafka's words.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use super::hurry::LONG_LINGER;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;

/// Java's name and librdkafka's, where they differ.
const RENAMED: [(&str, &str); 8] = [
    ("max.request.size", "message.max.bytes"),
    ("compression.type", "compression.codec"),
    ("compression.gzip.level", "compression.level"),
    ("compression.lz4.level", "compression.level"),
    ("compression.zstd.level", "compression.level"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
];

/// Java's properties that have no counterpart, and change nothing in what is published.
const WITHOUT_EFFECT: [&str; 14] = [
    // It bounds a wait that never gives up here.
    "max.block.ms",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "metric.reporters",
    "enable.metrics.push",
    "auto.include.jmx.reporter",
    "metadata.max.idle.ms",
    "metadata.recovery.strategy",
    "metadata.recovery.rebootstrap.trigger.ms",
    "socket.connection.setup.timeout.max.ms",
    "partitioner.availability.timeout.ms",
    "partitioner.adaptive.partitioning.enable",
    "transaction.timeout.ms",
];

/// How long a record waits for others.
const LINGER: &str = "linger.ms";

/// How much librdkafka's queue takes, in units of 1024 bytes, and the most that it can be told to.
const QUEUE: &str = "queue.buffering.max.kbytes";
const LARGEST_QUEUE: usize = 2_097_151;
const DEFAULT_QUEUE: usize = 16 << 10;

/// The producer of one connector: the safe defaults, then the worker's `producer.*`, then the connector's
/// `producer.override.*`, each property by its Java name. With it, how many bytes may be under way.
///
/// librdkafka never takes a record that is larger than its whole queue, so its queue has room for the largest record beside
/// what may be under way, and the limit is kept by [`RecordProducer`](super::producer::RecordProducer): a larger record than
/// that goes alone.
///
/// # Errors
/// Stop when a property would give up order or durability, which the position relies on.
pub fn producer(worker: &WorkerConfig, config: &ConnectorConfig) -> Result<(ClientConfig, usize), TaskError> {
    let own = own(&worker.producer_properties, &config.producer_overrides);
    let mut settings = client(worker, "producer", &own)?;
    settings
        .set("client.id", format!("connector-producer-{}-0", config.name))
        // In order and without duplicates within a session, whatever the network does.
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // Java's partitioner; librdkafka's default would send keys to other partitions than Debezium did.
        .set("partitioner", "murmur2_random")
        .set(LINGER, LONG_LINGER)
        .set("queue.buffering.max.messages", "100000")
        // Half of Java's `buffer.memory`. A partition has one request of 1 MB under way, and what waits behind some of them is only
        // memory.
        .set(QUEUE, DEFAULT_QUEUE.to_string())
        // A topic that the broker creates on the first record is asked for again soon, not after the default's pause.
        .set("topic.metadata.refresh.fast.interval.ms", "50");
    match &config.exactly_once {
        // librdkafka gives a record as much time as Kafka gives its transaction.
        Some(exactly_once) => settings.set("transactional.id", &exactly_once.transactional_id),
        // A record is never given up for lack of time: Kafka being away stops the pipeline, it loses nothing.
        None => settings.set("message.timeout.ms", "0"),
    };
    if config.max_queue_size_in_bytes > 0 {
        settings.set(QUEUE, (config.max_queue_size_in_bytes / 1024).max(1).to_string());
    }
    for (key, value) in own.iter().filter(|(key, _)| !access::kafka::concerns(key)) {
        match key.as_str() {
            "transaction.timeout.ms" if config.exactly_once.is_some() => _ = settings.set(key, value),
            _ => apply(&mut settings, key, value)?,
        }
    }
    let limit = number(&settings, QUEUE, DEFAULT_QUEUE).saturating_mul(1024);
    let room = (limit.saturating_add(largest_record(&settings)) / 1024 + 1).min(LARGEST_QUEUE);
    settings.set(QUEUE, room.to_string());
    Ok((settings, limit))
}

/// Whether records wait for others as long as somebody has said (`linger.ms`).
pub fn has_linger(worker: &WorkerConfig, config: &ConnectorConfig) -> bool {
    worker.producer_properties.contains_key(LINGER) || config.producer_overrides.contains_key(LINGER)
}

/// How many bytes a record may have for a producer of these settings.
pub fn largest_record(settings: &ClientConfig) -> usize {
    number(settings, "message.max.bytes", 1_000_000)
}

/// A setting of librdkafka's, or its default.
fn number(settings: &ClientConfig, name: &str, default: usize) -> usize {
    settings.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The admin client of one connector: the worker's `admin.*`, then the connector's `admin.override.*`.
///
/// # Errors
/// Stop when Kafka cannot be entered with them.
pub fn admin(worker: &WorkerConfig, config: &ConnectorConfig) -> Result<ClientConfig, TaskError> {
    let mut own = own(&worker.admin_properties, &config.admin_overrides);
    // What the producer is told of the cluster holds for the topics in it.
    if let Some(servers) = config.producer_overrides.get("bootstrap.servers") {
        own.insert("bootstrap.servers".to_owned(), servers.clone());
        let security = config.producer_overrides.iter().filter(|(key, _)| access::kafka::concerns(key));
        own.extend(security.map(|(key, value)| (key.clone(), value.clone())));
    }
    let mut settings = client(worker, "admin", &own)?;
    for (key, value) in &own {
        if matches!(key.as_str(), "bootstrap.servers" | "request.timeout.ms" | "retry.backoff.ms" | "client.id") {
            settings.set(if key == "request.timeout.ms" { "socket.timeout.ms" } else { key }, value);
        }
    }
    Ok(settings)
}

/// A client's own properties: the worker's for such clients, and the connector's above them.
fn own(of_worker: &BTreeMap<String, String>, of_connector: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    of_worker.iter().chain(of_connector).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A client that enters Kafka as its own properties say.
fn client(worker: &WorkerConfig, kind: &str, own: &BTreeMap<String, String>) -> Result<ClientConfig, TaskError> {
    let security = worker.security(own);
    let security =
        security.map_err(|error| TaskError::stop("producer-settings", format!("the {kind}'s settings: {error}")))?;
    let mut settings = worker.kafka_client();
    security.apply(&mut settings);
    Ok(settings)
}

fn apply(settings: &mut ClientConfig, key: &str, value: &str) -> Result<(), TaskError> {
    let refuse = |why: &str| {
        Err(TaskError::stop("producer-settings", format!("producer property {key}={value} is refused: {why}")))
    };
    match key {
        "acks" if !matches!(value, "all" | "-1") => refuse("a position is stored only behind acks=all"),
        "enable.idempotence" if value != "true" => refuse("without it a retry can change the order of a key's records"),
        "transactional.id" => refuse("it is set where the worker has exactly.once.source.support=enabled: set that"),
        "partitioner.ignore.keys" if value != "false" => {
            refuse("without its key's partition a key's records lose their order")
        }
        "partitioner.ignore.keys" => Ok(()),
        // Connect sets them itself, so that users repeat them.
        "key.serializer" | "value.serializer" if value.ends_with(".ByteArraySerializer") => Ok(()),
        "key.serializer" | "value.serializer" | "partitioner.class" | "interceptor.classes" => {
            refuse("it names a Java class, which this worker cannot load")
        }
        "buffer.memory" => {
            let bytes: u64 = value.parse().map_err(|_| {
                TaskError::stop("producer-settings", format!("producer property {key}={value} is not a number"))
            })?;
            settings.set(QUEUE, (bytes / 1024).max(1).to_string());
            Ok(())
        }
        _ if WITHOUT_EFFECT.contains(&key) => {
            tracing::debug!(property = key, "producer property without effect");
            Ok(())
        }
        _ => {
            let name = RENAMED.iter().find(|(java, _)| *java == key).map_or(key, |(_, ours)| ours);
            settings.set(name, value);
            Ok(())
        }
    }
}
