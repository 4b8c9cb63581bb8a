//! `io.debezium.transforms.ByLogicalTableRouter`: the records of many tables into one topic.

use std::sync::Arc;

use proto::connect::avro_names::NameAdjustment;
use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::{is_envelope, struct_of};
use super::options::{ADJUSTMENTS, choice, filled, pattern, required};
use super::schemas::{Made, or_default, structure};
use crate::config::properties::Kind;
use crate::transform::java_regex::{Pattern, Replacement};
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional("topic.regex", Kind::String),
    Setting::optional("topic.replacement", Kind::String),
    Setting::with_default("key.enforce.uniqueness", Kind::Boolean, "true"),
    Setting::optional("key.field.regex", Kind::String),
    Setting::optional("key.field.replacement", Kind::String),
    // How many schemas are kept here does not depend on it.
    Setting::with_default("logical.table.cache.size", Kind::Int, "16"),
    // Debezium reads these without declaring them.
    Setting::with_default("key.field.name", Kind::String, "__dbz__physicalTableIdentifier"),
    Setting::with_default("schema.name.adjustment.mode", Kind::String, "none"),
];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let key_regex = filled(settings, "key.field.regex");
    let key_replacement = filled(settings, "key.field.replacement");
    let key_field = match (key_regex, key_replacement) {
        (None, _) => None,
        (Some(regex), Some(replacement)) => Some((pattern("key.field.regex", &regex)?, replacement)),
        (Some(_), None) => {
            return Err(invalid(
                "key.field.replacement",
                "null",
                "key.field.replacement must be non-empty if key.field.regex is set.",
            ));
        }
    };
    Ok(Box::new(ByLogicalTableRouter {
        topic_regex: pattern("topic.regex", &required(settings, "topic.regex")?)?,
        topic_replacement: required(settings, "topic.replacement")?,
        enforce_uniqueness: settings.flag("key.enforce.uniqueness"),
        key_field_name: settings.string("key.field.name"),
        key_field,
        adjustment: choice(settings, "schema.name.adjustment.mode", &ADJUSTMENTS)?,
        keys: Made::default(),
        envelopes: Made::default(),
    }))
}

#[derive(Debug)]
struct ByLogicalTableRouter {
    topic_regex: Pattern,
    topic_replacement: String,
    enforce_uniqueness: bool,
    key_field_name: String,
    /// What tells the physical tables apart, where it is not the whole topic.
    key_field: Option<(Pattern, String)>,
    adjustment: NameAdjustment,
    keys: Made<String, Arc<Schema>>,
    envelopes: Made<String, Arc<Schema>>,
}

impl Transform for ByLogicalTableRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let Some(topic) = replaced(&self.topic_regex, &self.topic_replacement, &record.topic)? else {
            return Ok(Some(record));
        };
        if topic.is_empty() {
            tracing::warn!(
                "topic.regex and topic.replacement give no topic for {}: its records stay there",
                record.topic
            );
            return Ok(Some(record));
        }
        record.key = match record.key.value {
            // The schema goes too, as in Debezium.
            Value::Null => SchemaAndValue::default(),
            _ => self.key(&record.key, &record.topic, &topic)?,
        };
        if record.value.value != Value::Null && is_envelope(record.value.schema.as_ref()) {
            record.value = self.envelope(&record.value, &topic)?;
        }
        record.topic = topic;
        Ok(Some(record))
    }
}

impl ByLogicalTableRouter {
    fn key(&mut self, key: &SchemaAndValue, old_topic: &str, topic: &str) -> Result<SchemaAndValue, TransformError> {
        let (schema, values) = struct_of(key, "Updating schema")?;
        let (adjustment, extra) = (self.adjustment, self.enforce_uniqueness.then_some(&self.key_field_name));
        let routed = self.keys.of(schema, &topic.to_owned(), || {
            let mut fields = schema.fields().to_vec();
            fields.extend(extra.map(|name| Field { name: name.clone(), schema: Schema::new(SchemaKind::String) }));
            renamed(schema, fields, adjustment.schema(&format!("{topic}.Key"))).map(Arc::new)
        })?;
        let mut values = with_defaults(schema, values);
        if self.enforce_uniqueness {
            let identifier = match &self.key_field {
                Some((regex, replacement)) => replaced(regex, replacement, old_topic)?,
                None => None,
            };
            values.push(Value::String(identifier.unwrap_or_else(|| old_topic.to_owned())));
        }
        Ok(SchemaAndValue::new(routed.clone(), Value::Struct(values)))
    }

    fn envelope(&mut self, value: &SchemaAndValue, topic: &str) -> Result<SchemaAndValue, TransformError> {
        let (schema, values) = struct_of(value, "Updating schema")?;
        let adjustment = self.adjustment;
        let routed = self.envelopes.of(schema, &topic.to_owned(), || {
            let before = schema.fields().iter().find(|field| field.name == "before");
            let before = before.ok_or_else(|| TransformError::new("its envelope has no field before"))?;
            let name = adjustment.schema(&format!("{topic}.Value"));
            let row = renamed(&before.schema, before.schema.fields().to_vec(), name)?;
            let field = |field: &Field| match field.name.as_str() {
                "before" | "after" => Field { name: field.name.clone(), schema: row.clone() },
                _ => field.clone(),
            };
            let fields = schema.fields().iter().map(field).collect();
            renamed(schema, fields, adjustment.schema(&format!("{topic}.Envelope"))).map(Arc::new)
        })?;
        let mut routed_values = Vec::with_capacity(values.len());
        for (field, value) in schema.fields().iter().zip(values) {
            routed_values.push(match value {
                Value::Struct(row) if matches!(field.name.as_str(), "before" | "after") => {
                    Value::Struct(with_defaults(&field.schema, row))
                }
                value => or_default(value.clone(), &field.schema),
            });
        }
        Ok(SchemaAndValue::new(routed.clone(), Value::Struct(routed_values)))
    }
}

/// The text with the pattern replaced, where the whole of it matches.
fn replaced(regex: &Pattern, replacement: &str, text: &str) -> Result<Option<String>, TransformError> {
    if !regex.matches(text) {
        return Ok(None);
    }
    let replaced = Replacement::new(replacement).and_then(|replacement| regex.replace_first(text, &replacement));
    replaced.map(Some).map_err(TransformError::new)
}

/// A struct's copy under another name, as optional as it was.
fn renamed(schema: &Schema, fields: Vec<Field>, name: String) -> Result<Schema, TransformError> {
    Ok(Schema { name: Some(name), optional: schema.optional, ..structure(schema, fields)? })
}

fn with_defaults(schema: &Schema, values: &[Value]) -> Vec<Value> {
    schema.fields().iter().zip(values).map(|(field, value)| or_default(value.clone(), &field.schema)).collect()
}
