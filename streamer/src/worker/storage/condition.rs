//! Whether a topic of the worker's is as it has to be (`TopicAdmin.verifyTopicCleanupPolicyOnlyCompact`,
//! `KafkaConfigBackingStore.start`).

use std::time::Duration;

use access::diagnosis::Finding;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::config::WorkerConfig;
use crate::config::worker::StorageTopic;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A topic as the brokers have it. What they do not say is `None`.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Its partitions; `None` where it is not there, or not shown.
    pub partitions: Option<usize>,
    /// The fewest replicas that one of them has.
    pub replicas: usize,
    /// `cleanup.policy`.
    pub policy: Option<String>,
}

impl Condition {
    /// Asks for it. Who may not ask is told nothing, as in Connect.
    pub async fn of(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Self {
        // All topics: asking a producer's kind of client for one by its name would make it.
        let metadata = tokio::task::block_in_place(|| admin.inner().fetch_metadata(None, ANSWER_TIMEOUT));
        let mut condition = Self::default();
        if let Ok(metadata) = metadata
            && let Some(found) = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none())
        {
            condition.partitions = Some(found.partitions().len());
            condition.replicas =
                found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        }
        if condition.partitions.is_some() {
            let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
            let answers = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
            condition.policy = answers
                .ok()
                .and_then(|answers| answers.into_iter().next()?.ok())
                .and_then(|config| config.get("cleanup.policy")?.value.clone());
        }
        condition
    }

    /// What is wrong with it; `brokers` is how many there are.
    pub fn findings(&self, worker: &WorkerConfig, topic: &StorageTopic, brokers: usize) -> Vec<Finding> {
        let (name, property) = (&topic.name, &topic.property);
        let what = match property.as_str() {
            "config.storage.topic" => "connectors' configurations",
            "offset.storage.topic" => "connectors' positions",
            _ => "connectors' states",
        };
        let servers = worker.bootstrap_servers();
        let mut findings = Vec::new();
        if let Some(policy) = self.policy.as_deref().filter(|policy| *policy != "compact") {
            findings.push(Finding::error(
                "storage-topic-policy",
                format!(
                    "topic {name} ({property}) has cleanup.policy={policy}, and is required to have cleanup.policy=compact: Kafka would \
                     throw away {what} after a while"
                ),
                format!(
                    "kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {name} --add-config \
                     cleanup.policy=compact"
                ),
            ));
        }
        if let Some(partitions) =
            self.partitions.filter(|partitions| *partitions > 1 && property == "config.storage.topic")
        {
            findings.push(Finding::error(
                "storage-topic-partitions",
                format!(
                    "topic {name} ({property}) has {partitions} partitions, and is required to have one: what comes first would not be \
                     known, and several streamers of the group would be active at once"
                ),
                format!(
                    "Give {property} another name, or make the topic anew; the connectors in it have to be put again:\n\
                     kafka-topics.sh --bootstrap-server {servers} --delete --topic {name}\n\
                     kafka-topics.sh --bootstrap-server {servers} --create --topic {name} --partitions 1 --config cleanup.policy=compact"
                ),
            ));
        }
        if self.partitions.is_some() && self.replicas == 1 && brokers > 1 {
            findings.push(Finding::warning(
                "storage-topic-replicas",
                format!("topic {name} ({property}) has one replica: with its broker {what} are away, or lost"),
                format!("kafka-reassign-partitions.sh --bootstrap-server {servers} …, with three replicas for each partition of {name}"),
            ));
        }
        findings
    }
}
