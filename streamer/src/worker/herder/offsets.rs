//! Stored positions, read and changed by hand (KIP-875).

use serde_json::{Map, Value};

use super::{Herder, HerderError};

impl Herder {
    /// The stored positions of a connector, each with its partition: one, unless somebody stored others.
    ///
    /// # Errors
    /// Not found; a stored position that cannot be read.
    pub async fn offsets(&self, name: &str) -> Result<Vec<(Value, Value)>, HerderError> {
        self.connector(name, || format!("Connector {name} not found")).await?;
        Ok(self.offsets.of_connector(name)?)
    }

    /// Stores positions of a stopped connector, or with `None` forgets them.
    ///
    /// # Errors
    /// Not found; not stopped; what is given is none, as Connect says it.
    pub async fn alter_offsets(&self, name: &str, body: &Map<String, Value>) -> Result<(), HerderError> {
        let offsets = body.get("offsets").and_then(Value::as_array).filter(|offsets| !offsets.is_empty());
        let offsets = offsets.ok_or_else(|| {
            HerderError::BadRequest("Partitions / offsets need to be provided for an alter offsets request".to_owned())
        })?;
        self.check_stopped(name).await?;
        for entry in offsets {
            let part = |key: &str| entry.get(key).cloned().unwrap_or_default();
            let offset = part("offset");
            if !(offset.is_null() || offset.is_object()) {
                return Err(HerderError::BadRequest("An offset must be an object or null".to_owned()));
            }
            self.offsets.alter(name, &part("partition"), Some(&offset).filter(|offset| !offset.is_null())).await?;
        }
        Ok(())
    }

    /// Forgets the stored positions of a stopped connector.
    ///
    /// # Errors
    /// Not found; not stopped.
    pub async fn reset_offsets(&self, name: &str) -> Result<(), HerderError> {
        self.check_stopped(name).await?;
        for partition in self.offsets.partitions_of(name) {
            self.offsets.alter(name, &partition, None).await?;
        }
        Ok(())
    }

    async fn check_stopped(&self, name: &str) -> Result<(), HerderError> {
        let view = self.connector(name, || format!("Connector {name} not found")).await?;
        if view.state == "STOPPED" {
            return Ok(());
        }
        Err(HerderError::BadRequest(format!(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
             specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
        )))
    }
}
