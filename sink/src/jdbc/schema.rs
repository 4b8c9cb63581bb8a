//! The schema that a record brings along, as Kafka Connect's JSON converter writes it (`JsonConverter.asConnectSchema`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A schema.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Schema {
    /// `int32`, `string`, `struct`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a null may stand there.
    #[serde(default)]
    pub optional: bool,
    /// The name of a logical type, or of a struct.
    pub name: Option<String>,
    /// What the source says of the column (`__debezium.source.column.type`), and what logical types need.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The column's default, as a value.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<Value>,
    /// A struct's.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// An array's elements.
    pub items: Option<Box<Schema>>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Field {
    /// Its name.
    #[serde(rename = "field")]
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub schema: Schema,
}

impl Field {
    /// One of a plain type.
    pub fn new(name: &str, kind: &str) -> Self {
        Self { name: name.to_owned(), schema: Schema { kind: kind.to_owned(), ..Schema::default() } }
    }
}

/// A null is no default.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Ok(Some(Value::deserialize(deserializer)?).filter(|value| !value.is_null()))
}

impl Schema {
    /// The schema in the bytes of a key or value, or in what stands there before its payload; `None` where there is none.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wrapped {
            schema: Option<Schema>,
        }
        // Up to the payload it is no whole document.
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let whole: Result<Wrapped, _> = match text.ends_with(':') {
            true => serde_json::from_str(&format!("{text}null}}")),
            false => serde_json::from_str(text),
        };
        whole.ok()?.schema.filter(|schema| !schema.kind.is_empty())
    }

    /// A field of a struct.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.fields.iter().find(|field| field.name == name).map(|field| &field.schema)
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Whether it is that of Debezium's envelopes (`KafkaDebeziumSinkRecord.isDebeziumMessage`).
    pub fn is_envelope(&self) -> bool {
        match &self.name {
            Some(name) => name.ends_with(".Envelope"),
            None => self.field("op").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_also_where_the_payload_is_cut_off() {
        let schema = r#"{"schema":{"type":"struct","optional":false,"name":"p.s.t.Envelope","fields":[
            {"type":"struct","field":"after","optional":true,"fields":[
                {"type":"int32","optional":false,"default":0,"field":"id"},
                {"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,
                 "parameters":{"scale":"2"},"field":"price"},
                {"type":"array","items":{"type":"string","optional":true},"optional":true,"field":"tags"}]}]},"payload":"#;
        let read = Schema::of(schema.as_bytes()).unwrap();
        assert_eq!(Schema::of(format!("{schema}{{}}}}").as_bytes()).as_ref(), Some(&read));
        assert!(read.is_envelope());
        let after = read.field("after").unwrap();
        assert_eq!(after.field("id").unwrap().default, Some(0.into()));
        assert_eq!(after.field("price").unwrap().parameter("scale"), Some("2"));
        assert_eq!(after.field("tags").unwrap().items.as_ref().unwrap().kind, "string");
        for none in ["", "{}", r#"{"schema":null,"payload":1}"#, r#"{"id":1}"#, "\u{fffd}"] {
            assert_eq!(Schema::of(none.as_bytes()), None, "{none}");
        }
    }
}
