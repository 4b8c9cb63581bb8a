//! A connector's configuration in types.

use std::collections::BTreeMap;
use std::time::Duration;

use access::SslMode;
use access::java_properties::with_prefix;
use proto::connect::avro_names::NameAdjustment;
use proto::connect::json::JsonConverter;
use proto::types::{ColumnRules, Placeholder, ValueModes};

use super::check::{self, parse_boolean};
use super::connect_keys;
use super::driver::{self, Driver};
use super::event_failures::EventFailures;
use super::exactly_once::{self, ExactlyOnce};
use super::filters::{self, Filters, List};
use super::post_processors::{self, Reselect};
use super::replication::Replication;
use super::signals::{Notifications, Signals};
use super::snapshot::Snapshot;
use super::stream_params::StreamParams;
use super::topic_creation::TopicCreation;
use super::topics::TopicNaming;
use super::{Finding, Secret, Share, WorkerConfig, columns, metric_tags, properties, slots, values};
use crate::convert::ConverterConfig;
use crate::error::TaskError;
use crate::transform::{Chain, Plan};

/// The connector's class: Debezium's name, by which its users know it.
pub const CONNECTOR_CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// The Debezium version whose records these are.
pub const DEBEZIUM_VERSION: &str = "3.4.3.Final";

/// The JDBC driver's class that takes any certificate of the server's.
pub(super) const NON_VALIDATING: &str = "org.postgresql.ssl.NonValidatingFactory";
/// The class that does what `database.sslmode` says; it is the JDBC driver's default.
pub(super) const LIBPQ: &str = "org.postgresql.ssl.LibPQFactory";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    /// `name`.
    pub name: String,
    /// How to reach PostgreSQL.
    pub connection: Connection,
    /// The replication slot.
    pub slot: Slot,
    /// The publication.
    pub publication: Publication,
    /// `headwater.slots`, a key of our own: how many slots there are to be.
    pub slots: u32,
    /// Which of several slots this is of; `None` with one.
    pub share: Option<Share>,
    /// `topic.prefix`.
    pub topic_prefix: String,
    /// Which tables and columns are captured.
    pub filters: Filters,
    /// Which logical decoding messages are captured, by their prefixes.
    pub message_prefixes: List,
    /// `provide.transaction.metadata`.
    pub transaction_metadata: bool,
    /// Which topics the records go to.
    pub topics: TopicNaming,
    /// What is read before streaming.
    pub snapshot: Snapshot,
    /// How a running connector is told what to do.
    pub signals: Signals,
    /// `post.processors`.
    pub post_processors: Vec<Reselect>,
    /// Where the connector tells of its snapshots.
    pub notifications: Notifications,
    /// How the slot and its tables are dealt with.
    pub replication: Replication,
    /// `skipped.operations`.
    pub skipped: SkippedOperations,
    /// `event.processing.failure.handling.mode`.
    pub event_failures: EventFailures,
    /// `skip.messages.without.change`.
    pub skip_unchanged: bool,
    /// `tombstones.on.delete`.
    pub tombstones_on_delete: bool,
    /// Signs of life.
    pub heartbeat: Heartbeat,
    /// `key.converter` and its settings, the worker's unless given.
    pub key_converter: ConverterConfig,
    /// `value.converter` and its settings, the worker's unless given.
    pub value_converter: ConverterConfig,
    /// `header.converter` and its settings, the worker's unless given.
    pub header_converter: ConverterConfig,
    /// `transforms` and `predicates`.
    pub transforms: Plan,
    /// How values are represented.
    pub modes: ValueModes,
    /// What is done to single columns.
    pub column_rules: ColumnRules,
    /// `schema.name.adjustment.mode`.
    pub schema_names: NameAdjustment,
    /// `field.name.adjustment.mode`.
    pub field_names: NameAdjustment,
    /// `unavailable.value.placeholder`.
    pub placeholder: Placeholder,
    /// `extended.headers.enabled`.
    pub extended_headers: bool,
    /// `source.version`, a key of our own: the version that the records name.
    pub source_version: String,
    /// `custom.metric.tags`.
    pub metric_tags: Vec<(String, String)>,
    /// `status.update.interval.ms`.
    pub status_update_interval: Duration,
    /// What happens when the world is away.
    pub retry: Retry,
    /// `max.queue.size`, which nothing but a metric knows.
    pub max_queue_size: u64,
    /// `max.queue.size.in.bytes`, 0 for the producer's own bound.
    pub max_queue_size_in_bytes: u64,
    /// `topic.creation.*`: whether and how topics are created; what is wrong with it is the task's failure, as in Connect.
    pub topic_creation: Result<Option<TopicCreation>, String>,
    /// Whether `errors.tolerance` lets a record pass that a transform or a converter fails on.
    pub tolerates_errors: bool,
    /// `errors.log.enable`.
    pub logs_errors: bool,
    /// Whether and how it publishes in transactions.
    pub exactly_once: Option<ExactlyOnce>,
    /// `admin.override.*`, without the prefix.
    pub admin_overrides: BTreeMap<String, String>,
    /// `producer.override.*`, without the prefix.
    pub producer_overrides: BTreeMap<String, String>,
}

/// How to reach PostgreSQL (`database.*`).
#[derive(Debug, Clone)]
pub struct Connection {
    /// `database.hostname`.
    pub hostname: String,
    /// `database.port`.
    pub port: u16,
    /// `database.user`.
    pub user: String,
    /// `database.password`.
    pub password: Option<Secret>,
    /// `database.dbname`.
    pub dbname: String,
    /// `database.sslmode`.
    pub sslmode: SslMode,
    /// `database.sslrootcert`: a PEM file.
    pub sslrootcert: Option<String>,
    /// `database.sslcert`: a PEM file.
    pub sslcert: Option<String>,
    /// `database.sslkey`: a file, PEM or PKCS #8 in DER.
    pub sslkey: Option<String>,
    /// `database.sslpassword`: the key's password.
    pub sslpassword: Option<Secret>,
    /// `database.tcpKeepAlive`.
    pub tcp_keep_alive: bool,
    /// `database.initial.statements`.
    pub initial_statements: Vec<String>,
    /// `driver.*`.
    pub driver: Driver,
    /// `database.query.timeout.ms`: how long a query may take that is not a snapshot's, `None` for 0.
    pub query_timeout: Option<Duration>,
}

/// The replication slot (`slot.*`).
#[derive(Debug, Clone)]
pub struct Slot {
    /// `slot.name`.
    pub name: String,
    /// `slot.drop.on.stop`.
    pub drop_on_stop: bool,
    /// `slot.failover`.
    pub failover: bool,
    /// `slot.stream.params`.
    pub stream: StreamParams,
    /// `slot.max.retries`.
    pub max_retries: u32,
    /// `slot.retry.delay.ms`.
    pub retry_delay: Duration,
}

/// The publication (`publication.*`).
#[derive(Debug, Clone)]
pub struct Publication {
    /// `publication.name`.
    pub name: String,
    /// `publication.autocreate.mode`.
    pub autocreate: Autocreate,
    /// `publish.via.partition.root`.
    pub via_partition_root: bool,
}

/// `publication.autocreate.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autocreate {
    /// For all tables, if it is not there.
    AllTables,
    /// Never: it must be there.
    Disabled,
    /// For the captured tables, and kept to them.
    Filtered,
    /// Empty, if it is not there.
    NoTables,
}

/// `skipped.operations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedOperations {
    /// `c`.
    pub create: bool,
    /// `u`.
    pub update: bool,
    /// `d`.
    pub delete: bool,
    /// `t`, which Debezium skips unless told otherwise.
    pub truncate: bool,
}

/// Signs of life (`heartbeat.*`).
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// `heartbeat.interval.ms`, `None` for 0.
    pub interval: Option<Duration>,
    /// `heartbeat.action.query`.
    pub action_query: Option<String>,
}

/// What happens when the world is away.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// `errors.max.retries`, -1 for no end.
    pub max: i64,
    /// `retriable.restart.connector.wait.ms`: the longest pause between two attempts.
    pub wait: Duration,
}

impl ConnectorConfig {
    /// From a connector's keys; what it does not say about converters, the worker says.
    ///
    /// # Errors
    /// All findings. Warnings are logged.
    pub fn parse(config: &BTreeMap<String, String>, worker: &WorkerConfig) -> Result<Self, Vec<Finding>> {
        let config = &worker.providers.resolve(config).map_err(|error| vec![Finding::invalid(&error.key, &error)])?;
        let mut checked = check::check(config);
        connect_keys::check_overrides(config, worker, &mut checked);
        exactly_once::check(config, worker, &mut checked);
        if !checked.findings.is_empty() {
            return Err(checked.findings);
        }
        let config = &*driver::folded(config);
        let keys = Keys { config };
        let name = keys.text("name").unwrap_or_default().to_owned();
        for warning in checked.warnings {
            tracing::warn!(connector = %name, "{warning}");
        }
        if keys.text("plugin.name").is_none() {
            tracing::warn!(connector = %name, "plugin.name is not set; pgoutput is taken, Debezium's default is decoderbufs");
        }
        let verifies_nothing = keys.text("database.sslfactory") == Some(NON_VALIDATING);
        Ok(Self {
            connection: Connection {
                hostname: keys.string("database.hostname"),
                port: u16::try_from(keys.number("database.port"))
                    .map_err(|_| vec![Finding::invalid("database.port", "not a port")])?,
                user: keys.string("database.user"),
                password: keys.text("database.password").map(Secret::new),
                dbname: keys.string("database.dbname"),
                sslmode: match SslMode::parse(&keys.string("database.sslmode")).unwrap_or(SslMode::Prefer) {
                    mode if mode.verifies() && verifies_nothing => SslMode::Require,
                    mode => mode,
                },
                sslrootcert: keys.text("database.sslrootcert").map(str::to_owned),
                sslcert: keys.text("database.sslcert").map(str::to_owned),
                sslkey: keys.text("database.sslkey").map(str::to_owned),
                sslpassword: keys.text("database.sslpassword").map(Secret::new),
                tcp_keep_alive: keys.flag("database.tcpKeepAlive"),
                driver: Driver::parse(config),
                query_timeout: Some(keys.milliseconds("database.query.timeout.ms"))
                    .filter(|timeout| !timeout.is_zero()),
                initial_statements: statements(keys.text("database.initial.statements").unwrap_or_default()),
            },
            slot: Slot {
                name: keys.string("slot.name"),
                drop_on_stop: keys.flag("slot.drop.on.stop"),
                failover: keys.flag("slot.failover"),
                stream: StreamParams::parse(&keys),
                max_retries: u32::try_from(keys.number("slot.max.retries")).unwrap_or(u32::MAX),
                retry_delay: keys.milliseconds("slot.retry.delay.ms"),
            },
            publication: Publication {
                name: keys.string("publication.name"),
                autocreate: Autocreate::parse(&keys),
                via_partition_root: keys.flag("publish.via.partition.root"),
            },
            slots: slots::parse(&keys),
            share: None,
            topic_prefix: keys.string("topic.prefix"),
            filters: Filters::new(keys.list("schema")?, keys.list("table")?, keys.list("column")?)
                .with_signal_table(Signals::parse(&keys)?.table),
            message_prefixes: keys.list("message.prefix")?,
            transaction_metadata: keys.flag("provide.transaction.metadata"),
            topics: TopicNaming::parse(&keys)?,
            snapshot: Snapshot::parse(&keys)?,
            signals: Signals::parse(&keys)?,
            post_processors: post_processors::parse(&keys)?,
            notifications: Notifications::parse(&keys),
            replication: Replication::parse(&keys)?,
            exactly_once: ExactlyOnce::parse(&keys, worker),
            event_failures: EventFailures::parse(&keys),
            skip_unchanged: keys.flag("skip.messages.without.change"),
            skipped: SkippedOperations::parse(&keys.string("skipped.operations")),
            tombstones_on_delete: keys.flag("tombstones.on.delete"),
            heartbeat: Heartbeat {
                interval: Some(keys.milliseconds("heartbeat.interval.ms")).filter(|interval| !interval.is_zero()),
                action_query: keys.text("heartbeat.action.query").map(str::to_owned),
            },
            key_converter: keys.converter("key", worker)?,
            value_converter: keys.converter("value", worker)?,
            header_converter: keys.converter("header", worker)?,
            transforms: Plan::parse(config),
            modes: values::modes(&keys),
            column_rules: columns::rules(config)?,
            schema_names: values::name_adjustment(&keys, "schema.name.adjustment.mode"),
            field_names: values::name_adjustment(&keys, "field.name.adjustment.mode"),
            placeholder: values::placeholder(&keys.string("unavailable.value.placeholder"))?,
            extended_headers: keys.flag("extended.headers.enabled"),
            source_version: keys.text("source.version").unwrap_or(DEBEZIUM_VERSION).to_owned(),
            metric_tags: metric_tags::parse(&keys),
            status_update_interval: keys.milliseconds("status.update.interval.ms"),
            retry: Retry {
                max: keys.number("errors.max.retries"),
                wait: keys.milliseconds("retriable.restart.connector.wait.ms"),
            },
            max_queue_size: u64::try_from(keys.number("max.queue.size")).unwrap_or_default(),
            max_queue_size_in_bytes: u64::try_from(keys.number("max.queue.size.in.bytes")).unwrap_or_default(),
            topic_creation: TopicCreation::parse(config),
            tolerates_errors: keys.text("errors.tolerance") == Some("all"),
            logs_errors: keys.flag("errors.log.enable"),
            admin_overrides: with_prefix(config, "admin.override."),
            producer_overrides: with_prefix(config, "producer.override."),
            name,
        })
    }
}

impl ConnectorConfig {
    /// The connector's transforms, ready for a new run.
    ///
    /// # Errors
    /// As [`Plan::chain`].
    pub fn transforms(&self) -> Result<Chain, TaskError> {
        self.transforms.chain()
    }

    /// Key's and value's JSON converter, where rows become JSON with nothing in between.
    pub fn direct(&self) -> Option<(JsonConverter, JsonConverter)> {
        let unchanged = self.transforms.is_empty() && self.header_converter == ConverterConfig::SimpleHeader;
        if unchanged { self.key_converter.as_json().zip(self.value_converter.as_json()) } else { None }
    }
}

impl Autocreate {
    pub(super) fn parse(keys: &Keys<'_>) -> Self {
        match keys.string("publication.autocreate.mode").to_ascii_lowercase().as_str() {
            "disabled" => Self::Disabled,
            "filtered" => Self::Filtered,
            "no_tables" => Self::NoTables,
            _ => Self::AllTables,
        }
    }
}

impl SkippedOperations {
    fn parse(list: &str) -> Self {
        let skips = |letter| list.split(',').any(|operation| operation.trim() == letter);
        Self { create: skips("c"), update: skips("u"), delete: skips("d"), truncate: skips("t") }
    }
}

/// A checked configuration's keys with their defaults.
pub(super) struct Keys<'a> {
    pub(super) config: &'a BTreeMap<String, String>,
}

impl Keys<'_> {
    /// What is given.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// What is given, or the default.
    pub(super) fn string(&self, key: &str) -> String {
        let default = || properties::find(key).and_then(|property| property.default).unwrap_or_default();
        self.text(key).unwrap_or_else(default).to_owned()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        parse_boolean(&self.string(key)).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> i64 {
        self.string(key).parse().unwrap_or_default()
    }

    pub(super) fn milliseconds(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(key)).unwrap_or_default())
    }

    fn list(&self, of: &str) -> Result<List, Vec<Finding>> {
        let patterns =
            |key: &str, list: &str| filters::patterns(list).map_err(|error| vec![Finding::invalid(key, error)]);
        let (include, exclude) = (format!("{of}.include.list"), format!("{of}.exclude.list"));
        match (self.text(&include), self.text(&exclude)) {
            (Some(list), _) => patterns(&include, list).map(List::Include),
            (None, Some(list)) => patterns(&exclude, list).map(List::Exclude),
            (None, None) => Ok(List::All),
        }
    }

    fn converter(&self, side: &str, worker: &WorkerConfig) -> Result<ConverterConfig, Vec<Finding>> {
        let key = format!("{side}.converter");
        // A connector that names a converter brings its settings along; the worker's are another instance's.
        let settings = if self.text(&key).is_some() { self.config } else { &worker.properties };
        ConverterConfig::parse(&key, settings)
    }
}

/// Statements between semicolons; a doubled semicolon is one.
fn statements(text: &str) -> Vec<String> {
    let marked = text.replace(";;", "\0");
    let statement = |part: &str| part.replace('\0', ";").trim().to_owned();
    marked.split(';').map(statement).filter(|statement| !statement.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_semicolon_does_not_end_a_statement() {
        assert_eq!(statements("SET a = 1; SELECT ';;' ;"), ["SET a = 1", "SELECT ';'"]);
    }

    #[test]
    fn truncates_are_skipped_unless_told_otherwise() {
        let default = properties::find("skipped.operations").and_then(|property| property.default).unwrap();
        assert!(SkippedOperations::parse(default).truncate);
        let none = SkippedOperations { create: false, update: false, delete: false, truncate: false };
        assert_eq!(SkippedOperations::parse("none"), none);
    }
}
