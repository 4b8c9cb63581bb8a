//! `io.confluent.connect.avro.AvroConverter`: Avro in Confluent's wire format, a zero byte and the schema's id in the
//! registry before the value.
//!
//! # Layout
//! - `schema`: the Avro schema of a Connect schema
//! - `encode`: a value's bytes

mod encode;
mod schema;

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::Schema;

use super::registry::{Described, Language, RegistryConfig, SchemaIds};
use super::settings::Settings;
use super::unconvertible;
use crate::error::TaskError;

const AVRO: Language = Language { name: "Avro", schema_type: None };

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
    ids: SchemaIds,
}

impl AvroConverter {
    pub(super) fn new(config: &AvroConfig) -> Self {
        Self { config: config.clone(), ids: SchemaIds::new(AVRO, &config.registry) }
    }

    pub(super) async fn convert(
        &self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<bool, TaskError> {
        let Some(schema) = self.ids.begin(topic, data, |schema| self.describe(schema), out).await? else {
            return Ok(false);
        };
        encode::encode(&data.value, schema, !self.config.ignore_default_for_nullables, out)
            .map_err(|why| unconvertible(topic, &why))?;
        Ok(true)
    }

    fn describe(&self, schema: &Schema) -> Result<Described, String> {
        Ok(Described {
            text: schema::text(schema, self.config.connect_meta_data)?,
            record: schema::record_name(schema),
        })
    }

    /// The registry's addresses.
    pub(super) fn registry_urls(&self) -> &[String] {
        self.config.registry.urls()
    }
}

#[cfg(test)]
mod tests;
