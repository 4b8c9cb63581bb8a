//! Everything that could be wrong with a worker and its connectors, looked at before a run or while it goes on.
//!
//! It makes nothing, moves nothing and joins no group. What is looked at is what a start looks at, by the same functions: the words
//! of its findings are those of a start's errors.
//!
//! # Layout
//! - `kafka`: the worker's Kafka, its topics, its group
//! - `connector`: one connector's configuration, its source, and the topics it publishes to

mod connector;
mod kafka;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use access::diagnosis::{Diagnosis, Finding, Form, print};

use crate::config::{WorkerConfig, application_properties};
use crate::publish::preflight::TOPICS;
use crate::source::preflight::{PUBLICATION, SLOT, SOURCE, TABLES};
use crate::worker::deploy;
use crate::worker::storage::configs::ConfigStore;

/// The headings.
const KAFKA: &str = "Kafka";
const WORKER: &str = "worker";
const CONNECTOR: &str = "connector";

/// How the streamer is configured: as for a run.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// `--worker`, the environment without.
    pub worker: Option<&'a Path>,
    /// `--application-properties`.
    pub application_properties: Option<&'a Path>,
    /// `--connector`; those of the config topic without any.
    pub connectors: &'a [std::path::PathBuf],
}

/// Looks at everything and prints it. The exit status is 0 where nothing is an error, 1 otherwise, 2 where it cannot be printed.
pub async fn run(configured: &Configured<'_>, json: bool) -> ExitCode {
    let order = [SOURCE, SLOT, PUBLICATION, TABLES, KAFKA, TOPICS, WORKER, CONNECTOR];
    let diagnosis = look(configured).await.in_order(&order);
    match print(&diagnosis, Form::of(json), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::from(diagnosis.status()),
        Err(_) => ExitCode::from(2),
    }
}

/// Looks at everything.
pub async fn look(configured: &Configured<'_>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let mut connectors = given(configured, &mut diagnosis);
    let Some(worker) = worker(configured, &mut connectors, &mut diagnosis) else {
        diagnosis.not_made(KAFKA, "Kafka", "the worker's configuration cannot be used");
        diagnosis.not_made(CONNECTOR, "connectors", "the worker's configuration cannot be used");
        return diagnosis;
    };
    let stored = kafka::look(&worker, &mut diagnosis).await;
    if configured.connectors.is_empty() && configured.application_properties.is_none() {
        match &stored.configs {
            Some(configs) => connectors = of_the_topic(configs, &worker, &mut diagnosis),
            None => diagnosis.not_made(
                CONNECTOR,
                "connectors",
                "none is given with --connector, and the config topic is not there or cannot be read",
            ),
        }
    }
    for (name, config) in &connectors {
        connector::look(name, config, &worker, &stored, &mut diagnosis).await;
    }
    diagnosis
}

type Connectors = Vec<(String, BTreeMap<String, String>)>;

/// The connectors of the files given.
fn given(configured: &Configured<'_>, diagnosis: &mut Diagnosis) -> Connectors {
    let mut connectors = Vec::new();
    for path in configured.connectors {
        match deploy::read(path) {
            Ok(connector) => connectors.push(connector),
            Err(finding) => diagnosis.found(CONNECTOR, path.display().to_string(), finding),
        }
    }
    connectors
}

fn worker(configured: &Configured<'_>, connectors: &mut Connectors, diagnosis: &mut Diagnosis) -> Option<WorkerConfig> {
    let (subject, read) = match (configured.application_properties, configured.worker) {
        (Some(path), _) => {
            let application = application_properties::read(path, std::env::vars()).map(|application| {
                connectors.push((application.name, application.connector));
                application.worker
            });
            (path.display().to_string(), application)
        }
        (None, Some(path)) => (path.display().to_string(), WorkerConfig::from_file(path)),
        (None, None) => ("environment".to_owned(), WorkerConfig::from_environment(std::env::vars())),
    };
    match read {
        Ok(worker) => {
            diagnosis.well(WORKER, subject, format!("group {}, worker {}", worker.group_id, worker.worker_id));
            Some(worker)
        }
        Err(error) => {
            diagnosis.found(WORKER, subject, error.finding());
            None
        }
    }
}

/// The connectors that are stored.
fn of_the_topic(configs: &ConfigStore, worker: &WorkerConfig, diagnosis: &mut Diagnosis) -> Connectors {
    let stored = configs.connectors();
    if stored.is_empty() {
        let topic = &worker.config_topic.name;
        let finding = Finding::note(
            "no-connector",
            format!("there is no connector: none is given with --connector, and none is in topic {topic}"),
            "streamer --connector FILE.json\nor PUT /connectors/NAME/config",
        );
        diagnosis.found(CONNECTOR, "connectors", finding);
    }
    stored.into_iter().map(|(name, connector)| (name, connector.config)).collect()
}
