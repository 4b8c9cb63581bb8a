//! One consumer a table.
//!
//! # Layout
//! - [`topics`]: which topics there are
//! - [`resume`]: whether a topic is still the one that was read before
//! - [`table`]: reads one topic and applies it

pub mod resume;
pub mod table;
pub mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::apply::owner::Claim;
use crate::config::RunConfig;
use crate::metrics::health::Health;

/// How often new topics are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// What every Kafka client of the sink is configured with.
pub fn kafka_client(bootstrap_servers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap_servers).set("reconnect.backoff.max.ms", "1000");
    client
}

/// Consumes every table topic of the prefix, those that appear later included, until cancelled; returns when all have
/// finished the batch they were at.
pub async fn run(config: &RunConfig, claim: &Claim, health: &Health, cancel: &CancellationToken) {
    struct Running {
        partitions: usize,
        cancel: CancellationToken,
        task: JoinHandle<()>,
    }
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut interval = tokio::time::interval(DISCOVERY_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = cancel.cancelled() => break,
        }
        let found = match topics::list(&config.bootstrap_servers, &config.topic_prefix).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "topics cannot be listed");
                continue;
            }
        };
        for (topic, partitions) in found {
            if running.get(&topic).is_some_and(|running| running.partitions == partitions) {
                continue;
            }
            if let Some(before) = running.remove(&topic) {
                tracing::info!(%topic, partitions, "the topic has more partitions now");
                before.cancel.cancel();
                join(&topic, before.task).await;
            }
            let own = cancel.child_token();
            let task =
                table::consume(config.clone(), claim.clone(), topic.clone(), partitions, health.clone(), own.clone());
            running.insert(topic, Running { partitions, cancel: own, task: tokio::spawn(task) });
        }
    }
    for (topic, running) in running {
        join(&topic, running.task).await;
    }
}

async fn join(topic: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(topic, %error, "a table's consumer broke off; its last batch was not applied");
    }
}
