//! `io.debezium.transforms.outbox.EventRouter`: an outbox table's rows as the events that they hold.

use std::collections::HashMap;
use std::sync::Arc;

use proto::connect::record::{ConnectRecord, RecordHeader, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::{envelope_value, is_envelope, struct_of, text_of};
use super::event_router_settings::{Additional, Invalid, Placement};
use super::json_payload::{Interned, JsonPayloads};
use super::schemas::{Made, or_default, structure};
use crate::transform::java_regex::{Pattern, Replacement};
use crate::transform::{Transform, TransformError};

/// The transform, configured.
#[derive(Debug)]
pub(super) struct EventRouter {
    pub(super) invalid: Invalid,
    pub(super) id: String,
    pub(super) key: String,
    pub(super) payload: String,
    /// The column of the record's timestamp.
    pub(super) timestamp: Option<String>,
    /// The column of the value schema's version.
    pub(super) schema_version: Option<String>,
    pub(super) route_by: String,
    pub(super) topic_regex: Pattern,
    pub(super) topic_replacement: String,
    pub(super) tombstone_on_empty: bool,
    pub(super) expand: Option<JsonPayloads>,
    pub(super) additional: Vec<Additional>,
    pub(super) error_on_missing: bool,
    pub(super) events: Made<(), Arc<Event>>,
    /// Value schemas by the payload's: as by Debezium, whichever topic asks first names it.
    pub(super) by_payload: Interned,
    pub(super) by_version: HashMap<Option<i32>, Arc<Schema>>,
}

/// An outbox table's columns.
#[derive(Debug)]
pub(super) struct Event {
    row: Schema,
    columns: Vec<Arc<Schema>>,
}

/// One row of it.
struct EventRow<'a> {
    event: &'a Event,
    values: &'a [Value],
}

impl Transform for EventRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if record.value.value == Value::Null {
            return Ok(None);
        }
        if !is_envelope(record.value.schema.as_ref()) {
            return Ok(Some(record));
        }
        let value = std::mem::take(&mut record.value);
        let (envelope, values) = struct_of(&value, "Detect Debezium Operation")?;
        match text_of(envelope, values, "op")? {
            Some("d") => return Ok(None),
            // A truncate has no event either. Debezium fails on it.
            Some(op @ ("u" | "t")) => return self.unexpected(op).map(|()| None),
            _ => {}
        }
        let event = self.events.of(envelope, &(), || Event::make(envelope).map(Arc::new))?.clone();
        let Some(Value::Struct(row)) = envelope_value(envelope, values, "after") else {
            return Err(TransformError::new("Only Struct objects supported for [Read Outbox Event], found: null"));
        };
        self.route(record, &EventRow { event: &event, values: row }, envelope_value(envelope, values, "ts_ms"))
            .map(Some)
    }
}

impl EventRouter {
    fn unexpected(&self, op: &str) -> Result<(), TransformError> {
        let message = "Unexpected update or truncate of the outbox table: its rows are events, which happen once";
        match self.invalid {
            Invalid::Warn => tracing::warn!(op, "{message}; it is ignored"),
            Invalid::Error => tracing::error!(op, "{message}; it is ignored"),
            Invalid::Fatal => return Err(TransformError::new(format!("{message} (table.op.invalid.behavior=fatal)"))),
        }
        Ok(())
    }

    fn route(
        &mut self,
        mut record: ConnectRecord,
        row: &EventRow<'_>,
        ts_ms: Option<&Value>,
    ) -> Result<ConnectRecord, TransformError> {
        let mut payload = row.data(&self.payload)?;
        record.timestamp = self.timestamp(row, ts_ms)?;
        let id = row.data(&self.id)?;
        record.headers.push(RecordHeader { key: "id".to_owned(), value: id });
        self.expand(&mut payload);
        let is_empty = match &payload.value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        let topic = row.text(&self.route_by)?;
        let topic =
            topic.ok_or_else(|| TransformError::new(format!("its {} (route.by.field) is null", self.route_by)))?;

        record.partition = None;
        let mut enveloped = (Vec::new(), Vec::new());
        for additional in &self.additional {
            if !self.error_on_missing && row.index(&additional.field).is_err() {
                continue;
            }
            let data = row.data(&additional.field)?;
            match additional.placement {
                Placement::Header => {
                    record.headers.push(RecordHeader { key: additional.alias.clone(), value: data });
                }
                Placement::Envelope => {
                    enveloped.0.push(Field { name: additional.alias.clone(), schema: schema_of(&data)? });
                    enveloped.1.push(data.value);
                }
                Placement::Partition => record.partition = row.integer(&additional.field)?,
            }
        }
        let has_envelope = self.additional.iter().any(|additional| additional.placement == Placement::Envelope);
        record.value = if is_empty && self.tombstone_on_empty {
            SchemaAndValue::default()
        } else if has_envelope {
            self.enveloped(payload, enveloped, row, topic)?
        } else {
            payload
        };
        record.key = row.data(&self.key)?;
        record.topic = topic.to_owned();
        if self.topic_regex.matches(topic) {
            record.topic = Replacement::new(&self.topic_replacement)
                .and_then(|replacement| self.topic_regex.replace_first(topic, &replacement))
                .map_err(TransformError::new)?;
        }
        Ok(record)
    }

    /// Reads a payload of JSON text; one that cannot be read stays the text that it is.
    fn expand(&mut self, payload: &mut SchemaAndValue) {
        let Some(expand) = &mut self.expand else { return };
        let expanded = match &payload.value {
            Value::String(text) => expand.expand(Some(&self.payload), text),
            _ => Err("it is not a text".to_owned()),
        };
        match expanded {
            Ok(expanded) => *payload = expanded,
            Err(why) => tracing::warn!("JSON expansion of an event's {} failed: {why}", self.payload),
        }
    }

    /// The record's timestamp in milliseconds.
    fn timestamp(&self, row: &EventRow<'_>, ts_ms: Option<&Value>) -> Result<Option<i64>, TransformError> {
        let processed = match ts_ms {
            Some(Value::Int64(ts_ms)) => Some(*ts_ms),
            _ => None,
        };
        let Some(name) = &self.timestamp else { return Ok(processed) };
        let Ok(index) = row.index(name) else {
            return Err(TransformError::new(format!("Unable to find timestamp field {name} in event")));
        };
        let schema = row.event.columns.get(index).and_then(|schema| schema.name.as_deref());
        match (row.values.get(index), schema) {
            (None | Some(Value::Null), _) => Ok(processed),
            (Some(Value::Int64(value)), Some("io.debezium.time.Timestamp")) => Ok(Some(*value)),
            (Some(Value::Int64(value)), Some("io.debezium.time.MicroTimestamp")) => Ok(Some(value / 1_000)),
            (Some(Value::Int64(value)), Some("io.debezium.time.NanoTimestamp")) => Ok(Some(value / 1_000_000)),
            (_, schema) => Err(TransformError::new(format!(
                "Unsupported field type {} for event timestamp {name}",
                schema.unwrap_or("(without logical schema name)")
            ))),
        }
    }

    /// Payload and additional fields in one struct.
    fn enveloped(
        &mut self,
        payload: SchemaAndValue,
        (additional, values): (Vec<Field>, Vec<Value>),
        row: &EventRow<'_>,
        topic: &str,
    ) -> Result<SchemaAndValue, TransformError> {
        let payload_schema = schema_of(&payload)?;
        let make = |version| {
            let mut fields = vec![Field { name: "payload".to_owned(), schema: payload_schema.clone() }];
            fields.extend(additional);
            let name = Some(event_name(row.event.row.name.as_deref(), topic));
            Ok(Schema { name, version, ..structure(&Schema::new(SchemaKind::Boolean), fields)? })
        };
        let schema = match &self.schema_version {
            None => self.by_payload.under(&payload_schema, || make(None))?,
            Some(column) => {
                let version = row.integer(column)?;
                match self.by_version.get(&version) {
                    Some(known) => known.clone(),
                    None => {
                        let made = Arc::new(make(version)?);
                        self.by_version.insert(version, made.clone());
                        made
                    }
                }
            }
        };
        let values = std::iter::once(payload.value).chain(values).collect();
        Ok(SchemaAndValue::new(schema, Value::Struct(values)))
    }
}

impl Event {
    fn make(envelope: &Schema) -> Result<Self, TransformError> {
        let after = envelope.fields().iter().find(|field| field.name == "after");
        let row = &after.ok_or_else(|| TransformError::new("Unknown field: after"))?.schema;
        let columns = row.fields().iter().map(|field| Arc::new(field.schema.clone())).collect();
        Ok(Self { row: row.clone(), columns })
    }
}

impl<'a> EventRow<'a> {
    fn index(&self, column: &str) -> Result<usize, TransformError> {
        let missing = || {
            TransformError::new(format!(
                "{column} is not a valid field name: the outbox table has no such column; name its columns in \
                 table.field.event.* and route.by.field"
            ))
        };
        self.event.row.field_index(column).ok_or_else(missing)
    }

    /// A column's value, its default for a null, and its schema.
    fn data(&self, column: &str) -> Result<SchemaAndValue, TransformError> {
        let index = self.index(column)?;
        let schema = self.event.columns.get(index).cloned().unwrap_or_else(|| Arc::new(self.event.row.clone()));
        let value = or_default(self.values.get(index).cloned().unwrap_or_default(), &schema);
        Ok(SchemaAndValue::new(schema, value))
    }

    fn text(&self, column: &str) -> Result<Option<&'a str>, TransformError> {
        text_of(&self.event.row, self.values, column)
    }

    /// An INT32 column's value.
    fn integer(&self, column: &str) -> Result<Option<i32>, TransformError> {
        match self.values.get(self.index(column)?) {
            Some(Value::Int32(value)) => Ok(Some(*value)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(TransformError::new(format!("Field '{column}' is not of type INT32"))),
        }
    }
}

fn schema_of(data: &SchemaAndValue) -> Result<Schema, TransformError> {
    let none = || TransformError::new("its payload is an empty array, which has no schema beside other fields");
    data.schema.as_deref().cloned().ok_or_else(none)
}

/// The row's schema name with the topic before its last part.
fn event_name(row: Option<&str>, topic: &str) -> String {
    match row {
        None => topic.to_owned(),
        Some(row) => match row.rsplit_once('.') {
            Some((before, last)) => format!("{before}.{topic}.{last}"),
            None => format!("{topic}.{row}"),
        },
    }
}
