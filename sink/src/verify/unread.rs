//! Whether there is anything left to read in a partition.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::apply::ledger::Place;
use crate::consume::Subscription;
use crate::error::SinkError;

/// How long Kafka may take to give a topic's next records.
const ANSWER: Duration = Duration::from_secs(5);

/// From where a partition would be read, `None` for its beginning, and up to where.
pub(super) type Span = (Option<i64>, i64);

/// Which of some partitions have no committed record in their span. One that Kafka does not answer for is not among them.
///
/// # Errors
/// Retry when Kafka cannot be asked.
pub(super) async fn without_records(
    subscription: &Subscription,
    spans: BTreeMap<Place, Span>,
) -> Result<Vec<Place>, SinkError> {
    let mut client = subscription.kafka.client();
    // The name that the role may read under. Without subscribing nobody joins it.
    client
        .set("group.id", &subscription.group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", "1024")
        // The end is answered at once.
        .set("fetch.wait.max.ms", "10");
    let work = move || {
        let mut topics: BTreeMap<String, BTreeMap<i32, Span>> = BTreeMap::new();
        for ((topic, partition), span) in spans {
            topics.entry(topic).or_default().insert(partition, span);
        }
        let mut found = Vec::new();
        for (topic, spans) in topics {
            // A consumer for each: the client's word for a partition's end does not name the topic.
            let partitions = of_topic(&client.create()?, &topic, spans)?;
            found.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
        }
        Ok::<_, KafkaError>(found)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(found) => found.map_err(|error| SinkError::retry(format!("Kafka: {error}"))),
        Err(error) => Err(SinkError::retry(format!("reading from Kafka broke off: {error}"))),
    }
}

fn of_topic(consumer: &BaseConsumer, topic: &str, mut spans: BTreeMap<i32, Span>) -> Result<Vec<i32>, KafkaError> {
    let (deadline, mut found, mut assignment) = (Instant::now() + ANSWER, Vec::new(), TopicPartitionList::new());
    for (partition, (next, _)) in &spans {
        let begin = next.map_or(Offset::Beginning, Offset::Offset);
        assignment.add_partition_offset(topic, *partition, begin)?;
    }
    consumer.assign(&assignment)?;
    while !spans.is_empty() && Instant::now() < deadline {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            // The first one of a partition says it.
            Some(Ok(message)) => {
                let span = spans.remove(&message.partition());
                found.extend(span.filter(|(_, end)| message.offset() >= *end).map(|_| message.partition()));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                found.extend(spans.remove(&partition).map(|_| partition));
            }
            Some(Err(error)) => tracing::debug!(topic, %error, "kafka"),
            None => {}
        }
    }
    Ok(found)
}
