//! A value as a tree, for whoever has to look into a record: transforms, and formats that are not written in one pass.

use super::schema::{Schema, SchemaKind};
use super::writer::ValueWriter;

/// A value of Kafka Connect's data model (`org.apache.kafka.connect.data`).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// INT8.
    Int8(i8),
    /// INT16.
    Int16(i16),
    /// INT32.
    Int32(i32),
    /// INT64.
    Int64(i64),
    /// FLOAT32.
    Float32(f32),
    /// FLOAT64.
    Float64(f64),
    /// STRING.
    String(String),
    /// BYTES; of `org.apache.kafka.connect.data.Decimal` the unscaled number, big-endian.
    Bytes(Vec<u8>),
    /// ARRAY.
    Array(Vec<Value>),
    /// MAP, entries in their order.
    Map(Vec<(Value, Value)>),
    /// STRUCT: a value for each of the schema's fields, in the schema's order.
    Struct(Vec<Value>),
}

impl Value {
    /// Writes the value. The schema names a struct's fields, scales a decimal and gives the default for a null; without
    /// one a struct has no form and is written as null.
    pub fn write(&self, schema: Option<&Schema>, writer: &mut impl ValueWriter) {
        match self {
            Value::Null => match schema {
                Some(schema) => writer.null_of(schema),
                None => writer.null(),
            },
            Value::Boolean(value) => writer.boolean(*value),
            Value::Int8(value) => writer.int8(*value),
            Value::Int16(value) => writer.int16(*value),
            Value::Int32(value) => writer.int32(*value),
            Value::Int64(value) => writer.int64(*value),
            Value::Float32(value) => writer.float32(*value),
            Value::Float64(value) => writer.float64(*value),
            Value::String(value) => writer.string(value),
            Value::Bytes(value) => match schema.and_then(Schema::decimal_scale) {
                Some(scale) => writer.decimal(value, scale),
                None => writer.bytes(value),
            },
            Value::Array(elements) => {
                let element_schema = match schema.map(|schema| &schema.kind) {
                    Some(SchemaKind::Array(element)) => Some(element.as_ref()),
                    _ => None,
                };
                writer.begin_array();
                for element in elements {
                    writer.element();
                    element.write(element_schema, writer);
                }
                writer.end_array();
            }
            Value::Map(entries) => {
                let (key_schema, value_schema) = match schema.map(|schema| &schema.kind) {
                    Some(SchemaKind::Map(key, value)) => (Some(key.as_ref()), Some(value.as_ref())),
                    _ => (None, None),
                };
                let named = match key_schema {
                    Some(key) => matches!(key.kind, SchemaKind::String),
                    None => entries.iter().all(|(key, _)| matches!(key, Value::String(_))),
                };
                writer.begin_map(named);
                for (key, value) in entries {
                    writer.entry();
                    key.write(key_schema, writer);
                    writer.entry_value();
                    value.write(value_schema, writer);
                    writer.end_entry();
                }
                writer.end_map();
            }
            Value::Struct(values) => {
                let Some(SchemaKind::Struct(fields)) = schema.map(|schema| &schema.kind) else {
                    return writer.null();
                };
                writer.begin_struct();
                for (field, value) in fields.iter().zip(values) {
                    writer.field(&field.name);
                    value.write(Some(&field.schema), writer);
                }
                writer.end_struct();
            }
        }
    }

    /// Whether it is a struct, an array or a map.
    pub fn is_compound(&self) -> bool {
        matches!(self, Value::Array(_) | Value::Map(_) | Value::Struct(_))
    }

    /// The text of a STRING.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Keeps what is written as a tree.
#[derive(Debug, Default)]
pub struct TreeWriter {
    root: Value,
    /// The structs, arrays and maps that are open.
    open: Vec<Open>,
}

#[derive(Debug)]
enum Open {
    Struct(Vec<Value>),
    Array(Vec<Value>),
    Map { entries: Vec<(Value, Value)>, key: Option<Value> },
}

impl TreeWriter {
    /// The tree; `Null` when nothing was written.
    pub fn finish(self) -> Value {
        self.root
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = value,
            Some(Open::Struct(values) | Open::Array(values)) => values.push(value),
            Some(Open::Map { entries, key }) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => *key = Some(value),
            },
        }
    }

    fn close(&mut self) {
        let closed = match self.open.pop() {
            Some(Open::Struct(values)) => Value::Struct(values),
            Some(Open::Array(values)) => Value::Array(values),
            Some(Open::Map { entries, .. }) => Value::Map(entries),
            None => return,
        };
        self.put(closed);
    }
}

impl ValueWriter for TreeWriter {
    fn null(&mut self) {
        self.put(Value::Null);
    }
    fn boolean(&mut self, value: bool) {
        self.put(Value::Boolean(value));
    }
    fn int8(&mut self, value: i8) {
        self.put(Value::Int8(value));
    }
    fn int16(&mut self, value: i16) {
        self.put(Value::Int16(value));
    }
    fn int32(&mut self, value: i32) {
        self.put(Value::Int32(value));
    }
    fn int64(&mut self, value: i64) {
        self.put(Value::Int64(value));
    }
    fn float32(&mut self, value: f32) {
        self.put(Value::Float32(value));
    }
    fn float64(&mut self, value: f64) {
        self.put(Value::Float64(value));
    }
    fn string(&mut self, value: &str) {
        self.put(Value::String(value.to_owned()));
    }
    fn bytes(&mut self, value: &[u8]) {
        self.put(Value::Bytes(value.to_vec()));
    }
    fn begin_struct(&mut self) {
        self.open.push(Open::Struct(Vec::new()));
    }
    fn field(&mut self, _name: &str) {}
    fn end_struct(&mut self) {
        self.close();
    }
    fn begin_array(&mut self) {
        self.open.push(Open::Array(Vec::new()));
    }
    fn element(&mut self) {}
    fn end_array(&mut self) {
        self.close();
    }
    fn begin_map(&mut self, _named: bool) {
        self.open.push(Open::Map { entries: Vec::new(), key: None });
    }
    fn entry(&mut self) {}
    fn entry_value(&mut self) {}
    fn end_entry(&mut self) {}
    fn end_map(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::JsonWriter;
    use super::*;

    fn json(value: &Value, schema: Option<&Schema>) -> String {
        let mut out = Vec::new();
        value.write(schema, &mut JsonWriter::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_tree_is_what_was_written() {
        let map = |key, value| Value::Map(vec![(key, value)]);
        let tree = Value::Array(vec![
            map(Value::String("a".to_owned()), Value::Array(vec![Value::Null])),
            map(Value::Int16(1), Value::Float64(1.5)),
        ]);
        let mut writer = TreeWriter::default();
        tree.write(None, &mut writer);
        assert_eq!(writer.finish(), tree);
        assert_eq!(json(&tree, None), r#"[{"a":[null]},[[1,1.5]]]"#);
    }

    #[test]
    fn a_struct_has_its_schemas_names() {
        let schema = Schema::structure([("a", Schema::new(SchemaKind::Int8)), ("b", Schema::new(SchemaKind::String))]);
        let value = Value::Struct(vec![Value::Int8(-1), Value::String("x".to_owned())]);
        assert_eq!(json(&value, Some(&schema)), r#"{"a":-1,"b":"x"}"#);
    }
}
