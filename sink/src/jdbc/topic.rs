//! A topic's records into changes of the tables that the configuration names (`JdbcChangeEventSink`, `KafkaDebeziumSinkRecord`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::value::RawValue;
use tokio_postgres::Client;

use super::layout::{self, COORDINATES, Layout};
use super::naming::schema_and_table;
use super::settings::{InsertMode, KeyMode, Settings};
use super::tables;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::parse::Unreadable;
use crate::parse::head::Value;
use crate::parse::record::{self, Change, Op, Shape, TableChange};
use crate::parse::row::{self, RowError};
use crate::plan::rows::Rows;
use crate::plan::stage::Step;
use crate::plan::table::TargetTable;

/// What is known of a topic of a connector.
#[derive(Debug)]
pub struct Topic {
    settings: Arc<Settings>,
    /// Where tables are whose names have no schema.
    schema: String,
    /// Its name in Kafka.
    topic: String,
    /// Its name behind the transforms.
    routed: String,
    /// How its last record was.
    known: Option<Known>,
    tables: HashMap<(String, String), Arc<TargetTable>>,
    /// Those that are not there, while nothing but deletes has come for them.
    absent: HashSet<(String, String)>,
}

/// How records are, and by what the next one is seen to be alike.
#[derive(Debug)]
struct Known {
    /// What values begin with that bring their schema.
    value: Option<Arc<[u8]>>,
    /// What keys begin with that do.
    key: Vec<u8>,
    layout: Arc<Layout>,
}

/// What a record says.
#[derive(Debug, PartialEq)]
pub struct Said<'a> {
    /// The table's name as the configuration makes it, in its two parts.
    pub table: (String, String),
    /// What happens there.
    pub what: What<'a>,
    /// When it was committed in the source, in milliseconds since 1970.
    pub ts_ms: Option<i64>,
}

/// What happens to a table.
#[derive(Debug, PartialEq)]
pub enum What<'a> {
    /// It is emptied.
    Truncate,
    /// A row is written.
    Row {
        /// Its JSON.
        row: &'a str,
        /// Whether it is new.
        is_new: bool,
    },
    /// The row with the record's key is gone.
    Gone,
}

impl Topic {
    /// Of a topic that nothing is known of.
    pub fn new(settings: Arc<Settings>, schema: &str, topic: &str) -> Self {
        let routed = settings.routed(topic);
        Self {
            settings,
            schema: schema.to_owned(),
            topic: topic.to_owned(),
            routed,
            known: None,
            tables: HashMap::new(),
            absent: HashSet::new(),
        }
    }

    /// Nothing is known any more: what was known may be why something failed.
    pub fn forget(&mut self) {
        (self.known, self.tables, self.absent) = (None, HashMap::new(), HashSet::new());
    }

    /// Finds out how a record is, if it is not as the last one was.
    ///
    /// # Errors
    /// Why it is of no table.
    pub fn look(&mut self, record: &Record) -> Result<(), Unreadable> {
        let (value, key) = (record.value.as_ref(), record.key.as_deref());
        let head = value.and_then(Value::head);
        if let Some(known) = &self.known {
            let is_same_value = match (value, head, &known.value) {
                // A tombstone says nothing of rows.
                (None, ..) => true,
                (Some(_), Some(head), Some(known)) => Arc::ptr_eq(head, known),
                (Some(value), None, None) => !known.layout.has_schema && !has_schema(value.whole()),
                _ => false,
            };
            let is_same_key = self.settings.key_mode != KeyMode::RecordKey
                || key.is_none_or(|key| match known.key.is_empty() {
                    false => key.starts_with(&known.key),
                    true => known.layout.knows_key && !has_schema(key),
                });
            if is_same_value && is_same_key {
                return Ok(());
            }
        }
        let (head, schema) = (head.cloned(), value.and_then(Value::schema));
        let found = Layout::of(&self.settings, &self.routed, key, value, schema).map_err(Unreadable::new)?;
        let layout = match &self.known {
            Some(known) if *known.layout == found => known.layout.clone(),
            _ => {
                self.tables.clear();
                self.absent.clear();
                Arc::new(found)
            }
        };
        let key = key.and_then(|key| Some(key.get(..record::head(key)?)?.to_vec())).unwrap_or_default();
        self.known = Some(Known { value: head, key, layout });
        Ok(())
    }

    /// What the record says that was looked at last; `None` where it is nothing to the tables.
    ///
    /// # Errors
    /// When it is not what it should be.
    pub fn read<'a>(&self, record: &'a Record) -> Result<Option<Said<'a>>, Unreadable> {
        let settings = &self.settings;
        let gone = || -> Result<Option<Said<'a>>, Unreadable> {
            let table = self.table_of(record, None)?;
            Ok(table.filter(|_| settings.deletes).map(|table| Said { table, what: What::Gone, ts_ms: None }))
        };
        let Some(value) = record.value.as_ref() else {
            // A tombstone: of an envelope's delete it says the same again.
            return if settings.deletes { gone() } else { Ok(None) };
        };
        let is_envelope = match self.layout().is_envelope {
            Some(is_envelope) => is_envelope,
            None => {
                matches!(layout::payload(value.whole()), Some(Json::Object(object)) if layout::is_envelope(&object))
            }
        };
        if !is_envelope {
            return match row_of(value)? {
                Some(row) => {
                    let table = self.table_of(record, None)?;
                    let what = What::Row { row, is_new: false };
                    Ok(table.map(|table| Said { table, what, ts_ms: record.timestamp }))
                }
                None => gone(),
            };
        }
        let change = record::read(&Shape::Envelope, record.key.as_deref(), Some(value), None)?;
        let (source, what, ts_ms) = match &change {
            Change::Upsert(TableChange { schema, table, row, ts_ms, op, .. }) => {
                let is_new = *op == Op::Insert;
                (Some((schema, table)), What::Row { row, is_new }, *ts_ms)
            }
            Change::Delete(TableChange { schema, table, ts_ms, .. }) if settings.deletes => {
                (Some((schema, table)), What::Gone, *ts_ms)
            }
            Change::Truncate { schema, table, .. } if settings.truncates => {
                (Some((schema, table)), What::Truncate, None)
            }
            _ => return Ok(None),
        };
        let source = source.map(|(schema, table)| (schema.as_ref(), table.as_ref()));
        Ok(self.table_of(record, source)?.map(|table| Said { table, what, ts_ms }))
    }

    /// The table that a record is of; `None` where its name needs what the record does not say.
    fn table_of(&self, record: &Record, source: Option<(&str, &str)>) -> Result<Option<(String, String)>, Unreadable> {
        let collection = &self.settings.collection;
        // Most names need no more of the source than what is read anyway.
        let needs_all =
            source.is_some() && collection.source_fields().any(|field| !matches!(field, "schema" | "table"));
        let all = if needs_all { record.value.as_ref().map(source_of).transpose()? } else { None };
        let field = |name: &str| match (name, source) {
            ("schema", Some((schema, _))) => Some(Cow::Borrowed(schema)),
            ("table", Some((_, table))) => Some(Cow::Borrowed(table)),
            (name, _) => match all.as_ref()?.get(name)? {
                Json::String(text) => Some(Cow::Borrowed(text.as_str())),
                _ => None,
            },
        };
        let Some(name) = collection.of(&self.routed, field) else {
            if record.value.is_some() {
                tracing::warn!(
                    topic = self.topic,
                    partition = record.partition,
                    offset = record.offset,
                    "the record does not say what collection.name.format asks for, and is passed over, as the connector does it"
                );
            }
            return Ok(None);
        };
        let (schema, table) = schema_and_table(&name);
        let schema = schema.map_or_else(|| self.schema.clone(), |schema| self.settings.identifier(&schema));
        Ok(Some((schema, self.settings.identifier(&table))))
    }

    /// How the records are.
    pub fn layout(&self) -> &Layout {
        static NONE: Layout = Layout::none();
        self.known.as_ref().map_or(&NONE, |known| &known.layout)
    }

    /// A table, as it takes such records; `None` where it has to be [described](Self::describe).
    pub fn table(&self, schema: &str, name: &str) -> Option<&Arc<TargetTable>> {
        self.tables.get(&(schema.to_owned(), name.to_owned()))
    }

    /// Whether a table is known not to be there, and nothing has come yet of which it could be made: it has no rows to delete.
    pub fn is_absent(&self, schema: &str, name: &str) -> bool {
        !self.absent.is_empty() && self.absent.contains(&(schema.to_owned(), name.to_owned()))
    }

    /// Gets to know a table, and makes it if the configuration allows that.
    ///
    /// # Errors
    /// Stop where it is not there, or cannot be written.
    pub async fn describe(&mut self, client: &Client, schema: &str, name: &str) -> Result<(), SinkError> {
        let name_of = || (schema.to_owned(), name.to_owned());
        match tables::describe(client, &self.settings, self.layout(), &self.topic, (schema, name)).await? {
            Some(table) => _ = self.tables.insert(name_of(), Arc::new(table)),
            None => _ = self.absent.insert(name_of()),
        }
        Ok(())
    }

    /// Adds the column that a record brings and a table lacks.
    ///
    /// # Errors
    /// Stop where it may not be, or cannot.
    pub async fn add_column(&mut self, client: &Client, table: &TargetTable, field: &str) -> Result<(), SinkError> {
        let TargetTable { schema, name, .. } = table;
        if !self.layout().has_schema && !self.layout().has(field) {
            // Only of the record at hand it is known which fields it has.
            self.forget();
            return Ok(());
        }
        tables::add_column(client, &self.settings, self.layout(), (schema, name), field).await?;
        self.describe(client, schema, name).await
    }

    /// Writes what a record says into the rows of its table.
    ///
    /// # Errors
    /// As [`row::row`].
    pub fn step(
        &self,
        record: &Record,
        what: &What<'_>,
        table: &TargetTable,
        rows: &mut Rows,
    ) -> Result<Option<Step>, RowError> {
        let key = || match (self.settings.key_mode, record.key.as_deref()) {
            (KeyMode::RecordKey, Some(key)) => self.key_object(key),
            _ => Err(no_key()),
        };
        // Only a truncate has none.
        if self.settings.key_mode == KeyMode::RecordKey && record.key.is_none() && *what != What::Truncate {
            return Err(no_key().into());
        }
        match what {
            What::Truncate => Ok(None),
            What::Gone => Ok(Some(Step::Delete(row::key(&key()?, table, rows)?))),
            What::Row { row, is_new } => {
                let beside = if self.layout().key_is_beside && self.settings.key_mode == KeyMode::RecordKey {
                    Some(key()?)
                } else {
                    None
                };
                let more = match self.settings.key_mode {
                    KeyMode::Kafka => {
                        let [topic, partition, offset] = COORDINATES.map(|(name, _)| name);
                        vec![
                            (topic, self.routed.clone()),
                            (partition, record.partition.to_string()),
                            (offset, record.offset.to_string()),
                        ]
                    }
                    _ => Vec::new(),
                };
                let row = row::of_parts(beside.as_deref(), row, &more, table, rows)?;
                let is_inserted = self.settings.insert_mode == InsertMode::Insert
                    || *is_new && self.settings.insert_mode == InsertMode::Upsert;
                Ok(Some(if is_inserted { Step::Insert(row) } else { Step::Upsert(row) }))
            }
        }
    }

    /// The key as an object.
    fn key_object<'a>(&self, key: &'a [u8]) -> Result<Cow<'a, str>, Unreadable> {
        let Some(field) = &self.layout().single_key else { return record::payload(key, "key").map(Cow::Borrowed) };
        let value = match self.settings.keys_are_texts {
            true => Json::String(String::from_utf8_lossy(key).into_owned()),
            false => layout::payload(key).ok_or_else(|| Unreadable::new("the key is no JSON"))?,
        };
        Ok(Cow::Owned(Json::Object([(field.clone(), value)].into_iter().collect()).to_string()))
    }
}

fn no_key() -> Unreadable {
    Unreadable::new("it has no key, and primary.key.mode is record_key")
}

/// Whether a key or value brings its schema.
fn has_schema(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{\"schema\"")
}

/// A row without an envelope; `None` for a null, which is a delete.
fn row_of(value: &Value) -> Result<Option<&str>, Unreadable> {
    let no_object = || Unreadable::new("the value is neither a row nor an envelope: it is no JSON object");
    let text = match value.payload_behind_head() {
        Some(payload) => payload,
        None => {
            let whole = std::str::from_utf8(value.whole()).map_err(|_| no_object())?.trim();
            match serde_json::from_str::<HashMap<&str, &RawValue>>(whole) {
                Ok(fields) if fields.len() == 2 && fields.contains_key("schema") => {
                    fields.get("payload").map_or(whole, |payload| payload.get())
                }
                _ => whole,
            }
        }
    };
    match text.as_bytes().first() {
        Some(b'{') => Ok(Some(text)),
        _ if text == "null" => Ok(None),
        _ => Err(no_object()),
    }
}

/// An envelope's `source`, all of it.
fn source_of(value: &Value) -> Result<serde_json::Map<String, Json>, Unreadable> {
    let source = match layout::payload(value.whole()) {
        Some(Json::Object(mut envelope)) => envelope.remove("source"),
        _ => None,
    };
    match source {
        Some(Json::Object(source)) => Ok(source),
        _ => Err(Unreadable::new("the envelope has no source")),
    }
}
