//! The converter classes that this worker knows: one table, from which configurations are read and plugins are listed.

use crate::config::connector::DEBEZIUM_VERSION;
use crate::worker::CONNECT_VERSION;

/// What a class name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    String,
    SimpleHeader,
    Primitive(super::Primitive),
    BinaryData,
    Avro,
    Protobuf,
    CloudEvents,
    /// Known, and why it is not supported.
    Refused(&'static str),
}

/// A converter's class.
#[derive(Debug, Clone, Copy)]
pub struct ConverterClass {
    /// The Java class by whose name it is configured.
    pub name: &'static str,
    /// The version that the plugin list names.
    pub version: &'static str,
    /// Whether it converts keys and values.
    pub is_converter: bool,
    /// Whether it converts headers.
    pub is_header_converter: bool,
    /// Its settings, without `key.converter.`, in groups.
    pub settings: &'static [&'static [&'static str]],
    pub(super) format: Format,
}

impl ConverterClass {
    /// Whether a connector can use it.
    pub fn is_supported(&self) -> bool {
        !matches!(self.format, Format::Refused(_))
    }

    /// Whether it has a setting of this name; a delegate's settings are its own.
    pub fn has_setting(&self, name: &str) -> bool {
        let families: &[&str] = match self.format {
            Format::BinaryData => &[super::DELEGATE],
            Format::Avro | Format::Protobuf => &["request.header."],
            Format::CloudEvents => &["json.", "avro."],
            _ => &[],
        };
        self.settings.iter().any(|group| group.contains(&name))
            || families.iter().any(|family| name.starts_with(family))
    }
}

/// The class of a name.
pub fn find(name: &str) -> Option<&'static ConverterClass> {
    CLASSES.iter().find(|class| class.name == name)
}

const fn both(
    name: &'static str,
    version: &'static str,
    format: Format,
    settings: &'static [&'static [&'static str]],
) -> ConverterClass {
    ConverterClass { name, version, is_converter: true, is_header_converter: true, settings, format }
}

const fn number(name: &'static str, primitive: super::Primitive) -> ConverterClass {
    both(name, CONNECT_VERSION, Format::Primitive(primitive), &[])
}

/// Every class.
pub const CLASSES: &[ConverterClass] = &[
    both(
        super::JSON,
        CONNECT_VERSION,
        Format::Json,
        &[&["schemas.enable", "schemas.cache.size", "decimal.format", "replace.null.with.default"]],
    ),
    both(
        "org.apache.kafka.connect.storage.StringConverter",
        CONNECT_VERSION,
        Format::String,
        &[&["converter.encoding", "key.serializer.encoding", "value.serializer.encoding"]],
    ),
    number("org.apache.kafka.connect.converters.ByteArrayConverter", super::Primitive::Bytes),
    number("org.apache.kafka.connect.converters.BooleanConverter", super::Primitive::Boolean),
    number("org.apache.kafka.connect.converters.ShortConverter", super::Primitive::Short),
    number("org.apache.kafka.connect.converters.IntegerConverter", super::Primitive::Integer),
    number("org.apache.kafka.connect.converters.LongConverter", super::Primitive::Long),
    number("org.apache.kafka.connect.converters.FloatConverter", super::Primitive::Float),
    number("org.apache.kafka.connect.converters.DoubleConverter", super::Primitive::Double),
    ConverterClass {
        name: super::SIMPLE_HEADER,
        version: CONNECT_VERSION,
        is_converter: false,
        is_header_converter: true,
        settings: &[],
        format: Format::SimpleHeader,
    },
    both("io.debezium.converters.BinaryDataConverter", DEBEZIUM_VERSION, Format::BinaryData, &[&[super::DELEGATE]]),
    both(
        "io.debezium.converters.ByteArrayConverter",
        DEBEZIUM_VERSION,
        Format::Refused(
            "set io.debezium.converters.BinaryDataConverter, which writes bytes as it does and has the same delegate",
        ),
        &[],
    ),
    ConverterClass {
        name: "io.debezium.converters.CloudEventsConverter",
        version: DEBEZIUM_VERSION,
        is_converter: true,
        is_header_converter: false,
        settings: &[super::cloud_events::SETTINGS],
        format: Format::CloudEvents,
    },
    both(
        "io.confluent.connect.avro.AvroConverter",
        DEBEZIUM_VERSION,
        Format::Avro,
        &[super::registry::SETTINGS, super::avro::SETTINGS],
    ),
    both(
        "io.confluent.connect.protobuf.ProtobufConverter",
        DEBEZIUM_VERSION,
        Format::Protobuf,
        &[super::registry::SETTINGS, super::protobuf::SETTINGS, super::protobuf::WITHOUT_EFFECT],
    ),
    both(
        "io.confluent.connect.json.JsonSchemaConverter",
        "",
        Format::Refused("JSON with a schema registry is not written; JsonConverter carries its schema along"),
        &[],
    ),
    both(
        "io.apicurio.registry.utils.converter.AvroConverter",
        "",
        Format::Refused(
            "set io.confluent.connect.avro.AvroConverter with the registry's Confluent address, …/apis/ccompat/v7, in \
             schema.registry.url",
        ),
        &[],
    ),
    both(
        "io.apicurio.registry.utils.converter.ExtJsonConverter",
        "",
        Format::Refused("JSON with a schema registry is not written; JsonConverter carries its schema along"),
        &[],
    ),
];
