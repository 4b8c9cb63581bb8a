//! Connectors' life cycle (Connect's `Herder`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::storage::configs::{ConfigStore, StoredConnector, TargetState};
use super::storage::log::KafkaLog;
use super::storage::statuses::StatusStore;
use super::task::{RunningTask, TaskStatus};
use crate::config::connector::{CONNECTOR_CLASS, DEBEZIUM_VERSION};
use crate::config::properties::masked;
use crate::config::{ConnectorConfig, Finding, WorkerConfig};
use crate::error::TaskError;
use crate::position::OffsetStore;
use crate::source;

/// The worker's connectors. Changes are made one at a time.
#[derive(Debug)]
pub struct Herder {
    worker: Arc<WorkerConfig>,
    configs: ConfigStore,
    statuses: StatusStore,
    offsets: OffsetStore,
    connectors: Mutex<BTreeMap<String, Connector>>,
}

#[derive(Debug)]
struct Connector {
    config: BTreeMap<String, String>,
    target: TargetState,
    task: Task,
}

/// What there is of a connector's task.
#[derive(Debug)]
enum Task {
    /// Paused or stopped.
    None,
    /// Running, or failed while running.
    Running(RunningTask),
    /// Its stored configuration is not one that this worker can run.
    Unusable(String),
}

/// A connector as the REST API shows it.
#[derive(Debug, Clone)]
pub struct ConnectorView {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// `RUNNING`, `PAUSED` or `STOPPED`.
    pub state: &'static str,
    /// Its task's state, where it has one.
    pub task: Option<TaskStatus>,
}

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum HerderError {
    /// There is no such connector; the text is Connect's for the request.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken.
    #[error("Connector {0} already exists")]
    Exists(String),
    /// The request makes no sense as it is.
    #[error("{0}")]
    BadRequest(String),
    /// The worker's topics do not take it.
    #[error(transparent)]
    Storage(#[from] TaskError),
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The connector is new.
    Created,
    /// It was there.
    Updated,
}

impl Herder {
    /// Opens the worker's topics and starts the connectors that are meant to run.
    ///
    /// # Errors
    /// Retry when Kafka does not answer; stop when it refuses a topic.
    pub async fn start(worker: Arc<WorkerConfig>) -> Result<Self, TaskError> {
        let configs = ConfigStore::new(KafkaLog::open(&worker, &worker.config_topic).await?);
        let offsets = OffsetStore::new(KafkaLog::open(&worker, &worker.offset_topic).await?);
        let statuses = KafkaLog::open(&worker, &worker.status_topic).await?;
        let statuses = StatusStore::new(statuses, worker.worker_id.clone());
        let stored = configs.connectors();
        let herder = Self { worker, configs, statuses, offsets, connectors: Mutex::default() };
        let mut connectors = herder.connectors.lock().await;
        for (name, StoredConnector { config, target }) in stored {
            tracing::info!(connector = %name, ?target, "found in the config topic");
            let mut connector = Connector { config, target, task: Task::None };
            if target == TargetState::Started {
                herder.launch(&mut connector);
            }
            connectors.insert(name, connector);
        }
        drop(connectors);
        Ok(herder)
    }

    /// The worker's configuration.
    pub fn worker(&self) -> &WorkerConfig {
        &self.worker
    }

    /// All connectors by name.
    pub async fn connectors(&self) -> Vec<ConnectorView> {
        self.connectors.lock().await.iter().map(|(name, connector)| connector.view(name)).collect()
    }

    /// One connector.
    ///
    /// # Errors
    /// Not found, in the words of `not_found`.
    pub async fn connector(
        &self,
        name: &str,
        not_found: impl FnOnce() -> String,
    ) -> Result<ConnectorView, HerderError> {
        let connectors = self.connectors.lock().await;
        connectors.get(name).map(|connector| connector.view(name)).ok_or_else(|| HerderError::NotFound(not_found()))
    }

    /// Checks a configuration as Connect and Debezium do at a put: the keys, then whether PostgreSQL can be reached.
    ///
    /// # Errors
    /// All findings, in one answer.
    pub async fn validate(&self, config: &BTreeMap<String, String>) -> Result<ConnectorConfig, HerderError> {
        self.check_class(config)?;
        let parsed = ConnectorConfig::parse(config, &self.worker).map_err(|findings| invalid(&findings))?;
        match source::validate(&parsed).await {
            findings if findings.is_empty() => Ok(parsed),
            findings => Err(invalid(&findings)),
        }
    }

    /// The findings of a configuration, for the validate request.
    ///
    /// # Errors
    /// When it names no connector, or one that is not here.
    pub async fn findings(&self, config: &BTreeMap<String, String>) -> Result<Vec<Finding>, HerderError> {
        self.check_class(config)?;
        let mut findings = match ConnectorConfig::parse(config, &self.worker) {
            Ok(parsed) => source::validate(&parsed).await,
            Err(findings) => findings,
        };
        if !config.contains_key("name") {
            let message = "Missing required configuration \"name\" which has no default value.".to_owned();
            findings.push(Finding { key: Some("name".to_owned()), message });
        }
        Ok(findings)
    }

    fn check_class(&self, config: &BTreeMap<String, String>) -> Result<(), HerderError> {
        let short = |class: &str| matches!(class, "PostgresConnector" | "Postgres");
        match config.get("connector.class") {
            None => {
                let shown: Vec<String> =
                    config.iter().map(|(key, value)| format!("{key}={}", masked(key, value))).collect();
                Err(HerderError::BadRequest(format!(
                    "Connector config {{{}}} contains no connector type",
                    shown.join(", ")
                )))
            }
            Some(class) if class == CONNECTOR_CLASS || short(class) => Ok(()),
            Some(class) => Err(HerderError::BadRequest(format!(
                "Failed to find any class that implements Connector and which name matches {class}, available connectors \
                 are: PluginDesc{{klass=class {CONNECTOR_CLASS}, name='{CONNECTOR_CLASS}', version='{DEBEZIUM_VERSION}', \
                 encodedVersion={DEBEZIUM_VERSION}, type=source, typeName='source', location='classpath'}}"
            ))),
        }
    }

    /// Creates a connector, or gives an existing one a new configuration and starts its task anew.
    ///
    /// # Errors
    /// What is wrong with the configuration; the connector goes on with the one it had.
    pub async fn put(
        &self,
        name: &str,
        mut config: BTreeMap<String, String>,
        only_new: bool,
        initial: TargetState,
    ) -> Result<(ConnectorView, Put), HerderError> {
        config.insert("name".to_owned(), name.to_owned());
        self.validate(&config).await?;
        let mut connectors = self.connectors.lock().await;
        if only_new && connectors.contains_key(name) {
            return Err(HerderError::Exists(name.to_owned()));
        }
        self.configs.put(name, &config).await?;
        let put = if connectors.contains_key(name) { Put::Updated } else { Put::Created };
        if put == Put::Created {
            self.configs.put_target(name, initial).await?;
        }
        let connector = connectors.entry(name.to_owned()).or_insert_with(|| Connector {
            config: BTreeMap::new(),
            target: initial,
            task: Task::None,
        });
        connector.config = config;
        connector.halt().await;
        if connector.target == TargetState::Started {
            self.launch(connector);
        }
        tracing::info!(connector = name, ?put, "configuration stored");
        self.store_state(name, connector).await;
        Ok((connector.view(name), put))
    }

    /// Pauses, stops or resumes a connector; what it is already doing it goes on doing.
    ///
    /// # Errors
    /// Not found.
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), HerderError> {
        let mut connectors = self.connectors.lock().await;
        let connector =
            connectors.get_mut(name).ok_or_else(|| HerderError::NotFound(format!("Unknown connector {name}")))?;
        self.configs.put_target(name, target).await?;
        if connector.target != target {
            connector.target = target;
            match target {
                TargetState::Started => self.launch(connector),
                TargetState::Paused | TargetState::Stopped => connector.halt().await,
            }
            tracing::info!(connector = name, ?target, "target state");
        }
        self.store_state(name, connector).await;
        Ok(())
    }

    /// Starts a connector's task anew, or with `only_failed` only if it failed.
    ///
    /// # Errors
    /// Not found.
    pub async fn restart(&self, name: &str, only_failed: bool) -> Result<ConnectorView, HerderError> {
        let mut connectors = self.connectors.lock().await;
        let connector =
            connectors.get_mut(name).ok_or_else(|| HerderError::NotFound(format!("Unknown connector: {name}")))?;
        let has_failed = connector.task_status().is_some_and(|status| status.state == "FAILED");
        if connector.target == TargetState::Started && (has_failed || !only_failed) {
            connector.halt().await;
            self.launch(connector);
            tracing::info!(connector = name, "restarted");
        }
        Ok(connector.view(name))
    }

    /// Stops and forgets a connector. Its positions and its slot stay.
    ///
    /// # Errors
    /// Not found.
    pub async fn delete(&self, name: &str) -> Result<(), HerderError> {
        let mut connectors = self.connectors.lock().await;
        let connector =
            connectors.get_mut(name).ok_or_else(|| HerderError::NotFound(format!("Connector {name} not found")))?;
        self.configs.remove(name).await?;
        connector.halt().await;
        connectors.remove(name);
        self.statuses.remove(name).await;
        tracing::info!(connector = name, "deleted");
        Ok(())
    }

    /// The stored position of a connector, with the server it is kept under.
    ///
    /// # Errors
    /// Not found; a stored position that cannot be read.
    pub async fn offsets(&self, name: &str) -> Result<Option<(String, Map<String, Value>)>, HerderError> {
        let view = self.connector(name, || format!("Connector {name} not found")).await?;
        let server = view.config.get("topic.prefix").cloned().unwrap_or_default();
        Ok(self.offsets.read(name, &server)?.map(|offset| (server, offset)))
    }

    /// Forgets the stored position of a stopped connector.
    ///
    /// # Errors
    /// Not found; not stopped.
    pub async fn reset_offsets(&self, name: &str) -> Result<(), HerderError> {
        let view = self.connector(name, || format!("Connector {name} not found")).await?;
        if view.state != "STOPPED" {
            return Err(HerderError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
                 specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let server = view.config.get("topic.prefix").cloned().unwrap_or_default();
        Ok(self.offsets.remove(name, &server).await?)
    }

    /// Stops every task and waits for it: positions are stored, slots are free. Target states stay.
    pub async fn shut_down(&self) {
        let mut connectors = self.connectors.lock().await;
        for (name, connector) in connectors.iter_mut() {
            connector.halt().await;
            tracing::info!(connector = %name, "stopped");
        }
    }

    fn launch(&self, connector: &mut Connector) {
        let usable = self.check_class(&connector.config).and_then(|()| {
            ConnectorConfig::parse(&connector.config, &self.worker).map_err(|findings| invalid(&findings))
        });
        connector.task = match usable {
            Ok(config) => {
                let (worker, offsets, statuses) = (self.worker.clone(), self.offsets.clone(), self.statuses.clone());
                Task::Running(RunningTask::start(Arc::new(config), worker, offsets, statuses))
            }
            Err(error) => {
                tracing::error!(%error, "the stored configuration cannot be run");
                Task::Unusable(format!("org.apache.kafka.connect.errors.ConnectException: {error}"))
            }
        };
    }

    async fn store_state(&self, name: &str, connector: &Connector) {
        self.statuses.put(name, None, connector.state(), None).await;
        if connector.target == TargetState::Paused {
            self.statuses.put(name, Some(0), "PAUSED", None).await;
        }
    }
}

impl Connector {
    /// Stops the task, if there is one, and waits for it.
    async fn halt(&mut self) {
        if let Task::Running(task) = std::mem::replace(&mut self.task, Task::None) {
            task.stop().await;
        }
    }

    fn state(&self) -> &'static str {
        match self.target {
            TargetState::Started => "RUNNING",
            TargetState::Paused => "PAUSED",
            TargetState::Stopped => "STOPPED",
        }
    }

    fn task_status(&self) -> Option<TaskStatus> {
        match (&self.task, self.target) {
            (Task::Running(task), _) => Some(task.status()),
            (Task::Unusable(trace), _) => Some(TaskStatus { state: "FAILED", trace: Some(trace.clone()) }),
            (Task::None, TargetState::Paused) => Some(TaskStatus { state: "PAUSED", trace: None }),
            (Task::None, _) => None,
        }
    }

    fn view(&self, name: &str) -> ConnectorView {
        ConnectorView {
            name: name.to_owned(),
            config: self.config.clone(),
            state: self.state(),
            task: self.task_status(),
        }
    }
}

/// Connect's answer to an invalid configuration.
fn invalid(findings: &[Finding]) -> HerderError {
    let mut text =
        format!("Connector configuration is invalid and contains the following {} error(s):", findings.len());
    for finding in findings {
        text.push('\n');
        text.push_str(&finding.message);
    }
    text.push_str("\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`");
    HerderError::BadRequest(text)
}
