//! States (`KafkaStatusBackingStore`), for those who read the topic.

use serde_json::json;

use super::log::KafkaLog;

/// The status topic.
#[derive(Debug, Clone)]
pub struct StatusStore {
    log: KafkaLog,
    worker_id: String,
}

impl StatusStore {
    /// Writes states of this worker's connectors into `log`.
    pub fn new(log: KafkaLog, worker_id: String) -> Self {
        Self { log, worker_id }
    }

    /// Writes the state of a connector, or with `task` of its task; a failure is logged and nothing else: the REST API,
    /// not this topic, is asked for states.
    pub async fn put(&self, connector: &str, task: Option<u32>, state: &str, trace: Option<&str>) {
        let status = json!({
            "state": state, "trace": trace, "worker_id": self.worker_id, "generation": 1,
        });
        self.write(connector, task, Some(status.to_string().as_bytes())).await;
    }

    /// Forgets a connector and its task.
    pub async fn remove(&self, connector: &str) {
        self.write(connector, None, None).await;
        self.write(connector, Some(0), None).await;
    }

    async fn write(&self, connector: &str, task: Option<u32>, value: Option<&[u8]>) {
        let key = match task {
            Some(task) => format!("status-task-{connector}-{task}"),
            None => format!("status-connector-{connector}"),
        };
        if let Err(error) = self.log.write(key.as_bytes(), value).await {
            tracing::warn!(connector, %error, "state not stored");
        }
    }
}
