//! Keys and values in Avro, behind the id that a schema registry gave their schema (Confluent's `AvroConverter`): into the JSON that the
//! JSON converter would have written, which is read from there on.
//!
//! # Layout
//! - [`schema`]: an Avro schema into how its values are read, and into Connect's schema
//! - [`decode`]: a value by its schema
//! - `registry`: who knows the schemas
//!
//! What is set aside, or becomes a dead letter, is that JSON.

pub mod decode;
mod registry;
pub mod schema;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json};

use self::registry::Registry;
use self::schema::Schema;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::parse::head::Value;

/// Confluent's converter.
pub const CLASS: &str = "io.confluent.connect.avro.AvroConverter";

/// What stands before a value: a zero byte, and the id (`AbstractKafkaSchemaSerDe`).
const HEAD: usize = 5;

/// What keys and values are written in.
#[derive(Debug, Clone, Default)]
pub struct Converters {
    key: Option<Arc<Avro>>,
    value: Option<Arc<Avro>>,
}

/// One side's registry, and the schemas that it gave.
#[derive(Debug)]
struct Avro {
    registry: Registry,
    known: Mutex<HashMap<u32, Arc<Schema>>>,
}

impl Converters {
    /// By `key.converter`, `value.converter` and their settings; whatever is not Avro is JSON.
    ///
    /// # Errors
    /// What is wrong with the settings of the registry, without values.
    pub fn of(setting: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let converter = |side: &str| {
            let class = setting(&format!("{side}.converter")).unwrap_or_default();
            if class.trim() != CLASS {
                return Ok(None);
            }
            let registry = Registry::of(|name| setting(&format!("{side}.converter.{name}")))
                .map_err(|why| format!("{side}.converter.{why}"))?;
            Ok::<_, String>(Some(Arc::new(Avro { registry, known: Mutex::default() })))
        };
        Ok(Self { key: converter("key")?, value: converter("value")? })
    }

    /// The same of a connector's configuration.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_config(config: &Map<String, Json>) -> Result<Self, String> {
        Self::of(|key| match config.get(key)? {
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }

    /// Whether there is nothing to do: everything is JSON.
    pub fn are_json(&self) -> bool {
        self.key.is_none() && self.value.is_none()
    }

    /// A record in JSON. What is no Avro stays as it is: whoever reads it finds out.
    ///
    /// # Errors
    /// Retry when the registry does not answer; stop when it does not know a schema.
    pub async fn read(&self, mut record: Record) -> Result<Record, SinkError> {
        if let (Some(avro), Some(bytes)) = (&self.key, &record.key)
            && let Some((schema, body)) = avro.schema(&record.topic, bytes).await?
            && let Some(json) = decode::json(&schema, body)
        {
            record.key = Some(json.into_bytes());
        }
        if let (Some(avro), Some(value)) = (&self.value, &record.value)
            && let Some((schema, body)) = avro.schema(&record.topic, value.whole()).await?
            && let Some(mut json) = decode::json(&schema, body)
        {
            json.push('}');
            record.value = Some(Value::behind(schema.head.clone(), json.into_bytes()));
        }
        if let (Some(avro), Some(bytes)) = (&self.key, &record.new_key)
            && let Some((schema, body)) = avro.schema(&record.topic, bytes).await?
            && let Some(json) = decode::json(&schema, body)
        {
            record.new_key = Some(json.into_bytes());
        }
        Ok(record)
    }
}

impl Avro {
    /// The schema that bytes begin with the id of, and what is behind it; `None` where they begin with none.
    async fn schema<'b>(&self, topic: &str, bytes: &'b [u8]) -> Result<Option<(Arc<Schema>, &'b [u8])>, SinkError> {
        let Some((&[0, a, b, c, d], body)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let id = u32::from_be_bytes([a, b, c, d]);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known().get(&id) {
            return Ok(Some((schema.clone(), body)));
        }
        let text = self.registry.schema(id, topic).await?;
        let schema = Schema::parse(&text).map_err(|why| {
            SinkError::stop("registry-refused", format!(
                "topic {topic}: schema {id} of the registry cannot be read: {why}. The topic's records wait in Kafka"
            ))
        })?;
        let schema = Arc::new(schema);
        known().insert(id, schema.clone());
        Ok(Some((schema, body)))
    }
}
