//! `HoistField`: wraps the whole key or value in a struct of one field.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use crate::config::properties::Kind;
use crate::transform::data::{SchemaCache, Side};
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[Setting::required("field", Kind::String)];

#[derive(Debug)]
struct HoistField {
    side: Side,
    field: String,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(HoistField { side, field: settings.string("field"), schemas: SchemaCache::default() }))
}

impl Transform for HoistField {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let SchemaAndValue { schema, value } = self.side.take(&mut record);
        let field = &self.field;
        let changed = match schema {
            Some(schema) => {
                let hoisted = |schema: &Schema| Ok(Schema::structure([(field.as_str(), schema.clone())]));
                let schema: Arc<Schema> = self.schemas.get(&schema, hoisted)?;
                SchemaAndValue { schema: Some(schema), value: Value::Struct(vec![value]) }
            }
            None => SchemaAndValue { schema: None, value: Value::Map(vec![(Value::String(field.clone()), value)]) },
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
