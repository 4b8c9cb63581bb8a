//! A record as Kafka Connect has it between connector and converter (`org.apache.kafka.connect.source.SourceRecord`).

use std::sync::Arc;

use super::schema::Schema;
use super::value::Value;

/// A value and its schema; neither in a tombstone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchemaAndValue {
    /// The schema, `None` for a value without one.
    pub schema: Option<Arc<Schema>>,
    /// The value.
    pub value: Value,
}

impl SchemaAndValue {
    /// A value with its schema.
    pub fn new(schema: impl Into<Arc<Schema>>, value: Value) -> Self {
        Self { schema: Some(schema.into()), value }
    }

    /// Whether there is neither value nor schema, as in a tombstone's value and the key of a table without one.
    pub fn is_none(&self) -> bool {
        self.schema.is_none() && self.value == Value::Null
    }

    /// A struct's fields with its values; `None` for anything else.
    pub fn as_struct(&self) -> Option<(&Arc<Schema>, &[Value])> {
        match (&self.schema, &self.value) {
            (Some(schema), Value::Struct(values)) => Some((schema, values)),
            _ => None,
        }
    }

    /// The schema and value of a struct's field.
    pub fn field(&self, name: &str) -> Option<(&Schema, &Value)> {
        let (schema, values) = self.as_struct()?;
        let index = schema.field_index(name)?;
        Some((&schema.fields().get(index)?.schema, values.get(index)?))
    }
}

/// A record's header.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordHeader {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: SchemaAndValue,
}

/// A record on its way to the converters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectRecord {
    /// The topic it is for.
    pub topic: String,
    /// The partition, where it is fixed; otherwise the key decides.
    pub partition: Option<i32>,
    /// Its key.
    pub key: SchemaAndValue,
    /// Its value.
    pub value: SchemaAndValue,
    /// Its timestamp in Unix milliseconds; without one it gets the producer's.
    pub timestamp: Option<i64>,
    /// Its headers, in order; a key may come more than once.
    pub headers: Vec<RecordHeader>,
}
