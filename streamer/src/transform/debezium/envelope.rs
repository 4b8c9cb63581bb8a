//! What Debezium's transforms look for in a record: its envelope.

use std::sync::Arc;

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use crate::transform::TransformError;

/// Whether a schema is an envelope's, which its name says (`Envelope.isEnvelopeSchema`).
pub(super) fn is_envelope(schema: Option<&Arc<Schema>>) -> bool {
    schema.and_then(|schema| schema.name.as_deref()).is_some_and(|name| name.ends_with(".Envelope"))
}

/// A struct's text in the field `name`; `None` where it is null. As `Struct.getString`: without the field's default.
///
/// # Errors
/// Stop when the struct has no such field, or another kind of value in it.
pub(super) fn text_of<'a>(schema: &Schema, values: &'a [Value], name: &str) -> Result<Option<&'a str>, TransformError> {
    let missing = || TransformError::new(format!("{name} is not a valid field name of a row of {}", named(schema)));
    let index = schema.field_index(name).ok_or_else(missing)?;
    match values.get(index).ok_or_else(missing)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(TransformError::new(format!("Field '{name}' of {} is not of type STRING", named(schema)))),
    }
}

/// A value that must be a struct, with its schema.
///
/// # Errors
/// Stop when it is none.
pub(super) fn struct_of<'a>(
    data: &'a SchemaAndValue,
    purpose: &str,
) -> Result<(&'a Arc<Schema>, &'a [Value]), TransformError> {
    data.as_struct().ok_or_else(|| {
        TransformError::new(format!(
            "Only Struct objects supported for [{purpose}]: a transform before this one made something else of the record"
        ))
    })
}

/// A schema's name, for a message.
pub(super) fn named(schema: &Schema) -> &str {
    schema.name.as_deref().unwrap_or("a struct without a name")
}

/// The value of one of a struct's fields; `None` when it has no such field.
pub(super) fn envelope_value<'a>(schema: &Schema, values: &'a [Value], name: &str) -> Option<&'a Value> {
    values.get(schema.field_index(name)?)
}
