//! What happened to a row, as it is shown.

use proto::lsn::Lsn;
use serde_json::{Map, Value, json};

use super::record::Place;

/// What Debezium writes where a value was too large to be sent with a change that did not concern it.
pub const UNCHANGED: &str = "__debezium_unavailable_value";

/// Columns with their values, in their table's order.
pub type Columns = Vec<(String, Value)>;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A row is new.
    Create,
    /// A row has other values.
    Update,
    /// A row is gone.
    Delete,
    /// A row was read by a snapshot.
    Read,
    /// A table was emptied.
    Truncate,
    /// An application's message (`pg_logical_emit_message`).
    Message,
    /// A row without its envelope: what happened is not said.
    Row,
    /// A record without a value.
    Tombstone,
}

const LETTERS: [(&str, Op, char, &str); 8] = [
    ("c", Op::Create, '+', "insert"),
    ("u", Op::Update, '~', "update"),
    ("d", Op::Delete, '-', "delete"),
    ("r", Op::Read, '=', "read by a snapshot"),
    ("t", Op::Truncate, '!', "truncate"),
    ("m", Op::Message, '>', "message"),
    ("row", Op::Row, '.', "row"),
    ("tombstone", Op::Tombstone, 'x', "tombstone"),
];

impl Op {
    /// By Debezium's letter, or our word where it has none.
    pub fn of_letter(letter: &str) -> Option<Self> {
        LETTERS.iter().find(|(known, ..)| *known == letter).map(|(_, op, ..)| *op)
    }

    fn entry(self) -> &'static (&'static str, Op, char, &'static str) {
        LETTERS.iter().find(|(_, op, ..)| *op == self).unwrap_or(&LETTERS[0])
    }

    /// Debezium's letter, or our word where it has none.
    pub fn letter(self) -> &'static str {
        self.entry().0
    }

    /// The sign that it is seen by in a list.
    pub fn sign(self) -> char {
        self.entry().2
    }

    /// What a person calls it.
    pub fn word(self) -> &'static str {
        self.entry().3
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// The table's schema; empty for what is no table's.
    pub schema: String,
    /// The table.
    pub table: String,
    /// What the row is told by.
    pub key: Columns,
    /// The row before, as far as it is known.
    pub before: Option<Columns>,
    /// The row behind it.
    pub after: Option<Columns>,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// Where it is in the source's log.
    pub lsn: Option<Lsn>,
    /// Its transaction.
    pub tx: Option<u64>,
    /// Where it is in Kafka.
    pub place: Option<Place>,
}

/// A column of a change: the value before, where it is known and another one, and the value behind it.
pub type Difference<'a> = (&'a str, Option<&'a Value>, &'a Value);

impl Change {
    /// Nothing but what happened.
    pub fn of(op: Op) -> Self {
        Self {
            op,
            schema: String::new(),
            table: String::new(),
            key: Columns::new(),
            before: None,
            after: None,
            at_ms: None,
            lsn: None,
            tx: None,
            place: None,
        }
    }

    /// `schema.table`.
    pub fn name(&self) -> String {
        match self.schema.is_empty() {
            true => self.table.clone(),
            false => format!("{}.{}", self.schema, self.table),
        }
    }

    /// What is worth showing of the row beside its key: of an update whose row before is known, what is different; of others all.
    pub fn differences(&self, all: bool) -> Vec<Difference<'_>> {
        let row = self.after.as_ref().or(self.before.as_ref()).map(Vec::as_slice).unwrap_or_default();
        let before = self.before.as_ref().filter(|_| self.after.is_some());
        let is_key = |name: &str| self.key.iter().any(|(key, _)| key == name);
        // A row before that has its key alone says nothing of the other columns.
        let is_whole = before.is_some_and(|before| {
            row.iter()
                .any(|(name, _)| !is_key(name) && before.iter().any(|(old, value)| old == name && !value.is_null()))
        });
        // Of a deleted row the server may send its key alone.
        let is_key_alone = self.op == Op::Delete && row.iter().all(|(name, value)| is_key(name) || value.is_null());
        let mut differences = Vec::new();
        for (name, value) in row.iter().filter(|_| all || !is_key_alone) {
            let old = before.and_then(|before| before.iter().find(|(old, _)| old == name)).map(|(_, value)| value);
            let old = old.filter(|old| (is_whole || is_key(name)) && *old != value && value != UNCHANGED);
            // The key is shown beside them.
            if old.is_some() || !is_key(name) && (all || !is_whole) {
                differences.push((name.as_str(), old, value));
            }
        }
        differences
    }

    /// As one JSON object: `op`, `schema`, `table`, `key`, `before`, `after`, and what is known of `ts_ms`, `lsn`, `txId`, `topic`,
    /// `partition`, `offset`.
    pub fn json(&self) -> Value {
        let object = |columns: &Columns| Value::Object(columns.iter().cloned().collect::<Map<_, _>>());
        let mut json =
            json!({ "op": self.op.letter(), "schema": self.schema, "table": self.table, "key": object(&self.key) });
        for (name, row) in [("before", &self.before), ("after", &self.after)] {
            if let Some(row) = row {
                json[name] = object(row);
            }
        }
        if let Some(at) = self.at_ms {
            json["ts_ms"] = at.into();
        }
        if let Some(lsn) = self.lsn {
            json["lsn"] = lsn.to_string().into();
        }
        if let Some(tx) = self.tx {
            json["txId"] = tx.into();
        }
        if let Some(place) = &self.place {
            json["topic"] = place.topic.clone().into();
            json["partition"] = place.partition.into();
            json["offset"] = place.offset.into();
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(row: Value) -> Columns {
        row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn shown(change: &Change, all: bool) -> String {
        let one = |(name, old, new): &Difference<'_>| match old {
            Some(old) => format!("{name}: {old} -> {new}"),
            None => format!("{name}: {new}"),
        };
        change.differences(all).iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn an_update_shows_what_is_different_where_the_row_before_is_known() {
        let mut change = Change {
            key: columns(json!({"id": 1})),
            before: Some(columns(json!({"id": 1, "a": 1, "b": "x", "big": "was"}))),
            after: Some(columns(json!({"id": 1, "a": 2, "b": "x", "big": UNCHANGED}))),
            ..Change::of(Op::Update)
        };
        assert_eq!(shown(&change, false), "a: 1 -> 2");
        assert_eq!(shown(&change, true).matches(": ").count(), 3);
        change.before = None;
        assert_eq!(shown(&change, false), format!("a: 2, b: \"x\", big: \"{UNCHANGED}\""));
        // The key alone: what it was, and the rest as it is.
        change.before = Some(columns(json!({"id": 0, "a": null, "b": null, "big": null})));
        assert_eq!(shown(&change, false), format!("id: 0 -> 1, a: 2, b: \"x\", big: \"{UNCHANGED}\""));
    }

    #[test]
    fn a_change_in_json_says_what_is_known() {
        let place = Place { topic: "t".to_owned(), partition: 1, offset: 2 };
        let change = Change { lsn: Some(Lsn::from(16)), place: Some(place), ..Change::of(Op::Truncate) };
        assert_eq!(
            change.json().to_string(),
            r#"{"op":"t","schema":"","table":"","key":{},"lsn":"0/10","topic":"t","partition":1,"offset":2}"#
        );
    }
}
