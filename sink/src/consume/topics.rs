//! Which topics there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::diagnosis::Finding;
use access::kafka::{self, Refusal};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::{Subscription, Topics};
use crate::error::SinkError;
use crate::kafka::Kafka;

const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the leaders of new topics are waited for, and the pause between two questions.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(60);
const LEADERS_PAUSE: Duration = Duration::from_millis(200);

/// The controller refuses a request that makes more than ten thousand records of its own (`QuorumController`'s
/// `MAX_RECORDS_PER_USER_OP`), and answers a small one in time.
const TOPICS_AT_ONCE: usize = 200;

/// The topics that are subscribed to, with their numbers of partitions, and of these others those that are there.
///
/// # Errors
/// Retry when Kafka does not answer.
pub async fn list(subscription: &Subscription, others: &[String]) -> Result<BTreeMap<String, usize>, SinkError> {
    list_by(Arc::new(client(&subscription.kafka)?), &subscription.topics, others).await
}

/// The same, asked by a client that is there.
///
/// # Errors
/// Retry when Kafka does not answer.
pub(super) async fn list_by<C, X>(
    client: Arc<C>,
    wanted: &Topics,
    others: &[String],
) -> Result<BTreeMap<String, usize>, SinkError>
where
    C: Consumer<X> + Send + Sync + 'static,
    X: ConsumerContext,
{
    let (wanted, others) = (wanted.clone(), others.to_vec());
    blocking(move || {
        let metadata = client.fetch_metadata(None, TIMEOUT).map_err(|error| unreachable(&error))?;
        let is_asked = |name: &str| wanted.contains(name) || others.iter().any(|other| other == name);
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| is_asked(topic.name()) && topic.error().is_none() && !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect())
    })
    .await
}

/// Topics with their numbers of partitions.
type Partitions = BTreeMap<String, usize>;

/// An offset of every partition: by topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// The offset behind the last record of every partition of some topics.
///
/// # Errors
/// Retry when Kafka does not answer.
pub async fn ends(kafka: &Kafka, topics: &Partitions) -> Result<Offsets, SinkError> {
    offsets(kafka, topics, Offset::End).await
}

/// Asks for the offsets behind the last records, again and again, with one client.
pub struct Ends(Arc<BaseConsumer>);

impl Ends {
    /// At this Kafka.
    ///
    /// # Errors
    /// Stop when the client's settings are not accepted.
    pub fn new(kafka: &Kafka) -> Result<Self, SinkError> {
        Ok(Self(Arc::new(client(kafka)?)))
    }

    /// Those of every partition of some topics.
    ///
    /// # Errors
    /// Retry when Kafka does not answer.
    pub async fn of(&self, topics: Partitions) -> Result<Offsets, SinkError> {
        let client = self.0.clone();
        blocking(move || list_offsets(&client, &topics, Offset::End)).await
    }
}

/// The offset of the first record of every partition of some topics.
///
/// # Errors
/// Retry when Kafka does not answer.
pub async fn begins(kafka: &Kafka, topics: &Partitions) -> Result<Offsets, SinkError> {
    offsets(kafka, topics, Offset::Beginning).await
}

/// A `ListOffsets` request, again while leaders of new topics do not know yet that they lead.
async fn offsets(kafka: &Kafka, topics: &Partitions, at: Offset) -> Result<Offsets, SinkError> {
    let begun = Instant::now();
    loop {
        let (client, topics) = (client(kafka)?, topics.clone());
        match blocking(move || list_offsets(&client, &topics, at)).await {
            Err(error) if begun.elapsed() < LEADERS_TIMEOUT => {
                tracing::debug!(%error, "offsets cannot be listed yet");
                tokio::time::sleep(LEADERS_PAUSE).await;
            }
            result => return result,
        }
    }
}

fn list_offsets(client: &BaseConsumer, topics: &Partitions, at: Offset) -> Result<Offsets, SinkError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for partition in 0..i32::try_from(*partitions).unwrap_or(i32::MAX) {
            asked.add_partition_offset(topic, partition, at).map_err(|error| unreachable(&error))?;
        }
    }
    if asked.count() == 0 {
        return Ok(Offsets::new());
    }
    // The name is of what it is for; the request takes the two ends as well (`ListOffsetsRequest.EARLIEST_TIMESTAMP`, -2, and
    // `LATEST_TIMESTAMP`, -1, which librdkafka's offsets of the same numbers are).
    let answered = client.offsets_for_times(asked, TIMEOUT).map_err(|error| unreachable(&error))?;
    let offset = |partition: &TopicPartitionListElem<'_>| {
        partition.error().map_err(|error| unreachable(&error))?;
        match partition.offset() {
            Offset::Offset(offset) => Ok(((partition.topic().to_owned(), partition.partition()), offset)),
            other => Err(SinkError::retry(format!("Kafka: no offset of topic {}: {other:?}", partition.topic()))),
        }
    };
    answered.elements().iter().map(offset).collect()
}

/// Creates topics that are not there, with so many partitions, the broker's default for -1, and as many replicas as the broker's
/// default has.
///
/// # Errors
/// Retry when Kafka does not answer; stop when it refuses.
pub async fn create(kafka: &Kafka, names: &[String], partitions: i32) -> Result<(), SinkError> {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().map_err(|error| unreachable(&error))?;
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for names in names.chunks(TOPICS_AT_ONCE) {
        let new: Vec<NewTopic<'_>> =
            names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1))).collect();
        for result in admin.create_topics(&new, &options).await.map_err(|error| unreachable(&error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(SinkError::stop(
                        "topic-creation",
                        format!("topic {topic} could not be created: {code}. Create it, or allow the sink to"),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What it means that the transactions' topic has several partitions.
pub fn several_partitions(topic: &str, partitions: usize) -> Finding {
    Finding::error(
        "transaction-topic",
        format!(
            "topic {topic} has {partitions} partitions, so that the order of transactions cannot be told: nothing is applied"
        ),
        format!(
            "Make it anew with one partition, before anything is published:\nkafka-topics.sh --delete --topic {topic}\nkafka-topics.sh \
             --create --topic {topic} --partitions 1\nor run the sink with --mode table"
        ),
    )
}

/// Whether Kafka answers.
///
/// # Errors
/// Retry when it does not; stop when it does not let the sink in.
pub async fn ping(kafka: &Kafka) -> Result<(), SinkError> {
    let client = kafka.client();
    blocking(move || match kafka::enter(&client, Duration::from_secs(2)) {
        Ok(cluster) if cluster.brokers == 0 => Err(SinkError::retry("it has no brokers yet")),
        Ok(_) => Ok(()),
        Err(Refusal::Locked(why)) => {
            Err(SinkError::stop("kafka-refused", format!("it does not let the sink in: {why}")))
        }
        Err(Refusal::Away(why)) => Err(SinkError::retry(why)),
    })
    .await
}

fn client(kafka: &Kafka) -> Result<BaseConsumer, SinkError> {
    kafka.client().create().map_err(|error| unreachable(&error))
}

fn unreachable(error: &rdkafka::error::KafkaError) -> SinkError {
    SinkError::retry(format!("Kafka: {error}"))
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(SinkError::retry(format!("asking Kafka broke off: {error}"))),
    }
}
