//! Which topics there are.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::kafka_client;
use crate::error::SinkError;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The table topics of a prefix, with their numbers of partitions.
///
/// # Errors
/// Retry when Kafka does not answer.
pub async fn list(bootstrap_servers: &str, prefix: &str) -> Result<BTreeMap<String, usize>, SinkError> {
    let (client, prefix) = (client(bootstrap_servers)?, format!("{prefix}."));
    blocking(move || {
        let metadata = client.fetch_metadata(None, TIMEOUT).map_err(|error| unreachable(&error))?;
        let is_table = |name: &str| {
            // Tables have their schema in the name; the connector's own topics have not.
            name.strip_prefix(&prefix).is_some_and(|rest| rest.contains('.'))
        };
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| is_table(topic.name()) && topic.error().is_none() && !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect())
    })
    .await
}

/// The offset behind the last record of every partition of a topic.
///
/// # Errors
/// Retry when Kafka does not answer.
pub async fn ends(bootstrap_servers: &str, topic: &str, partitions: usize) -> Result<BTreeMap<i32, i64>, SinkError> {
    let (client, topic) = (client(bootstrap_servers)?, topic.to_owned());
    blocking(move || {
        (0..i32::try_from(partitions).unwrap_or(i32::MAX))
            .map(|partition| {
                let (_, end) =
                    client.fetch_watermarks(&topic, partition, TIMEOUT).map_err(|error| unreachable(&error))?;
                Ok((partition, end))
            })
            .collect()
    })
    .await
}

/// Creates topics that are not there, with the broker's defaults.
///
/// # Errors
/// Retry when Kafka does not answer; stop when it refuses.
pub async fn create(bootstrap_servers: &str, names: &[String]) -> Result<(), SinkError> {
    let admin: AdminClient<DefaultClientContext> =
        kafka_client(bootstrap_servers).create().map_err(|error| unreachable(&error))?;
    let new: Vec<NewTopic<'_>> =
        names.iter().map(|name| NewTopic::new(name, -1, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for result in admin.create_topics(&new, &options).await.map_err(|error| unreachable(&error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(SinkError::stop(format!(
                    "topic {topic} could not be created: {code}. Create it, or allow the sink to"
                )));
            }
        }
    }
    Ok(())
}

/// Whether Kafka answers.
///
/// # Errors
/// Retry when it does not.
pub async fn ping(bootstrap_servers: &str) -> Result<(), SinkError> {
    let client = client(bootstrap_servers)?;
    blocking(move || {
        let metadata = client.fetch_metadata(None, Duration::from_secs(2)).map_err(|error| unreachable(&error))?;
        if metadata.brokers().is_empty() { Err(SinkError::retry("it has no brokers yet")) } else { Ok(()) }
    })
    .await
}

fn client(bootstrap_servers: &str) -> Result<BaseConsumer, SinkError> {
    kafka_client(bootstrap_servers).create().map_err(|error| unreachable(&error))
}

fn unreachable(error: &rdkafka::error::KafkaError) -> SinkError {
    SinkError::retry(format!("Kafka: {error}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(SinkError::retry(format!("asking Kafka broke off: {error}"))),
    }
}
