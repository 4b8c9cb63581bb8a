//! Whether Kafka lets the worker in.

use std::time::Duration;

use access::kafka::{self, Cluster, Refusal};

use crate::config::WorkerConfig;
use crate::error::TaskError;

/// How long Kafka may take for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks Kafka who it is, as the worker.
///
/// # Errors
/// Retry when it does not answer; stop when it does not let the worker in.
pub async fn enter(worker: &WorkerConfig) -> Result<Cluster, TaskError> {
    let client = worker.kafka_client();
    let servers = worker.bootstrap_servers();
    match tokio::task::spawn_blocking(move || kafka::enter(&client, PATIENCE)).await {
        Ok(Ok(cluster)) => Ok(cluster),
        Ok(Err(Refusal::Locked(why))) => {
            let failure = format!(
                "Kafka at {servers} (bootstrap.servers) does not let the worker in: {why}. Nothing was read, nothing is lost"
            );
            Err(TaskError::stop("kafka-refused", failure).mended_by("Look at security.protocol, ssl.* and sasl.*"))
        }
        Ok(Err(Refusal::Away(why))) => {
            let failure = format!(
                "Kafka at {servers} (bootstrap.servers) does not answer: {why}. Nothing was read, nothing is lost"
            );
            Err(TaskError::retry(failure).called("kafka-unreachable").mended_by(
                "Put bootstrap.servers right, start the brokers, or let their \
                 advertised.listeners be reached from here",
            ))
        }
        Err(error) => Err(TaskError::retry("asking Kafka broke off").because(error)),
    }
}
