//! `ValueToKey`: a new key of some of the value's fields.

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::REPLACE_NULL_WITH_DEFAULT;
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, field_value, get, put};
use crate::transform::settings::{Setting, Settings, not_empty_list};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "copying fields from value to key";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::required("fields", Kind::List).checked(not_empty_list), REPLACE_NULL_WITH_DEFAULT];

#[derive(Debug)]
struct ValueToKey {
    fields: Vec<String>,
    defaults: bool,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(ValueToKey {
        fields: settings.list("fields"),
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

impl Transform for ValueToKey {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let fields = &self.fields;
        record.key = match Data::from(record.value.clone()) {
            Data::Struct(schema, values) => {
                let key_schema = self.schemas.get(&schema, |schema| {
                    let mut key = Fields::default();
                    for name in fields {
                        let found = schema.field_index(name).and_then(|index| schema.fields().get(index));
                        let field =
                            found.ok_or_else(|| TransformError::new(format!("Field does not exist: {name}")))?;
                        key.add(name, field.schema.clone())?;
                    }
                    Ok(Schema::new(key.finish()))
                })?;
                let value = |name: &String| {
                    let index = schema.field_index(name)?;
                    let (field, value) = (schema.fields().get(index)?, values.get(index)?);
                    Some(field_value(value.clone(), &field.schema, self.defaults))
                };
                let values = fields.iter().map(|name| value(name).unwrap_or_default()).collect();
                SchemaAndValue { schema: Some(key_schema), value: Value::Struct(values) }
            }
            Data::Map(entries) => {
                let mut key = Vec::with_capacity(fields.len());
                for name in fields {
                    put(&mut key, name, get(&entries, name).cloned().unwrap_or_default());
                }
                SchemaAndValue { schema: None, value: Value::Map(key) }
            }
            other => return Err(other.refused(PURPOSE)),
        };
        Ok(Some(record))
    }
}
