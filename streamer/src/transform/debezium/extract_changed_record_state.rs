//! `io.debezium.transforms.ExtractChangedRecordState`: the names of the changed and unchanged columns as headers.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, RecordHeader, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::{envelope_value, is_envelope, struct_of};
use super::options::filled;
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::optional("header.changed.name", Kind::String), Setting::optional("header.unchanged.name", Kind::String)];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let header = |name: &str| {
        let name = filled(settings, name)?;
        let element = Schema::new(SchemaKind::String).optional();
        let schema =
            Schema { name: Some(name.clone()), ..Schema::new(SchemaKind::Array(Box::new(element))) }.optional();
        Some((name, Arc::new(schema)))
    };
    Ok(Box::new(ExtractChangedRecordState {
        changed: header("header.changed.name"),
        unchanged: header("header.unchanged.name"),
    }))
}

#[derive(Debug)]
struct ExtractChangedRecordState {
    changed: Option<(String, Arc<Schema>)>,
    unchanged: Option<(String, Arc<Schema>)>,
}

impl Transform for ExtractChangedRecordState {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if record.value.value == Value::Null || !is_envelope(record.value.schema.as_ref()) {
            return Ok(Some(record));
        }
        let (envelope, values) = struct_of(&record.value, "Record value should be struct.")?;
        let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
        let row = |name| match envelope_value(envelope, values, name) {
            Some(Value::Struct(row)) => Some(row),
            _ => None,
        };
        if let (Some(after), Some(before), Some(index)) = (row("after"), row("before"), envelope.field_index("after")) {
            let fields = envelope.fields().get(index).map(|field| field.schema.fields()).unwrap_or_default();
            for ((field, after), before) in fields.iter().zip(after).zip(before) {
                let names = if same(after, before) { &mut unchanged } else { &mut changed };
                names.push(Value::String(field.name.clone()));
            }
        }
        // Also where nothing can have changed, so that transforms behind this one find the headers always.
        for (header, names) in [(&self.changed, changed), (&self.unchanged, unchanged)] {
            if let Some((name, schema)) = header {
                let value = SchemaAndValue::new(schema.clone(), Value::Array(names));
                record.headers.push(RecordHeader { key: name.clone(), value });
            }
        }
        Ok(Some(record))
    }
}

/// As Java's `equals`: a NaN is a NaN, and the two zeros are two.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float32(left), Value::Float32(right)) => left.to_bits() == right.to_bits(),
        (Value::Float64(left), Value::Float64(right)) => left.to_bits() == right.to_bits(),
        (Value::Array(left), Value::Array(right)) | (Value::Struct(left), Value::Struct(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (left, right) => left == right,
    }
}
