//! Every table topic of the prefix into the target: one Kafka consumer, a few sessions, and memory that does not grow with
//! the number of tables.
//!
//! # Layout
//! - [`topics`]: which topics there are
//! - `reader`: the one Kafka consumer
//! - `topic`: one topic between Kafka and the target
//! - `resume`: whether a topic is still the one that was read before
//! - `dispatch`: records to their topics, batches to the sessions

mod dispatch;
mod reader;
mod resume;
mod topic;
pub mod topics;

use std::time::Duration;

use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;

use self::dispatch::Dispatcher;
use crate::apply::owner::Claim;
use crate::config::RunConfig;
use crate::metrics::health::Health;

/// What every Kafka client of the sink is configured with.
pub fn kafka_client(config: &RunConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap_servers).set("reconnect.backoff.max.ms", "1000");
    config.kafka_config.apply(&mut client);
    client
}

/// Consumes every table topic of the prefix, those that appear later included, until cancelled or another sink has taken
/// over; returns when all have finished the batch they were at.
///
/// A topic that fails is tried again from the stored offsets, also when a person must act: the moment they have, it goes on.
/// Meanwhile the others go on, and `/health` says what stands still, and why.
pub async fn run(config: &RunConfig, claim: &Claim, health: &Health, cancel: &CancellationToken) {
    loop {
        match Dispatcher::new(config, claim, health) {
            Ok(dispatcher) => return dispatcher.run(cancel).await,
            Err(error) => tracing::error!(%error, "the consumer cannot be made"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = cancel.cancelled() => return,
        }
    }
}
