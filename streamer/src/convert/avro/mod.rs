//! `io.confluent.connect.avro.AvroConverter`: Avro in Confluent's wire format, a zero byte and the schema's id in the
//! registry before the value.
//!
//! # Layout
//! - `schema`: the Avro schema of a Connect schema
//! - `encode`: a value's bytes

mod encode;
mod schema;

use std::sync::Arc;

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::Schema;
use proto::connect::value::Value;
use tokio::sync::OnceCell;

use super::known_schemas::KnownSchemas;
use super::registry::{Registry, RegistryConfig};
use super::settings::Settings;
use super::unconvertible;
use crate::error::TaskError;

/// `AvroDataConfig`'s settings.
pub(super) const SETTINGS: &[&str] =
    &["connect.meta.data", "enhanced.avro.schema.support", "ignore.default.for.nullables", "discard.type.doc.default"];

/// `AvroConverter`'s settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvroConfig {
    registry: RegistryConfig,
    connect_meta_data: bool,
    ignore_default_for_nullables: bool,
}

impl AvroConfig {
    pub(super) fn parse(settings: &mut Settings<'_>, is_key: bool) -> Self {
        // What these would change comes from Avro schemas, which rows do not.
        settings.flag("enhanced.avro.schema.support", false);
        settings.flag("discard.type.doc.default", false);
        for (name, instead) in [
            ("scrub.invalid.names", "set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro"),
            ("allow.optional.map.keys", "no map has such keys"),
            ("generalized.sum.type.support", "no row has unions"),
        ] {
            if settings.flag(name, false) {
                settings.refuse(name, "true", &format!("not supported by this worker ({instead})"));
            }
        }
        Self {
            registry: RegistryConfig::parse(settings, is_key),
            connect_meta_data: settings.flag("connect.meta.data", true),
            ignore_default_for_nullables: settings.flag("ignore.default.for.nullables", false),
        }
    }
}

/// The converter with the ids it knows.
#[derive(Debug)]
pub struct AvroConverter {
    config: AvroConfig,
    registry: OnceCell<Registry>,
    known: KnownSchemas<u32>,
}

impl AvroConverter {
    pub(super) fn new(config: &AvroConfig) -> Self {
        Self { config: config.clone(), registry: OnceCell::new(), known: KnownSchemas::default() }
    }

    pub(super) async fn convert(
        &self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<bool, TaskError> {
        if data.value == Value::Null {
            return Ok(false);
        }
        let Some(schema) = &data.schema else {
            return Err(unconvertible(topic, "the value has no schema, and Avro is written by one"));
        };
        let id = match self.known.get(topic, schema) {
            Some(id) => id,
            // Boxed: it is rare, and would make the future of every record large.
            None => self.known.insert(topic, schema, Box::pin(self.id(topic, schema)).await?),
        };
        out.push(0);
        out.extend_from_slice(&id.to_be_bytes());
        encode::encode(&data.value, schema, !self.config.ignore_default_for_nullables, out)
            .map_err(|why| unconvertible(topic, &why))?;
        Ok(true)
    }

    /// The registry's addresses.
    pub(super) fn registry_urls(&self) -> &[String] {
        self.config.registry.urls()
    }

    async fn id(&self, topic: &str, schema: &Arc<Schema>) -> Result<u32, TaskError> {
        let registry = self.registry.get_or_try_init(|| async { Registry::new(&self.config.registry) }).await?;
        let text = schema::text(schema, self.config.connect_meta_data).map_err(|why| unconvertible(topic, &why))?;
        let record = schema::record_name(schema);
        let subject = registry.subject(topic, record.as_deref()).map_err(|why| unconvertible(topic, &why))?;
        registry.id(&subject, &text, None).await
    }
}

#[cfg(test)]
mod tests;
