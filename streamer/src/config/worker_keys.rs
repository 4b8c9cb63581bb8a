//! The worker's properties by name: the variables that set them, what must be there, what is known, what is refused.

use std::collections::BTreeMap;

use super::worker::WorkerConfigError;
use crate::convert::ConverterConfig;

/// The variables of Debezium's connect image and the properties they set.
const IMAGE_VARIABLES: [(&str, &str); 14] = [
    ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
    ("GROUP_ID", "group.id"),
    ("CONFIG_STORAGE_TOPIC", "config.storage.topic"),
    ("OFFSET_STORAGE_TOPIC", "offset.storage.topic"),
    ("STATUS_STORAGE_TOPIC", "status.storage.topic"),
    ("KEY_CONVERTER", "key.converter"),
    ("VALUE_CONVERTER", "value.converter"),
    ("OFFSET_FLUSH_INTERVAL_MS", "offset.flush.interval.ms"),
    ("OFFSET_FLUSH_TIMEOUT_MS", "offset.flush.timeout.ms"),
    ("SHUTDOWN_TIMEOUT", "task.shutdown.graceful.timeout.ms"),
    ("REST_HOST_NAME", "rest.host.name"),
    ("REST_PORT", "rest.port"),
    ("ADVERTISED_HOST_NAME", "rest.advertised.host.name"),
    ("ADVERTISED_PORT", "rest.advertised.port"),
];

/// What every worker must be told.
pub(super) const REQUIRED: [(&str, &str); 5] = [
    ("bootstrap.servers", "BOOTSTRAP_SERVERS"),
    ("group.id", "GROUP_ID"),
    ("config.storage.topic", "CONFIG_STORAGE_TOPIC"),
    ("offset.storage.topic", "OFFSET_STORAGE_TOPIC"),
    ("status.storage.topic", "STATUS_STORAGE_TOPIC"),
];

/// Worker properties that are understood, or that say how the Java worker runs and mean nothing here: each with its default and
/// what it does.
#[rustfmt::skip]
const KNOWN: [(&str, &str, &str); 40] = [
    ("bootstrap.servers", "-", "where Kafka is; required"),
    ("group.id", "-", "the worker's group, which says who is active; required, `1` where the environment configures the worker, as in the image"),
    ("config.storage.topic", "-", "where connectors and their target states are kept; required. It has one partition"),
    ("config.storage.replication.factor", "the brokers'", "of the topic, where it is made here"),
    ("offset.storage.topic", "-", "where positions are kept; required"),
    ("offset.storage.replication.factor", "the brokers'", "of the topic, where it is made here"),
    ("offset.storage.partitions", "25", "of the topic, where it is made here"),
    ("status.storage.topic", "-", "where states are kept; required"),
    ("status.storage.replication.factor", "the brokers'", "of the topic, where it is made here"),
    ("status.storage.partitions", "5", "of the topic, where it is made here"),
    ("key.converter", "JSON", "of connectors that name none; its settings behind it, `key.converter.…`"),
    ("value.converter", "JSON", "the same for values"),
    ("header.converter", "`SimpleHeaderConverter`", "the same for headers"),
    ("listeners", "-", "`http://HOST:PORT` and `https://HOST:PORT`, by comma: where the REST API is; docs/security.md"),
    ("rest.host.name", "every address", "the older form of `listeners`, with the next"),
    ("rest.port", "8083", "with it; every listener has one of its own"),
    ("rest.advertised.host.name", "the listener's", "what other workers of the group reach this one by; its name in states"),
    ("rest.advertised.port", "the listener's", "the same"),
    ("rest.advertised.listener", "http", "the protocol of the listener that others use"),
    ("rest.extension.classes", "-", "Connect's basic authentication; any other class is refused; docs/security.md"),
    ("offset.flush.interval.ms", "1000", "how often a position is stored, behind which the slot is confirmed; a minute in Connect"),
    ("offset.flush.timeout.ms", "-", "no effect: storing a position is tried again"),
    ("task.shutdown.graceful.timeout.ms", "-", "no effect"),
    ("plugin.path", "-", "no effect: the plugins are part of the program"),
    ("plugin.discovery", "-", "no effect"),
    ("client.id", "-", "no effect"),
    ("connector.client.config.override.policy", "All", "All, None, Principal: what connectors may override of the worker's clients"),
    ("exactly.once.source.support", "disabled", "disabled, preparing (as disabled), enabled: records and positions in transactions of Kafka's"),
    ("topic.creation.enable", "true", "whether connectors may say how topics are made (`topic.creation.*`)"),
    ("topic.tracking.enable", "true", "whether the topics that a connector publishes to are kept"),
    ("topic.tracking.allow.reset", "true", "whether they may be forgotten over REST"),
    ("session.timeout.ms", "10000", "how long an active worker may be silent before another takes over"),
    ("heartbeat.interval.ms", "3000", "how often it says in the group that it is there"),
    ("rebalance.timeout.ms", "-", "no effect"),
    ("request.timeout.ms", "-", "no effect; `producer.request.timeout.ms` has one"),
    ("metadata.max.age.ms", "-", "no effect"),
    ("internal.key.converter", "-", "no effect"),
    ("internal.value.converter", "-", "no effect"),
    ("scheduled.rebalance.max.delay.ms", "-", "no effect: connectors are not shared out"),
    ("connect.protocol", "-", "no effect"),
];

/// Families of worker properties, and what they are handed on to.
const FAMILIES: [(&str, &str); 11] = [
    ("key.converter.", "settings of the converter"),
    ("value.converter.", "settings of the converter"),
    ("header.converter.", "settings of the converter"),
    ("producer.", "the producer of every connector, by Java's names; docs/compatibility.md"),
    ("admin.", "the client that makes topics"),
    ("consumer.", "no effect: the connector reads no topics"),
    ("config.providers", "values that stand elsewhere: EnvVar-, File- and DirectoryConfigProvider"),
    ("listeners.https.", "TLS of the REST API; docs/security.md"),
    ("security.protocol", "how Kafka is entered; docs/security.md"),
    ("ssl.", "the same, and the REST API's TLS where `listeners.https.` says nothing"),
    ("sasl.", "the same"),
];

/// The properties that the image's variables set: the named ones, and every `CONNECT_A_B` as `a.b`.
pub fn from_variables(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    // The image's own default.
    let mut properties = BTreeMap::from([("group.id".to_owned(), "1".to_owned())]);
    let mut named = BTreeMap::new();
    for (variable, value) in variables {
        if let Some((_, property)) = IMAGE_VARIABLES.iter().find(|(name, _)| *name == variable) {
            named.insert((*property).to_owned(), value);
        } else if let Some(rest) = variable.strip_prefix("CONNECT_") {
            properties.insert(rest.to_ascii_lowercase().replace('_', "."), value);
        }
    }
    properties.extend(named);
    properties
}

/// Says which properties nobody will read.
pub(super) fn warn_of_unknown(properties: &BTreeMap<String, String>) {
    for key in properties.keys() {
        let is_handed_on = FAMILIES.iter().any(|(family, _)| key.starts_with(family));
        let is_known = KNOWN.iter().any(|(name, ..)| key == name) || access::kafka::concerns(key);
        if !is_known && !is_handed_on {
            tracing::warn!(property = %key, "worker property is not known and has no effect");
        }
    }
}

/// What would change what is published, and is not there yet.
///
/// # Errors
/// The property and why.
pub(super) fn refuse_what_is_not_supported(properties: &BTreeMap<String, String>) -> Result<(), WorkerConfigError> {
    for key in properties.keys() {
        if matches!(key.as_str(), "key.converter" | "value.converter" | "header.converter") {
            refuse_converter(key, properties)?;
        }
    }
    Ok(())
}

/// A converter that connectors would be given and that there is not.
fn refuse_converter(key: &str, properties: &BTreeMap<String, String>) -> Result<(), WorkerConfigError> {
    match ConverterConfig::parse(key, properties).map_err(|findings| findings.into_iter().next()) {
        Err(Some(finding)) => Err(WorkerConfigError::Converter(finding.message)),
        _ => Ok(()),
    }
}

/// The part of docs/options.md about the worker.
#[cfg(test)]
pub(super) fn document() -> String {
    let mut text = "| property | variable of the image | default | what it does |\n|---|---|---|---|\n".to_owned();
    for (name, default, what) in KNOWN {
        let variable = IMAGE_VARIABLES.iter().find(|(_, property)| *property == name);
        let variable = variable.map_or_else(
            || format!("CONNECT_{}", name.to_ascii_uppercase().replace('.', "_")),
            |(name, _)| (*name).to_owned(),
        );
        text += &format!("| `{name}` | `{variable}` | {default} | {what} |\n");
    }
    text += "\n| family | what it is |\n|---|---|\n";
    for (family, what) in FAMILIES {
        let family = if family.ends_with('.') { format!("{family}*") } else { family.to_owned() };
        text += &format!("| `{family}` | {what} |\n");
    }
    text
}
