//! Schemas, and the text that `JsonConverter` gives them.

use std::borrow::Cow;

use super::json::{JsonConverter, write_string};
use super::value::Value;

/// The name of Connect's own logical type for decimals.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// A schema (`org.apache.kafka.connect.data.Schema`).
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What values it has.
    pub kind: SchemaKind,
    /// Whether a value may be missing.
    pub optional: bool,
    /// Its name, by which a logical type is known.
    pub name: Option<String>,
    /// Its name's version.
    pub version: Option<i32>,
    /// A remark.
    pub doc: Option<Cow<'static, str>>,
    /// The logical type's parameters, in their order.
    pub parameters: Vec<(Cow<'static, str>, String)>,
    /// The value that stands for a missing one.
    pub default: Option<Value>,
}

/// What values a schema has.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaKind {
    /// BOOLEAN.
    Boolean,
    /// INT8.
    Int8,
    /// INT16.
    Int16,
    /// INT32.
    Int32,
    /// INT64.
    Int64,
    /// FLOAT32.
    Float32,
    /// FLOAT64.
    Float64,
    /// STRING.
    String,
    /// BYTES.
    Bytes,
    /// STRUCT, its fields in order.
    Struct(Vec<Field>),
    /// ARRAY of one element schema.
    Array(Box<Schema>),
    /// MAP of a key's to a value's schema.
    Map(Box<Schema>, Box<Schema>),
}

/// A struct's field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its schema.
    pub schema: Schema,
}

impl Schema {
    /// A plain, required schema.
    pub fn new(kind: SchemaKind) -> Self {
        Self { kind, optional: false, name: None, version: None, doc: None, parameters: Vec::new(), default: None }
    }

    /// A required logical type, version 1.
    pub fn logical(kind: SchemaKind, name: &str) -> Self {
        Self { name: Some(name.to_owned()), version: Some(1), ..Self::new(kind) }
    }

    /// A plain, required struct of these fields.
    pub fn structure<'a>(fields: impl IntoIterator<Item = (&'a str, Schema)>) -> Self {
        let field = |(name, schema): (&str, Schema)| Field { name: name.to_owned(), schema };
        Self::new(SchemaKind::Struct(fields.into_iter().map(field).collect()))
    }

    /// The same, by name and version.
    pub fn named(self, name: impl Into<String>, version: i32) -> Self {
        Self { name: Some(name.into()), version: Some(version), ..self }
    }

    /// A struct's fields; none for any other kind.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            SchemaKind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// A field's place in the struct.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields().iter().position(|field| field.name == name)
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The digits behind the point, where this is Connect's `Decimal`.
    pub fn decimal_scale(&self) -> Option<i32> {
        if self.name.as_deref() != Some(DECIMAL) {
            return None;
        }
        self.parameter("scale")?.parse().ok()
    }

    /// The same, optional.
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same with a parameter.
    pub fn with(mut self, parameter: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.parameters.push((parameter.into(), value.into()));
        self
    }

    /// Writes the schema as `JsonConverter.asJsonSchema` does, as the field `field` of a struct if given.
    pub fn write_json(&self, converter: &JsonConverter, field: Option<&str>, out: &mut Vec<u8>) {
        let kind: &[u8] = match &self.kind {
            SchemaKind::Boolean => b"boolean",
            SchemaKind::Int8 => b"int8",
            SchemaKind::Int16 => b"int16",
            SchemaKind::Int32 => b"int32",
            SchemaKind::Int64 => b"int64",
            SchemaKind::Float32 => b"float",
            SchemaKind::Float64 => b"double",
            SchemaKind::String => b"string",
            SchemaKind::Bytes => b"bytes",
            SchemaKind::Struct(_) => b"struct",
            SchemaKind::Array(_) => b"array",
            SchemaKind::Map(..) => b"map",
        };
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind);
        out.push(b'"');
        match &self.kind {
            SchemaKind::Struct(fields) => {
                out.extend_from_slice(b",\"fields\":[");
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    field.schema.write_json(converter, Some(&field.name), out);
                }
                out.push(b']');
            }
            SchemaKind::Array(element) => {
                out.extend_from_slice(b",\"items\":");
                element.write_json(converter, None, out);
            }
            SchemaKind::Map(keys, values) => {
                out.extend_from_slice(b",\"keys\":");
                keys.write_json(converter, None, out);
                out.extend_from_slice(b",\"values\":");
                values.write_json(converter, None, out);
            }
            _ => {}
        }
        out.extend_from_slice(if self.optional { b",\"optional\":true" } else { b",\"optional\":false" });
        if let Some(name) = &self.name {
            out.extend_from_slice(b",\"name\":");
            write_string(name, out);
        }
        if let Some(version) = self.version {
            out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
        }
        if let Some(doc) = &self.doc {
            out.extend_from_slice(b",\"doc\":");
            write_string(doc, out);
        }
        if !self.parameters.is_empty() {
            out.extend_from_slice(b",\"parameters\":{");
            for (index, (name, value)) in self.parameters.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_string(value, out);
            }
            out.push(b'}');
        }
        if let Some(default) = &self.default {
            out.extend_from_slice(b",\"default\":");
            default.write(Some(self), &mut converter.writer(out));
        }
        if let Some(field) = field {
            out.extend_from_slice(b",\"field\":");
            write_string(field, out);
        }
        out.push(b'}');
    }
}
