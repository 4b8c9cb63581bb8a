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
pub mod group;
mod ordered;
mod partition;
mod reader;
pub mod record;
mod resume;
mod share;
pub mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio_util::sync::CancellationToken;

use self::dispatch::Dispatcher;
use self::ordered::InOrder;
use crate::apply::batch::Applier;
use crate::apply::refused::Refused;
use crate::apply::traces::Traces;
use crate::avro::Converters;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::jdbc::settings::Settings;
use crate::kafka::Kafka;
use crate::metrics::health::Health;
use crate::parse::handling::Handling;
use crate::postgres::Database;

/// Which topics are read, and in whose name.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Where they are.
    pub kafka: Kafka,
    /// Which they are.
    pub topics: Topics,
    /// The consumer group that shares out their partitions.
    pub group: String,
}

impl Subscription {
    /// The sinks' of a prefix: its tables' topics.
    pub fn of_tables(kafka: Kafka, prefix: &str) -> Self {
        Self { kafka, topics: Topics::OfTables(prefix.to_owned()), group: format!("headwater-sink-{prefix}") }
    }
}

/// Topics, by their names.
#[derive(Debug, Clone)]
pub enum Topics {
    /// The tables' of a prefix.
    OfTables(String),
    /// These.
    Named(BTreeSet<String>),
    /// All whose whole names match.
    Matching(Regex),
}

impl Topics {
    /// Whether a topic is among them.
    pub fn contains(&self, topic: &str) -> bool {
        match self {
            // Tables have their schema in the name; the connector's own topics have not.
            Topics::OfTables(prefix) => topic
                .strip_prefix(prefix.as_str())
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest.contains('.')),
            Topics::Named(names) => names.contains(topic),
            Topics::Matching(pattern) => pattern.is_match(topic),
        }
    }
}

/// How records are read.
#[derive(Debug, Clone)]
pub enum Reading {
    /// As changes of the source's tables, which the target has under the same names. The connector writes them like this.
    Replica(Arc<Handling>),
    /// As rows of the tables that a JDBC sink connector's configuration names; the schema is where those are whose names have none.
    Jdbc(Arc<Settings>, Arc<str>),
}

impl Reading {
    /// By what name the target knows a topic.
    pub fn ledger_name(&self, topic: &str) -> String {
        match self {
            Reading::Replica(_) => topic.to_owned(),
            Reading::Jdbc(settings, _) => settings.ledger_name(topic),
        }
    }

    /// How a connector of the source writes its records; Debezium's own way where none is known.
    pub fn handling(&self) -> Arc<Handling> {
        match self {
            Reading::Replica(handling) => handling.clone(),
            Reading::Jdbc(..) => Arc::default(),
        }
    }

    /// How many records a batch has at most, where that was set.
    fn batch_records(&self) -> Option<usize> {
        match self {
            Reading::Replica(_) => None,
            Reading::Jdbc(settings, _) => settings.batch_records,
        }
    }
}

/// What comes into a target, and how.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What is read.
    pub subscription: Subscription,
    /// Where it goes.
    pub target: Database,
    /// By what that is told from any other.
    pub target_id: String,
    /// What they are written in.
    pub converters: Converters,
    /// How they are read.
    pub reading: Reading,
    /// What is done with records that the target does not take.
    pub refused: Refused,
    /// What is done when the source's tables change.
    pub evolution: Evolution,
    /// What makes spans of what is applied, where traces are asked for.
    pub traces: Option<Traces>,
}

impl Feed {
    /// Opens a session that applies records.
    async fn applier(&self) -> Result<Applier, SinkError> {
        let applier = match &self.reading {
            Reading::Replica(_) => Applier::connect(&self.target, &self.refused, &self.evolution).await,
            Reading::Jdbc(..) => Applier::connect_plainly(&self.target, &self.refused).await,
        };
        Ok(applier?.traced(self.traces.clone()))
    }
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

/// Consumes this sink's share of the topics, those that appear later included, until cancelled; returns when all batches under way
/// have ended.
///
/// A partition that fails is tried again from the stored offset, also when a person must act: the moment they have, it goes on.
/// Meanwhile the others go on, and `/health` says what stands still, and why.
pub async fn run(feed: &Feed, order: &Order, health: &Health, cancel: &CancellationToken) {
    health.consumes();
    health.applies_by(match order {
        Order::Tables => "table by table",
        Order::Transactions(_) => "transaction by transaction",
    });
    loop {
        let made = match order {
            Order::Tables => match Dispatcher::new(feed, health) {
                Ok(dispatcher) => return Box::pin(dispatcher.run(cancel)).await,
                Err(error) => Err(error),
            },
            Order::Transactions(topics) => match InOrder::new(feed, topics, health) {
                Ok(in_order) => match Box::pin(in_order.run(cancel)).await {
                    true => Ok(()),
                    false => return,
                },
                Err(error) => Err(error),
            },
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
