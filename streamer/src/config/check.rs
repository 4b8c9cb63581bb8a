//! What is wrong with a connector's configuration, all findings at once.

use std::collections::BTreeMap;

use super::connect_keys;
use super::connector::{Keys, LIBPQ, NON_VALIDATING};
use super::driver;
use super::properties::{self, DECLARED, HIDDEN, Kind, OURS, Property, Support};
use crate::transform::plan;

/// One thing wrong with a configuration: the key it belongs to (none for the configuration as a whole) and the sentence
/// that Connect's answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The configuration key, or `None` where no single key is to blame.
    pub key: Option<String>,
    /// What is wrong, in the words that go into the answer.
    pub message: String,
}

impl Finding {
    /// In Debezium's form: `The 'key' value is invalid: …`.
    pub fn invalid(key: &str, why: impl std::fmt::Display) -> Self {
        Self { key: Some(key.to_owned()), message: format!("The '{key}' value is invalid: {why}") }
    }

    /// In Kafka's form: `Invalid value … for configuration …: …`.
    pub fn value(key: &str, value: &str, why: &str) -> Self {
        Self { key: Some(key.to_owned()), message: format!("Invalid value {value} for configuration {key}: {why}") }
    }

    pub(super) fn unsupported(key: &str, why: &str) -> Self {
        Self::invalid(key, format_args!("not supported by this worker ({why})"))
    }
}

/// What the checks found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What makes the configuration unusable.
    pub findings: Vec<Finding>,
    /// What a person should know: unknown keys, settings without effect.
    pub warnings: Vec<String>,
}

/// Aliases of values that older Debezium versions took.
pub const SNAPSHOT_MODE_ALIASES: [(&str, &str); 3] =
    [("never", "no_data"), ("schema_only", "no_data"), ("exported", "initial")];

/// Checks every key by itself, then those that go together.
pub fn check(config: &BTreeMap<String, String>) -> Checked {
    let config = &*driver::folded(config);
    let mut checked = Checked::default();
    connect_keys::check(config, &mut checked);
    let (findings, warnings) = plan::check(config);
    checked.findings.extend(findings);
    checked.warnings.extend(warnings);
    for property in DECLARED {
        declared(config, property, &mut checked);
    }
    // What the connector does not declare, nobody checks in Debezium: an empty value is none.
    let is_given = |property: &&Property| config.get(property.name).is_some_and(|value| !value.trim().is_empty());
    for property in HIDDEN.iter().chain(OURS).filter(is_given) {
        declared(config, property, &mut checked);
    }
    checked.findings.extend(super::columns::rules(config).err().unwrap_or_default());
    super::slots::check(&Keys { config }, &mut checked);
    for (key, value) in config {
        if driver::is_key(key) {
            driver::check(key, value, &mut checked);
        } else {
            unknown(key, config, &mut checked);
        }
    }
    checked
}

fn declared(config: &BTreeMap<String, String>, property: &Property, checked: &mut Checked) {
    let key = property.name;
    let given = config.get(key).map(|value| value.trim());
    if property.required && given.is_none_or(str::is_empty) {
        checked.findings.push(Finding::invalid(key, "A value is required"));
    }
    let Some(value) = given else { return };
    let wrong = mistyped(property, value);
    if !wrong.is_empty() {
        checked.findings.extend(wrong.into_iter().map(|why| Finding::invalid(key, why)));
        return;
    }
    let value = aliased(key, value, checked);
    if !property.allowed.is_empty() && !property.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)) {
        checked
            .findings
            .push(Finding::invalid(key, format_args!("Value must be one of {}", property.allowed.join(", "))));
        return;
    }
    if value.is_empty() && matches!(key, "message.key.columns" | "replica.identity.autoset.values") {
        checked.findings.push(Finding::invalid(key, "Must not be empty"));
    }
    if let Some(why) = invalid(key, value, config) {
        checked.findings.push(Finding::invalid(key, why));
        return;
    }
    if value.is_empty() {
        return;
    }
    let is_default = property.default.is_some_and(|default| default.eq_ignore_ascii_case(value));
    match property.support {
        Support::OnlyDefault(why) if !is_default => checked.findings.push(Finding::unsupported(key, why)),
        Support::Tuning(why) if !is_default => checked.warnings.push(format!("{key} has no effect here: {why}")),
        _ => {}
    }
    if key == "database.sslfactory" && value == NON_VALIDATING {
        checked
            .warnings
            .push(format!("{key}: the server's certificate is not verified, whatever database.sslmode says"));
    }
    if key == "slot.stream.params" {
        checked.warnings.extend(super::stream_params::passed_over(value));
    }
}

/// What a property asks of its value beyond its type. Debezium checks both, and says both.
#[derive(Debug, Clone, Copy)]
enum Also {
    Boolean,
    Integer,
    NonNegativeInteger,
    PositiveInteger,
    NonNegativeLong,
    PositiveLong,
}

/// As Debezium's fields are validated (`Field.withValidation`).
const ALSO: &[(Also, &[&str])] = &[
    (
        Also::Boolean,
        &[
            "database.tcpKeepAlive",
            "flush.lsn.source",
            "extended.headers.enabled",
            "publish.via.partition.root",
            "tombstones.on.delete",
            "table.ignore.builtin",
            "include.schema.comments",
        ],
    ),
    (Also::Integer, &["database.port", "errors.max.retries", "slot.max.retries", "slot.retry.delay.ms"]),
    (
        Also::NonNegativeInteger,
        &[
            "snapshot.fetch.size",
            "query.fetch.size",
            "guardrail.collections.max",
            "incremental.snapshot.chunk.size",
            "heartbeat.interval.ms",
        ],
    ),
    (
        Also::PositiveInteger,
        &[
            "status.update.interval.ms",
            "max.batch.size",
            "snapshot.max.threads",
            "lsn.flush.timeout.ms",
            "poll.interval.ms",
            "signal.poll.interval.ms",
        ],
    ),
    (
        Also::NonNegativeLong,
        &["xmin.fetch.interval.ms", "max.queue.size.in.bytes", "snapshot.delay.ms", "streaming.delay.ms"],
    ),
    (
        Also::PositiveLong,
        &["retriable.restart.connector.wait.ms", "connection.validation.timeout.ms", "executor.shutdown.timeout.ms"],
    ),
];

/// Everything that is wrong with a value's type, in Debezium's words.
fn mistyped(property: &Property, value: &str) -> Vec<&'static str> {
    const BOOLEAN: &str = "Either 'true' or 'false' is expected";
    const INTEGER: &str = "An integer is expected";
    let (int, long) = (value.parse::<i32>().ok(), value.parse::<i64>().ok());
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, why: &'static str| {
        if !holds {
            wrong.push(why);
        }
    };
    match property.kind {
        Kind::Boolean => expect(parse_boolean(value).is_some(), BOOLEAN),
        Kind::Int => expect(int.is_some(), INTEGER),
        Kind::Long => expect(long.is_some(), "A long value is expected"),
        Kind::String | Kind::List | Kind::Class | Kind::Password => {}
    }
    for (also, _) in ALSO.iter().filter(|(_, names)| names.contains(&property.name)) {
        match also {
            Also::Boolean => expect(parse_boolean(value).is_some(), BOOLEAN),
            Also::Integer => expect(int.is_some(), INTEGER),
            Also::NonNegativeInteger => expect(int.is_some_and(|int| int >= 0), "An non-negative integer is expected"),
            Also::PositiveInteger => {
                expect(int.is_some_and(|int| int > 0), "A positive, non-zero integer value is expected");
            }
            Also::NonNegativeLong => {
                expect(long.is_some_and(|long| long >= 0), "A non-negative long value is expected");
            }
            Also::PositiveLong => {
                expect(long.is_some_and(|long| long > 0), "A positive, non-zero long value is expected");
            }
        }
    }
    wrong
}

fn aliased<'a>(key: &str, value: &'a str, checked: &mut Checked) -> &'a str {
    if key == "snapshot.mode"
        && let Some((alias, meant)) = SNAPSHOT_MODE_ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(value))
    {
        checked.warnings.push(format!("snapshot.mode={alias} is taken as {meant}; Debezium 3.4 refuses it"));
        return meant;
    }
    value
}

/// What a key asks of its value beyond type and list.
fn invalid(key: &str, value: &str, config: &BTreeMap<String, String>) -> Option<String> {
    let given = |key: &str| config.get(key).is_some_and(|value| !value.trim().is_empty());
    match key {
        "topic.naming.strategy" | "transaction.metadata.factory" | "sourceinfo.struct.maker" if value.is_empty() => {
            Some("A Java class name is expected".to_owned())
        }
        "custom.metric.tags" if value.is_empty() => None,
        "topic.prefix" => invalid_topic_name(value),
        "slot.name" => {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            (value.is_empty() || value.len() > 63 || !value.bytes().all(allowed)).then(|| {
                "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63"
                    .to_owned()
            })
        }
        "database.sslfactory" => (!matches!(value, NON_VALIDATING | LIBPQ)).then(|| {
            "not supported by this worker (it names a Java class: database.sslmode says what is verified)".to_owned()
        }),
        "slot.stream.params" => super::stream_params::invalid(value),
        "headwater.slots" => super::slots::invalid(value),
        "custom.metric.tags" => super::metric_tags::invalid(value),
        "post.processors" => super::post_processors::invalid(value, config),
        "plugin.name" => (!value.eq_ignore_ascii_case("pgoutput"))
            .then(|| "not supported by this worker (only pgoutput is: it is part of every PostgreSQL)".to_owned()),
        "snapshot.mode" | "snapshot.locking.mode" if value.eq_ignore_ascii_case("custom") => {
            Some("not supported by this worker (custom is a Java class)".to_owned())
        }
        "signal.enabled.channels" | "notification.enabled.channels" => super::signals::invalid(key, value, &given),
        "table.exclude.list" | "schema.exclude.list" | "column.exclude.list" | "message.prefix.exclude.list" => {
            let include = key.replace("exclude", "include");
            if given(&include) {
                // Debezium calls the list of prefixes by a name that it does not have.
                let include = include.replace("message.prefix", "logical_decoding_message.prefix");
                return Some(format!("\"{include}\" is already specified"));
            }
            super::filters::patterns(value).err()
        }
        "table.include.list"
        | "schema.include.list"
        | "column.include.list"
        | "message.prefix.include.list"
        | "snapshot.include.collection.list" => super::filters::patterns(value).err(),
        "replica.identity.autoset.values" => super::replication::invalid_identities(value),
        "offset.mismatch.strategy" => super::replication::invalid_mismatch_strategy(value),
        "message.key.columns" => super::topics::invalid_key_columns(value),
        "topic.naming.strategy" => super::topics::unknown_strategy(value),
        "topic.delimiter" | "topic.heartbeat.prefix" | "topic.transaction" => invalid_topic_name(value),
        "skipped.operations" => value
            .split(',')
            .map(str::trim)
            .find(|operation| !matches!(*operation, "c" | "u" | "d" | "t" | "none"))
            .map(|_| "Invalid operation".to_owned()),
        // Debezium takes any number; what it would mean here, nobody could tell.
        "slot.max.retries" | "slot.retry.delay.ms" => {
            value.starts_with('-').then(|| "A non-negative integer is expected".to_owned())
        }
        _ => None,
    }
}

/// What is wrong with a topic's name or a part of one (`CommonConnectorConfig.validateTopicName`).
fn invalid_topic_name(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (value.is_empty() || !value.bytes().all(allowed)).then(|| {
        format!("{value} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)")
    })
}

fn unknown(key: &str, config: &BTreeMap<String, String>, checked: &mut Checked) {
    if connect_keys::is_known(key)
        || properties::find(key).is_some()
        || plan::is_of_transforms(key)
        || super::snapshot::is_select(key)
        || super::signals::is_channel_key(key)
        || super::post_processors::is_option(key, config)
        || ["column.mask.", "column.truncate."].iter().any(|family| key.starts_with(family))
    {
        return;
    }
    checked.warnings.push(format!("{key} is not known and has no effect"));
}

/// `true` or `false`, whatever the case, as Kafka reads it.
pub fn parse_boolean(value: &str) -> Option<bool> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Some(true),
        value if value.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
