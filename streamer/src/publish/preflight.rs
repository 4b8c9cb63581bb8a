//! The topics that records are to go to, looked at and not made.

use std::collections::BTreeSet;
use std::time::Duration;

use access::diagnosis::{Diagnosis, Finding};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use super::settings;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::source::catalog::ListedTable;

/// The heading of what is looked at here.
pub const TOPICS: &str = "topics";

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// So many topics are looked at, or named, one by one.
const LOOKED_AT: usize = 200;
const NAMED: usize = 10;

/// What it means that a topic is not there and nobody makes it.
pub(super) fn missing_topic(topic: &str) -> Finding {
    Finding::error(
        "topic-missing",
        format!(
            "topic {topic} is not there, and neither the brokers make it (auto.create.topics.enable=false) nor the connector \
             (topic.creation.*): nothing is lost, and nothing is published into it"
        ),
        format!(
            "kafka-topics.sh --create --topic {topic}\nor have the connector make its topics: topic.creation.default.partitions=-1 and \
             topic.creation.default.replication.factor=-1"
        ),
    )
    .passing()
}

/// Looks at the topics of the captured tables, of heartbeats and of transactions.
pub async fn topics(
    worker: &WorkerConfig,
    config: &ConnectorConfig,
    captured: &[ListedTable],
    diagnosis: &mut Diagnosis,
) {
    let subject = "the connector's topics";
    if let Err(error) = settings::producer(worker, config) {
        return diagnosis.found(TOPICS, subject, error.finding("producer-settings"));
    }
    match config.topic_creation.as_ref() {
        Err(why) => return diagnosis.found(TOPICS, subject, Finding::error("topic-creation", why, "Put it right")),
        Ok(_) if !config.transforms.is_empty() => {
            return diagnosis.not_made(TOPICS, subject, "transforms may give records other topics");
        }
        Ok(_) => {}
    }
    if let Err(error) = look(worker, config, captured, diagnosis).await {
        diagnosis.not_made(TOPICS, subject, error.to_string());
    }
}

async fn look(
    worker: &WorkerConfig,
    config: &ConnectorConfig,
    captured: &[ListedTable],
    diagnosis: &mut Diagnosis,
) -> Result<(), TaskError> {
    let failed = |error: rdkafka::error::KafkaError| TaskError::retry(format!("asking Kafka for its topics: {error}"));
    let admin: AdminClient<DefaultClientContext> = settings::admin(worker, config)?.create().map_err(failed)?;
    let metadata =
        tokio::task::block_in_place(|| admin.inner().fetch_metadata(None, ANSWER_TIMEOUT)).map_err(failed)?;
    let there: BTreeSet<&str> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
    let (present, missing): (Vec<String>, Vec<String>) =
        expected(config, captured).into_iter().partition(|topic| there.contains(topic.as_str()));
    let makes = worker.topic_creation && matches!(&config.topic_creation, Ok(Some(_)));
    let brokers = metadata.brokers();
    let subject = "the connector's topics";
    if !missing.is_empty() && !makes && refuses_to_create(&admin, brokers.first().map(|broker| broker.id())).await {
        for topic in missing.iter().take(NAMED) {
            diagnosis.found(TOPICS, topic.as_str(), missing_topic(topic));
        }
        if let Some(more) = missing.len().checked_sub(NAMED).filter(|more| *more > 0) {
            diagnosis.not_made(TOPICS, subject, format!("{more} more topics are missing in the same way"));
        }
    } else {
        let text = match (present.len(), missing.len()) {
            (there, 0) => format!("{there}, all are there"),
            (there, later) => format!("{there} are there, {later} are made with their first record"),
        };
        diagnosis.well(TOPICS, subject, text);
    }
    let largest = settings::largest_record(&settings::producer(worker, config)?.0);
    for (topic, limit) in limits(&admin, &present).await {
        if limit < largest {
            diagnosis.found(TOPICS, topic.as_str(), too_small(worker, &topic, limit, largest));
        }
    }
    Ok(())
}

fn too_small(worker: &WorkerConfig, topic: &str, limit: usize, largest: usize) -> Finding {
    Finding::warning(
        "topic-message-size",
        format!(
            "topic {topic} takes {limit} bytes at once (max.message.bytes), and the producer sends up to {largest} (max.request.size): a \
             change between both stops the connector"
        ),
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --add-config \
             max.message.bytes={largest}\nor producer.override.max.request.size={limit}",
            worker.bootstrap_servers()
        ),
    )
}

/// The topics that are known beforehand.
fn expected(config: &ConnectorConfig, captured: &[ListedTable]) -> BTreeSet<String> {
    let is_published = |table: &&ListedTable| !config.signals.is_table(&table.name.schema, &table.name.name);
    let mut topics: BTreeSet<String> = captured
        .iter()
        .filter(is_published)
        .map(|table| config.topics.of_table(&table.name.schema, &table.name.name).topic)
        .collect();
    topics.extend(config.heartbeat.interval.map(|_| config.topics.heartbeat()));
    topics.extend(config.transaction_metadata.then(|| config.topics.transaction()));
    topics
}

/// Whether the brokers say that they make no topics by themselves.
async fn refuses_to_create(admin: &AdminClient<DefaultClientContext>, broker: Option<i32>) -> bool {
    let Some(broker) = broker else { return false };
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let answers = admin.describe_configs([&ResourceSpecifier::Broker(broker)], &options).await;
    let config = answers.ok().and_then(|answers| answers.into_iter().next()?.ok());
    config.and_then(|config| config.get("auto.create.topics.enable")?.value.clone()).as_deref() == Some("false")
}

/// The topics' `max.message.bytes`, of those that say it.
async fn limits(admin: &AdminClient<DefaultClientContext>, topics: &[String]) -> Vec<(String, usize)> {
    let asked: Vec<ResourceSpecifier<'_>> =
        topics.iter().take(LOOKED_AT).map(|topic| ResourceSpecifier::Topic(topic)).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let answers = admin.describe_configs(&asked, &options).await.unwrap_or_default();
    let limit = |config: &ConfigResource| config.get("max.message.bytes")?.value.as_ref()?.parse().ok();
    // In the order in which they were asked.
    let named = topics.iter().zip(answers);
    named.filter_map(|(topic, config)| Some((topic.clone(), limit(&config.ok()?)?))).collect()
}
