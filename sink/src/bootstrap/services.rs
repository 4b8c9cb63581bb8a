//! Waiting for those that are needed.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::config::RunConfig;
use crate::consume::topics;
use crate::error::SinkError;
use crate::kafka::Kafka;
use crate::postgres::Database;

/// Waits until PostgreSQL twice, Kafka and the worker answer.
///
/// # Errors
/// At the deadline: all that did not answer, each with its address and what it said last. Before it, when one of them
/// answers with a refusal that time does not mend.
pub async fn wait(config: &RunConfig) -> Result<(), SinkError> {
    let deadline = Instant::now() + config.deadline;
    let (source, target, kafka, worker) = tokio::join!(
        until(deadline, || postgres(&config.source)),
        until(deadline, || postgres(&config.target)),
        until(deadline, || topics::ping(&config.kafka)),
        until(deadline, || worker(config)),
    );
    all_answered(
        config.deadline,
        [
            (format!("postgres1 (--source, {})", config.source.address()), source),
            (format!("postgres2 (--target, {})", config.target.address()), target),
            (format!("Kafka (--bootstrap-servers, {})", config.kafka.bootstrap_servers), kafka),
            (format!("the worker's REST API (--connect-url, {})", config.connect_url), worker),
        ],
    )
}

/// Waits until a database and Kafka answer.
///
/// # Errors
/// As [`wait`].
pub async fn wait_without_source(database: &Database, kafka: &Kafka, patience: Duration) -> Result<(), SinkError> {
    let deadline = Instant::now() + patience;
    let (target, answer) =
        tokio::join!(until(deadline, || postgres(database)), until(deadline, || topics::ping(kafka)));
    all_answered(
        patience,
        [
            (format!("the database (connection.url, {})", database.address()), target),
            (format!("Kafka (--bootstrap-servers, {})", kafka.bootstrap_servers), answer),
        ],
    )
}

fn all_answered<const N: usize>(
    patience: Duration,
    answers: [(String, Result<(), SinkError>); N],
) -> Result<(), SinkError> {
    let failures: Vec<String> =
        answers.into_iter().filter_map(|(who, result)| result.err().map(|error| format!("  {who}: {error}"))).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(SinkError::stop(format!(
        "not everything that is needed answered within {} s (--deadline). Nothing was written:\n{}",
        patience.as_secs(),
        failures.join("\n")
    )))
}

async fn until<F: Future<Output = Result<(), SinkError>>>(
    deadline: Instant,
    mut ask: impl FnMut() -> F,
) -> Result<(), SinkError> {
    loop {
        match ask().await {
            Ok(()) => return Ok(()),
            Err(error) if !error.is_retry() || Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}

async fn postgres(database: &Database) -> Result<(), SinkError> {
    match database.connect("wait").await {
        Ok(_) => Ok(()),
        // A container's first start creates the database a moment after it answers.
        Err(SinkError::Stop(text)) if text.contains("3D000") => Err(SinkError::Retry(text)),
        Err(error) => Err(error),
    }
}

async fn worker(config: &RunConfig) -> Result<(), SinkError> {
    let answer = config
        .connect_url
        .client(config.connect_ca.as_deref())?
        .get(config.connect_url.at("/connectors"))
        .timeout(Duration::from_secs(5))
        .send()
        .await
        .map_err(|error| SinkError::retry(format!("no answer: {}", deepest(&error))))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED => {
            Err(SinkError::stop("it answers HTTP 401: name a user that it knows, http://USER:PASSWORD@HOST:PORT"))
        }
        status => Err(SinkError::retry(format!("it answers HTTP {}", status.as_u16()))),
    }
}

/// The cause underneath, which is the one that says something.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
