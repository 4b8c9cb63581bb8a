//! The topics of the prefix into the target: one Kafka consumer, a few sessions, and memory that does not grow with the number of
//! tables.
//!
//! Either each table goes its own way (`dispatch`), or transactions are applied whole, in the order of their commits (`ordered`).
//!
//! # Layout
//! - [`topics`]: which topics there are
//! - [`record`]: a record as it came
//! - `group`: which partitions of them are this sink's, as Kafka's group protocol says
//! - `reader`: the one Kafka consumer
//! - `partition`: one partition between Kafka and the target
//! - `resume`: whether a partition's topic is still the one that was read before
//! - `share`: what to do when the share changes, or a partition cannot go on
//! - `dispatch`: records to their partitions, batches to the sessions
//! - `ordered`: all topics through one sink, in the order of the source's commits

mod dispatch;
mod group;
mod ordered;
mod partition;
mod reader;
pub mod record;
mod resume;
mod share;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;

use self::dispatch::Dispatcher;
use self::ordered::InOrder;
use crate::config::RunConfig;
use crate::evolve::Evolution;
use crate::metrics::health::Health;
use crate::parse::handling::Handling;

/// What every Kafka client of the sink is configured with.
pub fn kafka_client(config: &RunConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap_servers).set("reconnect.backoff.max.ms", "1000");
    config.kafka_config.apply(&mut client);
    client
}

/// In which order changes are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Each table at its own speed, in the order of its own changes.
    Tables,
    /// Transactions whole, in the order of their commits.
    Transactions(TransactionTopics),
}

/// The connector's own topics by which transactions are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionTopics {
    /// Where transactions begin and end.
    pub transaction: String,
    /// Logical decoding messages, which are counted among a transaction's changes.
    pub message: String,
}

impl TransactionTopics {
    /// Their names.
    pub fn all(&self) -> [String; 2] {
        [self.transaction.clone(), self.message.clone()]
    }
}

impl Order {
    /// The topics that are read beside the tables'.
    pub fn topics(&self) -> Vec<String> {
        match self {
            Order::Tables => Vec::new(),
            Order::Transactions(topics) => topics.all().to_vec(),
        }
    }
}

/// Consumes this sink's share of the prefix's table topics, those that appear later included, until cancelled; returns when all
/// batches under way have ended. `handling` is how the connector writes its records.
///
/// A partition that fails is tried again from the stored offset, also when a person must act: the moment they have, it goes on.
/// Meanwhile the others go on, and `/health` says what stands still, and why.
pub async fn run(
    config: &RunConfig,
    order: &Order,
    evolution: &Evolution,
    target_id: &str,
    handling: Arc<Handling>,
    health: &Health,
    cancel: &CancellationToken,
) {
    health.consumes();
    loop {
        let made = match order {
            Order::Tables => match Dispatcher::new(config, evolution, target_id, health, handling.clone()) {
                Ok(dispatcher) => return Box::pin(dispatcher.run(cancel)).await,
                Err(error) => Err(error),
            },
            Order::Transactions(topics) => {
                match InOrder::new(config, topics, evolution, target_id, health, handling.clone()) {
                    Ok(in_order) => match Box::pin(in_order.run(cancel)).await {
                        true => Ok(()),
                        false => return,
                    },
                    Err(error) => Err(error),
                }
            }
        };
        if let Err(error) = made {
            tracing::error!(%error, "the consumer cannot be made");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = cancel.cancelled() => return,
        }
    }
}
