//! States (`KafkaStatusBackingStore`), for those who read the topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::log::KafkaLog;
use crate::error::TaskError;

/// The status topic.
#[derive(Debug, Clone)]
pub struct StatusStore {
    log: KafkaLog,
    worker_id: String,
    topic_resets: Arc<AtomicU64>,
}

impl StatusStore {
    /// Writes states of this worker's connectors into `log`.
    pub fn new(log: KafkaLog, worker_id: String) -> Self {
        Self { log, worker_id, topic_resets: Arc::default() }
    }

    /// Writes the state of a connector, or with `task` of its task; a failure is logged and nothing else: the REST API,
    /// not this topic, is asked for states.
    pub async fn put(&self, connector: &str, task: Option<u32>, state: &str, trace: Option<&str>) {
        let status = json!({
            "state": state, "trace": trace, "worker_id": self.worker_id, "generation": 1,
        });
        self.write(connector, task, Some(status.to_string().as_bytes())).await;
    }

    /// Notes that a connector publishes to a topic.
    pub async fn put_topic(&self, connector: &str, topic: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis());
        let value = json!({
            "topic": { "name": topic, "connector": connector, "task": 0, "discoverTimestamp": u64::try_from(now).unwrap_or_default() },
        });
        let key = topic_key(connector, topic);
        if let Err(error) = self.log.write(key.as_bytes(), Some(value.to_string().as_bytes())).await {
            tracing::warn!(connector, topic, %error, "active topic not stored");
        }
    }

    /// The topics that a connector publishes to.
    pub fn topics(&self, connector: &str) -> Vec<String> {
        let entries = self.log.entries().into_iter().filter(|(key, _)| key.starts_with(b"status-topic-"));
        entries
            .filter_map(|(_, value)| serde_json::from_slice::<Value>(&value).ok())
            .filter(|value| value.pointer("/topic/connector").and_then(Value::as_str) == Some(connector))
            .filter_map(|value| value.pointer("/topic/name").and_then(Value::as_str).map(str::to_owned))
            .collect()
    }

    /// Forgets the topics of a connector; those that it goes on publishing to are noted again.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn reset_topics(&self, connector: &str) -> Result<(), TaskError> {
        for topic in self.topics(connector) {
            self.log.write(topic_key(connector, &topic).as_bytes(), None).await?;
        }
        self.topic_resets.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How often topics were forgotten: a publisher that sees another number notes its topics again.
    pub fn topic_resets(&self) -> u64 {
        self.topic_resets.load(Ordering::Relaxed)
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

fn topic_key(connector: &str, topic: &str) -> String {
    format!("status-topic-{topic}:connector-{connector}")
}
