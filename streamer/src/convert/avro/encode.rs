//! Avro's binary encoding (specification, "Binary Encoding") of a Connect value, in the order of its schema.

use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::schema::is_avro_map;

/// Appends a value; `defaults` is whether a struct's null becomes the field's default (`Struct.get`).
///
/// # Errors
/// A null where the schema has none, a value of another form than its schema.
pub(super) fn encode(value: &Value, schema: &Schema, defaults: bool, out: &mut Vec<u8>) -> Result<(), String> {
    if schema.optional {
        let value_first = schema.default.is_some() && !matches!(schema.kind, SchemaKind::Struct(_));
        let is_null = *value == Value::Null;
        long(i64::from(is_null == value_first), out);
        if is_null {
            return Ok(());
        }
    }
    match (&schema.kind, value) {
        (SchemaKind::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
        (SchemaKind::Int8, Value::Int8(value)) => long(i64::from(*value), out),
        (SchemaKind::Int16, Value::Int16(value)) => long(i64::from(*value), out),
        (SchemaKind::Int32, Value::Int32(value)) => long(i64::from(*value), out),
        (SchemaKind::Int64, Value::Int64(value)) => long(*value, out),
        (SchemaKind::Float32, Value::Float32(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (SchemaKind::Float64, Value::Float64(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (SchemaKind::String, Value::String(value)) => bytes(value.as_bytes(), out),
        (SchemaKind::Bytes, Value::Bytes(value)) => bytes(value, out),
        (SchemaKind::Array(element_schema), Value::Array(elements)) => {
            block(elements.len(), out);
            for element in elements {
                encode(element, element_schema, defaults, out)?;
            }
            out.push(0);
        }
        (SchemaKind::Map(key_schema, value_schema), Value::Map(entries)) => {
            block(entries.len(), out);
            for (key, value) in entries {
                match key {
                    Value::String(key) if is_avro_map(key_schema) => bytes(key.as_bytes(), out),
                    key => encode(key, key_schema, defaults, out)?,
                }
                encode(value, value_schema, defaults, out)?;
            }
            out.push(0);
        }
        (SchemaKind::Struct(fields), Value::Struct(values)) => {
            if fields.len() != values.len() {
                return Err(format!("a struct has {} values for {} fields", values.len(), fields.len()));
            }
            for (field, value) in fields.iter().zip(values) {
                let default = field.schema.default.as_ref().filter(|_| defaults && *value == Value::Null);
                encode(default.unwrap_or(value), &field.schema, defaults, out)
                    .map_err(|why| format!("{}: {why}", field.name))?;
            }
        }
        (_, Value::Null) => return Err("Found null value for non-optional schema".to_owned()),
        (kind, _) => return Err(format!("the value is no {}", crate::convert::primitive::type_name(kind))),
    }
    Ok(())
}

/// Zig-zag and seven bits a byte, the lowest first.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    length(value.len(), out);
    out.extend_from_slice(value);
}

fn length(length: usize, out: &mut Vec<u8>) {
    // No value is longer than the memory.
    long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

/// All items stand in one block, behind which an empty one ends them.
fn block(items: usize, out: &mut Vec<u8>) {
    if items > 0 {
        length(items, out);
    }
}
