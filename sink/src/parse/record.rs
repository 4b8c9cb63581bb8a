//! Key, value and headers into what happened.
//!
//! Only what is asked for is read: a schema is passed over, and rows are left to who knows their columns.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::lsn::Lsn;
use proto::xid::Xid;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Unreadable;
use super::envelope::{Fields, Scalar, Source};
use super::head::Value;
use super::unwrap::Rows;
use crate::evolve::trigger::PREFIX;
use crate::plan::snapshot::Written;

/// How a topic's records are.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Debezium's envelopes.
    Envelope,
    /// Rows without their envelope.
    Row(Rows),
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// The row is like this now.
    Upsert(TableChange<'a>),
    /// The row with this key is gone.
    Delete(TableChange<'a>),
    /// The row got another key; what else changed comes with the next record.
    Rename {
        /// The old key.
        old: TableChange<'a>,
        /// The new one: an object's JSON.
        new_key: &'a str,
    },
    /// The table is empty now.
    Truncate {
        /// The table's schema.
        schema: Cow<'a, str>,
        /// The table.
        table: Cow<'a, str>,
        /// Where in the source's log.
        written: Option<Written>,
    },
    /// The source's event triggers say how tables are now: what their message holds, and where in the source's log it stands.
    Definition(Vec<u8>, Option<Written>),
    /// Nothing for this database: a tombstone, a heartbeat, somebody's message.
    Nothing,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange<'a> {
    /// The table's schema in the source.
    pub schema: Cow<'a, str>,
    /// The table in the source.
    pub table: Cow<'a, str>,
    /// An upsert's row, a delete's key: an object's JSON. Where there is no key, a delete's row.
    pub row: &'a str,
    /// The row as it was before, where the record says it: an object's JSON.
    pub old: Option<&'a str>,
    /// When it was committed, in milliseconds since 1970, if the record says it.
    pub ts_ms: Option<i64>,
    /// Where in the source's log, if the record says it; not of what a snapshot read.
    pub written: Option<Written>,
    /// What was done.
    pub op: Op,
    /// Whether the record has a key.
    pub has_key: bool,
}

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It was inserted: there was no such row before.
    Insert,
    /// A snapshot read it.
    Read,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

/// Debezium's header on the delete of a changed key.
pub const NEW_KEY: &str = "__debezium.newkey";

/// Reads a record.
///
/// # Errors
/// When it is no Debezium envelope, or no row where rows come without one, or lacks what its operation needs.
pub fn read<'a>(
    shape: &'a Shape,
    key: Option<&'a [u8]>,
    value: Option<&'a Value>,
    new_key: Option<&'a [u8]>,
) -> Result<Change<'a>, Unreadable> {
    match shape {
        Shape::Envelope => read_envelope(key, value, new_key),
        Shape::Row(rows) => rows.read(key, value, new_key),
    }
}

fn read_envelope<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a Value>,
    new_key: Option<&'a [u8]>,
) -> Result<Change<'a>, Unreadable> {
    // A tombstone: its delete came before it.
    let Some(value) = value else { return Ok(Change::Nothing) };
    let envelope = envelope(value)?;
    let is_heartbeat = envelope.has_only_time();
    let Some(op) = envelope.op.and_then(Scalar::text) else {
        return match is_heartbeat {
            true => Ok(Change::Nothing),
            false => Err(Unreadable::new("the value is no Debezium envelope: it has no op")),
        };
    };
    let Source { schema, table, ts_ms, transaction, lsn } = envelope.source.unwrap_or_default();
    let written = written(transaction, lsn).filter(|_| op != "r");
    if op == "m" {
        return message(envelope.message, written);
    }
    let lacks = |name| move || Unreadable::new(format!("the envelope has no source.{name}"));
    let schema = schema.and_then(Scalar::text).ok_or_else(lacks("schema"))?;
    let table = table.and_then(Scalar::text).ok_or_else(lacks("table"))?;
    let ts_ms = if let Some(Scalar::Integer(ts_ms)) = ts_ms { Some(ts_ms) } else { None };
    let (old, has_key) = (envelope.before.and_then(object), key.is_some());
    match op.as_ref() {
        "t" => Ok(Change::Truncate { schema, table, written }),
        "c" | "u" | "r" => {
            let row = envelope
                .after
                .and_then(object)
                .ok_or_else(|| Unreadable::new(format!("the envelope with op {op} has no after")))?;
            let op = match op.as_ref() {
                "c" => Op::Insert,
                "r" => Op::Read,
                _ => Op::Update,
            };
            Ok(Change::Upsert(TableChange { schema, table, row, old, ts_ms, written, op, has_key }))
        }
        "d" => gone(schema, table, (key, old), new_key, (ts_ms, written)),
        other => Err(Unreadable::new(format!("op {other} is not known"))),
    }
}

/// The row with this key is gone, or got another one; without a key it is told by how it was.
pub(super) fn gone<'a>(
    schema: Cow<'a, str>,
    table: Cow<'a, str>,
    (key, old): (Option<&'a [u8]>, Option<&'a str>),
    new_key: Option<&'a [u8]>,
    (ts_ms, written): (Option<i64>, Option<Written>),
) -> Result<Change<'a>, Unreadable> {
    let row = match key {
        Some(key) => payload(key, "key")?,
        None => old.ok_or_else(|| Unreadable::new("a delete has neither a key nor the row as it was"))?,
    };
    let gone = TableChange { schema, table, row, old, ts_ms, written, op: Op::Delete, has_key: key.is_some() };
    match new_key {
        Some(header) => Ok(Change::Rename { old: gone, new_key: payload(header, "newkey header")? }),
        None => Ok(Change::Delete(gone)),
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

/// A logical decoding message. Of those of the event triggers the content is JSON, in whatever form the connector gives bytes.
fn message<'a>(message: Option<&RawValue>, written: Option<Written>) -> Result<Change<'a>, Unreadable> {
    const BEGINS_IN_HEX: &str = "7b";
    let Some(Ok(Message { prefix: Some(prefix), content })) =
        message.map(|message| serde_json::from_str(message.get()))
    else {
        return Ok(Change::Nothing);
    };
    if prefix != PREFIX {
        return Ok(Change::Nothing);
    }
    let content = content.unwrap_or_default();
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16).ok();
    let content = match content.starts_with(BEGINS_IN_HEX) {
        true => content.as_bytes().chunks(2).map(digits).collect(),
        false => STANDARD.decode(content.replace('-', "+").replace('_', "/")).ok(),
    };
    content
        .map(|content| Change::Definition(content, written))
        .ok_or_else(|| Unreadable::new("a message of the event triggers holds no bytes"))
}

/// Where in the source's log a change stands.
fn written(transaction: Option<Scalar<'_>>, lsn: Option<Scalar<'_>>) -> Option<Written> {
    let (Some(Scalar::Integer(transaction)), Some(Scalar::Integer(lsn))) = (transaction, lsn) else { return None };
    // Debezium writes the position as the signed number of the same bits.
    Some(Written { transaction: Xid::from(u32::try_from(transaction).ok()?), lsn: Lsn::from(lsn.cast_unsigned()) })
}

pub(super) fn envelope(value: &Value) -> Result<Fields<'_>, Unreadable> {
    // Whatever is not as expected behind the head, the long way finds out.
    if let Some(fields) = value.payload_behind_head().and_then(|payload| serde_json::from_str(payload).ok()) {
        return Ok(fields);
    }
    let (_, fields) = fields(value.whole(), "value")?;
    let Some(payload) = fields.wrapped() else { return Ok(fields) };
    let payload = object(payload).ok_or_else(|| Unreadable::new("the value's payload is no JSON object"))?;
    Ok(self::fields(payload.as_bytes(), "value's payload")?.1)
}

/// How much of a value with its schema stands before the payload, where that is the last field.
pub(crate) fn head(value: &[u8]) -> Option<usize> {
    let (text, fields) = fields(value, "value").ok()?;
    let payload = fields.wrapped()?.get();
    let inside = text.trim_ascii_end().strip_suffix('}').map(str::trim_ascii_end)?;
    let begin = payload.as_ptr() as usize - text.as_ptr() as usize;
    (begin + payload.len() == inside.len()).then_some(begin)
}

/// An object's JSON, out of its `{"schema": …, "payload": …}` if it is in one.
pub(crate) fn payload<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Unreadable> {
    let (text, fields) = fields(bytes, what)?;
    let Some(payload) = fields.wrapped() else { return Ok(text) };
    object(payload).ok_or_else(|| Unreadable::new(format!("the {what}'s payload is no JSON object")))
}

pub(super) fn object(value: &RawValue) -> Option<&str> {
    Some(value.get()).filter(|text| text.starts_with('{'))
}

pub(super) fn fields<'a>(bytes: &'a [u8], what: &str) -> Result<(&'a str, Fields<'a>), Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Unreadable::new(format!("the {what} is not JSON (no UTF-8 at byte {})", error.valid_up_to() + 1))
    })?;
    serde_json::from_str(text).map(|fields| (text, fields)).map_err(|error| unreadable(&error, what))
}

pub(super) fn unreadable(error: &serde_json::Error, what: &str) -> Unreadable {
    match error.is_data() {
        true => Unreadable::new(format!("the {what} is no JSON object")),
        false => Unreadable::new(format!("the {what} is not JSON (line {}, column {})", error.line(), error.column())),
    }
}

#[cfg(test)]
mod tests;
