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

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::Schema;

use super::registry::{Described, Language, RegistryConfig, SchemaIds};
use super::settings::Settings;
use super::unconvertible;
use crate::error::TaskError;

const PROTOBUF: Language = Language { name: "Protobuf", schema_type: Some("PROTOBUF") };

/// Of `ProtobufDataConfig`'s and `KafkaProtobufSerializerConfig`'s settings those that are looked at, and the name of the subjects
/// of referenced schemas, of which there are none.
pub(super) const SETTINGS: &[&str] = &[
    "optional.for.nullables",
    "wrapper.for.nullables",
    "scrub.invalid.names",
    "ignore.default.for.nullables",
    "skip.known.types",
    "reference.subject.name.strategy",
];

/// Those that make no difference: they are about reading Protobuf, or about unions and enums, which no row has.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
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
    shape: Shape,
    ids: SchemaIds,
}

impl ProtobufConverter {
    pub(super) fn new(config: &ProtobufConfig) -> Self {
        Self { shape: config.shape, ids: SchemaIds::new(PROTOBUF, &config.registry) }
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
        message_indexes(schema, out);
        encode::encode(&data.value, schema, self.shape, out).map_err(|why| unconvertible(topic, &why))?;
        Ok(true)
    }

    fn describe(&self, schema: &Schema) -> Result<Described, String> {
        let record = schema::record_name(schema, self.shape)?;
        Ok(Described { text: schema::text(schema, self.shape)?, record: Some(record) })
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
