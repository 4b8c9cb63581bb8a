//! `ExtractField`: one field in place of the whole key or value.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::REPLACE_NULL_WITH_DEFAULT;
use super::field_path::{FIELD_SYNTAX_VERSION, steps};
use crate::config::properties::Kind;
use crate::transform::data::{Data, SchemaCache, Side, field_value, get, java_class};
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "field extraction";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::required("field", Kind::String), FIELD_SYNTAX_VERSION, REPLACE_NULL_WITH_DEFAULT];

#[derive(Debug)]
struct ExtractField {
    side: Side,
    /// As it is configured.
    path: String,
    steps: Vec<String>,
    defaults: bool,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(ExtractField {
        side,
        path: settings.string("field"),
        steps: steps(settings, "field")?,
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

impl ExtractField {
    fn schema(&mut self, schema: &Arc<Schema>) -> Result<Arc<Schema>, TransformError> {
        let (steps, path) = (&self.steps, &self.path);
        self.schemas.get(schema, |schema| {
            let mut current = schema;
            for step in steps {
                let field = current.field_index(step).and_then(|index| current.fields().get(index));
                current = &field.ok_or_else(|| TransformError::new(format!("Unknown field: {path}")))?.schema;
            }
            Ok(current.clone())
        })
    }

    /// The value at the path: a null on the way is a null at its end.
    fn value(&self, schema: &Schema, value: Value) -> Value {
        let (mut schema, mut value) = (schema, value);
        for (index, step) in self.steps.iter().enumerate() {
            let Value::Struct(mut values) = value else { return Value::Null };
            let Some(place) = schema.field_index(step).filter(|place| *place < values.len()) else {
                return Value::Null;
            };
            let Some(field) = schema.fields().get(place) else { return Value::Null };
            let is_last = index + 1 == self.steps.len();
            value = field_value(values.swap_remove(place), &field.schema, self.defaults || !is_last);
            schema = &field.schema;
        }
        value
    }

    /// The value at the path of a map without a schema.
    fn entry(&self, entries: Vec<(Value, Value)>) -> Result<Value, TransformError> {
        let mut current = Value::Map(entries);
        for step in &self.steps {
            current = match current {
                Value::Map(entries) => get(&entries, step).cloned().unwrap_or_default(),
                Value::Null => Value::Null,
                other => {
                    let found = java_class(&other);
                    return Err(TransformError::new(format!(
                        "Only Map objects supported in absence of schema for [nested field access], found: {found}"
                    )));
                }
            };
        }
        Ok(current)
    }
}

impl Transform for ExtractField {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Null(None) => SchemaAndValue::default(),
            Data::Null(Some(schema)) => SchemaAndValue { schema: Some(self.schema(&schema)?), value: Value::Null },
            Data::Struct(schema, values) => {
                let extracted = self.schema(&schema)?;
                let value = self.value(&schema, Value::Struct(values));
                SchemaAndValue { schema: Some(extracted), value }
            }
            Data::Map(entries) => SchemaAndValue { schema: None, value: self.entry(entries)? },
            other => return Err(other.refused(PURPOSE)),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
