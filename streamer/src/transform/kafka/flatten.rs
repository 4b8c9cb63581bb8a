//! `Flatten`: the fields of structs inside become fields of the whole, by their paths.

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_value, put};
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "flattening";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[Setting::with_default("delimiter", Kind::String, ".")];

#[derive(Debug)]
struct Flatten {
    side: Side,
    delimiter: String,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(Flatten { side, delimiter: settings.string("delimiter"), schemas: SchemaCache::default() }))
}

impl Transform for Flatten {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let delimiter = &self.delimiter;
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Null(schema) => SchemaAndValue { schema, value: Value::Null },
            Data::Struct(schema, values) => {
                let updated = self.schemas.get(&schema, |schema| {
                    let mut fields = Fields::default();
                    add_fields(schema, "", delimiter, schema.optional, schema.default.as_ref(), &mut fields)?;
                    Ok(basics(schema, fields.finish()))
                })?;
                let mut flat = Vec::with_capacity(updated.fields().len());
                add_values(&schema, Some(values), &mut flat);
                SchemaAndValue { schema: Some(updated), value: Value::Struct(flat) }
            }
            Data::Map(entries) => {
                let mut flat = Vec::new();
                add_entries(entries, "", delimiter, &mut flat)?;
                SchemaAndValue { schema: None, value: Value::Map(flat) }
            }
            other => return Err(other.refused(PURPOSE)),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}

fn path(prefix: &str, delimiter: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

/// Adds a struct's fields; what is inside of something optional is optional, and has the default that the struct around it
/// gives it.
fn add_fields(
    schema: &Schema,
    prefix: &str,
    delimiter: &str,
    optional: bool,
    default: Option<&Value>,
    fields: &mut Fields,
) -> Result<(), TransformError> {
    for (index, field) in schema.fields().iter().enumerate() {
        let name = path(prefix, delimiter, &field.name);
        let optional = optional || field.schema.optional;
        let from_parent = match default {
            Some(Value::Struct(values)) => values.get(index).filter(|value| **value != Value::Null),
            _ => None,
        };
        let default = field.schema.default.as_ref().or(from_parent);
        match &field.schema.kind {
            SchemaKind::Struct(_) => add_fields(&field.schema, &name, delimiter, optional, default, fields)?,
            SchemaKind::Map(..) => {
                return Err(TransformError::new(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                )));
            }
            kind => {
                let flat = basics(&field.schema, kind.clone());
                fields.add(&name, Schema { optional, default: default.cloned(), ..flat })?;
            }
        }
    }
    Ok(())
}

/// Adds a struct's values; those of a struct that is missing are null.
fn add_values(schema: &Schema, values: Option<Vec<Value>>, flat: &mut Vec<Value>) {
    let mut values = values.map(Vec::into_iter);
    for field in schema.fields() {
        let value = values.as_mut().map(|values| values.next().unwrap_or_default());
        let value = value.map_or(Value::Null, |value| field_value(value, &field.schema, true));
        match (&field.schema.kind, value) {
            (SchemaKind::Struct(_), Value::Struct(inner)) => add_values(&field.schema, Some(inner), flat),
            (SchemaKind::Struct(_), _) => add_values(&field.schema, None, flat),
            (_, value) => flat.push(value),
        }
    }
}

fn add_entries(
    entries: Vec<(Value, Value)>,
    prefix: &str,
    delimiter: &str,
    flat: &mut Vec<(Value, Value)>,
) -> Result<(), TransformError> {
    for (key, value) in entries {
        let name = path(prefix, delimiter, key.as_str().unwrap_or_default());
        match value {
            Value::Map(entries) => add_entries(entries, &name, delimiter, flat)?,
            Value::Struct(_) => {
                return Err(TransformError::new(format!(
                    "Flatten transformation does not support class org.apache.kafka.connect.data.Struct for record \
                     without schemas (for field {name})."
                )));
            }
            other => put(flat, &name, other),
        }
    }
    Ok(())
}
