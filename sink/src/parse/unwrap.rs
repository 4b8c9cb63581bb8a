//! Rows without their envelope, as `ExtractNewRecordState` makes them.
//!
//! A row says nothing of where it comes from: schema and table are in the topic's name. A delete is a null with a key, or the old
//! row with `__deleted` in it, by `delete.tombstone.handling.mode`.

use std::borrow::Cow;
use std::fmt;

use regex::Regex;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Unreadable;
use super::envelope::Scalar;
use super::handling::Keys;
use super::head::Value;
use super::record::{Change, Op, TableChange, fields, gone, object, unreadable};
use crate::error::SinkError;

const CLASS: &str = "io.debezium.transforms.ExtractNewRecordState";
const TOPIC_NAME_MATCHES: &str = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";

/// The field that says whether the row is gone, where deletes are rewritten.
const DELETED: &str = "__deleted";

/// One of the connector's transforms that take rows out of their envelopes.
#[derive(Debug, Clone)]
pub(super) struct Unwrap {
    /// The topics, all others if it is negated; all without it.
    topics: Option<(Regex, bool)>,
    /// Whether deletes come as rows.
    rewrites: bool,
    /// The names of the fields that it adds.
    added: Vec<String>,
    /// The one that has the operation.
    op: Option<String>,
    /// The one that has the time of the commit.
    ts_ms: Option<String>,
    /// Whether values come with schemas, if the configuration says it.
    schemas: Option<bool>,
}

/// How the rows of a topic are.
#[derive(Debug, Clone)]
pub struct Rows {
    unwrap: Unwrap,
    schema: String,
    table: String,
}

impl Unwrap {
    /// All of a configuration's, and what of them the target would not become equal under.
    pub(super) fn all(keys: &Keys<'_>, faults: &mut Vec<String>) -> Vec<Self> {
        let list = keys.text("transforms").unwrap_or_default();
        let names = list.split(',').map(str::trim);
        names
            .filter(|name| keys.text(&format!("transforms.{name}.type")).as_deref() == Some(CLASS))
            .map(|name| Self::of(name, keys, faults))
            .collect()
    }

    fn of(name: &str, keys: &Keys<'_>, faults: &mut Vec<String>) -> Self {
        let key = |setting: &str| format!("transforms.{name}.{setting}");
        let deletes = keys.text(&key("delete.tombstone.handling.mode")).unwrap_or_default().to_ascii_lowercase();
        let rewrites = deletes.starts_with("rewrite");
        if deletes == "drop" {
            faults.push(format!(
                "{} must not be drop: rows that are deleted in the source would stay",
                key("delete.tombstone.handling.mode")
            ));
        }
        if rewrites && keys.flag(&key("replace.null.with.default"), true) {
            faults.push(format!(
                "{} must be false: a NULL would become the column's default",
                key("replace.null.with.default")
            ));
        }
        if keys.text(&key("route.by.field")).is_some_and(|field| !field.is_empty()) {
            faults.push(format!(
                "{} must not be set: without its envelope a row does not say which table it is of, and its topic would not either",
                key("route.by.field")
            ));
        }
        let prefix = keys.text(&key("add.fields.prefix")).unwrap_or_else(|| "__".to_owned());
        let fields = added(&prefix, &keys.text(&key("add.fields")).unwrap_or_default());
        let of_path = |path: &str| fields.iter().find(|(known, _)| known == path).map(|(_, name)| name.clone());
        Self {
            topics: topics(name, keys, faults),
            rewrites,
            op: of_path("op"),
            ts_ms: of_path("source.ts_ms"),
            added: fields.iter().map(|(_, name)| name.clone()).collect(),
            schemas: keys.text("value.converter.schemas.enable").map(|flag| flag.eq_ignore_ascii_case("true")),
        }
    }

    /// Whether it takes the rows of a topic out of their envelopes.
    pub(super) fn applies_to(&self, topic: &str) -> bool {
        self.topics.as_ref().is_none_or(|(pattern, is_negated)| pattern.is_match(topic) != *is_negated)
    }

    /// For a topic's rows. Where names have dots or characters that Kafka refuses, the table is another one; who knows the tables
    /// finds out.
    pub(super) fn of_topic(&self, prefix: &str, topic: &str) -> Rows {
        let rest = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')).unwrap_or(topic);
        let (schema, table) = rest.split_once('.').unwrap_or(("", rest));
        Rows { unwrap: self.clone(), schema: schema.to_owned(), table: table.to_owned() }
    }
}

/// The topics of a transform's predicate.
fn topics(name: &str, keys: &Keys<'_>, faults: &mut Vec<String>) -> Option<(Regex, bool)> {
    let predicate = keys.text(&format!("transforms.{name}.predicate")).filter(|name| !name.is_empty())?;
    if keys.text(&format!("predicates.{predicate}.type")).as_deref() != Some(TOPIC_NAME_MATCHES) {
        faults.push(format!(
            "transforms.{name}.predicate must be a TopicNameMatches: which records have their envelope has to be known by topic"
        ));
        return None;
    }
    let pattern = keys.text(&format!("predicates.{predicate}.pattern")).unwrap_or_default();
    match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(pattern) => Some((pattern, keys.flag(&format!("transforms.{name}.negate"), false))),
        Err(error) => {
            faults.push(format!("predicates.{predicate}.pattern is not a regular expression: {error}"));
            None
        }
    }
}

/// The entries of `add.fields`: the path in the envelope, and the field's name in the row.
fn added(prefix: &str, list: &str) -> Vec<(String, String)> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (path, alias) = entry.split_once(':').map_or((entry, None), |(path, alias)| (path, Some(alias)));
            let name = alias.map_or_else(|| path.split('.').take(2).collect::<Vec<_>>().join("_"), str::to_owned);
            (path.to_owned(), format!("{prefix}{name}"))
        })
        .collect()
}

impl Rows {
    /// Takes the table that is there, of those whose records come to the topic; gives it.
    ///
    /// # Errors
    /// Stop when it is not the only one.
    pub fn find(&mut self, tables: Vec<(String, String)>, topic: &str) -> Result<Option<(&str, &str)>, SinkError> {
        if let [first, second, ..] = tables.as_slice() {
            return Err(SinkError::stop(
                "topic-of-two-tables",
                format!(
                    "the changes of tables {}.{} and {}.{} come to one topic, {topic}, and rows without their envelope do not say which \
                 they are of. They wait in Kafka; leave ExtractNewRecordState out for that topic (a predicate \
                 TopicNameMatches), or one of the tables (table.exclude.list)",
                    first.0, first.1, second.0, second.1
                ),
            ));
        }
        let Some((schema, table)) = tables.into_iter().next() else { return Ok(None) };
        (self.schema, self.table) = (schema, table);
        Ok(Some((&self.schema, &self.table)))
    }

    /// The fields of a row that are no columns, unless the table has columns of these names.
    pub fn passed_over(&self) -> impl Iterator<Item = &str> {
        let deleted = self.unwrap.rewrites.then_some(DELETED);
        self.unwrap.added.iter().map(String::as_str).chain(deleted)
    }

    pub(super) fn read<'a>(
        &'a self,
        key: Option<&'a [u8]>,
        value: Option<&'a Value>,
        new_key: Option<&'a [u8]>,
    ) -> Result<Change<'a>, Unreadable> {
        let (schema, table) = (Cow::Borrowed(self.schema.as_str()), Cow::Borrowed(self.table.as_str()));
        let row = value.map(|value| self.row(value)).transpose()?.flatten();
        match row {
            Some((row, Marks { is_deleted: false, is_insert, ts_ms })) => {
                let op = if is_insert { Op::Insert } else { Op::Update };
                let has_key = key.is_some();
                Ok(Change::Upsert(TableChange { schema, table, row, old: None, ts_ms, written: None, op, has_key }))
            }
            // A tombstone: its row said so before.
            None if self.unwrap.rewrites => Ok(Change::Nothing),
            gone_row => {
                let ts_ms = gone_row.and_then(|(_, marks)| marks.ts_ms);
                gone(schema, table, (key, None), new_key, (ts_ms, None))
            }
        }
    }

    /// The row's JSON, out of its `{"schema": …, "payload": …}` if it is in one; `None` for a null.
    fn row<'a>(&self, value: &'a Value) -> Result<Option<(&'a str, Marks)>, Unreadable> {
        const WHAT: &str = "value";
        let has_schemas = self.unwrap.schemas != Some(false);
        if has_schemas && let Some(payload) = value.payload_behind_head() {
            if payload == "null" {
                return Ok(None);
            }
            // Whatever is not as expected behind the head, the long way finds out.
            if let Ok(marks) = self.marks(payload) {
                return Ok(Some((payload, marks)));
            }
        }
        let whole = value.whole();
        if whole.trim_ascii() == b"null" {
            return Ok(None);
        }
        let (text, fields) = fields(whole, WHAT)?;
        let row = match fields.wrapped().filter(|_| has_schemas) {
            Some(payload) if payload.get() == "null" => return Ok(None),
            // A table may have two columns of these names.
            Some(payload) => object(payload).or(self.unwrap.schemas.is_none().then_some(text)),
            None => Some(text),
        };
        let row = row.ok_or_else(|| Unreadable::new("the value's payload is no JSON object"))?;
        self.marks(row).map(|marks| Some((row, marks))).map_err(|error| unreadable(&error, WHAT))
    }

    /// What a row says of itself, in fields that are no columns. That it is JSON is seen on the way.
    fn marks(&self, row: &str) -> Result<Marks, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(row);
        let marks = MarksOf(&self.unwrap).deserialize(&mut json)?;
        json.end().map(|()| marks)
    }
}

#[derive(Debug, Default)]
struct Marks {
    is_deleted: bool,
    is_insert: bool,
    ts_ms: Option<i64>,
}

struct MarksOf<'a>(&'a Unwrap);

impl<'de> DeserializeSeed<'de> for MarksOf<'_> {
    type Value = Marks;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Marks, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MarksOf<'_> {
    type Value = Marks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::default();
        while let Some(name) = fields.next_key_seed(NameOf(self.0))? {
            match name {
                Name::Deleted => {
                    marks.is_deleted = fields.next_value::<Scalar<'_>>()?.text().as_deref() == Some("true");
                }
                Name::Op => marks.is_insert = fields.next_value::<Scalar<'_>>()?.text().as_deref() == Some("c"),
                Name::Time => {
                    let time = fields.next_value::<Scalar<'_>>()?;
                    marks.ts_ms = if let Scalar::Integer(time) = time { Some(time) } else { None };
                }
                Name::Other => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(marks)
    }
}

enum Name {
    Deleted,
    Op,
    Time,
    Other,
}

struct NameOf<'a>(&'a Unwrap);

impl<'de> DeserializeSeed<'de> for NameOf<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let Unwrap { rewrites, op, ts_ms, .. } = self.0;
        Ok(match name {
            DELETED if *rewrites => Name::Deleted,
            name if op.as_deref() == Some(name) => Name::Op,
            name if ts_ms.as_deref() == Some(name) => Name::Time,
            _ => Name::Other,
        })
    }
}

#[cfg(test)]
mod tests;
