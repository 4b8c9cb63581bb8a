//! Connectors' configurations and target states (`KafkaConfigBackingStore`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::log::KafkaLog;
use crate::error::TaskError;

/// What a connector is meant to be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Running.
    Started,
    /// Its task stopped, and shown as paused.
    Paused,
    /// Without a task.
    Stopped,
}

impl TargetState {
    const fn as_str(self) -> &'static str {
        match self {
            TargetState::Started => "STARTED",
            TargetState::Paused => "PAUSED",
            TargetState::Stopped => "STOPPED",
        }
    }
}

/// A connector as it is stored.
#[derive(Debug, Clone)]
pub struct StoredConnector {
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// What it is meant to be doing.
    pub target: TargetState,
}

/// The config topic.
#[derive(Debug, Clone)]
pub struct ConfigStore {
    log: KafkaLog,
}

#[derive(Deserialize, Serialize)]
struct Properties {
    properties: BTreeMap<String, String>,
}

impl ConfigStore {
    /// Keeps configurations in `log`.
    pub fn new(log: KafkaLog) -> Self {
        Self { log }
    }

    /// All connectors. A record that is not understood is passed over with a warning: it may be a newer worker's.
    pub fn connectors(&self) -> BTreeMap<String, StoredConnector> {
        let mut connectors = BTreeMap::new();
        for (key, value) in self.log.entries() {
            let Ok(key) = String::from_utf8(key) else { continue };
            let Some(name) = key.strip_prefix("connector-") else { continue };
            match serde_json::from_slice::<Properties>(&value) {
                Ok(stored) => {
                    let connector = StoredConnector { config: stored.properties, target: self.target(name) };
                    connectors.insert(name.to_owned(), connector);
                }
                Err(error) => {
                    tracing::warn!(connector = name, %error, "stored configuration is not readable; left alone")
                }
            }
        }
        connectors
    }

    fn target(&self, name: &str) -> TargetState {
        let stored = self.log.get(format!("target-state-{name}").as_bytes());
        let state = stored.and_then(|value| serde_json::from_slice::<serde_json::Value>(&value).ok());
        let text = |key| state.as_ref().and_then(|state| state.get(key)).and_then(serde_json::Value::as_str);
        // The second key came with KIP-875 and knows STOPPED; older workers write the first only.
        match text("state.v2").or_else(|| text("state")) {
            Some("PAUSED") => TargetState::Paused,
            Some("STOPPED") => TargetState::Stopped,
            _ => TargetState::Started,
        }
    }

    /// Stores a configuration, and its one task's unless it is to be stopped, as a Java worker does.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn put(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        target: TargetState,
    ) -> Result<(), TaskError> {
        let connector = json!({ "properties": config });
        self.log.write(format!("connector-{name}").as_bytes(), Some(connector.to_string().as_bytes())).await?;
        if target == TargetState::Stopped {
            return Ok(());
        }
        self.put_task(name, config).await
    }

    /// Stores the configuration of a connector's one task.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn put_task(&self, name: &str, config: &BTreeMap<String, String>) -> Result<(), TaskError> {
        let mut task = config.clone();
        task.insert("task.class".to_owned(), "io.debezium.connector.postgresql.PostgresConnectorTask".to_owned());
        let task = json!({ "properties": task });
        self.log.write(format!("task-{name}-0").as_bytes(), Some(task.to_string().as_bytes())).await?;
        self.commit_tasks(name, 1).await
    }

    /// Stores that a connector has no task, or one: a Java worker would start a stopped one's otherwise.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn commit_tasks(&self, name: &str, tasks: usize) -> Result<(), TaskError> {
        let commit = json!({ "tasks": tasks });
        self.log.write(format!("commit-{name}").as_bytes(), Some(commit.to_string().as_bytes())).await
    }

    /// Stores what a connector is meant to be doing.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn put_target(&self, name: &str, target: TargetState) -> Result<(), TaskError> {
        // A worker from before KIP-875 takes a stopped connector for a paused one.
        let first = if target == TargetState::Stopped { TargetState::Paused } else { target };
        let state = json!({ "state": first.as_str(), "state.v2": target.as_str() });
        self.log.write(format!("target-state-{name}").as_bytes(), Some(state.to_string().as_bytes())).await
    }

    /// Forgets a connector. Its positions stay: a connector of the same name goes on where this one was.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn remove(&self, name: &str) -> Result<(), TaskError> {
        self.log.write(format!("connector-{name}").as_bytes(), None).await?;
        self.log.write(format!("target-state-{name}").as_bytes(), None).await
    }
}
