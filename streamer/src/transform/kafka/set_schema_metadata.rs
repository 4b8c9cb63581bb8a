//! `SetSchemaMetadata`: another name or version for the schema.

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::REPLACE_NULL_WITH_DEFAULT;
use crate::config::properties::Kind;
use crate::transform::data::{SchemaCache, Side, field_values};
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional("schema.name", Kind::String),
    Setting::optional("schema.version", Kind::Int),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct SetSchemaMetadata {
    side: Side,
    name: Option<String>,
    version: Option<i32>,
    defaults: bool,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let name = settings.text("schema.name").map(str::to_owned);
    let version = settings.number("schema.version").and_then(|version| i32::try_from(version).ok());
    if name.is_none() && version.is_none() {
        return Err("Neither schema name nor version configured".to_owned());
    }
    let defaults = settings.flag(REPLACE_NULL_WITH_DEFAULT.name);
    Ok(Box::new(SetSchemaMetadata { side, name, version, defaults, schemas: SchemaCache::default() }))
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if self.side.of(&record).is_none() {
            return Ok(Some(record));
        }
        let SchemaAndValue { schema, value } = self.side.take(&mut record);
        let Some(schema) = schema else {
            return Err(TransformError::new("Schema required for [updating schema metadata]"));
        };
        let (name, version) = (&self.name, self.version);
        let updated = self.schemas.get(&schema, |schema| {
            Ok(Schema {
                name: name.clone().or_else(|| schema.name.clone()),
                version: version.or(schema.version),
                ..schema.clone()
            })
        })?;
        let value = match value {
            Value::Struct(values) => Value::Struct(field_values(values, &schema, self.defaults)),
            other => other,
        };
        *self.side.of_mut(&mut record) = SchemaAndValue { schema: Some(updated), value };
        Ok(Some(record))
    }
}
