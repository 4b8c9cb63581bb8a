//! One connector's stored position: what of a checkpoint is stored, alone or in a transaction.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::{Anchored, Checkpoint, OffsetStore};
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;

/// Where one connector's position is stored, for one attempt to run it.
#[derive(Debug, Clone)]
pub struct Positions {
    store: OffsetStore,
    connector: String,
    partition: Value,
    anchored: Arc<OnceLock<Anchored>>,
}

impl Positions {
    /// Those of a connector, that do not belong to a server yet.
    pub fn new(config: &ConnectorConfig, store: OffsetStore) -> Self {
        let (connector, partition) = (config.name.clone(), OffsetStore::partition(config));
        Self { store, connector, partition, anchored: Arc::default() }
    }

    /// From now on they are of this server and its slot.
    pub fn belong_to(&self, anchored: Anchored) {
        // Once an attempt.
        let _already_set = self.anchored.set(anchored);
    }

    /// What is stored for a checkpoint: its offset, and with it how far the slot is about to be confirmed. Where nothing was
    /// published since, that goes beside the offset that is stored, for a slot beyond it was not moved by us. `None` where
    /// this is stored already.
    ///
    /// # Errors
    /// As [`OffsetStore::read`].
    pub fn of(&self, checkpoint: &Checkpoint) -> Result<Option<Map<String, Value>>, TaskError> {
        let anchored = self.anchored.get();
        if let Some(offset) = &checkpoint.offset {
            let mut map = offset.to_map();
            if let Some(anchored) = anchored {
                anchored.before(checkpoint.flush).put_into(&mut map);
            }
            return Ok(Some(map));
        }
        let Some(anchored) = anchored.filter(|anchored| anchored.confirms()) else { return Ok(None) };
        let Some(stored) = self.store.read(&self.connector, &self.partition)? else { return Ok(None) };
        let mut map = stored.clone();
        anchored.before(checkpoint.flush).put_into(&mut map);
        Ok(Some(map).filter(|map| *map != stored))
    }

    /// Stores it.
    ///
    /// # Errors
    /// As [`OffsetStore::write`].
    pub async fn write(&self, offset: &Map<String, Value>) -> Result<(), TaskError> {
        self.store.write(&self.connector, &self.partition, offset).await
    }

    /// The topic, and its key and value there, for who publishes it together with others.
    ///
    /// # Errors
    /// As [`OffsetStore::record`].
    pub fn record(&self, offset: &Map<String, Value>) -> Result<(&str, Vec<u8>, Vec<u8>), TaskError> {
        let (key, value) = OffsetStore::record(&self.connector, &self.partition, offset)?;
        Ok((self.store.topic(), key, value))
    }

    /// Its record is in the topic.
    ///
    /// # Errors
    /// As [`OffsetStore::remember`].
    pub fn remember(&self, offset: &Map<String, Value>) -> Result<(), TaskError> {
        self.store.remember(&self.connector, &self.partition, offset)
    }

    /// Reads it again: others may have written it.
    ///
    /// # Errors
    /// As [`OffsetStore::refresh`].
    pub async fn refresh(&self, worker: &WorkerConfig) -> Result<(), TaskError> {
        self.store.refresh(worker, &self.connector, Some(&self.partition)).await
    }
}
