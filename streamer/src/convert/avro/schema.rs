//! The Avro schema of a Connect schema, as Confluent's `AvroData.fromConnectSchema` derives it and Avro's
//! `Schema.toString` writes it.

use std::collections::HashMap;

use proto::connect::java;
use proto::connect::json::write_string;
use proto::connect::schema::{DECIMAL, Field, Schema, SchemaKind};
use proto::connect::value::Value;

/// `AvroData.NAMESPACE`, of what has no name of its own.
const NAMESPACE: &str = "io.confluent.connect.avro";
/// `AvroData.DEFAULT_SCHEMA_NAME`.
const DEFAULT_NAME: &str = "ConnectDefault";
/// `AvroData.MAP_ENTRY_TYPE_NAME`.
const MAP_ENTRY: &str = "MapEntry";
/// `AvroData.CONNECT_AVRO_DECIMAL_PRECISION_PROP`.
const PRECISION: &str = "connect.decimal.precision";
/// `AvroData.CONNECT_AVRO_DECIMAL_PRECISION_DEFAULT`.
const DEFAULT_PRECISION: i32 = 64;

/// The schema's JSON; `meta_data` is `connect.meta.data`.
///
/// # Errors
/// What Avro has no form for: a name with characters that it does not take, one name for two different structs.
pub(super) fn text(schema: &Schema, meta_data: bool) -> Result<String, String> {
    let mut writer = Writer { out: Vec::new(), named: HashMap::new(), space: None, meta_data };
    writer.schema(schema)?;
    String::from_utf8(writer.out).map_err(|_| "a name is no text".to_owned())
}

/// The full name of the record that a schema becomes (`Schema.getFullName`); `None` for what is no record.
pub(super) fn record_name(schema: &Schema) -> Option<String> {
    if !matches!(schema.kind, SchemaKind::Struct(_)) {
        return None;
    }
    Some(schema.name.clone().unwrap_or_else(|| format!("{NAMESPACE}.{DEFAULT_NAME}")))
}

/// Whether a map is one in Avro too, whose keys are always strings; otherwise it is an array of entries.
pub(super) fn is_avro_map(key: &Schema) -> bool {
    key.kind == SchemaKind::String && !key.optional
}

struct Writer<'a> {
    out: Vec<u8>,
    /// The records that were written, by their full names: a second time only the name stands.
    named: HashMap<String, &'a Schema>,
    /// The namespace of the record around.
    space: Option<String>,
    meta_data: bool,
}

impl<'a> Writer<'a> {
    fn schema(&mut self, schema: &'a Schema) -> Result<(), String> {
        if !schema.optional {
            return self.base(schema);
        }
        // The default must be of a union's first type; a struct's union is made before anybody looks at its default.
        let value_first = schema.default.is_some() && !matches!(schema.kind, SchemaKind::Struct(_));
        if value_first {
            self.out.push(b'[');
            self.base(schema)?;
            self.push(",\"null\"]");
        } else {
            self.push("[\"null\",");
            self.base(schema)?;
            self.out.push(b']');
        }
        Ok(())
    }

    /// The schema without its being optional.
    fn base(&mut self, schema: &'a Schema) -> Result<(), String> {
        match &schema.kind {
            SchemaKind::Boolean => self.primitive("boolean", schema, None),
            SchemaKind::Int8 => self.primitive("int", schema, Some("int8")),
            SchemaKind::Int16 => self.primitive("int", schema, Some("int16")),
            SchemaKind::Int32 => self.primitive("int", schema, None),
            SchemaKind::Int64 => self.primitive("long", schema, None),
            SchemaKind::Float32 => self.primitive("float", schema, None),
            SchemaKind::Float64 => self.primitive("double", schema, None),
            SchemaKind::String => self.primitive("string", schema, None),
            SchemaKind::Bytes => self.primitive("bytes", schema, None),
            SchemaKind::Array(element) => {
                self.push("{\"type\":\"array\",\"items\":");
                self.schema(element)?;
                self.properties(schema, None);
                self.out.push(b'}');
            }
            SchemaKind::Map(key, value) if is_avro_map(key) => {
                self.push("{\"type\":\"map\",\"values\":");
                self.schema(value)?;
                self.properties(schema, None);
                self.out.push(b'}');
            }
            SchemaKind::Map(key, value) => {
                self.push("{\"type\":\"array\",\"items\":");
                self.map_entry(schema, key, value)?;
                self.properties(schema, None);
                self.out.push(b'}');
            }
            SchemaKind::Struct(fields) => self.record(schema, fields)?,
        }
        Ok(())
    }

    fn primitive(&mut self, name: &str, schema: &Schema, connect_type: Option<&str>) {
        let start = self.out.len();
        self.push("{\"type\":\"");
        self.push(name);
        self.out.push(b'"');
        let bare = self.out.len();
        if let Some(scale) = decimal_scale(schema) {
            let precision = decimal_precision(schema);
            self.push(&format!(",\"scale\":{scale},\"precision\":{precision}"));
        }
        self.properties(schema, connect_type);
        if self.out.len() == bare {
            self.out.truncate(start);
            self.push(&format!("\"{name}\""));
        } else {
            self.out.push(b'}');
        }
    }

    fn record(&mut self, schema: &'a Schema, fields: &'a [Field]) -> Result<(), String> {
        let full_name = record_name(schema).unwrap_or_default();
        let (space, name) = split(&full_name);
        if let Some(known) = self.named.get(&full_name) {
            if !same_but_optional(known, schema) {
                return Err(format!(
                    "the records {full_name} are of two different forms, and Avro knows a name only once"
                ));
            }
            let text = if space == self.space.as_deref() { name } else { &full_name };
            write_string(text, &mut self.out);
            return Ok(());
        }
        check_name(name, &full_name)?;
        self.named.insert(full_name.clone(), schema);
        let outer = self.begin_record(name, space);
        self.push(",\"fields\":[");
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            check_name(&field.name, &full_name)?;
            self.field(&field.name, &field.schema)?;
        }
        self.out.push(b']');
        self.space = outer;
        self.properties(schema, None);
        self.out.push(b'}');
        Ok(())
    }

    /// The record of a map's entry.
    fn map_entry(&mut self, schema: &'a Schema, key: &'a Schema, value: &'a Schema) -> Result<(), String> {
        let full_name = schema.name.clone().unwrap_or_else(|| format!("{NAMESPACE}.{MAP_ENTRY}"));
        let (space, name) = split(&full_name);
        check_name(name, &full_name)?;
        if let Some(known) = self.named.get(&full_name) {
            if !same_but_optional(known, schema) {
                return Err(format!(
                    "the maps {full_name} are of two different forms, and Avro knows a name only once"
                ));
            }
            let text = if space == self.space.as_deref() { name } else { &full_name };
            write_string(text, &mut self.out);
            return Ok(());
        }
        self.named.insert(full_name.clone(), schema);
        let outer = self.begin_record(name, space);
        self.push(",\"fields\":[");
        self.field("key", key)?;
        self.out.push(b',');
        self.field("value", value)?;
        self.out.push(b']');
        self.space = outer;
        if schema.name.is_some() {
            self.push(",\"connect.internal.type\":\"MapEntry\"");
        }
        self.out.push(b'}');
        Ok(())
    }

    /// `{"type":"record"` with name and namespace; gives the namespace around.
    fn begin_record(&mut self, name: &str, space: Option<&str>) -> Option<String> {
        self.push("{\"type\":\"record\",\"name\":");
        write_string(name, &mut self.out);
        if space != self.space.as_deref() {
            self.push(",\"namespace\":");
            write_string(space.unwrap_or_default(), &mut self.out);
        }
        std::mem::replace(&mut self.space, space.map(str::to_owned))
    }

    fn field(&mut self, name: &str, schema: &'a Schema) -> Result<(), String> {
        self.push("{\"name\":");
        write_string(name, &mut self.out);
        self.push(",\"type\":");
        self.schema(schema)?;
        match &schema.default {
            Some(default) => {
                self.push(",\"default\":");
                write_default(default, schema, &mut self.out);
            }
            None if schema.optional => self.push(",\"default\":null"),
            None => {}
        }
        self.out.push(b'}');
        Ok(())
    }

    /// What Connect knows and Avro does not, so that it reads back (`connect.*`), and Avro's own logical type.
    fn properties(&mut self, schema: &Schema, connect_type: Option<&str>) {
        if self.meta_data {
            if let Some(doc) = &schema.doc {
                self.property("connect.doc", doc);
            }
            if let Some(version) = schema.version {
                self.push(&format!(",\"connect.version\":{version}"));
            }
            if !schema.parameters.is_empty() {
                self.push(",\"connect.parameters\":{");
                for (index, (name, value)) in schema.parameters.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    write_string(name, &mut self.out);
                    self.out.push(b':');
                    write_string(value, &mut self.out);
                }
                self.out.push(b'}');
            }
            if let Some(default) = &schema.default {
                self.push(",\"connect.default\":");
                write_default(default, schema, &mut self.out);
            }
            if let Some(name) = &schema.name {
                self.property("connect.name", name);
            }
            if let Some(connect_type) = connect_type {
                self.property("connect.type", connect_type);
            }
        }
        let logical = match schema.name.as_deref() {
            Some(DECIMAL) => Some("decimal"),
            Some("org.apache.kafka.connect.data.Date") => Some("date"),
            Some("org.apache.kafka.connect.data.Time") => Some("time-millis"),
            Some("org.apache.kafka.connect.data.Timestamp") => Some("timestamp-millis"),
            _ => None,
        };
        if let Some(logical) = logical {
            self.property("logicalType", logical);
        }
        for (name, value) in schema.parameters.iter().filter(|(name, _)| name.starts_with("avro")) {
            self.property(name, value);
        }
    }

    fn property(&mut self, name: &str, value: &str) {
        self.out.push(b',');
        write_string(name, &mut self.out);
        self.out.push(b':');
        write_string(value, &mut self.out);
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

fn decimal_scale(schema: &Schema) -> Option<i32> {
    (schema.kind == SchemaKind::Bytes).then(|| schema.decimal_scale()).flatten()
}

fn decimal_precision(schema: &Schema) -> i32 {
    schema.parameter(PRECISION).and_then(|precision| precision.parse().ok()).unwrap_or(DEFAULT_PRECISION)
}

/// Namespace and name of a full name.
fn split(full_name: &str) -> (Option<&str>, &str) {
    match full_name.rsplit_once('.') {
        Some((space, name)) => (Some(space), name),
        None => (None, full_name),
    }
}

/// Avro's rule for names, as Java's library has it: a letter or underscore, then letters, digits and underscores.
fn check_name(name: &str, of: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_alphabetic() || letter == '_');
    if first && letters.all(|letter| letter.is_alphanumeric() || letter == '_') {
        return Ok(());
    }
    Err(format!(
        "{name} in {of} is no name in Avro; set schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro, or \
         rename the table or column"
    ))
}

fn same_but_optional(one: &Schema, other: &Schema) -> bool {
    let required = |schema: &Schema| Schema { optional: false, ..schema.clone() };
    required(one) == required(other)
}

/// `AvroData.defaultValueFromConnect`: bytes are a text of as many characters.
fn write_default(value: &Value, schema: &Schema, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int8(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int16(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int32(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int64(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float32(value) => number(&java::float(*value), value.is_finite(), out),
        Value::Float64(value) => number(&java::double(*value), value.is_finite(), out),
        Value::String(value) => write_string(value, out),
        Value::Bytes(value) => write_string(&value.iter().copied().map(char::from).collect::<String>(), out),
        Value::Array(elements) => {
            let SchemaKind::Array(element_schema) = &schema.kind else { return out.extend_from_slice(b"null") };
            list(elements, b'[', b']', out, |element, out| write_default(element, element_schema, out));
        }
        Value::Map(entries) => {
            let SchemaKind::Map(key_schema, value_schema) = &schema.kind else { return out.extend_from_slice(b"null") };
            let named = is_avro_map(key_schema);
            let (open, close) = if named { (b'{', b'}') } else { (b'[', b']') };
            list(entries, open, close, out, |(key, value), out| {
                if !named {
                    out.push(b'[');
                }
                write_default(key, key_schema, out);
                out.push(if named { b':' } else { b',' });
                write_default(value, value_schema, out);
                if !named {
                    out.push(b']');
                }
            });
        }
        Value::Struct(values) => {
            let fields: Vec<_> = schema.fields().iter().zip(values).collect();
            list(&fields, b'{', b'}', out, |(field, value), out| {
                write_string(&field.name, out);
                out.push(b':');
                let value = if **value == Value::Null { field.schema.default.as_ref().unwrap_or(value) } else { value };
                write_default(value, &field.schema, out);
            });
        }
    }
}

fn number(text: &str, is_finite: bool, out: &mut Vec<u8>) {
    if is_finite {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_string(text, out);
    }
}

fn list<T>(items: &[T], open: u8, close: u8, out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(close);
}
