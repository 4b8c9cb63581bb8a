//! `HeaderFrom`: copies or moves fields to headers.

use proto::connect::record::{ConnectRecord, RecordHeader, SchemaAndValue};
use proto::connect::value::Value;

use super::REPLACE_NULL_WITH_DEFAULT;
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_value, field_values, get};
use crate::transform::settings::{Setting, Settings, not_empty_list, one_of};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::required("fields", Kind::List).checked(not_empty_list),
    Setting::required("headers", Kind::List).checked(not_empty_list),
    Setting::required("operation", Kind::String).checked(|name, value| one_of(&["move", "copy"], name, value)),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct HeaderFrom {
    side: Side,
    /// Fields and the headers they go to.
    pairs: Vec<(String, String)>,
    moves: bool,
    defaults: bool,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let (fields, headers) = (settings.list("fields"), settings.list("headers"));
    if fields.len() != headers.len() {
        return Err("'fields' config must have the same number of elements as 'headers' config.".to_owned());
    }
    Ok(Box::new(HeaderFrom {
        side,
        pairs: fields.into_iter().zip(headers).collect(),
        moves: settings.text("operation") == Some("move"),
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

impl Transform for HeaderFrom {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let is_moved = |name: &str| self.moves && self.pairs.iter().any(|(field, _)| field == name);
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Struct(schema, values) => {
                for (name, header) in &self.pairs {
                    let index = schema.field_index(name);
                    let found = index.and_then(|index| Some((schema.fields().get(index)?, values.get(index)?)));
                    let (field, value) = found.ok_or_else(|| TransformError::new(format!("Unknown field: {name}")))?;
                    let value = field_value(value.clone(), &field.schema, self.defaults);
                    let value = SchemaAndValue::new(field.schema.clone(), value);
                    record.headers.push(RecordHeader { key: header.clone(), value });
                }
                if self.moves {
                    let updated = self.schemas.get(&schema, |schema| {
                        let mut fields = Fields::default();
                        for field in schema.fields().iter().filter(|field| !is_moved(&field.name)) {
                            fields.add(&field.name, field.schema.clone())?;
                        }
                        Ok(basics(schema, fields.finish()))
                    })?;
                    let kept = field_values(values, &schema, self.defaults).into_iter().zip(schema.fields());
                    let kept = kept.filter(|(_, field)| !is_moved(&field.name)).map(|(value, _)| value);
                    SchemaAndValue { schema: Some(updated), value: Value::Struct(kept.collect()) }
                } else {
                    SchemaAndValue { schema: Some(schema), value: Value::Struct(values) }
                }
            }
            Data::Map(mut entries) => {
                for (name, header) in &self.pairs {
                    let value = get(&entries, name).cloned().unwrap_or_default();
                    let value = SchemaAndValue { schema: None, value };
                    record.headers.push(RecordHeader { key: header.clone(), value });
                }
                entries.retain(|(key, _)| !key.as_str().is_some_and(is_moved));
                SchemaAndValue { schema: None, value: Value::Map(entries) }
            }
            other => return Err(other.refused(if self.moves { "header move" } else { "header copy" })),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
