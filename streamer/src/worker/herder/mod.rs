//! Connectors' life cycle (Connect's `Herder`).
//!
//! # Layout
//! - `view`: a connector as the REST API shows it
//! - `validate`: what is wrong with a configuration
//! - `offsets`: stored positions, read and changed by hand

mod offsets;
mod validate;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use trace::Tracer;

use super::storage::configs::{ConfigStore, StoredConnector, TargetState};
use super::storage::log::KafkaLog;
use super::storage::statuses::StatusStore;
use super::task::RunningTask;
use crate::config::worker::StorageTopic;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::{TaskError, trace_line};
use crate::metrics::live::Lives;
use crate::metrics::slots::WatchedSlots;
use crate::position::OffsetStore;

pub(crate) use validate::check_class;
pub use view::ConnectorView;

/// The worker's connectors. Changes are made one at a time.
#[derive(Debug)]
pub struct Herder {
    worker: Arc<WorkerConfig>,
    configs: ConfigStore,
    statuses: StatusStore,
    offsets: OffsetStore,
    connectors: Mutex<BTreeMap<String, Connector>>,
    fence: CancellationToken,
    tracer: Option<Tracer>,
}

#[derive(Debug)]
struct Connector {
    config: BTreeMap<String, String>,
    target: TargetState,
    task: Task,
    lives: Lives,
    slots: Option<WatchedSlots>,
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
    /// It is another plugin's: this worker leaves it alone, for this reason.
    Foreign(String),
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
    /// Opens the worker's topics and starts the connectors that are meant to run; with a tracer their transactions are traced.
    ///
    /// # Errors
    /// Retry when Kafka does not answer; stop when it refuses a topic.
    pub async fn start(worker: Arc<WorkerConfig>, tracer: Option<Tracer>) -> Result<Self, TaskError> {
        let fence = CancellationToken::new();
        let open = async |topic: &StorageTopic| match worker.is_standalone {
            true => Ok(KafkaLog::in_memory(topic, fence.clone())),
            false => KafkaLog::open(&worker, topic, fence.clone()).await,
        };
        let configs = ConfigStore::new(open(&worker.config_topic).await?);
        let statuses = open(&worker.status_topic).await?;
        let offsets = OffsetStore::new(KafkaLog::open(&worker, &worker.offset_topic, fence.clone()).await?);
        let statuses = StatusStore::new(statuses, worker.worker_id.clone());
        let stored = configs.connectors();
        let herder = Self { worker, configs, statuses, offsets, connectors: Mutex::default(), fence, tracer };
        let mut connectors = herder.connectors.lock().await;
        for (name, StoredConnector { config, target }) in stored {
            tracing::info!(connector = %name, ?target, "found in the config topic");
            let mut connector = Connector { config, target, task: Task::None, lives: Lives::default(), slots: None };
            herder.launch(&name, &mut connector);
            connectors.insert(name, connector);
        }
        drop(connectors);
        Ok(herder)
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
        let target = connectors.get(name).map_or(initial, |connector| connector.target);
        self.configs.put(name, &config, target).await?;
        let put = if connectors.contains_key(name) { Put::Updated } else { Put::Created };
        if put == Put::Created {
            self.configs.put_target(name, initial).await?;
        }
        let connector = connectors.entry(name.to_owned()).or_insert_with(|| Connector {
            config: BTreeMap::new(),
            target: initial,
            task: Task::None,
            lives: Lives::default(),
            slots: None,
        });
        connector.config = config;
        connector.halt().await;
        self.launch(name, connector);
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
        if connector.is_foreign() {
            self.configs.put_target(name, target).await?;
            connector.target = target;
            return Ok(());
        }
        if target == TargetState::Stopped {
            self.configs.commit_tasks(name, 0).await?;
        } else if connector.target == TargetState::Stopped {
            self.configs.put_task(name, &connector.config).await?;
        }
        self.configs.put_target(name, target).await?;
        if connector.target != target {
            connector.target = target;
            connector.halt().await;
            self.launch(name, connector);
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
            self.launch(name, connector);
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
        self.statuses.reset_topics(name).await?;
        tracing::info!(connector = name, "deleted");
        Ok(())
    }

    /// The topics that a connector publishes to; none of a connector that is not there.
    pub fn topics(&self, name: &str) -> Vec<String> {
        self.statuses.topics(name)
    }

    /// Forgets them.
    ///
    /// # Errors
    /// Retry when Kafka does not take it in time.
    pub async fn reset_topics(&self, name: &str) -> Result<(), HerderError> {
        Ok(self.statuses.reset_topics(name).await?)
    }

    /// Breaks every task off, because another worker goes on: from here on nothing is published, stored or confirmed.
    pub async fn abandon(&self) {
        self.fence.cancel();
        self.shut_down().await;
    }

    /// Stops every task and waits for it: positions are stored, slots are free. Target states stay.
    pub async fn shut_down(&self) {
        let mut connectors = self.connectors.lock().await;
        for (name, connector) in connectors.iter_mut() {
            connector.halt().await;
            tracing::info!(connector = %name, "stopped");
        }
    }

    /// Starts the task of a connector that is meant to run and that this worker can run.
    fn launch(&self, name: &str, connector: &mut Connector) {
        if let Err(error) = validate::check_class(&connector.config) {
            tracing::warn!(
                connector = name,
                class = connector.config.get("connector.class").map_or("", String::as_str),
                "not a PostgreSQL connector: it is left alone. A Kafka Connect worker with its plugin, in a group of its own, can run it"
            );
            connector.task = Task::Foreign(trace_line(error));
            return;
        }
        let usable = ConnectorConfig::parse(&connector.config, &self.worker).map(Arc::new);
        let is_started = connector.target == TargetState::Started;
        connector.slots = usable.as_ref().ok().map(|config| WatchedSlots::of(config.clone(), is_started));
        if !is_started {
            connector.task = Task::None;
            return;
        }
        connector.task = match usable.map_err(|findings| validate::invalid(&findings)) {
            Ok(config) => {
                let (worker, offsets, statuses) = (self.worker.clone(), self.offsets.clone(), self.statuses.clone());
                let (fence, lives, tracer) = (self.fence.clone(), connector.lives.clone(), self.tracer.clone());
                Task::Running(RunningTask::start(config, worker, offsets, statuses, fence, lives, tracer))
            }
            Err(error) => {
                tracing::error!(connector = name, %error, "the stored configuration cannot be run");
                Task::Unusable(trace_line(error))
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
        self.slots = None;
        if let Task::Running(task) = std::mem::replace(&mut self.task, Task::None) {
            task.stop().await;
        }
    }
}
