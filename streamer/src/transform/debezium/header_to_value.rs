//! `io.debezium.transforms.HeaderToValue`: headers as fields of the value.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::struct_of;
use super::options::required;
use super::schemas::{Made, or_default, structure};
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional("headers", Kind::List),
    Setting::optional("fields", Kind::List),
    Setting::optional("operation", Kind::String),
];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let operation = required(settings, "operation")?;
    if !["move", "copy"].contains(&operation.as_str()) {
        return Err(invalid("operation", operation, "Value must be one of move, copy"));
    }
    for name in ["headers", "fields"] {
        let list = required(settings, name)?;
        if settings.list(name).iter().any(|entry| entry.is_empty() || entry.contains(' ')) {
            return Err(invalid(name, list, "entries must neither be empty nor contain blanks"));
        }
    }
    let (headers, fields) = (settings.list("headers"), settings.list("fields"));
    if headers.len() != fields.len() {
        return Err("'fields' config must have the same number of elements as 'headers' config.".to_owned());
    }
    Ok(Box::new(HeaderToValue {
        pairs: headers.into_iter().zip(fields).collect(),
        moves: operation == "move",
        schemas: Made::default(),
    }))
}

#[derive(Debug)]
struct HeaderToValue {
    /// Header and field, a dotted path.
    pairs: Vec<(String, String)>,
    moves: bool,
    /// What was made for a schema. As by Debezium, a record with fewer of the headers has the schema of one that had them.
    schemas: Made<Vec<String>, Arc<Schema>>,
}

/// A header on its way into the value.
struct Entry {
    path: Vec<String>,
    data: SchemaAndValue,
}

impl Transform for HeaderToValue {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if record.value.value == Value::Null {
            return Ok(Some(record));
        }
        let mut entries = Vec::new();
        for header in &record.headers {
            if let Some((_, field)) = self.pairs.iter().find(|(name, _)| *name == header.key) {
                let path = field.split('.').map(str::to_owned).collect();
                entries.push(Entry { path, data: header.value.clone() });
            }
        }
        let (schema, values) = struct_of(&record.value, "Header field insertion")?;
        if entries.is_empty() {
            return Ok(Some(record));
        }
        let names: Vec<String> = entries.iter().map(|entry| entry.path.join(".")).collect();
        let new = match self.schemas.known(schema, |known| names.iter().all(|name| known.contains(name))) {
            Some(new) => new.clone(),
            None => self.schemas.of(schema, &names, || with_fields(schema, &entries, &[]).map(Arc::new))?.clone(),
        };
        let value = with_values(schema, values, &new, &entries, &[])?;
        record.value = SchemaAndValue::new(new, value);
        if self.moves {
            record.headers.retain(|header| !self.pairs.iter().any(|(name, _)| *name == header.key));
        }
        Ok(Some(record))
    }
}

/// The entries that are for the struct at `path`, with their last names.
fn of_struct<'a>(entries: &'a [Entry], path: &[String]) -> impl Iterator<Item = (&'a String, &'a SchemaAndValue)> {
    let length = path.len();
    let path = path.to_vec();
    entries.iter().filter_map(move |entry| {
        let (name, parent) = entry.path.split_last()?;
        (entry.path.len() == length + 1 && parent == path.as_slice()).then_some((name, &entry.data))
    })
}

/// Whether an entry is for something inside of the struct at `path`.
fn is_parent(entries: &[Entry], path: &[String]) -> bool {
    entries.iter().any(|entry| entry.path.len() > path.len() && entry.path.starts_with(path))
}

fn with_fields(schema: &Schema, entries: &[Entry], path: &[String]) -> Result<Schema, TransformError> {
    if !matches!(schema.kind, SchemaKind::Struct(_)) {
        return Ok(schema.clone());
    }
    let mut fields = Vec::new();
    for field in schema.fields() {
        let inner = [path, std::slice::from_ref(&field.name)].concat();
        let schema = if is_parent(entries, &inner) {
            with_fields(&field.schema, entries, &inner)?
        } else {
            field.schema.clone()
        };
        fields.push(Field { name: field.name.clone(), schema });
    }
    for (name, data) in of_struct(entries, path) {
        let none = || TransformError::new(format!("its header for the field {name} has no schema"));
        fields.push(Field { name: name.clone(), schema: data.schema.as_deref().ok_or_else(none)?.clone() });
    }
    structure(schema, fields)
}

fn with_values(
    schema: &Schema,
    values: &[Value],
    new: &Schema,
    entries: &[Entry],
    path: &[String],
) -> Result<Value, TransformError> {
    let mut new_values = vec![Value::Null; new.fields().len()];
    for (((field, value), new_value), new_field) in
        schema.fields().iter().zip(values).zip(new_values.iter_mut()).zip(new.fields())
    {
        let inner = [path, std::slice::from_ref(&field.name)].concat();
        *new_value = match value {
            Value::Struct(values) if is_parent(entries, &inner) => {
                with_values(&field.schema, values, &new_field.schema, entries, &inner)?
            }
            value => or_default(value.clone(), &field.schema),
        };
    }
    for (name, data) in of_struct(entries, path) {
        if let Some(value) = new.field_index(name).and_then(|index| new_values.get_mut(index)) {
            *value = data.value.clone();
        }
    }
    Ok(Value::Struct(new_values))
}
