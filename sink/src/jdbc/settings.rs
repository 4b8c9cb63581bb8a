//! The configuration of a JDBC sink connector (`JdbcSinkConnectorConfig`, `SinkConnectorConfig`, and Connect's `SinkConnectorConfig` and
//! `ConnectorConfig`).

use std::collections::BTreeMap;
use std::path::Path;

use access::config_providers::Providers;
use access::java_properties::{self, with_prefix};
use serde_json::Value;

use super::address::Address;
use super::keys::Keys;
use super::naming::{CollectionName, Naming, TopicStep};
use super::transforms;
use crate::avro::Converters;
use crate::consume::Topics;
use crate::error::SinkError;

/// The connector's class.
pub const CLASS: &str = "io.debezium.connector.jdbc.JdbcSinkConnector";

/// Variables of this prefix are properties: `SINK_JDBC_INSERT_MODE` is `insert.mode`.
const VARIABLES: &str = "SINK_JDBC_";

/// `insert.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertMode {
    /// Every row is a new one.
    Insert,
    /// A row that is there is changed, another is made.
    Upsert,
    /// A row that is there is changed.
    Update,
}

/// `primary.key.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    /// Rows are not told from each other.
    None,
    /// By topic, partition and offset.
    Kafka,
    /// By the record's key.
    RecordKey,
    /// By fields of the row.
    RecordValue,
}

/// What a configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connector's name.
    pub name: String,
    /// Where the tables are.
    pub address: Address,
    /// Which topics are read.
    pub topics: Topics,
    /// `insert.mode`
    pub insert_mode: InsertMode,
    /// `primary.key.mode`
    pub key_mode: KeyMode,
    /// `primary.key.fields`
    pub key_fields: Vec<String>,
    /// Whether keys are texts as they are (`StringConverter`), and no JSON.
    pub keys_are_texts: bool,
    /// `delete.enabled`
    pub deletes: bool,
    /// `truncate.enabled`
    pub truncates: bool,
    /// `schema.evolution`: whether tables and columns are made.
    pub evolves: bool,
    /// `quote.identifiers`
    pub quotes: bool,
    /// `collection.name.format`
    pub collection: CollectionName,
    /// `batch.size`, where it is set.
    pub batch_records: Option<usize>,
    /// `errors.tolerance=all`: whether records that the target does not take are set aside.
    pub tolerates: bool,
    /// `errors.deadletterqueue.topic.name`
    pub dead_letter_topic: Option<String>,
    /// `key.converter`, `value.converter`, where they are Avro's.
    pub converters: Converters,
    /// `consumer.override.auto.offset.reset`: whether a partition that nothing is stored for is read from its end.
    pub begins_at_end: bool,
    /// `consumer.override.*`, as far as it says how Kafka is entered.
    pub consumer_overrides: BTreeMap<String, String>,
    /// What transforms make of a topic's name.
    pub topic_steps: Vec<TopicStep>,
    /// What they make of a field's name.
    pub field_steps: Vec<Naming>,
    /// Properties that are not known.
    pub unknown: Vec<String>,
    fields: FieldList,
}

/// `field.include.list` or `field.exclude.list`.
#[derive(Debug, Clone, Default)]
pub(super) struct FieldList {
    /// Topic, where it is of one only, and field.
    pub(super) entries: Vec<(Option<String>, String)>,
    pub(super) includes: bool,
}

impl Settings {
    /// From a file, with what the environment says over it.
    ///
    /// # Errors
    /// Stop with everything that is wrong with it; no values are in it.
    pub fn read(file: Option<&Path>) -> Result<Self, SinkError> {
        let at = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
        let fail = |why: String| SinkError::stop("connector-config", format!("connector {at}: {why}"));
        let mut properties = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
                properties(&text).map_err(fail)?
            }
            None => BTreeMap::new(),
        };
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix(VARIABLES) {
                properties.insert(name.to_ascii_lowercase().replace('_', "."), value);
            }
        }
        let properties = providers()
            .map_err(|why| fail(why.clone()))?
            .resolve(&properties)
            .map_err(|error| fail(format!("{}: {error}", error.key)))?;
        Self::of(&properties).map_err(|faults| fail(format!("\n  {}", faults.join("\n  "))))
    }

    /// Of a connector's properties.
    ///
    /// # Errors
    /// All that is wrong with them; no values.
    pub fn of(properties: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut keys = Keys::new(properties);
        keys.class(CLASS);
        let name = keys.text("name").unwrap_or_default();
        if name.is_empty() {
            keys.fault("name", "is missing: the consumer group is named by it too");
        }
        let (address, topics) = (keys.address(), keys.topics());
        let (topic_steps, field_steps) = transforms::of(&mut keys);
        let (keys_are_texts, converters) = keys.converters();
        let insert_mode = keys.one_of(
            "insert.mode",
            ("insert", InsertMode::Insert),
            &[("upsert", InsertMode::Upsert), ("update", InsertMode::Update)],
        );
        let key_mode = keys.one_of(
            "primary.key.mode",
            ("none", KeyMode::None),
            &[("kafka", KeyMode::Kafka), ("record_key", KeyMode::RecordKey), ("record_value", KeyMode::RecordValue)],
        );
        let deletes = keys.flag("delete.enabled");
        if deletes && key_mode != KeyMode::RecordKey {
            keys.fault("delete.enabled", "needs primary.key.mode=record_key: a delete has nothing but its key");
        }
        if insert_mode != InsertMode::Insert && key_mode == KeyMode::None {
            keys.fault(
                "insert.mode",
                "is upsert or update, and primary.key.mode is none: there is nothing to find a row by",
            );
        }
        let evolves = keys.one_of("schema.evolution", ("none", false), &[("basic", true)]);
        let passes_through = keys.naming_strategies();
        let format =
            keys.either("collection.name.format", "table.name.format").unwrap_or_else(|| "${topic}".to_owned());
        let (fields, batch_records) = (keys.field_list(), keys.batch_records());
        let tolerates = keys.one_of("errors.tolerance", ("none", false), &[("all", true)]);
        let (key_fields, quotes, truncates) =
            (keys.list("primary.key.fields"), keys.flag("quote.identifiers"), keys.flag("truncate.enabled"));
        let dead_letter_topic = keys.text("errors.deadletterqueue.topic.name");
        let consumer_overrides = with_prefix(properties, "consumer.override.");
        let begins_at_end = consumer_overrides.get("auto.offset.reset").is_some_and(|reset| reset.trim() == "latest");
        let (unknown, faults) = keys.end();
        match (address, topics) {
            (Some(address), Some(topics)) if faults.is_empty() => Ok(Self {
                name,
                address,
                topics,
                insert_mode,
                key_mode,
                key_fields,
                keys_are_texts,
                deletes,
                truncates,
                evolves,
                quotes,
                collection: CollectionName::parse(&format, passes_through),
                batch_records,
                tolerates,
                dead_letter_topic,
                begins_at_end,
                converters,
                consumer_overrides,
                topic_steps,
                field_steps,
                unknown,
                fields,
            }),
            _ => Err(faults),
        }
    }

    /// The topic's name behind the transforms.
    pub fn routed(&self, topic: &str) -> String {
        self.topic_steps.iter().fold(topic.to_owned(), |topic, step| step.apply(&topic))
    }

    /// The name of a table or schema in the database.
    pub fn identifier(&self, name: &str) -> String {
        if self.quotes { name.to_owned() } else { name.to_lowercase() }
    }

    /// The column that a field is written into.
    pub fn column(&self, field: &str) -> String {
        self.identifier(&self.field_steps.iter().fold(field.to_owned(), |name, step| step.apply(&name)))
    }

    /// Whether a field of a topic is written (`FieldFilterFactory`).
    pub fn writes_field(&self, topic: &str, field: &str) -> bool {
        let FieldList { entries, includes } = &self.fields;
        let is_this = |(of, name): &(Option<String>, String)| name == field && of.as_ref().is_none_or(|of| of == topic);
        entries.is_empty() || entries.iter().any(is_this) == *includes
    }

    /// The name under which the target knows a topic of this connector: `NAME/TOPIC`, for others may read the same topic into it.
    pub fn ledger_name(&self, topic: &str) -> String {
        format!("{}/{topic}", self.name)
    }
}

/// Where values can stand: under the names that Kafka's documentation gives its three providers.
fn providers() -> Result<Providers, String> {
    let class = |name: &str, class: &str| {
        (
            format!("config.providers.{name}.class"),
            format!("org.apache.kafka.common.config.provider.{class}ConfigProvider"),
        )
    };
    let properties = [
        ("config.providers".to_owned(), "env,file,dir,directory".to_owned()),
        class("env", "EnvVar"),
        class("file", "File"),
        class("dir", "Directory"),
        class("directory", "Directory"),
    ];
    Providers::parse(&properties.into_iter().collect()).map_err(|(key, why)| format!("{key}: {why}"))
}

/// A file's properties: JSON as `POST /connectors` or `PUT /connectors/NAME/config` takes it, or a file of properties as a standalone
/// worker does.
fn properties(text: &str) -> Result<BTreeMap<String, String>, String> {
    if !text.trim_start().starts_with('{') {
        return java_properties::parse(text).map_err(|error| error.to_string());
    }
    let json: Value = serde_json::from_str(text)
        .map_err(|error| format!("not JSON (line {}, column {})", error.line(), error.column()))?;
    let (config, name) = match json.get("config") {
        Some(config) => (config, json.get("name")),
        None => (&json, None),
    };
    let config = config.as_object().ok_or("\"config\" is no object")?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let mut properties: BTreeMap<String, String> =
        config.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect();
    if let Some(name) = name.and_then(text) {
        properties.entry("name".to_owned()).or_insert(name);
    }
    Ok(properties)
}

#[cfg(test)]
mod tests;
