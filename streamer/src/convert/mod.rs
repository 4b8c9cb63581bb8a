//! Converters (`key.converter`, `value.converter`, `header.converter`): a record's parts into bytes.
//!
//! # Layout
//! - `simple_header`: the text that `SimpleHeaderConverter` writes

mod simple_header;

use std::collections::BTreeMap;

use proto::connect::json::{DecimalFormat, JsonConverter};
use proto::connect::record::SchemaAndValue;

use crate::config::Finding;
use crate::config::parse_boolean;
use crate::error::TaskError;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Which converter, and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConverterConfig {
    /// `org.apache.kafka.connect.json.JsonConverter`.
    Json(JsonConverter),
    /// `org.apache.kafka.connect.storage.SimpleHeaderConverter`.
    SimpleHeader,
}

impl ConverterConfig {
    /// The converter that `key` (`key.converter`, `value.converter`, `header.converter`) names, with its settings
    /// `<key>.*`; without one JSON, and for headers the simple converter.
    ///
    /// # Errors
    /// The finding, when the class or a setting is not known.
    pub fn parse(key: &str, settings: &BTreeMap<String, String>) -> Result<Self, Finding> {
        let default = if key == "header.converter" { SIMPLE_HEADER } else { JSON };
        let class = settings.get(key).map_or(default, |class| class.trim());
        let setting = |name: &str| settings.get(&format!("{key}.{name}")).map(|value| value.trim());
        match class {
            JSON => {
                let flag = |name: &str| setting(name).and_then(parse_boolean).unwrap_or(true);
                let decimal_format = match setting("decimal.format") {
                    Some(format) if format.eq_ignore_ascii_case("NUMERIC") => DecimalFormat::Numeric,
                    _ => DecimalFormat::Base64,
                };
                Ok(Self::Json(JsonConverter {
                    schemas_enable: flag("schemas.enable"),
                    replace_null_with_default: flag("replace.null.with.default"),
                    decimal_format,
                }))
            }
            SIMPLE_HEADER => Ok(Self::SimpleHeader),
            _ => Err(Finding::value(key, class, "not supported by this worker (only JsonConverter is yet)")),
        }
    }

    /// The JSON converter's settings, where it is that one: then rows can be written straight into a record's buffer.
    pub fn as_json(&self) -> Option<JsonConverter> {
        match self {
            Self::Json(converter) => Some(*converter),
            Self::SimpleHeader => None,
        }
    }
}

/// A configured converter.
#[derive(Debug)]
pub enum Converter {
    /// `JsonConverter`.
    Json(JsonConverter),
    /// `SimpleHeaderConverter`.
    SimpleHeader,
}

impl Converter {
    /// Ready to convert.
    pub fn new(config: &ConverterConfig) -> Self {
        match config {
            ConverterConfig::Json(converter) => Self::Json(*converter),
            ConverterConfig::SimpleHeader => Self::SimpleHeader,
        }
    }

    /// Appends the bytes of a record's key, value or header; `false` when there are none, as for a tombstone's value.
    ///
    /// # Errors
    /// Stop when the value has no form in this format; retry when a schema registry cannot be reached.
    #[expect(clippy::unused_async, reason = "a schema registry is asked over the network")]
    pub async fn convert(&self, _topic: &str, data: &SchemaAndValue, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        match self {
            Self::Json(converter) => {
                if data.is_none() {
                    return Ok(false);
                }
                let schema = data.schema.as_deref();
                let head = converter.head(schema);
                out.extend_from_slice(&head);
                data.value.write(schema, &mut converter.writer(out));
                if !head.is_empty() {
                    out.push(b'}');
                }
                Ok(true)
            }
            Self::SimpleHeader => Ok(simple_header::write(data, out)),
        }
    }
}
