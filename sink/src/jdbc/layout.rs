//! What the records of a topic have in common, until they change: their schema, or at least their fields' names.

use serde_json::{Map, Value};

use super::schema::{Field, Schema};
use super::settings::{KeyMode, Settings};
use crate::parse::head;

/// The columns of Kafka's coordinates, under `primary.key.mode=kafka` (`KafkaDebeziumSinkRecord.kafkaCoordinates`).
pub const COORDINATES: [(&str, &str); 3] =
    [("__connect_topic", "string"), ("__connect_partition", "int32"), ("__connect_offset", "int64")];

/// What the records of a topic have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// Whether rows come in Debezium's envelopes; `None` where each record says it itself.
    pub is_envelope: Option<bool>,
    /// Whether records bring their schemas.
    pub has_schema: bool,
    /// The fields of a row that are written.
    pub row: Vec<Field>,
    /// Those that are not.
    pub left_out: Vec<String>,
    /// The fields by which a row is told from others.
    pub key: Vec<Field>,
    /// Whether these were seen: a truncate has no key.
    pub knows_key: bool,
    /// Whether some of these are not among the row's.
    pub key_is_beside: bool,
    /// The key's one field, where it is no object but a single value.
    pub single_key: Option<String>,
}

impl Layout {
    /// Of no record yet.
    pub(super) const fn none() -> Self {
        Self {
            is_envelope: None,
            has_schema: false,
            row: Vec::new(),
            left_out: Vec::new(),
            key: Vec::new(),
            knows_key: false,
            key_is_beside: false,
            single_key: None,
        }
    }

    /// Of a topic's next record, whose value has this schema.
    ///
    /// # Errors
    /// Why the record is of no table.
    pub fn of(
        settings: &Settings,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&head::Value>,
        schema: Option<Schema>,
    ) -> Result<Self, String> {
        let mut layout = Self { has_schema: schema.is_some(), ..Self::default() };
        let fields = match (&schema, value) {
            (Some(schema), _) => {
                layout.is_envelope = Some(schema.is_envelope());
                row_of(schema).to_vec()
            }
            (None, Some(value)) => unknown(row_in(value.whole()).ok_or("the value is no JSON object")?),
            (None, None) => Vec::new(),
        };
        let is_written = |field: &Field| settings.writes_field(topic, &field.name);
        let (row, left_out): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(is_written);
        layout.left_out = left_out.into_iter().map(|field| field.name).collect();
        layout.row = row;
        layout.knows_key = settings.key_mode != KeyMode::RecordKey || key.is_some();
        layout.key = layout.key_of(settings, topic, key)?;
        // Of a key without its schema the row's tells what its fields are.
        for field in layout.key.iter_mut().filter(|field| field.schema.kind.is_empty()) {
            if let Some(known) = layout.row.iter().find(|known| known.name == field.name) {
                *field = known.clone();
            }
        }
        layout.key_is_beside = value.is_some() && layout.key.iter().any(|key| !layout.has(&key.name));
        Ok(layout)
    }

    /// Whether a field is among the row's.
    pub fn has(&self, field: &str) -> bool {
        self.row.iter().any(|known| known.name == field)
    }

    /// All columns' fields: the key's first, as the connector makes tables.
    pub fn all(&self) -> impl Iterator<Item = &Field> {
        let is_key_s = |field: &&Field| self.key.iter().any(|key| key.name == field.name);
        self.key.iter().chain(self.row.iter().filter(move |field| !is_key_s(field)))
    }

    fn key_of(&mut self, settings: &Settings, topic: &str, key: Option<&[u8]>) -> Result<Vec<Field>, String> {
        let is_key_s = |field: &Field| settings.key_fields.contains(&field.name);
        match settings.key_mode {
            KeyMode::None => Ok(Vec::new()),
            KeyMode::Kafka => Ok(COORDINATES.map(|(name, kind)| Field::new(name, kind)).to_vec()),
            KeyMode::RecordValue if settings.key_fields.is_empty() => Ok(self.row.clone()),
            KeyMode::RecordValue => Ok(self.row.iter().filter(|field| is_key_s(field)).cloned().collect()),
            KeyMode::RecordKey => {
                let Some(key) = key else { return Ok(Vec::new()) };
                let schema = Schema::of(key);
                let json = match settings.keys_are_texts {
                    true => Value::Null,
                    false => payload(key).ok_or("its key is no JSON")?,
                };
                let fields = match (&schema, json) {
                    (Some(schema), Value::Object(_)) => schema.fields.clone(),
                    (None, Value::Object(object)) => unknown(object),
                    (schema, _) => {
                        let name = settings
                            .key_fields
                            .first()
                            .ok_or("its key is a single value: primary.key.fields has to say which column it is")?;
                        self.single_key = Some(name.clone());
                        return Ok(vec![Field { name: name.clone(), schema: schema.clone().unwrap_or_default() }]);
                    }
                };
                let is_wanted = |field: &Field| match settings.key_fields.is_empty() {
                    true => settings.writes_field(topic, &field.name),
                    false => is_key_s(field),
                };
                Ok(fields.into_iter().filter(is_wanted).collect())
            }
        }
    }
}

/// Fields of which only the names are known.
fn unknown(object: Map<String, Value>) -> Vec<Field> {
    object.into_iter().map(|(name, _)| Field { name, schema: Schema::default() }).collect()
}

/// A row's fields, in the schema of an envelope or of the row itself.
fn row_of(schema: &Schema) -> &[Field] {
    if !schema.is_envelope() {
        return &schema.fields;
    }
    let row = |name| schema.field(name).map(|row| row.fields.as_slice()).filter(|fields| !fields.is_empty());
    row("after").or_else(|| row("before")).unwrap_or_default()
}

/// A row in a value without a schema.
fn row_in(value: &[u8]) -> Option<Map<String, Value>> {
    let Value::Object(mut object) = payload(value)? else { return None };
    if !is_envelope(&object) {
        return Some(object);
    }
    let mut row = |name| if let Some(Value::Object(row)) = object.remove(name) { Some(row) } else { None };
    row("after").or_else(|| row("before")).or_else(|| Some(Map::new()))
}

/// Whether an object without a schema is an envelope.
pub(super) fn is_envelope(object: &Map<String, Value>) -> bool {
    object.get("op").is_some_and(Value::is_string) && object.contains_key("source")
}

/// What stands in the bytes, out of its `{"schema": …, "payload": …}` if it is in one.
pub(super) fn payload(bytes: &[u8]) -> Option<Value> {
    match serde_json::from_slice(bytes).ok()? {
        Value::Object(mut object)
            if object.len() == 2 && object.contains_key("schema") && object.contains_key("payload") =>
        {
            object.remove("payload")
        }
        other => Some(other),
    }
}
