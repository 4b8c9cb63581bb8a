//! Connect's own keys in a connector's configuration (`ConnectorConfig`, `SourceConnectorConfig`).

use std::collections::BTreeMap;

use super::check::{Checked, Finding, parse_boolean};
use super::definitions;
use super::plugins::{self, PluginKind};

/// What Connect asks of a value.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Anything.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Int,
    /// A number.
    Long,
    /// A number that is at least 1.
    AtLeastOne,
    /// One of these, exactly.
    OneOf(&'static [&'static str]),
    /// One of these, whatever the case.
    OneOfAnyCase(&'static [&'static str]),
    /// The class of a plugin.
    Class(PluginKind),
}

/// The keys, in the order of Connect's answers.
const KEYS: [(&str, Form); 21] = [
    ("name", Form::Any),
    ("connector.class", Form::Any),
    ("tasks.max", Form::AtLeastOne),
    ("tasks.max.enforce", Form::Boolean),
    ("key.converter", Form::Class(PluginKind::Converter)),
    ("value.converter", Form::Class(PluginKind::Converter)),
    ("header.converter", Form::Class(PluginKind::HeaderConverter)),
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
    ("offsets.storage.topic", Form::Any),
    ("connector.plugin.version", Form::Any),
];

/// Keys that say how a Java worker runs a task, and why they change nothing here.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    ("errors.retry.timeout", "what time may mend is tried again by the task, see errors.max.retries"),
    ("errors.retry.delay.max.ms", "what time may mend is tried again by the task, see errors.max.retries"),
    ("transaction.boundary", "records are not published in transactions"),
    ("transaction.boundary.interval.ms", "records are not published in transactions"),
    ("offsets.storage.topic", "positions are kept in the worker's offset topic"),
];

/// Checks Connect's keys, in its words.
pub(super) fn check(config: &BTreeMap<String, String>, checked: &mut Checked) {
    for (key, form) in KEYS {
        let Some(value) = config.get(key) else { continue };
        checked.findings.extend(wrong(key, value, form));
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == key) {
            checked.warnings.push(format!("{key} has no effect here: {why}"));
        }
        if key == "exactly.once.support" && value.eq_ignore_ascii_case("required") {
            let message = "This worker does not have exactly-once source support enabled.".to_owned();
            checked.findings.push(Finding { key: Some(key.to_owned()), message });
        }
    }
    for side in ["key.converter", "value.converter", "header.converter"] {
        let Some(class) = config.get(side) else { continue };
        for setting in definitions::of_converter(class.trim()) {
            let key = format!("{side}.{}", setting.name);
            let form = match setting.kind() {
                Some("BOOLEAN") => Form::Boolean,
                Some("INT") => Form::Int,
                _ => Form::Any,
            };
            // Connect says the setting's name without what stands in front.
            let value = config.get(&key);
            checked.findings.extend(
                value
                    .into_iter()
                    .flat_map(|value| wrong(&setting.name, value, form))
                    .map(|finding| Finding { key: Some(key.clone()), ..finding }),
            );
        }
    }
}

fn wrong(key: &str, value: &str, form: Form) -> Vec<Finding> {
    let why = |why: &str| vec![Finding::value(key, value, why)];
    let trimmed = value.trim();
    match form {
        Form::Any => Vec::new(),
        Form::Boolean if parse_boolean(value).is_none() => why("Expected value to be either true or false"),
        Form::Int if trimmed.parse::<i32>().is_err() => why("Not a number of type INT"),
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
        Form::Class(kind) if !plugins::of_kind(kind).any(|class| class == trimmed) => {
            let is_known = ["io.debezium.", "org.apache.kafka.", "io.confluent.", "io.apicurio."]
                .iter()
                .any(|vendor| trimmed.starts_with(vendor));
            if is_known {
                why("not supported by this worker")
            } else {
                why(&format!("Class {trimmed} could not be found."))
            }
        }
        _ => Vec::new(),
    }
}

/// Whether a key is Connect's, a setting of a converter that the configuration names, or handed on to the producer.
pub(super) fn is_known(key: &str, config: &BTreeMap<String, String>) -> bool {
    let is_setting = ["key.converter", "value.converter", "header.converter"]
        .iter()
        .any(|side| config.contains_key(*side) && key.strip_prefix(side).is_some_and(|rest| rest.starts_with('.')));
    is_setting
        || KEYS.iter().any(|(known, _)| *known == key)
        || key.starts_with("producer.override.")
        || key.starts_with("topic.creation.")
}
