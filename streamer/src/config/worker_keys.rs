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

/// Worker properties that are understood, or that say how the Java worker runs and mean nothing here.
const KNOWN: [&str; 40] = [
    "bootstrap.servers",
    "group.id",
    "config.storage.topic",
    "config.storage.replication.factor",
    "offset.storage.topic",
    "offset.storage.replication.factor",
    "offset.storage.partitions",
    "status.storage.topic",
    "status.storage.replication.factor",
    "status.storage.partitions",
    "key.converter",
    "value.converter",
    "header.converter",
    "listeners",
    "rest.host.name",
    "rest.port",
    "rest.advertised.host.name",
    "rest.advertised.port",
    "rest.advertised.listener",
    "rest.extension.classes",
    "offset.flush.interval.ms",
    "offset.flush.timeout.ms",
    "task.shutdown.graceful.timeout.ms",
    "plugin.path",
    "plugin.discovery",
    "client.id",
    "connector.client.config.override.policy",
    "exactly.once.source.support",
    "topic.creation.enable",
    "topic.tracking.enable",
    "topic.tracking.allow.reset",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "rebalance.timeout.ms",
    "request.timeout.ms",
    "metadata.max.age.ms",
    "internal.key.converter",
    "internal.value.converter",
    "scheduled.rebalance.max.delay.ms",
    "connect.protocol",
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
        let is_converter = ["key", "value", "header"].iter().any(|side| key.starts_with(&format!("{side}.converter.")));
        let is_handed_on = ["producer.", "admin.", "consumer.", "config.providers", "listeners.https."]
            .iter()
            .any(|of| key.starts_with(of));
        let is_known = KNOWN.contains(&key.as_str()) || access::kafka::concerns(key);
        if !is_known && !is_converter && !is_handed_on {
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
