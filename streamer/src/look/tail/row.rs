//! The plugin's messages into changes.

use std::collections::HashMap;

use proto::lsn::Lsn;
use proto::oid::Oid;
use proto::pgoutput::{Datum, LogicalMessage, Message, OldTuple, Relation, ReplicaIdentity, Tuple};
use serde_json::Value;
use tokio_postgres::Client;

use crate::look::Ended;
use crate::look::change::{Change, Columns, Op, UNCHANGED};
use crate::source::session::query_error;

/// From 1970 to 2000, in microseconds.
const US_PER_MS: i64 = 1000;

/// What the stream has said until now.
#[derive(Debug, Default)]
pub(super) struct Rows {
    tables: HashMap<Oid, Table>,
    tx: Option<u64>,
    at_ms: Option<i64>,
}

#[derive(Debug)]
struct Table {
    relation: Relation,
    /// The names of the key's columns.
    key: Vec<String>,
}

/// What a message is to who looks.
#[derive(Debug)]
pub(super) enum Event {
    /// Something happened.
    Changes(Vec<Change>),
    /// A transaction ended, there.
    Commit(Option<u64>, Lsn),
    /// Nothing to show.
    Nothing,
}

impl Rows {
    /// What a message says; `client` is asked for a table's primary key where the message does not tell it.
    ///
    /// # Errors
    /// As [`query_error`].
    pub(super) async fn take(&mut self, lsn: Lsn, message: Message, client: &Client) -> Result<Event, Ended> {
        let changes = match message {
            Message::Begin(begin) => {
                self.tx = Some(u64::from(begin.xid.as_u32()));
                self.at_ms = Some(begin.commit_time_us.div_euclid(US_PER_MS));
                return Ok(Event::Nothing);
            }
            Message::Commit(commit) => return Ok(Event::Commit(self.tx.take(), commit.commit_lsn)),
            Message::Relation(relation) => {
                let key = key(client, &relation).await?;
                self.tables.insert(relation.oid, Table { relation, key });
                return Ok(Event::Nothing);
            }
            Message::Origin(_) | Message::Type(_) => return Ok(Event::Nothing),
            Message::Insert(insert) => {
                let change = self.row(Op::Create, lsn, insert.relation, None, Some(&insert.new));
                change.into_iter().collect()
            }
            Message::Update(update) => {
                let old = update.old.as_ref().map(tuple);
                self.row(Op::Update, lsn, update.relation, old, Some(&update.new)).into_iter().collect()
            }
            Message::Delete(delete) => {
                self.row(Op::Delete, lsn, delete.relation, Some(tuple(&delete.old)), None).into_iter().collect()
            }
            Message::Truncate(truncate) => {
                let one = |oid: &Oid| self.row(Op::Truncate, lsn, *oid, None, None);
                truncate.relations.iter().filter_map(one).collect()
            }
            Message::LogicalMessage(message) => vec![self.message(&message)],
        };
        Ok(Event::Changes(changes))
    }

    fn row(&self, op: Op, lsn: Lsn, table: Oid, old: Option<&Tuple>, new: Option<&Tuple>) -> Option<Change> {
        let table = self.tables.get(&table)?;
        let before = old.map(|old| table.columns(old));
        let after = new.map(|new| table.columns(new));
        let row = after.as_ref().or(before.as_ref());
        let key = row.into_iter().flatten().filter(|(name, _)| table.key.contains(name)).cloned().collect();
        Some(Change {
            schema: table.relation.namespace.clone(),
            table: table.relation.name.clone(),
            key,
            before,
            after,
            at_ms: self.at_ms,
            lsn: Some(lsn),
            tx: self.tx,
            ..Change::of(op)
        })
    }

    fn message(&self, message: &LogicalMessage) -> Change {
        let content = String::from_utf8_lossy(&message.content).into_owned();
        // One that is no part of a transaction has no time.
        let (tx, at_ms) = if message.transactional { (self.tx, self.at_ms) } else { (None, None) };
        Change {
            table: "message".to_owned(),
            key: vec![("prefix".to_owned(), Value::String(message.prefix.clone()))],
            after: Some(vec![("content".to_owned(), Value::String(content))]),
            at_ms,
            lsn: Some(message.lsn),
            tx,
            ..Change::of(Op::Message)
        }
    }
}

fn tuple(old: &OldTuple) -> &Tuple {
    match old {
        OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple,
    }
}

impl Table {
    fn columns(&self, tuple: &Tuple) -> Columns {
        let columns = self.relation.columns.iter().zip(&tuple.values);
        columns.map(|(column, datum)| (column.name.clone(), value(column.type_oid, datum))).collect()
    }
}

/// A value as JSON: numbers and booleans as such, everything else as the server writes it.
fn value(kind: Oid, datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Unchanged => Value::String(UNCHANGED.to_owned()),
        Datum::Binary(bytes) => Value::String(format!("({} bytes)", bytes.len())),
        Datum::Text(text) => {
            let text = String::from_utf8_lossy(text);
            // pg_type.dat: bool; int8, int2, int4, oid; float4, float8.
            let value = match kind.as_u32() {
                16 => Some(Value::Bool(text == "t")),
                20 | 21 | 23 | 26 => text.parse::<i64>().ok().map(Value::from),
                700 | 701 => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
                _ => None,
            };
            value.unwrap_or_else(|| Value::String(text.into_owned()))
        }
    }
}

/// The columns that a table's rows are told by. Under REPLICA IDENTITY FULL the message marks all, and the catalog knows more.
async fn key(client: &Client, relation: &Relation) -> Result<Vec<String>, Ended> {
    if relation.identity != ReplicaIdentity::Full {
        let marked = relation.columns.iter().filter(|column| column.key);
        return Ok(marked.map(|column| column.name.clone()).collect());
    }
    let rows = client
        .query(
            "SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
             WHERE i.indrelid = $1 AND i.indisprimary",
            &[&relation.oid.as_u32()],
        )
        .await
        .map_err(|error| query_error(&format!("asking for the key of {}.{}", relation.namespace, relation.name), error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_booleans_are_such_and_the_rest_is_text() {
        let text = |text: &'static str| Datum::Text(Bytes::from_static(text.as_bytes()));
        for (kind, datum, expected) in [
            (16, text("t"), json!(true)),
            (20, text("-7"), json!(-7)),
            (701, text("0.5"), json!(0.5)),
            (701, text("NaN"), json!("NaN")),
            (1700, text("1.50"), json!("1.50")),
            (25, text("x"), json!("x")),
            (25, Datum::Null, json!(null)),
            (25, Datum::Unchanged, json!(UNCHANGED)),
        ] {
            assert_eq!(value(Oid::from(kind), &datum), expected);
        }
    }
}
