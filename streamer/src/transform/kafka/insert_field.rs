//! `InsertField`: adds what is known of a record, or a fixed text, to its key or value.

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::{REPLACE_NULL_WITH_DEFAULT, TIMESTAMP};
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_values, put};
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "field insertion";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional("topic.field", Kind::String),
    Setting::optional("partition.field", Kind::String),
    Setting::optional("offset.field", Kind::String),
    Setting::optional("timestamp.field", Kind::String),
    Setting::optional("static.field", Kind::String),
    Setting::optional("static.value", Kind::String),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct InsertField {
    side: Side,
    /// In the order in which they are added.
    insertions: Vec<Insertion>,
    defaults: bool,
    schemas: SchemaCache,
}

#[derive(Debug)]
struct Insertion {
    what: What,
    name: String,
    optional: bool,
}

#[derive(Debug)]
enum What {
    Topic,
    Partition,
    /// A record has an offset only behind Kafka.
    Offset,
    Timestamp,
    Static(String),
}

impl Insertion {
    /// A name, with `!` behind it for a required field, or `?` for an optional one, which it is anyway.
    fn parse(what: What, name: &str) -> Self {
        let (name, optional) = match name.strip_suffix('!') {
            Some(name) => (name, false),
            None => (name.strip_suffix('?').unwrap_or(name), true),
        };
        Self { what, name: name.to_owned(), optional }
    }

    fn schema(&self) -> Schema {
        let schema = match self.what {
            What::Topic | What::Static(_) => Schema::new(SchemaKind::String),
            What::Partition => Schema::new(SchemaKind::Int32),
            What::Offset => Schema::new(SchemaKind::Int64),
            What::Timestamp => Schema::logical(SchemaKind::Int64, TIMESTAMP),
        };
        if self.optional { schema.optional() } else { schema }
    }

    /// `None` when the record does not have it.
    fn value(&self, record: &ConnectRecord) -> Result<Option<Value>, TransformError> {
        Ok(match &self.what {
            What::Topic => Some(Value::String(record.topic.clone())),
            What::Partition => record.partition.map(Value::Int32),
            What::Offset => {
                return Err(TransformError::new(format!(
                    "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                )));
            }
            What::Timestamp => record.timestamp.map(Value::Int64),
            What::Static(text) => Some(Value::String(text.clone())),
        })
    }
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let mut insertions = Vec::new();
    for (key, what) in [
        ("topic.field", What::Topic),
        ("partition.field", What::Partition),
        ("offset.field", What::Offset),
        ("timestamp.field", What::Timestamp),
    ] {
        insertions.extend(settings.text(key).map(|name| Insertion::parse(what, name)));
    }
    if let Some(name) = settings.text("static.field") {
        let Some(value) = settings.text("static.value") else {
            let why = format!("No value specified for static field: {name}");
            return Err(invalid("static.value", "null", why));
        };
        insertions.push(Insertion::parse(What::Static(value.to_owned()), name));
    }
    if insertions.is_empty() {
        return Err("No field insertion configured".to_owned());
    }
    let defaults = settings.flag(REPLACE_NULL_WITH_DEFAULT.name);
    Ok(Box::new(InsertField { side, insertions, defaults, schemas: SchemaCache::default() }))
}

impl Transform for InsertField {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Null(schema) => SchemaAndValue { schema, value: Value::Null },
            Data::Struct(schema, values) => {
                let insertions = &self.insertions;
                let updated = self.schemas.get(&schema, |schema| {
                    let mut fields = Fields::default();
                    for field in schema.fields() {
                        fields.add(&field.name, field.schema.clone())?;
                    }
                    for insertion in insertions {
                        fields.add(&insertion.name, insertion.schema())?;
                    }
                    Ok(basics(schema, fields.finish()))
                })?;
                let mut values = field_values(values, &schema, self.defaults);
                for insertion in insertions {
                    let value = insertion.value(&record)?;
                    if value.is_none() && !insertion.optional {
                        let name = &insertion.name;
                        return Err(TransformError::new(format!(
                            "field {name} is required, and the record has no value for it"
                        )));
                    }
                    values.push(value.unwrap_or_default());
                }
                SchemaAndValue { schema: Some(updated), value: Value::Struct(values) }
            }
            Data::Map(mut entries) => {
                for insertion in &self.insertions {
                    if let Some(value) = insertion.value(&record)? {
                        put(&mut entries, &insertion.name, value);
                    }
                }
                SchemaAndValue { schema: None, value: Value::Map(entries) }
            }
            other => return Err(other.refused(PURPOSE)),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
