//! Waiting for those that are needed.

use std::time::{Duration, Instant};

use access::diagnosis::{Diagnosis, Finding};
use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::config::RunConfig;
use crate::consume::topics;
use crate::error::SinkError;
use crate::kafka::Kafka;
use crate::postgres::{Database, identifier};

/// A service that is needed.
#[derive(Debug, Clone, Copy)]
enum Service<'a> {
    /// `--source`.
    Source(&'a Database),
    /// `--target`.
    Target(&'a Database),
    /// `connection.url` of a JDBC sink connector.
    Given(&'a Database),
    /// Kafka.
    Kafka(&'a Kafka),
    /// The worker's REST API.
    Worker(&'a RunConfig),
}

impl Service<'_> {
    /// By what it is told.
    const fn given(self) -> &'static str {
        match self {
            Service::Source(_) => "--source",
            Service::Target(_) => "--target",
            Service::Given(_) => "connection.url",
            Service::Kafka(_) => "--bootstrap-servers",
            Service::Worker(_) => "--connect-url",
        }
    }

    /// What it is called, by what it is told, and where it is.
    fn who(self) -> String {
        let (name, address) = match self {
            Service::Source(database) => ("postgres1", database.address()),
            Service::Target(database) => ("postgres2", database.address()),
            Service::Given(database) => ("the database", database.address()),
            Service::Kafka(kafka) => ("Kafka", kafka.bootstrap_servers.clone()),
            Service::Worker(config) => ("the worker's REST API", config.connect_url.to_string()),
        };
        format!("{name} ({}, {address})", self.given())
    }

    async fn ask(self) -> Result<(), SinkError> {
        match self {
            Service::Source(database) | Service::Target(database) | Service::Given(database) => {
                postgres(database).await
            }
            Service::Kafka(kafka) => topics::ping(kafka).await,
            Service::Worker(config) => worker(config).await,
        }
    }

    /// What its answer means, and what mends it.
    fn finding(self, error: &SinkError) -> Finding {
        let message = format!("{}: {error}", self.who());
        let (id, remedy) = match self {
            Service::Source(database) => of_database(database, "source-unreachable", "--source", error),
            Service::Target(database) => of_database(database, "target-unreachable", "--target", error),
            Service::Given(database) => {
                of_database(database, "target-unreachable", "connection.url", error)
            }
            Service::Kafka(_) if error.is_retry() => (
                "kafka-unreachable",
                "Put --bootstrap-servers right, start the brokers, or let their advertised.listeners be reached from here".to_owned(),
            ),
            Service::Kafka(_) => {
                ("kafka-refused", "Look at security.protocol, ssl.* and sasl.* in the file of --kafka-config".to_owned())
            }
            Service::Worker(_) if error.is_retry() => (
                "worker-unreachable",
                "Start the streamer (or Kafka Connect), or put --connect-url right".to_owned(),
            ),
            Service::Worker(_) => ("worker-refused", "Put --connect-url right, and --connect-ca for https".to_owned()),
        };
        let finding = Finding::error(id, message, remedy);
        if error.is_retry() { finding.passing() } else { finding }
    }
}

/// What mends a database's answer, by its name, its SQLSTATE or its words; `unreachable` is what it is called where there is none.
fn of_database(
    database: &Database,
    unreachable: &'static str,
    given: &str,
    error: &SinkError,
) -> (&'static str, String) {
    let (name, user, text) = (database.name(), database.user(), error.to_string());
    match error.id() {
        Some(id @ ("certificate-refused" | "tls-settings")) => {
            return (
                id,
                format!("Put sslmode, sslrootcert, sslcert and sslkey in {given} right, or renew the certificate"),
            );
        }
        Some(id @ "tls-missing") => {
            return (id, format!("Give the server a certificate and set ssl = on, or leave sslmode out of {given}"));
        }
        _ => {}
    }
    if text.contains("pg_hba.conf") {
        return (
            "hba-refused",
            format!(
                "Put this line into the server's pg_hba.conf, with the address of this machine, and have it read:\nhostssl {name} {user} \
                 ADDRESS/32 scram-sha-256\nSELECT pg_reload_conf();"
            ),
        );
    }
    if text.contains("3D000") {
        return ("database-missing", format!("Put {given} right, or create it: CREATE DATABASE {};", identifier(name)));
    }
    if error.id() == Some("login-refused") || text.contains("28P01") || text.contains("28000") {
        return (
            "login-refused",
            format!("Put the user and the password of {given} right, or give user {user} a line in ~/.pgpass"),
        );
    }
    match error.is_retry() {
        true => (
            unreachable,
            format!(
                "Put the address of {given} right, start the server, or let it listen there (listen_addresses) and through the firewall"
            ),
        ),
        false => ("server-refused", format!("Put {given} right")),
    }
}

/// Waits until PostgreSQL twice, Kafka and the worker answer.
///
/// # Errors
/// At the deadline: all that did not answer, each with its address and what it said last. Before it, when one of them
/// answers with a refusal that time does not mend.
pub async fn wait(config: &RunConfig) -> Result<(), SinkError> {
    let deadline = Instant::now() + config.deadline;
    let services = all(config);
    let answers = join_all(services.iter().map(|(_, service)| until(deadline, || service.ask()))).await;
    all_answered(config.deadline, services.iter().map(|(_, service)| *service).zip(answers))
}

/// Asks each once.
pub async fn look(config: &RunConfig, diagnosis: &mut Diagnosis) {
    let services = all(config);
    let answers = join_all(services.iter().map(|(_, service)| service.ask())).await;
    for ((group, service), answer) in services.into_iter().zip(answers) {
        match answer {
            Ok(()) => diagnosis.well(group, service.given(), format!("{} answers", service.who())),
            Err(error) => diagnosis.found(group, service.given(), service.finding(&error)),
        }
    }
}

/// All that a sink needs, with the headings that `doctor` says them under.
fn all(config: &RunConfig) -> [(&'static str, Service<'_>); 4] {
    [
        (SOURCE, Service::Source(&config.source)),
        (TARGET, Service::Target(&config.target)),
        (KAFKA, Service::Kafka(&config.kafka)),
        (WORKER, Service::Worker(config)),
    ]
}

/// The headings.
pub const SOURCE: &str = "source";
/// Of the target.
pub const TARGET: &str = "target";
/// Of Kafka.
pub const KAFKA: &str = "Kafka";
/// Of the worker.
pub const WORKER: &str = "worker";

/// Waits until a database and Kafka answer.
///
/// # Errors
/// As [`wait`].
pub async fn wait_without_source(database: &Database, kafka: &Kafka, patience: Duration) -> Result<(), SinkError> {
    let deadline = Instant::now() + patience;
    let services = [Service::Given(database), Service::Kafka(kafka)];
    let answers = join_all(services.iter().map(|service| until(deadline, || service.ask()))).await;
    all_answered(patience, services.into_iter().zip(answers))
}

fn all_answered<'a>(
    patience: Duration,
    answers: impl Iterator<Item = (Service<'a>, Result<(), SinkError>)>,
) -> Result<(), SinkError> {
    let findings: Vec<Finding> =
        answers.filter_map(|(service, answer)| answer.err().map(|error| service.finding(&error))).collect();
    let id = match findings.as_slice() {
        [] => return Ok(()),
        [alone] => alone.id,
        _ => "no-answer",
    };
    let lines: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    Err(SinkError::stop(
        id,
        format!(
            "not everything that is needed answered within {} s (--deadline). Nothing was written:\n{}",
            patience.as_secs(),
            lines.join("\n")
        ),
    ))
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
        Err(SinkError::Stop { text, .. }) if text.contains("3D000") => Err(SinkError::Retry(text)),
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
        StatusCode::UNAUTHORIZED => Err(SinkError::stop(
            "worker-refused",
            "it answers HTTP 401: name a user that it knows, http://USER:PASSWORD@HOST:PORT",
        )),
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
