//! Protobuf's wire format of a Connect value, in the order of its schema (`ProtobufData.fromConnectData`, and proto3's
//! rules for what is left out).

use prost::encoding::{self, WireType};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::Shape;
use super::known_types::{Logical, wrapper};

/// Appends a record's message.
///
/// # Errors
/// A null where the schema has none, a value of another form than its schema.
pub(super) fn encode(value: &Value, schema: &Schema, shape: Shape, out: &mut Vec<u8>) -> Result<(), String> {
    match (&schema.kind, value) {
        (SchemaKind::Struct(fields), Value::Struct(values)) => structure(fields, values, shape, out),
        // The wrapper of what is no struct.
        (_, value) => primitive(1, schema, value, Zero::LeftOut, out),
    }
}

/// Whether a zero, which is what a reader takes where there is nothing, is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zero {
    Written,
    LeftOut,
}

fn structure(fields: &[Field], values: &[Value], shape: Shape, out: &mut Vec<u8>) -> Result<(), String> {
    if fields.len() != values.len() {
        return Err(format!("a struct has {} values for {} fields", values.len(), fields.len()));
    }
    for ((field, value), number) in fields.iter().zip(values).zip(1..) {
        let schema = &field.schema;
        let default = schema.default.as_ref().filter(|_| !shape.ignore_default_for_nullables && *value == Value::Null);
        let zero = if shape.optional_for_nullables && schema.optional { Zero::Written } else { Zero::LeftOut };
        self::field(number, schema, default.unwrap_or(value), zero, shape, out)
            .map_err(|why| format!("{}: {why}", field.name))?;
    }
    Ok(())
}

fn field(
    number: u32,
    schema: &Schema,
    value: &Value,
    zero: Zero,
    shape: Shape,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    match (&schema.kind, value) {
        (_, Value::Null) if schema.optional => Ok(()),
        (_, Value::Null) => Err("Found null value for non-optional schema".to_owned()),
        (SchemaKind::Array(element), Value::Array(elements)) => array(number, element, elements, shape, out),
        (SchemaKind::Map(key_schema, value_schema), Value::Map(entries)) => {
            for (key, value) in entries {
                message(number, out, |out| {
                    field(1, key_schema, key, Zero::LeftOut, shape, out)?;
                    field(2, value_schema, value, Zero::LeftOut, shape, out)
                })?;
            }
            Ok(())
        }
        _ => single(number, schema, value, zero, shape, out),
    }
}

/// A field that is there once: a message, or a primitive value.
fn single(
    number: u32,
    schema: &Schema,
    value: &Value,
    zero: Zero,
    shape: Shape,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if let Some(logical) = Logical::of(schema) {
        return message(number, out, |out| logical.encode(value, schema, out));
    }
    match (&schema.kind, value) {
        (SchemaKind::Struct(fields), Value::Struct(values)) => {
            message(number, out, |out| structure(fields, values, shape, out))
        }
        _ if is_wrapped(schema, shape) => message(number, out, |out| primitive(1, schema, value, Zero::LeftOut, out)),
        _ => primitive(number, schema, value, zero, out),
    }
}

fn is_wrapped(schema: &Schema, shape: Shape) -> bool {
    shape.wrapper_for_nullables && schema.optional && wrapper(&schema.kind).is_some()
}

fn message(
    number: u32,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    let mut content = Vec::new();
    write(&mut content)?;
    length_delimited(number, &content, out);
    Ok(())
}

fn length_delimited(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encoding::encode_key(number, WireType::LengthDelimited, out);
    encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Numbers stand behind one key; everything else has its key each.
fn array(number: u32, schema: &Schema, elements: &[Value], shape: Shape, out: &mut Vec<u8>) -> Result<(), String> {
    if let Some(index) = elements.iter().position(|element| *element == Value::Null) {
        return Err(format!("element {index} is null, and Protobuf's repeated fields hold no nulls"));
    }
    let is_packed = !is_wrapped(schema, shape) && Logical::of(schema).is_none() && is_number(&schema.kind);
    if !is_packed {
        return elements.iter().try_for_each(|element| single(number, schema, element, Zero::Written, shape, out));
    }
    if elements.is_empty() {
        return Ok(());
    }
    let mut content = Vec::new();
    for element in elements {
        match element {
            Value::Boolean(value) => encoding::encode_varint(u64::from(*value), &mut content),
            Value::Float32(value) => content.extend_from_slice(&value.to_le_bytes()),
            Value::Float64(value) => content.extend_from_slice(&value.to_le_bytes()),
            value => match integer(value) {
                Some(value) => encoding::encode_varint(value as u64, &mut content),
                None => return Err(mismatch(schema)),
            },
        }
    }
    length_delimited(number, &content, out);
    Ok(())
}

fn is_number(kind: &SchemaKind) -> bool {
    !matches!(
        kind,
        SchemaKind::String | SchemaKind::Bytes | SchemaKind::Struct(_) | SchemaKind::Array(_) | SchemaKind::Map(..)
    )
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int8(value) => Some(i64::from(*value)),
        Value::Int16(value) => Some(i64::from(*value)),
        Value::Int32(value) => Some(i64::from(*value)),
        Value::Int64(value) => Some(*value),
        _ => None,
    }
}

fn primitive(number: u32, schema: &Schema, value: &Value, zero: Zero, out: &mut Vec<u8>) -> Result<(), String> {
    let is_written = |is_zero: bool| zero == Zero::Written || !is_zero;
    match (&schema.kind, value) {
        (SchemaKind::Boolean, Value::Boolean(value)) if is_written(!*value) => {
            encoding::bool::encode(number, value, out);
        }
        // By its bits: a zero below zero is none.
        (SchemaKind::Float32, Value::Float32(value)) if is_written(value.to_bits() == 0) => {
            encoding::float::encode(number, value, out);
        }
        (SchemaKind::Float64, Value::Float64(value)) if is_written(value.to_bits() == 0) => {
            encoding::double::encode(number, value, out);
        }
        (SchemaKind::String, Value::String(value)) if is_written(value.is_empty()) => {
            encoding::string::encode(number, value, out);
        }
        (SchemaKind::Bytes, Value::Bytes(value)) if is_written(value.is_empty()) => {
            encoding::bytes::encode(number, value, out);
        }
        (SchemaKind::Boolean, Value::Boolean(_))
        | (SchemaKind::Float32, Value::Float32(_))
        | (SchemaKind::Float64, Value::Float64(_))
        | (SchemaKind::String, Value::String(_))
        | (SchemaKind::Bytes, Value::Bytes(_)) => {}
        (SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 | SchemaKind::Int64, value) => {
            // A number of 32 bits has the same bytes as one of 64: the sign is carried on.
            let value = integer(value).ok_or_else(|| mismatch(schema))?;
            if is_written(value == 0) {
                encoding::int64::encode(number, &value, out);
            }
        }
        _ => return Err(mismatch(schema)),
    }
    Ok(())
}

fn mismatch(schema: &Schema) -> String {
    format!("the value is no {}", crate::convert::primitive::type_name(&schema.kind))
}
