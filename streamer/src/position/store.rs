//! Connect's offset topic (`KafkaOffsetBackingStore`).

use serde_json::{Map, Value, json};

use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::worker::storage::log::KafkaLog;

/// Positions by connector and partition.
#[derive(Debug, Clone)]
pub struct OffsetStore {
    log: KafkaLog,
}

impl OffsetStore {
    /// Keeps positions in `log`.
    pub fn new(log: KafkaLog) -> Self {
        Self { log }
    }

    /// What a position is stored under beside the connector's name: Debezium's partition; with several slots, one a slot, which
    /// Debezium does not know.
    pub fn partition(config: &ConnectorConfig) -> Value {
        match config.share {
            None => json!({ "server": config.topic_prefix }),
            Some(_) => json!({ "server": config.topic_prefix, "slot": config.slot.name }),
        }
    }

    /// The stored position, `None` where there is none.
    ///
    /// # Errors
    /// Stop when what is stored is no JSON object.
    pub fn read(&self, connector: &str, partition: &Value) -> Result<Option<Map<String, Value>>, TaskError> {
        let Some(stored) = self.log.get(&key(connector, partition)) else { return Ok(None) };
        serde_json::from_slice(&stored).map(Some).map_err(|error| {
            TaskError::stop("position-unreadable", format!(
                "the stored position of connector {connector} is no JSON object ({error}); nothing is read until it is \
                 put right or deleted with DELETE /connectors/{connector}/offsets"
            ))
        })
    }

    /// Stores a position; returns when all in-sync replicas have it.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn write(
        &self,
        connector: &str,
        partition: &Value,
        offset: &Map<String, Value>,
    ) -> Result<(), TaskError> {
        let (key, value) = Self::record(connector, partition, offset)?;
        self.log.write(&key, Some(&value)).await
    }

    /// The topic's name, for a record of [`OffsetStore::record`].
    pub fn topic(&self) -> &str {
        self.log.topic()
    }

    /// Reads a connector's position under one partition again, or all of its positions: others may have written them.
    ///
    /// # Errors
    /// As [`KafkaLog::refresh`].
    pub async fn refresh(
        &self,
        worker: &WorkerConfig,
        connector: &str,
        partition: Option<&Value>,
    ) -> Result<(), TaskError> {
        match partition.map(|partition| key(connector, partition)) {
            Some(wanted) => self.log.refresh(worker, |key| key == wanted).await,
            None => self.log.refresh(worker, |key| partition_of(connector, key).is_some()).await,
        }
    }

    /// A position's key and value, for a record that is published together with others.
    ///
    /// # Errors
    /// Stop when it cannot be written as JSON.
    pub fn record(
        connector: &str,
        partition: &Value,
        offset: &Map<String, Value>,
    ) -> Result<(Vec<u8>, Vec<u8>), TaskError> {
        let value = serde_json::to_vec(offset).map_err(|error| {
            TaskError::stop("position-unreadable", format!("the position of connector {connector} cannot be written"))
                .because(error)
        })?;
        Ok((key(connector, partition), value))
    }

    /// A position's record is in the topic.
    ///
    /// # Errors
    /// As [`OffsetStore::record`].
    pub fn remember(&self, connector: &str, partition: &Value, offset: &Map<String, Value>) -> Result<(), TaskError> {
        let (key, value) = Self::record(connector, partition, offset)?;
        self.log.remember(&key, Some(&value));
        Ok(())
    }

    /// The partitions of all positions of a connector, also of those that cannot be read.
    pub fn partitions_of(&self, connector: &str) -> Vec<Value> {
        self.log.entries().into_iter().filter_map(|(key, _)| partition_of(connector, &key)).collect()
    }

    /// All positions of a connector: their partitions and offsets.
    ///
    /// # Errors
    /// Stop when what is stored is no JSON.
    pub fn of_connector(&self, connector: &str) -> Result<Vec<(Value, Value)>, TaskError> {
        let mut found = Vec::new();
        for (key, offset) in self.log.entries() {
            if let Some(partition) = partition_of(connector, &key) {
                let offset = serde_json::from_slice(&offset).map_err(|error| {
                    TaskError::stop(
                        "position-unreadable",
                        format!("a stored position of connector {connector} is no JSON ({error})"),
                    )
                })?;
                found.push((partition, offset));
            }
        }
        Ok(found)
    }

    /// Stores a position under any partition, or with `None` forgets it.
    ///
    /// # Errors
    /// As [`KafkaLog::write`].
    pub async fn alter(&self, connector: &str, partition: &Value, offset: Option<&Value>) -> Result<(), TaskError> {
        let value = offset.map(Value::to_string);
        self.log.write(&key(connector, partition), value.as_ref().map(String::as_bytes)).await
    }
}

/// The partition in a key of this connector's.
fn partition_of(connector: &str, key: &[u8]) -> Option<Value> {
    let (name, partition) = serde_json::from_slice::<(String, Value)>(key).ok()?;
    (name == connector).then_some(partition)
}

/// The key's bytes, exactly Connect's: they decide the partition.
fn key(connector: &str, partition: &Value) -> Vec<u8> {
    json!([connector, partition]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_has_connects_bytes() {
        assert_eq!(key("ome-connector", &json!({ "server": "ome" })), br#"["ome-connector",{"server":"ome"}]"#);
    }
}
