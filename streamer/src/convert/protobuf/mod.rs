//! `io.confluent.connect.protobuf.ProtobufConverter`: Protobuf in Confluent's wire format, a zero byte, the schema's id in
//! the registry and the message's place in the schema before the value.
//!
//! # Layout
//! - `schema`: the Protobuf schema of a Connect schema
//! - `names`: what its packages, messages and fields are called
//! - `known_types`: the messages of others that fields have
//! - `encode`: a value's bytes

mod encode;
mod known_types;
mod names;
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

/// The registry's name of the language.
const SCHEMA_TYPE: &str = "PROTOBUF";

/// `ProtobufDataConfig`'s and `KafkaProtobufSerializerConfig`'s settings.
pub(super) const SETTINGS: &[&str] = &[
    "optional.for.nullables",
    "wrapper.for.nullables",
    "scrub.invalid.names",
    "ignore.default.for.nullables",
    "enhanced.protobuf.schema.support",
    "generalized.sum.type.support",
    "generate.index.for.unions",
    "generate.struct.for.nulls",
    "flatten.unions",
    "int.for.enums",
    "optional.for.proto2",
    "wrapper.for.raw.primitives",
    "skip.known.types",
    "reference.lookup.only",
    "reference.subject.name.strategy",
];

/// What of these makes no difference: it is about reading Protobuf, or about unions and enums, which no row has.
const WITHOUT_EFFECT: &[&str] = &[
    "enhanced.protobuf.schema.support",
    "generalized.sum.type.support",
    "generate.index.for.unions",
    "generate.struct.for.nulls",
    "flatten.unions",
    "int.for.enums",
    "optional.for.proto2",
    "wrapper.for.raw.primitives",
    "reference.lookup.only",
];

/// What decides on a schema's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Shape {
    optional_for_nullables: bool,
    wrapper_for_nullables: bool,
    scrub_invalid_names: bool,
    ignore_default_for_nullables: bool,
}

/// `ProtobufConverter`'s settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtobufConfig {
    registry: RegistryConfig,
    shape: Shape,
}

impl ProtobufConfig {
    pub(super) fn parse(settings: &mut Settings<'_>, is_key: bool) -> Self {
        for name in WITHOUT_EFFECT {
            settings.flag(name, false);
        }
        if !settings.flag("skip.known.types", true) {
            settings.refuse(
                "skip.known.types",
                "false",
                "not supported by this worker (the registry is expected to know the types of Google and Confluent)",
            );
        }
        Self {
            registry: RegistryConfig::parse(settings, is_key),
            shape: Shape {
                optional_for_nullables: settings.flag("optional.for.nullables", false),
                wrapper_for_nullables: settings.flag("wrapper.for.nullables", false),
                scrub_invalid_names: settings.flag("scrub.invalid.names", false),
                ignore_default_for_nullables: settings.flag("ignore.default.for.nullables", false),
            },
        }
    }
}

/// The converter with the ids it knows.
#[derive(Debug)]
pub struct ProtobufConverter {
    config: ProtobufConfig,
    registry: OnceCell<Registry>,
    known: KnownSchemas<u32>,
}

impl ProtobufConverter {
    pub(super) fn new(config: &ProtobufConfig) -> Self {
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
            return Err(unconvertible(topic, "the value has no schema, and Protobuf is written by one"));
        };
        let id = match self.known.get(topic, schema) {
            Some(id) => id,
            // Boxed: it is rare, and would make the future of every record large.
            None => self.known.insert(topic, schema, Box::pin(self.id(topic, schema)).await?),
        };
        out.push(0);
        out.extend_from_slice(&id.to_be_bytes());
        message_indexes(schema, out);
        encode::encode(&data.value, schema, self.config.shape, out).map_err(|why| unconvertible(topic, &why))?;
        Ok(true)
    }

    async fn id(&self, topic: &str, schema: &Arc<Schema>) -> Result<u32, TaskError> {
        let registry = self.registry.get_or_try_init(|| async { Registry::new(&self.config.registry) }).await?;
        let refuse = |why: String| unconvertible(topic, &why);
        let text = schema::text(schema, self.config.shape).map_err(refuse)?;
        let record = schema::record_name(schema, self.config.shape).map_err(refuse)?;
        let subject = registry.subject(topic, Some(&record)).map_err(refuse)?;
        registry.id(&subject, &text, Some(SCHEMA_TYPE)).await
    }
}

/// The message's place in its file (`MessageIndexes.toByteArray`): how many indexes there are and which, in zig-zag; a zero
/// alone for the first message, which a struct always is.
fn message_indexes(schema: &Schema, out: &mut Vec<u8>) {
    match known_types::wrapper(&schema.kind) {
        // The only two numbers with a byte less.
        None | Some((_, 0)) => out.push(0),
        Some((_, index)) => {
            for number in [1, index] {
                prost::encoding::encode_varint((number << 1) as u64, out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
