//! Connect's own keys in a connector's configuration (`ConnectorConfig`, `SourceConnectorConfig`).

use std::collections::BTreeMap;

use super::check::{Checked, Finding, parse_boolean};
use super::worker::{OverridePolicy, WorkerConfig};
use crate::convert::{ConverterConfig, classes};

/// What Connect asks of a value.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Anything.
    Any,
    NotEmpty,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Long,
    /// A number that is at least 1.
    AtLeastOne,
    /// One of these, exactly.
    OneOf(&'static [&'static str]),
    /// One of these, whatever the case.
    OneOfAnyCase(&'static [&'static str]),
    /// A converter's class, which is looked at with its settings.
    Converter,
}

/// The keys, in the order of Connect's answers.
const KEYS: [(&str, Form); 21] = [
    ("name", Form::Any),
    ("connector.class", Form::Any),
    ("tasks.max", Form::AtLeastOne),
    ("tasks.max.enforce", Form::Boolean),
    ("key.converter", Form::Converter),
    ("value.converter", Form::Converter),
    ("header.converter", Form::Converter),
    ("transforms", Form::Any),
    ("predicates", Form::Any),
    ("config.action.reload", Form::OneOf(&["none", "restart"])),
    ("errors.retry.timeout", Form::Long),
    ("errors.retry.delay.max.ms", Form::Long),
    ("errors.tolerance", Form::OneOf(&["none", "all"])),
    ("errors.log.enable", Form::Boolean),
    ("errors.log.include.messages", Form::Boolean),
    ("topic.creation.groups", Form::Any),
    ("exactly.once.support", Form::OneOfAnyCase(&["REQUIRED", "REQUESTED"])),
    ("transaction.boundary", Form::OneOfAnyCase(&["INTERVAL", "POLL", "CONNECTOR"])),
    ("transaction.boundary.interval.ms", Form::Long),
    ("offsets.storage.topic", Form::NotEmpty),
    ("connector.plugin.version", Form::Any),
];

/// Keys that say how a Java worker runs a task, and why they change nothing here.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("errors.retry.timeout", "what time may mend is tried again by the task, see errors.max.retries"),
    ("errors.retry.delay.max.ms", "what time may mend is tried again by the task, see errors.max.retries"),
    ("offsets.storage.topic", "positions are kept in the worker's offset topic"),
];

/// Checks Connect's keys, in its words.
pub(super) fn check(config: &BTreeMap<String, String>, checked: &mut Checked) {
    for (key, form) in KEYS {
        let Some(value) = config.get(key) else { continue };
        match form {
            Form::Converter => checked.findings.extend(ConverterConfig::parse(key, config).err().unwrap_or_default()),
            _ => checked.findings.extend(wrong(key, value, form)),
        }
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == key) {
            checked.warnings.push(format!("{key} has no effect here: {why}"));
        }
    }
    for key in config.keys() {
        let Some((side, setting)) = converter_setting(key) else { continue };
        match config.get(side).map(|class| class.trim()) {
            None => {
                checked.warnings.push(format!("{key} has no effect without {side}: the worker's converter is taken"))
            }
            Some(class) if classes::find(class).is_some_and(|class| !class.has_setting(setting)) => {
                checked.warnings.push(format!("{key} is not known to {class} and has no effect"));
            }
            Some(_) => {}
        }
    }
}

/// The converters that a connector may bring.
const CONVERTERS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// A converter's key and the setting of it that a key is.
fn converter_setting(key: &str) -> Option<(&'static str, &str)> {
    CONVERTERS.into_iter().find_map(|side| Some((side, key.strip_prefix(side)?.strip_prefix('.')?)))
}

/// What the worker's `connector.client.config.override.policy` does not let a connector override.
pub(super) fn check_overrides(config: &BTreeMap<String, String>, worker: &WorkerConfig, checked: &mut Checked) {
    let allowed: &[&str] = match worker.override_policy {
        OverridePolicy::All => return,
        OverridePolicy::None => &[],
        OverridePolicy::Principal => &["security.protocol", "sasl.jaas.config", "sasl.mechanism"],
    };
    let policy = worker.override_policy.as_str();
    for key in config.keys() {
        let names = ["producer.override.", "admin.override."].iter().find_map(|prefix| key.strip_prefix(prefix));
        if let Some(name) = names.filter(|name| !allowed.contains(name)) {
            let message = format!(
                "The '{policy}' policy does not allow '{name}' to be overridden in the connector configuration."
            );
            checked.findings.push(Finding { key: Some(key.clone()), message });
        }
    }
}

fn wrong(key: &str, value: &str, form: Form) -> Vec<Finding> {
    let why = |why: &str| vec![Finding::value(key, value, why)];
    let trimmed = value.trim();
    match form {
        Form::NotEmpty if trimmed.is_empty() => why("String must be non-empty"),
        Form::Boolean if parse_boolean(value).is_none() => why("Expected value to be either true or false"),
        Form::Long if trimmed.parse::<i64>().is_err() => why("Not a number of type LONG"),
        Form::AtLeastOne => match trimmed.parse::<i32>() {
            Ok(1..) => Vec::new(),
            Ok(_) => why("Value must be at least 1"),
            Err(_) => vec![
                Finding::value(key, value, "Not a number of type INT"),
                Finding::value(key, "null", "Value must be non-null"),
            ],
        },
        Form::OneOf(allowed) if !allowed.contains(&value) => {
            why(&format!("String must be one of: {}", allowed.join(", ")))
        }
        Form::OneOfAnyCase(allowed) if !allowed.iter().any(|known| known.eq_ignore_ascii_case(value)) => {
            why(&format!("String must be one of (case insensitive): {}", allowed.join(", ")))
        }
        _ => Vec::new(),
    }
}

/// Whether a key is Connect's, a setting of a converter, or handed on to the producer.
pub(super) fn is_known(key: &str) -> bool {
    converter_setting(key).is_some()
        || KEYS.iter().any(|(known, _)| *known == key)
        || key.starts_with("producer.override.")
        || key.starts_with("admin.override.")
        || key.starts_with("topic.creation.")
}
