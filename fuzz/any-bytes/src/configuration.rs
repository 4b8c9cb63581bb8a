//! Connectors and workers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use access::config_providers::Providers;
use access::java_properties;
use streamer::config::{ConnectorConfig, WorkerConfig, application_properties};
use streamer::transform::java_date::DatePattern;
use streamer::transform::java_regex::{Pattern, Replacement};
use streamer::transform::plan::Plan;

/// What a worker must have. It listens at a number: a name would be looked up in the network.
const WORKER: [(&str, &str); 6] = [
    ("bootstrap.servers", "kafka:9092"),
    ("group.id", "1"),
    ("config.storage.topic", "configs"),
    ("offset.storage.topic", "offsets"),
    ("status.storage.topic", "statuses"),
    ("listeners", "http://127.0.0.1:8083"),
];

/// What a connector must have: with less, the first findings would be the only ones.
const CONNECTOR: [(&str, &str); 8] = [
    ("name", "c"),
    ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
    ("topic.prefix", "p"),
    ("database.hostname", "db"),
    ("database.user", "u"),
    ("database.password", "p"),
    ("database.dbname", "d"),
    ("plugin.name", "pgoutput"),
];

fn owned(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

static DEFAULT_WORKER: LazyLock<Option<WorkerConfig>> =
    LazyLock::new(|| WorkerConfig::from_properties(owned(&WORKER)).ok());

/// A connector's configuration: a JSON object as the REST API takes it, else lines of properties.
pub fn connector_config(data: &[u8]) {
    let (Ok(text), Some(worker)) = (std::str::from_utf8(data), DEFAULT_WORKER.as_ref()) else { return };
    let given = match serde_json::from_str::<BTreeMap<String, String>>(text) {
        Ok(given) => given,
        Err(_) => java_properties::parse(text).unwrap_or_default(),
    };
    let mut config = owned(&CONNECTOR);
    config.extend(given);
    if ConnectorConfig::parse(&config, worker).is_ok() {
        let _chain = Plan::parse(&config).chain();
    }
}

/// A worker's file, and the same as Debezium Server's. References are not looked up: they would read this machine's files.
pub fn worker_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(given) = java_properties::parse(text) else { return };
    let _providers = Providers::parse(&given);
    let is_of_this_machine =
        |key: &str| ["config.providers", "host", "listeners", "location"].iter().any(|part| key.contains(part));
    let given =
        || given.iter().filter(|(key, _)| !is_of_this_machine(key)).map(|(key, value)| (key.clone(), value.clone()));

    let mut worker = owned(&WORKER);
    worker.extend(given());
    let _worker = WorkerConfig::from_properties(worker);
    let mut server = owned(&[
        ("debezium.sink.type", "kafka"),
        ("debezium.sink.kafka.producer.bootstrap.servers", "kafka:9092"),
        ("debezium.source.offset.storage", "org.apache.kafka.connect.storage.KafkaOffsetBackingStore"),
        ("debezium.source.offset.storage.topic", "offsets"),
        ("quarkus.http.host", "127.0.0.1"),
    ]);
    server.extend(given());
    let _application = application_properties::from_properties(&server);
}

/// A `.properties` file.
pub fn properties(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _properties = java_properties::parse(text);
    }
}

/// A pattern of a transform, and what it is used on: a regular expression with its replacement, and a date's pattern.
pub fn java_pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (pattern, replacement, text) = (line(), line(), line());
    if let (Ok(pattern), Ok(replacement)) = (Pattern::new(pattern), Replacement::new(replacement)) {
        let _replaced = pattern.replace_first(text, &replacement);
        let _matches = pattern.matches(text);
    }
    if let Ok(dates) = DatePattern::new(pattern)
        && let Some(milliseconds) = dates.parse(text)
    {
        let _printed = dates.format(milliseconds);
    }
}
