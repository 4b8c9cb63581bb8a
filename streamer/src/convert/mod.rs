//! Converters (`key.converter`, `value.converter`, `header.converter`): a record's parts into bytes.
//!
//! # Layout
//! - [`classes`]: the classes by whose names converters are configured
//! - `settings`: their settings, read as Kafka reads them
//! - [`avro`]: Avro in Confluent's wire format
//! - [`protobuf`]: Protobuf in Confluent's wire format
//! - [`cloud_events`]: rows' changes as CloudEvents
//! - `registry`: the schema registry
//! - `known_schemas`: what was worked out for a schema, kept from record to record
//! - `string`: Java's `toString`, which `StringConverter` writes
//! - `primitive`: the converters of bytes, booleans and numbers
//! - `simple_header`: the text that `SimpleHeaderConverter` writes

pub mod avro;
pub mod classes;
pub mod cloud_events;
mod known_schemas;
mod primitive;
pub mod protobuf;
pub mod registry;
mod settings;
mod simple_header;
mod string;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use proto::connect::json::{DecimalFormat, JsonConverter};
use proto::connect::record::{RecordHeader, SchemaAndValue};
use proto::connect::schema::SchemaKind;
use proto::connect::value::Value;

use self::avro::{AvroConfig, AvroConverter};
use self::classes::{ConverterClass, Format};
use self::cloud_events::{CloudEventsConfig, CloudEventsConverter};
pub use self::primitive::Primitive;
use self::protobuf::{ProtobufConfig, ProtobufConverter};
use self::settings::Settings;
pub use self::string::Encoding;
use crate::config::Finding;
use crate::error::TaskError;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
/// `BinaryDataConverter`'s setting: what converts what is no bytes.
const DELEGATE: &str = "delegate.converter.type";
const HEADER: &str = "header.converter";

/// Which converter, and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConverterConfig {
    /// `org.apache.kafka.connect.json.JsonConverter`.
    Json(JsonConverter),
    /// `org.apache.kafka.connect.storage.StringConverter`.
    String(Encoding),
    /// `org.apache.kafka.connect.converters.*`: bytes, a boolean or a number.
    Primitive(Primitive),
    /// `org.apache.kafka.connect.storage.SimpleHeaderConverter`.
    SimpleHeader,
    /// `io.debezium.converters.BinaryDataConverter` with what converts everything else.
    BinaryData(Option<Box<ConverterConfig>>),
    /// `io.confluent.connect.avro.AvroConverter`.
    Avro(AvroConfig),
    /// `io.confluent.connect.protobuf.ProtobufConverter`.
    Protobuf(ProtobufConfig),
    /// `io.debezium.converters.CloudEventsConverter`.
    CloudEvents(CloudEventsConfig),
}

impl ConverterConfig {
    /// The converter that `key` (`key.converter`, `value.converter`, `header.converter`) names, with its settings
    /// `<key>.*`; without one JSON, and for headers the simple converter.
    ///
    /// # Errors
    /// The findings, when the class or a setting is not known.
    pub fn parse(key: &str, settings: &BTreeMap<String, String>) -> Result<Self, Vec<Finding>> {
        let is_header = key == HEADER;
        let name = settings.get(key).map_or(if is_header { SIMPLE_HEADER } else { JSON }, |name| name.trim());
        let refused = |why: &str| Err(vec![Finding::value(key, name, why)]);
        let Some(class) = classes::find(name) else {
            return refused(&format!("Class {name} could not be found."));
        };
        if !(if is_header { class.is_header_converter } else { class.is_converter }) {
            let interface = if is_header { "HeaderConverter" } else { "Converter" };
            let message = format!("Class class {name} does not implement the {interface} interface");
            return Err(vec![Finding { key: Some(key.to_owned()), message }]);
        }
        if let Format::Refused(why) = class.format {
            return refused(&format!("not supported by this worker ({why})"));
        }
        Self::of(class, key, settings)
    }

    fn of(class: &ConverterClass, key: &str, all: &BTreeMap<String, String>) -> Result<Self, Vec<Finding>> {
        let mut settings = Settings::new(key, all);
        let config = match class.format {
            Format::Json => Self::Json(json(&mut settings)),
            Format::String => Self::String(encoding(key, &mut settings)),
            Format::Primitive(primitive) => Self::Primitive(primitive),
            Format::Avro => Self::Avro(AvroConfig::parse(&mut settings, key.starts_with("key."))),
            Format::Protobuf => Self::Protobuf(ProtobufConfig::parse(&mut settings, key.starts_with("key."))),
            Format::CloudEvents => Self::CloudEvents(CloudEventsConfig::parse(&mut settings)),
            Format::SimpleHeader | Format::Refused(_) => Self::SimpleHeader,
            // As a header converter it is never told of a delegate (`BinaryDataConverter.configure`).
            Format::BinaryData if key == HEADER || settings.text(DELEGATE).is_none() => Self::BinaryData(None),
            Format::BinaryData => match Self::parse(&format!("{key}.{DELEGATE}"), all) {
                Ok(delegate) => Self::BinaryData(Some(Box::new(delegate))),
                Err(findings) => {
                    settings.extend(findings);
                    Self::BinaryData(None)
                }
            },
        };
        settings.finish(config)
    }

    /// The JSON converter's settings, where it is that one: then rows can be written straight into a record's buffer.
    pub fn as_json(&self) -> Option<JsonConverter> {
        match self {
            Self::Json(converter) => Some(*converter),
            _ => None,
        }
    }
}

/// `JsonConverterConfig`. How many schemas are cached makes no difference here: a table's is kept with the table.
fn json(settings: &mut Settings<'_>) -> JsonConverter {
    let default = JsonConverter::default();
    let formats = [("BASE64", DecimalFormat::Base64), ("NUMERIC", DecimalFormat::Numeric)];
    // In the order in which Connect says what is wrong.
    let decimal_format = settings.word("decimal.format", &formats, default.decimal_format);
    settings.integer("schemas.cache.size", 1000);
    JsonConverter {
        decimal_format,
        replace_null_with_default: settings.flag("replace.null.with.default", default.replace_null_with_default),
        schemas_enable: settings.flag("schemas.enable", default.schemas_enable),
    }
}

/// `StringConverterConfig`. The serializer inside takes a more special setting before the converter's own
/// (`StringSerializer.configure`).
fn encoding(key: &str, settings: &mut Settings<'_>) -> Encoding {
    let special = if key.starts_with("key.") { "key.serializer.encoding" } else { "value.serializer.encoding" };
    let Some((name, value)) =
        [special, "converter.encoding"].into_iter().find_map(|name| settings.text(name).map(|value| (name, value)))
    else {
        return Encoding::default();
    };
    Encoding::named(value).unwrap_or_else(|| {
        let why = "not supported by this worker (UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE and UTF-16LE are)";
        settings.refuse(name, value, why);
        Encoding::default()
    })
}

/// A configured converter.
#[derive(Debug)]
pub enum Converter {
    /// `JsonConverter`.
    Json(JsonConverter),
    /// `StringConverter`.
    String(Encoding),
    /// The converters of one value.
    Primitive(Primitive),
    /// `SimpleHeaderConverter`.
    SimpleHeader,
    /// `BinaryDataConverter`.
    BinaryData(Option<Box<Converter>>),
    /// `AvroConverter`.
    Avro(Box<AvroConverter>),
    /// `ProtobufConverter`.
    Protobuf(Box<ProtobufConverter>),
    /// `CloudEventsConverter`.
    CloudEvents(Box<CloudEventsConverter>),
}

impl Converter {
    /// Ready to convert.
    pub fn new(config: &ConverterConfig) -> Self {
        match config {
            ConverterConfig::Json(converter) => Self::Json(*converter),
            ConverterConfig::String(encoding) => Self::String(*encoding),
            ConverterConfig::Primitive(primitive) => Self::Primitive(*primitive),
            ConverterConfig::SimpleHeader => Self::SimpleHeader,
            ConverterConfig::CloudEvents(config) => Self::CloudEvents(Box::new(CloudEventsConverter::new(config))),
            ConverterConfig::Avro(config) => Self::Avro(Box::new(AvroConverter::new(config))),
            ConverterConfig::Protobuf(config) => Self::Protobuf(Box::new(ProtobufConverter::new(config))),
            ConverterConfig::BinaryData(delegate) => {
                Self::BinaryData(delegate.as_deref().map(|delegate| Box::new(Self::new(delegate))))
            }
        }
    }

    /// Appends the bytes of a record's key, value or header; `headers` are the record's, which a value may be made of.
    /// `false` when there are none, as for a tombstone's value.
    ///
    /// # Errors
    /// Stop when the value has no form in this format; retry when a schema registry cannot be reached.
    pub async fn convert(
        &self,
        topic: &str,
        data: &SchemaAndValue,
        headers: &[RecordHeader],
        out: &mut Vec<u8>,
    ) -> Result<bool, TaskError> {
        match self {
            Self::Json(converter) => write_json(*converter, data, out).map_err(|why| unconvertible(topic, &why)),
            Self::String(encoding) => Ok(string::write(data, *encoding, out)),
            Self::Primitive(primitive) => primitive.write(data, out).map_err(|why| unconvertible(topic, &why)),
            Self::SimpleHeader => Ok(simple_header::write(data, out)),
            Self::Avro(converter) => converter.convert(topic, data, out).await,
            Self::Protobuf(converter) => converter.convert(topic, data, out).await,
            Self::CloudEvents(converter) => Box::pin(converter.convert(topic, data, headers, out)).await,
            Self::BinaryData(delegate) => {
                let schema = data.schema.as_deref();
                let is_binary = schema.is_none_or(|schema| schema.kind == SchemaKind::Bytes);
                match (&data.value, delegate) {
                    (Value::Bytes(bytes), _) if is_binary && !primitive::is_decimal(schema) => {
                        out.extend_from_slice(bytes);
                        Ok(true)
                    }
                    (Value::Null, _) if is_binary => Ok(false),
                    (_, Some(delegate)) => Box::pin(delegate.convert(topic, data, headers, out)).await,
                    (_, None) => {
                        let kind =
                            schema.map_or("a value without a schema", |schema| primitive::type_name(&schema.kind));
                        Err(unconvertible(topic, &format!("{kind} requires a {DELEGATE} to be configured")))
                    }
                }
            }
        }
    }
}

/// `JsonConverter.fromConnectData`: a null that has a schema is a text, one without is none.
fn write_json(converter: JsonConverter, data: &SchemaAndValue, out: &mut Vec<u8>) -> Result<bool, String> {
    if data.is_none() {
        return Ok(false);
    }
    let schema = data.schema.as_deref();
    if data.value == Value::Null && schema.is_some_and(|schema| !schema.optional && schema.default.is_none()) {
        return Err("Conversion error: null value for field that is required and has no default value".to_owned());
    }
    let head = converter.head(schema);
    out.extend_from_slice(&head);
    data.value.write(schema, &mut converter.writer(out));
    if !head.is_empty() {
        out.push(b'}');
    }
    Ok(true)
}

/// What to do about a record that a converter has no form for.
fn unconvertible(topic: &str, why: &str) -> TaskError {
    TaskError::stop(
        "record-inconvertible",
        format!(
            "topic {topic}: a record cannot be converted: {why}. The change is kept in the slot and nothing behind it is \
         published. Choose converters that take what this topic's records hold, or a transform that makes it so"
        ),
    )
}

#[cfg(test)]
mod tests {
    use proto::connect::schema::Schema;

    use super::*;

    fn parse(key: &str, settings: &[(&str, &str)]) -> Result<ConverterConfig, Vec<String>> {
        let owned = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ConverterConfig::parse(key, &owned)
            .map_err(|findings| findings.into_iter().map(|finding| finding.message).collect())
    }

    async fn converted(converter: &Converter, data: &SchemaAndValue) -> Result<Option<Vec<u8>>, TaskError> {
        let mut out = Vec::new();
        Ok(converter.convert("t", data, &[], &mut out).await?.then_some(out))
    }

    #[test]
    fn settings_are_refused_in_connects_words() {
        let json = ("value.converter", JSON);
        let wrong = [
            json,
            ("value.converter.schemas.enable", "maybe"),
            ("value.converter.decimal.format", "HEX"),
            ("value.converter.schemas.cache.size", "many"),
        ];
        let expected = [
            "Invalid value HEX for configuration decimal.format: String must be one of (case insensitive): BASE64, NUMERIC",
            "Invalid value many for configuration schemas.cache.size: Not a number of type INT",
            "Invalid value maybe for configuration schemas.enable: Expected value to be either true or false",
        ];
        assert_eq!(parse("value.converter", &wrong).unwrap_err(), expected);
        let unknown = [("key.converter", "com.example.Mine")];
        let expected = [
            "Invalid value com.example.Mine for configuration key.converter: Class com.example.Mine could not be found.",
        ];
        assert_eq!(parse("key.converter", &unknown).unwrap_err(), expected);
    }

    #[test]
    fn a_class_is_taken_only_for_what_it_converts() {
        assert!(parse("key.converter", &[("key.converter", SIMPLE_HEADER)]).is_err());
        for class in classes::CLASSES.iter().filter(|class| class.is_supported() && class.is_header_converter) {
            let url = ("header.converter.schema.registry.url", "http://registry:8081");
            assert!(parse(HEADER, &[(HEADER, class.name), url]).is_ok(), "{}", class.name);
        }
    }

    #[test]
    fn the_serializers_own_encoding_comes_before_the_converters() {
        let string = "org.apache.kafka.connect.storage.StringConverter";
        let both = [
            ("key.converter", string),
            ("key.converter.converter.encoding", "UTF-16"),
            ("key.converter.key.serializer.encoding", "ISO-8859-1"),
        ];
        assert_eq!(parse("key.converter", &both), Ok(ConverterConfig::String(Encoding::Latin1)));
        assert_eq!(parse("key.converter", &both[..2]), Ok(ConverterConfig::String(Encoding::Utf16)));
    }

    #[tokio::test]
    async fn a_null_with_a_schema_is_a_text_in_json_and_one_without_is_none() {
        let optional = SchemaAndValue::new(Schema::new(SchemaKind::String).optional(), Value::Null);
        let plain = Converter::Json(JsonConverter { schemas_enable: false, ..JsonConverter::default() });
        assert_eq!(converted(&plain, &optional).await.unwrap().unwrap(), b"null");
        assert_eq!(converted(&plain, &SchemaAndValue::default()).await.unwrap(), None);
        let required = SchemaAndValue::new(Schema::new(SchemaKind::String), Value::Null);
        assert!(converted(&plain, &required).await.unwrap_err().to_string().contains("required"));
    }

    #[tokio::test]
    async fn bytes_pass_and_the_delegate_has_the_rest() {
        let settings = [
            ("value.converter", "io.debezium.converters.BinaryDataConverter"),
            ("value.converter.delegate.converter.type", JSON),
            ("value.converter.delegate.converter.type.schemas.enable", "false"),
        ];
        let converter = Converter::new(&parse("value.converter", &settings).unwrap());
        let bytes = SchemaAndValue::new(Schema::new(SchemaKind::Bytes), Value::Bytes(vec![1, 2]));
        assert_eq!(converted(&converter, &bytes).await.unwrap().unwrap(), [1, 2]);
        let number = SchemaAndValue::new(Schema::new(SchemaKind::Int32), Value::Int32(7));
        assert_eq!(converted(&converter, &number).await.unwrap().unwrap(), b"7");
        let alone = Converter::new(&parse("value.converter", &settings[..1]).unwrap());
        assert!(converted(&alone, &number).await.unwrap_err().to_string().contains("delegate.converter.type"));
    }
}
