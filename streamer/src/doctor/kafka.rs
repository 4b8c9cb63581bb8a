//! The worker's Kafka, its topics, its group.

use std::sync::Arc;

use access::diagnosis::Diagnosis;
use access::kafka::Cluster;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;

use super::{KAFKA, WORKER};
use crate::config::WorkerConfig;
use crate::config::worker::StorageTopic;
use crate::position::OffsetStore;
use crate::publish::preflight::TOPICS;
use crate::worker::entrance::enter;
use crate::worker::group::members;
use crate::worker::storage::condition::Condition;
use crate::worker::storage::configs::ConfigStore;
use crate::worker::storage::log::KafkaLog;

/// What the worker's topics hold, of those that could be read.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Whether Kafka answers.
    pub(super) is_there: bool,
    /// Connectors' configurations.
    pub(super) configs: Option<ConfigStore>,
    /// Connectors' positions.
    pub(super) offsets: Option<OffsetStore>,
}

pub(super) async fn look(worker: &WorkerConfig, diagnosis: &mut Diagnosis) -> Stored {
    let servers = worker.bootstrap_servers();
    let cluster = match enter(worker).await {
        Ok(cluster) => cluster,
        Err(error) => {
            diagnosis.found(KAFKA, servers, error.finding("kafka-unreachable"));
            diagnosis.not_made(TOPICS, "the worker's topics", "there is no session to Kafka");
            diagnosis.not_made(WORKER, worker.group_id.as_str(), "there is no session to Kafka");
            return Stored::default();
        }
    };
    diagnosis.well(KAFKA, servers, format!("cluster {} answers, {} brokers", cluster.id, cluster.brokers));
    let mut stored = Stored { is_there: true, ..Stored::default() };
    if !worker.is_standalone {
        group(worker, diagnosis).await;
        stored.configs = topic(worker, &worker.config_topic, &cluster, diagnosis).await.map(ConfigStore::new);
        topic(worker, &worker.status_topic, &cluster, diagnosis).await;
    }
    stored.offsets = topic(worker, &worker.offset_topic, &cluster, diagnosis).await.map(OffsetStore::new);
    stored
}

async fn group(worker: &WorkerConfig, diagnosis: &mut Diagnosis) {
    let name = worker.group_id.as_str();
    let consumer: Result<BaseConsumer, _> = worker.kafka_client().create();
    let members = match consumer {
        Ok(consumer) => members(Arc::new(consumer), name).await,
        Err(error) => return diagnosis.not_made(WORKER, name, error.to_string()),
    };
    match members {
        Ok(members) => {
            let well = match members.streamers.as_slice() {
                [] => "nobody is in the group: a start is the active one".to_owned(),
                streamers => format!("streamers run at {}; another one stands by", streamers.join(", ")),
            };
            diagnosis.settle(WORKER, name, members.refusal(name).into_iter().collect(), well);
        }
        Err(error) => diagnosis.not_made(WORKER, name, error.to_string()),
    }
}

/// Looks at one of the worker's topics, and reads it if it is there.
async fn topic(
    worker: &WorkerConfig,
    topic: &StorageTopic,
    cluster: &Cluster,
    diagnosis: &mut Diagnosis,
) -> Option<KafkaLog> {
    let admin: AdminClient<DefaultClientContext> = match worker.kafka_client().create() {
        Ok(admin) => admin,
        Err(error) => {
            diagnosis.not_made(TOPICS, topic.name.as_str(), error.to_string());
            return None;
        }
    };
    let condition = Condition::of(&admin, &topic.name).await;
    let Some(partitions) = condition.partitions else {
        diagnosis.well(TOPICS, topic.name.as_str(), format!("is not there yet: a start makes it ({})", topic.property));
        return None;
    };
    let well = format!("{partitions} partitions, compacted ({})", topic.property);
    diagnosis.settle(TOPICS, topic.name.as_str(), condition.findings(worker, topic, cluster.brokers), well);
    match KafkaLog::look(worker, topic).await {
        Ok(log) => Some(log),
        Err(error) => {
            diagnosis.found(TOPICS, topic.name.as_str(), error.finding("storage-topic"));
            None
        }
    }
}
