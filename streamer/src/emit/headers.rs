//! The `__debezium.*` record headers, in the bytes Connect's `SimpleHeaderConverter` gives them.

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

    /// The headers of a record, those of a key change first; `None` when there are none.
    pub fn with(&self, link: Option<(&str, &[u8])>) -> Option<OwnedHeaders> {
        let count = usize::from(link.is_some()) + self.context.as_ref().map_or(0, |context| context.len());
        if count == 0 {
            return None;
        }
        let mut headers = OwnedHeaders::new_with_capacity(count);
        if let Some((key, value)) = link {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        for (key, value) in self.context.iter().flatten() {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        Some(headers)
    }
}
