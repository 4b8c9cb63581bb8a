//! The table topics of the prefix into the target: one Kafka consumer, a few sessions, and memory that does not grow with
//! the number of tables.
//!
//! # Layout
//! - [`topics`]: which topics there are
//! - `group`: which partitions of them are this sink's, as Kafka's group protocol says
//! - `reader`: the one Kafka consumer
//! - `partition`: one partition between Kafka and the target
//! - `resume`: whether a partition's topic is still the one that was read before
//! - `share`: what to do when the share changes, or a partition cannot go on
//! - `dispatch`: records to their partitions, batches to the sessions

mod dispatch;
mod group;
mod partition;
mod reader;
mod resume;
mod share;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;

use self::dispatch::Dispatcher;
use crate::config::RunConfig;
use crate::metrics::health::Health;
use crate::parse::handling::Handling;

/// What every Kafka client of the sink is configured with.
pub fn kafka_client(config: &RunConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap_servers).set("reconnect.backoff.max.ms", "1000");
    config.kafka_config.apply(&mut client);
    client
}

/// Consumes this sink's share of the prefix's table topics, those that appear later included, until cancelled; returns when all
/// batches under way have ended. `handling` is how the connector writes its records.
///
/// A partition that fails is tried again from the stored offset, also when a person must act: the moment they have, it goes on.
/// Meanwhile the others go on, and `/health` says what stands still, and why.
pub async fn run(
    config: &RunConfig,
    target_id: &str,
    handling: Arc<Handling>,
    health: &Health,
    cancel: &CancellationToken,
) {
    health.consumes();
    loop {
        match Dispatcher::new(config, target_id, health, handling.clone()) {
            Ok(dispatcher) => return dispatcher.run(cancel).await,
            Err(error) => tracing::error!(%error, "the consumer cannot be made"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = cancel.cancelled() => return,
        }
    }
}
