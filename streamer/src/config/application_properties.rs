//! Debezium Server's `application.properties`: one connector, its sink and its formats in one file.
//!
//! The keys are put together as `io.debezium.server.DebeziumServer.populateEngineProperties` does it, and become a worker's
//! and a connector's configuration.

use std::collections::BTreeMap;
use std::path::Path;

use access::java_properties;

use super::WorkerConfig;
use super::worker::WorkerConfigError;
use access::java_properties::with_prefix;

/// Debezium Server names its engine after its sink: positions are stored under this name.
const CONNECTOR_NAME: &str = "kafka";

/// The formats and the converters they mean (`io.debezium.embedded.ConverterBuilder`).
const FORMATS: [(&str, &str); 7] = [
    ("json", "org.apache.kafka.connect.json.JsonConverter"),
    ("jsonbytearray", "org.apache.kafka.connect.json.JsonConverter"),
    ("cloudevents", "io.debezium.converters.CloudEventsConverter"),
    ("avro", "io.confluent.connect.avro.AvroConverter"),
    ("protobuf", "io.confluent.connect.protobuf.ProtobufConverter"),
    ("binary", "io.debezium.converters.BinaryDataConverter"),
    ("simplestring", "org.apache.kafka.connect.storage.StringConverter"),
];

/// Keys of `debezium.source.*` that are the worker's here, not the connector's.
const OF_THE_WORKER: [&str; 3] = ["offset.", "schema.history.", "bootstrap.servers"];

/// What a file says.
#[derive(Debug)]
pub struct Application {
    /// The worker.
    pub worker: WorkerConfig,
    /// The connector's name.
    pub name: String,
    /// The connector.
    pub connector: BTreeMap<String, String>,
}

/// Reads a file; variables such as `DEBEZIUM_SOURCE_DATABASE_PASSWORD` stand over what it says.
///
/// # Errors
/// What is missing or not to be had here.
pub fn read(path: &Path, variables: impl Iterator<Item = (String, String)>) -> Result<Application, WorkerConfigError> {
    let file = |why: String| WorkerConfigError::File { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
    let mut properties = java_properties::parse(&text).map_err(|error| file(error.to_string()))?;
    for (variable, value) in variables.filter(|(variable, _)| variable.starts_with("DEBEZIUM_")) {
        properties.insert(variable.to_ascii_lowercase().replace('_', "."), value);
    }
    from_properties(&properties)
}

/// The same from properties.
///
/// # Errors
/// As [`read`].
pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Application, WorkerConfigError> {
    let given = |key: &str| properties.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let refuse = |key: &str, value: &str, why: &'static str| {
        Err(WorkerConfigError::Invalid { property: key.to_owned(), value: value.to_owned(), why })
    };
    match given("debezium.sink.type") {
        Some("kafka") => {}
        other => {
            return refuse("debezium.sink.type", other.unwrap_or_default(), "this streamer publishes to kafka only");
        }
    }
    for key in properties.keys() {
        let is_mapped =
            key.starts_with("debezium.") || ["quarkus.http.port", "quarkus.http.host"].contains(&key.as_str());
        if !is_mapped {
            tracing::info!(property = %key, "not a property of Debezium's; it has no effect here");
        }
    }
    let source = with_prefix(properties, "debezium.source.");
    let producer = with_prefix(properties, "debezium.sink.kafka.producer.");
    match source.get("offset.storage").map_or("", String::as_str).rsplit('.').next() {
        Some("KafkaOffsetBackingStore") => {}
        other => {
            return refuse(
                "debezium.source.offset.storage",
                other.unwrap_or_default(),
                "positions are kept in Kafka: set org.apache.kafka.connect.storage.KafkaOffsetBackingStore and \
                 debezium.source.offset.storage.topic. A file's are in Java's own form, which is not read; with \
                 snapshot.mode=no_data and the slot that is there, the connector goes on where the slot is",
            );
        }
    }

    let mut worker = with_prefix(properties, "debezium.source.");
    worker.retain(|key, _| {
        (key.starts_with("offset.") && key != "offset.storage")
            || key == "bootstrap.servers"
            || access::kafka::concerns(key)
    });
    worker.extend(producer.iter().map(|(key, value)| (format!("producer.{key}"), value.clone())));
    let servers = producer.get("bootstrap.servers").or_else(|| worker.get("bootstrap.servers")).cloned();
    worker.extend(servers.map(|servers| ("bootstrap.servers".to_owned(), servers)));
    if !worker.contains_key("security.protocol") {
        let security = producer.iter().filter(|(key, _)| access::kafka::concerns(key));
        worker.extend(security.map(|(key, value)| (key.clone(), value.clone())));
    }
    let listener = format!(
        "http://{}:{}",
        given("quarkus.http.host").unwrap_or("0.0.0.0"),
        given("quarkus.http.port").unwrap_or("8080")
    );
    // A connector that runs alone has no group, and nobody else asks for its configuration and states.
    for (key, value) in [
        ("group.id", "standalone"),
        ("config.storage.topic", "standalone"),
        ("status.storage.topic", "standalone"),
        ("listeners", &listener),
    ] {
        worker.insert(key.to_owned(), value.to_owned());
    }
    let mut worker = WorkerConfig::from_properties(worker)?;
    worker.is_standalone = true;

    let mut connector = source;
    connector.retain(|key, _| !OF_THE_WORKER.iter().any(|of| key.starts_with(of)));
    for side in ["key", "value", "header"] {
        connector.extend(converter(side, properties)?);
    }
    for family in ["transforms", "predicates"] {
        if let Some(names) = given(&format!("debezium.{family}")) {
            connector.insert(family.to_owned(), names.to_owned());
            let settings = with_prefix(properties, &format!("debezium.{family}."));
            connector.extend(settings.into_iter().map(|(key, value)| (format!("{family}.{key}"), value)));
        }
    }
    connector.insert("name".to_owned(), CONNECTOR_NAME.to_owned());
    Ok(Application { worker, name: CONNECTOR_NAME.to_owned(), connector })
}

/// `debezium.format.*` of one side as a connector's keys: its own settings over those for all sides.
fn converter(side: &str, properties: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, WorkerConfigError> {
    let property = format!("debezium.format.{side}");
    let format = properties.get(&property).map_or("json", |format| format.trim());
    let class = FORMATS.iter().find(|(known, _)| *known == format).map(|(_, class)| *class);
    let class = class.ok_or_else(|| WorkerConfigError::Invalid {
        property,
        value: format.to_owned(),
        why: "json, jsonbytearray, cloudevents, avro, protobuf, binary or simplestring is expected",
    })?;
    let mut settings = with_prefix(properties, "debezium.format.");
    settings
        .retain(|key, _| !["key", "value", "header"].iter().any(|of| key == of || key.starts_with(&format!("{of}."))));
    settings.extend(with_prefix(properties, &format!("debezium.format.{side}.")));
    let class = settings.remove("class").unwrap_or_else(|| class.to_owned());
    let mut connector: BTreeMap<String, String> =
        settings.into_iter().map(|(key, value)| (format!("{side}.converter.{key}"), value)).collect();
    connector.insert(format!("{side}.converter"), class);
    Ok(connector)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        debezium.sink.type=kafka
        debezium.sink.kafka.producer.bootstrap.servers=kafka:9092
        debezium.sink.kafka.producer.linger.ms=1
        debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector
        debezium.source.offset.storage=org.apache.kafka.connect.storage.KafkaOffsetBackingStore
        debezium.source.offset.storage.topic=offsets
        debezium.source.offset.storage.partitions=1
        debezium.source.offset.flush.interval.ms=0
        debezium.source.database.hostname=db
        debezium.source.topic.prefix=p
        debezium.format.schemas.enable=false
        debezium.format.key.schemas.enable=true
        debezium.format.value=avro
        debezium.transforms=a
        debezium.transforms.a.type=T
        quarkus.log.level=INFO
        quarkus.http.port=8090
        ";

    fn parse(more: &str) -> Result<Application, WorkerConfigError> {
        from_properties(&java_properties::parse(&format!("{FILE}\n{more}")).unwrap())
    }

    #[test]
    fn a_file_becomes_a_worker_and_its_connector() {
        let Application { worker, name, connector } = parse("").unwrap();
        assert_eq!(
            (name.as_str(), worker.bootstrap_servers(), worker.advertised.address.port()),
            ("kafka", "kafka:9092", 8090)
        );
        assert_eq!((worker.offset_topic.name.as_str(), worker.offset_topic.partitions), ("offsets", 1));
        assert_eq!(worker.producer_properties["linger.ms"], "1");
        let expected = [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("database.hostname", "db"),
            ("header.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("header.converter.schemas.enable", "false"),
            ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("key.converter.schemas.enable", "true"),
            ("name", "kafka"),
            ("topic.prefix", "p"),
            ("transforms", "a"),
            ("transforms.a.type", "T"),
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("value.converter.schemas.enable", "false"),
        ];
        let expected = expected.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        assert_eq!(connector, expected);
    }

    #[test]
    fn another_sink_and_positions_in_a_file_are_refused_with_their_reason() {
        for (line, named) in [
            ("debezium.sink.type=redis", "debezium.sink.type=redis"),
            (
                "debezium.source.offset.storage=org.apache.kafka.connect.storage.FileOffsetBackingStore",
                "KafkaOffsetBackingStore",
            ),
            ("debezium.format.key=xml", "debezium.format.key=xml"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
