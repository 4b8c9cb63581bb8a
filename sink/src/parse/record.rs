//! Key, value and headers into what happened.

use serde_json::{Map, Value};

use super::Unreadable;

/// A JSON object: a row, or a key.
pub type Row = Map<String, Value>;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The row is like this now.
    Upsert(TableChange),
    /// The row with this key is gone.
    Delete(TableChange),
    /// The row got another key; what else changed comes with the next record.
    Rename {
        /// The old key.
        old: TableChange,
        /// The new one.
        new_key: Row,
    },
    /// The table is empty now.
    Truncate {
        /// The table's schema.
        schema: String,
        /// The table.
        table: String,
    },
    /// Nothing for this database: a tombstone, a heartbeat, a message.
    Nothing,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableChange {
    /// The table's schema in the source.
    pub schema: String,
    /// The table in the source.
    pub table: String,
    /// An upsert's row, a delete's key.
    pub row: Row,
    /// When it was committed, in milliseconds since 1970.
    pub ts_ms: i64,
}

/// Debezium's header on the delete of a changed key.
pub const NEW_KEY: &str = "__debezium.newkey";

/// Reads a record.
///
/// # Errors
/// When it is no Debezium envelope, or lacks what its operation needs.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>, new_key: Option<&[u8]>) -> Result<Change, Unreadable> {
    // A tombstone: its delete came before it.
    let Some(value) = value else { return Ok(Change::Nothing) };
    let envelope = payload(value, "value")?;
    let Some(op) = envelope.get("op").and_then(Value::as_str) else {
        // A heartbeat has nothing but a time.
        return if envelope.contains_key("ts_ms") && envelope.len() == 1 {
            Ok(Change::Nothing)
        } else {
            Err(Unreadable::new("the value is no Debezium envelope: it has no op"))
        };
    };
    if op == "m" {
        return Ok(Change::Nothing);
    }
    let source = envelope.get("source").and_then(Value::as_object);
    let text = |name: &str| {
        source
            .and_then(|source| source.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| Unreadable::new(format!("the envelope has no source.{name}")))
    };
    let (schema, table) = (text("schema")?, text("table")?);
    let ts_ms = source.and_then(|source| source.get("ts_ms")).and_then(Value::as_i64).unwrap_or_default();
    let change = |row| TableChange { schema: schema.clone(), table: table.clone(), row, ts_ms };
    match op {
        "t" => Ok(Change::Truncate { schema, table }),
        "c" | "u" | "r" => {
            let after = envelope.get("after").and_then(Value::as_object);
            let row = after.ok_or_else(|| Unreadable::new(format!("the envelope with op {op} has no after")))?;
            Ok(Change::Upsert(change(row.clone())))
        }
        "d" => {
            let key = key.ok_or_else(|| {
                Unreadable::new(
                    "a delete without a record key: the table has no primary key, so the row cannot be told",
                )
            })?;
            let old = change(payload(key, "key")?);
            match new_key {
                Some(header) => Ok(Change::Rename { old, new_key: payload(header, "newkey header")? }),
                None => Ok(Change::Delete(old)),
            }
        }
        other => Err(Unreadable::new(format!("op {other} is not known"))),
    }
}

/// A JSON object, out of its `{"schema": …, "payload": …}` if it is in one.
fn payload(bytes: &[u8], what: &str) -> Result<Row, Unreadable> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Unreadable::new(format!("the {what} is not JSON (line {}, column {})", error.line(), error.column()))
    })?;
    let Value::Object(mut object) = value else {
        return Err(Unreadable::new(format!("the {what} is no JSON object")));
    };
    if object.len() == 2 && object.contains_key("schema") {
        return match object.remove("payload") {
            Some(Value::Object(payload)) => Ok(payload),
            Some(_) => Err(Unreadable::new(format!("the {what}'s payload is no JSON object"))),
            None => Ok(object),
        };
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#""source":{"schema":"public","table":"t","ts_ms":5}"#;

    fn read_value(value: &str) -> Result<Change, Unreadable> {
        read(Some(br#"{"id":1}"#), Some(value.as_bytes()), None)
    }

    #[test]
    fn an_envelope_is_read_with_and_without_its_schema() {
        let bare = format!(r#"{{"before":null,"after":{{"id":1}},{SOURCE},"op":"c"}}"#);
        let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{bare}}}"#);
        let Ok(Change::Upsert(change)) = read_value(&bare) else { panic!("not an upsert") };
        assert_eq!((change.table.as_str(), change.row["id"].as_i64(), change.ts_ms), ("t", Some(1), 5));
        assert_eq!(read_value(&wrapped), Ok(Change::Upsert(change)));
    }

    #[test]
    fn a_delete_goes_by_its_key_and_its_tombstone_is_nothing() {
        let delete = format!(r#"{{"before":{{"id":1}},"after":null,{SOURCE},"op":"d"}}"#);
        assert!(matches!(read_value(&delete), Ok(Change::Delete(_))));
        assert_eq!(read(Some(br#"{"id":1}"#), None, None), Ok(Change::Nothing));
        assert!(read(None, Some(delete.as_bytes()), None).is_err(), "without a key the row cannot be told");
    }

    #[test]
    fn the_delete_of_a_changed_key_is_a_rename() {
        let delete = format!(r#"{{"before":{{"id":1}},"after":null,{SOURCE},"op":"d"}}"#);
        let change = read(Some(br#"{"id":1}"#), Some(delete.as_bytes()), Some(br#"{"id":2}"#)).unwrap();
        assert!(matches!(change, Change::Rename { new_key, .. } if new_key["id"] == 2));
    }

    #[test]
    fn what_is_no_envelope_is_told_without_its_content() {
        for (value, why) in [
            ("secret", "the value is not JSON (line 1, column 1)"),
            ("[1]", "the value is no JSON object"),
            (r#"{"a":1}"#, "the value is no Debezium envelope: it has no op"),
            (r#"{"op":"c"}"#, "the envelope has no source.schema"),
        ] {
            assert_eq!(read_value(value), Err(Unreadable::new(why)), "{value}");
        }
    }
}
