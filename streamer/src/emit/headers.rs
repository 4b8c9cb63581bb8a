//! The `__debezium.*` record headers.

use rdkafka::message::{Header, OwnedHeaders};
use uuid::Uuid;

use crate::config::ConnectorConfig;

/// On the delete (and tombstone) of a changed key: where the row went.
pub const NEW_KEY: &str = "__debezium.newkey";
/// On the create under a changed key: where the row came from.
pub const OLD_KEY: &str = "__debezium.oldkey";

/// The headers that every row record of a run carries (`extended.headers.enabled`).
#[derive(Debug)]
pub struct ContextHeaders {
    context: Option<[(&'static str, String); 4]>,
}

impl ContextHeaders {
    /// New for every start of the task: `runId` tells the records of two runs apart.
    pub fn new(config: &ConnectorConfig) -> Self {
        let context = config.extended_headers.then(|| {
            [
                ("__debezium.context.connectorLogicalName", config.topic_prefix.clone()),
                ("__debezium.context.taskId", "0".to_owned()),
                ("__debezium.context.connectorName", "postgresql".to_owned()),
                ("__debezium.context.runId", Uuid::now_v7().to_string()),
            ]
        });
        Self { context }
    }

    /// Names and values, none when they are switched off.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.context.iter().flatten().map(|(name, value)| (*name, value.as_str()))
    }

    /// As Kafka's headers; `None` when there are none.
    pub fn as_kafka(&self) -> Option<OwnedHeaders> {
        let context = self.context.as_ref()?;
        let mut headers = OwnedHeaders::new_with_capacity(context.len());
        for (key, value) in context {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        Some(headers)
    }
}
