//! A record of Kafka, in JSON with or without schemas.

use proto::lsn::Lsn;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde_json::Value;

use super::change::{Change, Columns, Op};
use super::readable;

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A record, read.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) place: Place,
    /// Its timestamp in milliseconds.
    pub(super) at_ms: Option<i64>,
    /// The key without its schema; null where there is none.
    pub(super) key: Value,
    /// The value without its schema; null for a tombstone.
    pub(super) value: Value,
    /// The value's schema; null where it has none with it.
    schema: Value,
}

/// A record that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotJson {
    /// It has the mark of a schema registry: Avro, Protobuf or JSON Schema, with the schema's id.
    Registry(u32),
    /// It is something else.
    Other,
}

impl NotJson {
    /// What to do, for a person.
    pub(super) fn told(&self, topic: &str) -> String {
        match self {
            Self::Registry(id) => format!(
                "topic {topic} is written with a schema registry (Avro or Protobuf, schema {id}); only JSON is read here. The same \
                 changes can be seen at the source: streamer tail --source postgres://…"
            ),
            Self::Other => format!("topic {topic} is not in JSON: it is passed over"),
        }
    }
}

impl Record {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Result<Self, NotJson> {
        let place =
            Place { topic: message.topic().to_owned(), partition: message.partition(), offset: message.offset() };
        let nothing = (Value::Null, Value::Null);
        // A key may be any text.
        let key = message.key().map(|key| match json(key) {
            Ok((_, key)) => key,
            Err(_) => Value::String(String::from_utf8_lossy(key).into_owned()),
        });
        let (schema, value) = message.payload().map_or(Ok(nothing), json)?;
        let (at_ms, key) = (message.timestamp().to_millis(), key.unwrap_or_default());
        Ok(Self { place, at_ms, key, value, schema })
    }

    /// Debezium's block about where it came from.
    pub(super) fn source(&self) -> &Value {
        self.value.get("source").unwrap_or(&Value::Null)
    }

    /// The source's LSN.
    pub(super) fn lsn(&self) -> Option<Lsn> {
        self.source().get("lsn").or_else(|| self.value.get("__lsn")).and_then(Value::as_u64).map(Lsn::from)
    }

    /// The end of the last commit before it, in the slot's order (`source.sequence`).
    pub(super) fn last_commit(&self) -> Option<Lsn> {
        let sequence: Value = serde_json::from_str(self.source().get("sequence")?.as_str()?).ok()?;
        sequence.get(0)?.as_str()?.parse::<u64>().ok().map(Lsn::from)
    }

    /// The same with times and decimals written out, where the record has its schema with it.
    pub(super) fn readable_change(&self) -> Option<Change> {
        if self.schema.is_null() {
            return self.change();
        }
        let mut readable = self.clone();
        match readable.value.as_object_mut().filter(|fields| fields.contains_key("op")) {
            Some(fields) => {
                for side in ["before", "after"] {
                    if let Some(row) = fields.get_mut(side) {
                        *row = readable::row(readable::field(&self.schema, side), row.take());
                    }
                }
            }
            None => readable.value = readable::row(&self.schema, readable.value.take()),
        }
        readable.change()
    }

    /// What it says happened, `None` for a heartbeat, a transaction's boundary and others that are no change of a row.
    pub(super) fn change(&self) -> Option<Change> {
        let value = &self.value;
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let mut change = Change { place: Some(self.place.clone()), at_ms: self.at_ms, ..Change::of(Op::Row) };
        change.key = match &self.key {
            Value::Object(_) => columns(&self.key).unwrap_or_default(),
            Value::Null => Columns::new(),
            single => vec![("key".to_owned(), single.clone())],
        };
        (change.schema, change.table) = of_topic(&self.place.topic);
        let source = self.source();
        if let (Some(op), true) = (text(value, "op"), value.get("ts_ms").is_some() || !source.is_null()) {
            change.op = Op::of_letter(&op)?;
            if let Some(table) = text(source, "table").filter(|table| !table.is_empty()) {
                (change.schema, change.table) = (text(source, "schema").unwrap_or_default(), table);
            }
            change.at_ms = source.get("ts_ms").and_then(Value::as_i64).or(change.at_ms);
            change.lsn = self.lsn();
            change.tx = source.get("txId").and_then(Value::as_u64);
            change.before = value.get("before").and_then(columns);
            change.after = value.get("after").and_then(columns);
            if change.op == Op::Message {
                let message = value.get("message").unwrap_or(&Value::Null);
                (change.schema, change.table) = (String::new(), "message".to_owned());
                change.key = vec![("prefix".to_owned(), message.get("prefix").cloned().unwrap_or_default())];
                change.after = Some(vec![("content".to_owned(), content(message))]);
            }
            return Some(change);
        }
        match value {
            // A worker's topic of configurations has passwords.
            Value::Object(fields)
                if self.key == "session-key" || fields.contains_key("properties") && self.key.is_string() =>
            {
                None
            }
            Value::Null if self.key.is_null() => None,
            Value::Null => Some(Change { op: Op::Tombstone, ..change }),
            // A transaction's boundary, and a heartbeat.
            Value::Object(fields) if fields.contains_key("status") && fields.contains_key("event_count") => None,
            Value::Object(fields) if fields.len() == 1 && fields.contains_key("ts_ms") => None,
            Value::Object(_) => {
                if text(value, "__deleted").as_deref() == Some("true") {
                    change.op = Op::Delete;
                } else if let Some(op) = text(value, "__op").and_then(|op| Op::of_letter(&op)) {
                    change.op = op;
                }
                change.lsn = self.lsn();
                change.at_ms = value.get("__source_ts_ms").and_then(Value::as_i64).or(change.at_ms);
                change.after = columns(value);
                Some(change)
            }
            _ => None,
        }
    }
}

/// A message's bytes, which Debezium writes in base64, as text where they are.
fn content(message: &Value) -> Value {
    use base64::Engine as _;
    let written = message.get("content").cloned().unwrap_or_default();
    let bytes = written.as_str().and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(written, Value::String)
}

fn columns(row: &Value) -> Option<Columns> {
    Some(row.as_object()?.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Schema and table, by a topic's name: `PREFIX.SCHEMA.TABLE`.
fn of_topic(topic: &str) -> (String, String) {
    let mut parts = topic.rsplitn(3, '.');
    match (parts.next(), parts.next()) {
        (Some(table), Some(schema)) => (schema.to_owned(), table.to_owned()),
        _ => (String::new(), topic.to_owned()),
    }
}

/// A JSON's schema, if one stands with it, and the JSON without.
fn json(bytes: &[u8]) -> Result<(Value, Value), NotJson> {
    if let [0, a, b, c, d, _, ..] = bytes {
        return Err(NotJson::Registry(u32::from_be_bytes([*a, *b, *c, *d])));
    }
    let mut value: Value = serde_json::from_slice(bytes).map_err(|_| NotJson::Other)?;
    if let Some(fields) = value.as_object_mut().filter(|fields| fields.len() == 2 && fields.contains_key("schema"))
        && let Some(payload) = fields.remove("payload")
    {
        return Ok((fields.remove("schema").unwrap_or_default(), payload));
    }
    Ok((Value::Null, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(key: Value, value: Value) -> Record {
        let place = Place { topic: "p.public.orders".to_owned(), partition: 0, offset: 7 };
        Record { place, at_ms: Some(5), key, value, schema: Value::Null }
    }

    #[test]
    fn a_schema_around_a_value_is_taken_off() {
        assert_eq!(json(br#"{"schema":{"type":"string"},"payload":"x"}"#), Ok((json!({"type": "string"}), json!("x"))));
        assert_eq!(json(br#"{"schema":1,"other":2}"#), Ok((json!(null), json!({"schema": 1, "other": 2}))));
        assert_eq!(json(&[0, 0, 0, 0, 9, 2]), Err(NotJson::Registry(9)));
        assert_eq!(json(b"x"), Err(NotJson::Other));
    }

    #[test]
    fn an_envelope_a_row_and_a_tombstone_are_told_apart() {
        let source = json!({"schema": "inventory", "table": "orders", "lsn": 16, "txId": 7, "ts_ms": 3, "sequence": "[\"8\",\"16\"]"});
        let envelope = record(
            json!({"id": 1}),
            json!({"before": null, "after": {"id": 1, "a": "x"}, "op": "c", "ts_ms": 4, "source": source}),
        );
        let change = envelope.change().unwrap();
        assert_eq!((change.op, change.name().as_str(), change.tx), (Op::Create, "inventory.orders", Some(7)));
        assert_eq!((change.lsn, envelope.last_commit()), (Some(Lsn::from(16)), Some(Lsn::from(8))));
        let row = record(json!({"id": 1}), json!({"id": 1, "a": "x"})).change().unwrap();
        assert_eq!((row.op, row.name().as_str()), (Op::Row, "public.orders"));
        let deleted = record(json!(1), json!({"id": 1, "__deleted": "true"})).change().unwrap();
        assert_eq!((deleted.op, deleted.key), (Op::Delete, vec![("key".to_owned(), json!(1))]));
        assert_eq!(record(json!({"id": 1}), Value::Null).change().unwrap().op, Op::Tombstone);
    }

    #[test]
    fn boundaries_and_heartbeats_are_no_changes() {
        for value in [
            json!({"status": "END", "id": "7:1", "event_count": 1, "data_collections": [], "ts_ms": 1}),
            json!({"ts_ms": 1}),
        ] {
            assert!(record(json!({"serverName": "p"}), value.clone()).change().is_none(), "{value}");
        }
    }

    #[test]
    fn a_worker_s_configurations_are_not_shown() {
        assert!(record(json!("connector-c"), json!({"properties": {"database.password": "x"}})).change().is_none());
        assert!(record(json!("session-key"), json!({"key": "x"})).change().is_none());
        assert!(record(json!("connector-c"), json!({"id": 1})).change().is_some());
    }

    #[test]
    fn a_message_s_content_is_shown_as_text_where_it_is_one() {
        let value = json!({"op": "m", "ts_ms": 1, "source": {"lsn": 1, "table": ""}, "message": {"prefix": "p", "content": "aGk="}});
        let change = record(json!({"prefix": "p"}), value).change().unwrap();
        assert_eq!(change.after, Some(vec![("content".to_owned(), json!("hi"))]));
    }
}
