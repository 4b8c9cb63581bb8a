//! Reads one topic and applies it.

use std::time::Duration;

use futures_util::FutureExt as _;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::kafka_client;
use super::resume::{self, Resume};
use crate::apply::batch::{Applied, Applier, Record};
use crate::apply::owner::Claim;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::metrics::health::Health;
use crate::metrics::names;
use crate::parse::record::NEW_KEY;

/// The largest batch: one transaction's work, and what is held in memory.
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 8 << 20;

/// Pauses between attempts: short while time may mend it, longer when a person must.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Applies a topic until cancelled. What fails is tried again from the stored offsets, also when a person must act: the
/// moment they have, it goes on. Meanwhile `/health` says what stands still, and why.
pub async fn consume(
    config: RunConfig,
    claim: Claim,
    topic: String,
    partitions: usize,
    health: Health,
    cancel: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut progressed = false;
        let attempt = attempt(&config, &claim, &topic, partitions, &health, &cancel, &mut progressed);
        let Err(error) = attempt.await else { return };
        if claim.is_lost() {
            // The whole sink ends, and says why.
            return;
        }
        if progressed {
            pause = FIRST_PAUSE;
        }
        match &error {
            SinkError::Retry(text) => tracing::warn!(%topic, ?pause, "{text}; trying again from the stored offsets"),
            SinkError::Stop(text) => {
                pause = LONGEST_PAUSE;
                tracing::error!(%topic, "{text}");
            }
        }
        metrics::counter!(names::RETRIES, "topic" => topic.clone()).increment(1);
        health.topic(&topic, |topic| topic.error = Some(error.to_string()));
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = cancel.cancelled() => return,
        }
    }
}

async fn attempt(
    config: &RunConfig,
    claim: &Claim,
    topic: &str,
    partitions: usize,
    health: &Health,
    cancel: &CancellationToken,
    progressed: &mut bool,
) -> Result<(), SinkError> {
    let mut applier = Applier::connect(&config.target, topic, claim.clone()).await?;
    let consumer: StreamConsumer = kafka_client(&config.bootstrap_servers)
        .set("group.id", format!("headwater-sink-{}", config.topic_prefix))
        .set("enable.auto.commit", "false")
        // Records that retention took away must be missed aloud.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.wait.max.ms", "100")
        .create()
        .map_err(|error| SinkError::retry(format!("Kafka: {error}")))?;
    let mut resume = Resume::of(applier.offsets());
    assign(&consumer, topic, partitions, &applier, &resume)?;
    tracing::debug!(topic, partitions, stored = ?applier.offsets(), "consuming");
    health.topic(topic, |topic| topic.error = None);
    loop {
        let batch = tokio::select! {
            batch = next_batch(&consumer, topic, &mut resume) => batch?,
            () = cancel.cancelled() => return Ok(()),
        };
        let Some(batch) = batch else {
            resume::explain(&config.bootstrap_servers, topic, partitions, applier.offsets()).await?;
            resume = Resume::default();
            assign(&consumer, topic, partitions, &applier, &resume)?;
            continue;
        };
        let applied = applier.apply(&batch).await?;
        *progressed = true;
        report(topic, &applied, health);
        commit_for_observers(&consumer, topic, &batch);
    }
}

fn assign(
    consumer: &StreamConsumer,
    topic: &str,
    partitions: usize,
    applier: &Applier,
    resume: &Resume,
) -> Result<(), SinkError> {
    let mut assignment = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        let offset = resume.begin(partition, applier.offsets()).map_or(Offset::Beginning, Offset::Offset);
        assignment
            .add_partition_offset(topic, partition, offset)
            .map_err(|error| SinkError::retry(format!("Kafka: {error}")))?;
    }
    consumer.assign(&assignment).map_err(|error| SinkError::retry(format!("Kafka: {error}")))
}

/// Records to apply, at least one; `None` when Kafka has no record at an offset to read from.
async fn next_batch(
    consumer: &StreamConsumer,
    topic: &str,
    resume: &mut Resume,
) -> Result<Option<Vec<Record>>, SinkError> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        let next = if batch.is_empty() {
            consumer.recv().await
        } else {
            let Some(next) = consumer.recv().now_or_never() else { break };
            next
        };
        match next {
            Ok(message) => {
                let record = record(&message);
                if resume.admits(topic, &record)? {
                    bytes += size(&record);
                    batch.push(record);
                }
            }
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            )) => return Ok(None),
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                return Err(SinkError::retry(format!("topic {topic} is gone from Kafka")));
            }
            // The client mends it itself.
            Err(error) => tracing::debug!(topic, %error, "kafka"),
        }
    }
    Ok(Some(batch))
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

fn size(record: &Record) -> usize {
    record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len)
}

fn report(topic: &str, applied: &Applied, health: &Health) {
    health.topic(topic, |topic| {
        topic.applied += applied.applied;
        topic.set_aside += applied.set_aside;
    });
    metrics::counter!(names::APPLIED, "topic" => topic.to_owned()).increment(applied.applied);
    metrics::counter!(names::SET_ASIDE, "topic" => topic.to_owned()).increment(applied.set_aside);
    metrics::counter!(names::TRANSACTIONS, "topic" => topic.to_owned()).increment(1);
    if let Some(ts_ms) = applied.newest_ts_ms {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!(names::LAG, "topic" => topic.to_owned()).set(now.as_secs_f64() - ts_ms as f64 / 1000.0);
    }
}

/// The offsets that count are the target's. Kafka's own copy is for those who look at consumer lag there.
fn commit_for_observers(consumer: &StreamConsumer, topic: &str, batch: &[Record]) {
    let mut offsets = TopicPartitionList::new();
    for record in batch {
        let next = Offset::Offset(record.offset + 1);
        let known = offsets.find_partition(topic, record.partition).map(|mut known| known.set_offset(next));
        if known.is_none_or(|set| set.is_err()) && offsets.add_partition_offset(topic, record.partition, next).is_err()
        {
            return;
        }
    }
    if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
        tracing::debug!(topic, %error, "offsets are not shown in Kafka");
    }
}
