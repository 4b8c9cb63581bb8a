//! Every property of Debezium 3.4's PostgreSQL connector: its type, default and allowed values as the connector's own
//! `ConfigDef` declares them, and how far it is supported here.
//!
//! The order is the `ConfigDef`'s: it is the order of errors in an answer.

#[cfg(test)]
use super::{driver, worker_keys};

/// A property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its key.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its importance.
    pub importance: Importance,
    /// Its default, `None` for none.
    pub default: Option<&'static str>,
    /// The values it takes, in the order that Debezium names them; empty for any.
    pub allowed: &'static [&'static str],
    /// Whether it must be given.
    pub required: bool,
    /// Its title.
    pub title: &'static str,
    /// How far it is supported.
    pub support: Support,
}

/// How far a property is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Yes,
    /// It works with some of its values.
    Partly(&'static str),
    /// It is accepted and changes nothing in what is published, for this reason.
    Tuning(&'static str),
    /// Values other than the default are refused, for this reason.
    OnlyDefault(&'static str),
}

/// `org.apache.kafka.common.config.ConfigDef.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `BOOLEAN`.
    Boolean,
    /// `INT`.
    Int,
    /// `LONG`.
    Long,
    /// `STRING`.
    String,
    /// `LIST`, comma separated.
    List,
    /// `CLASS`, a Java class's name.
    Class,
    /// `PASSWORD`.
    Password,
}

impl Kind {
    /// Kafka's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::String => "STRING",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }
}

/// `org.apache.kafka.common.config.ConfigDef.Importance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// `HIGH`.
    High,
    /// `MEDIUM`.
    Medium,
    /// `LOW`.
    Low,
}

impl Importance {
    /// Kafka's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one line a property below is worth it")]
const fn property(
    name: &'static str,
    kind: Kind,
    importance: Importance,
    default: Option<&'static str>,
    allowed: &'static [&'static str],
    required: bool,
    title: &'static str,
    support: Support,
) -> Property {
    Property { name, kind, importance, default, allowed, required, title, support }
}

/// The declared properties.
#[rustfmt::skip]
pub const DECLARED: &[Property] = &[
    property("topic.prefix", Kind::String, Importance::High, None, &[], true, "Topic prefix", Support::Yes),
    property("database.hostname", Kind::String, Importance::High, None, &[], true, "Hostname", Support::Yes),
    property("database.port", Kind::Int, Importance::High, Some("5432"), &[], false, "Port", Support::Yes),
    property("database.user", Kind::String, Importance::High, None, &[], true, "User", Support::Yes),
    property("database.password", Kind::Password, Importance::High, None, &[], false, "Password", Support::Yes),
    property("database.dbname", Kind::String, Importance::High, None, &[], true, "Database", Support::Yes),
    property("database.query.timeout.ms", Kind::Int, Importance::Low, Some("600000"), &[], false, "Query timeout", Support::Yes),
    property("plugin.name", Kind::String, Importance::Medium, Some("decoderbufs"), &["decoderbufs", "pgoutput"], false, "Plugin", Support::Partly("pgoutput only, which is part of every PostgreSQL")),
    property("slot.name", Kind::String, Importance::Medium, Some("debezium"), &[], false, "Slot", Support::Yes),
    property("publication.name", Kind::String, Importance::Medium, Some("dbz_publication"), &[], false, "Publication", Support::Yes),
    property("publication.autocreate.mode", Kind::String, Importance::Medium, Some("all_tables"), &["no_tables", "filtered", "disabled", "all_tables"], false, "Publication Auto Create Mode", Support::Yes),
    property("replica.identity.autoset.values", Kind::String, Importance::Medium, None, &[], false, "Replica Identity Auto Set Values", Support::Yes),
    property("slot.drop.on.stop", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Drop slot on stop", Support::Yes),
    property("slot.failover", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Create failover slot", Support::Yes),
    property("slot.stream.params", Kind::String, Importance::Low, None, &[], false, "Optional parameters to pass to the logical decoder when the stream is started", Support::Partly("origin=none leaves out transactions that were replicated to the server, behind the stream; proto_version, publication_names and messages have no effect, as in Debezium; binary, streaming and two_phase must be off; the rest is refused by name")),
    property("database.initial.statements", Kind::String, Importance::Low, None, &[], false, "Initial statements", Support::Yes),
    property("database.sslmode", Kind::String, Importance::Medium, Some("prefer"), &["allow", "prefer", "disable", "verify-ca", "require", "verify-full"], false, "SSL mode", Support::Yes),
    property("database.sslcert", Kind::String, Importance::Medium, None, &[], false, "SSL Client Certificate", Support::Yes),
    property("database.sslpassword", Kind::Password, Importance::Medium, None, &[], false, "SSL Client Key Password", Support::Partly("of a key in PKCS #8, PEM or DER, encrypted with PBES2, which openssl writes unless told otherwise, or PBE-MD5-DES, which the JDBC driver's manual showed")),
    property("database.sslrootcert", Kind::String, Importance::Medium, None, &[], false, "SSL Root Certificate", Support::Yes),
    property("database.sslkey", Kind::String, Importance::Medium, None, &[], false, "SSL Client Key", Support::Yes),
    property("slot.max.retries", Kind::Int, Importance::Low, Some("6"), &[], false, "Retry count", Support::Yes),
    property("slot.retry.delay.ms", Kind::Long, Importance::Low, Some("10000"), &[], false, "Retry delay", Support::Yes),
    property("database.sslfactory", Kind::String, Importance::Medium, None, &[], false, "SSL Root Certificate", Support::Partly("org.postgresql.ssl.NonValidatingFactory verifies nothing, org.postgresql.ssl.LibPQFactory is what database.sslmode does; other Java classes are refused")),
    property("status.update.interval.ms", Kind::Int, Importance::Medium, Some("10000"), &[], false, "Status update interval (ms)", Support::Yes),
    property("lsn.flush.timeout.ms", Kind::Long, Importance::Medium, Some("30000"), &[], false, "LSN flush timeout (ms)", Support::Tuning("confirming a position does not wait for the server")),
    property("lsn.flush.timeout.action", Kind::String, Importance::Medium, Some("fail"), &["fail", "warn", "ignore"], false, "LSN flush timeout action", Support::Tuning("confirming a position does not wait for the server")),
    property("database.tcpKeepAlive", Kind::Boolean, Importance::Medium, Some("true"), &[], false, "TCP keep-alive probe", Support::Yes),
    property("xmin.fetch.interval.ms", Kind::Long, Importance::Medium, Some("0"), &[], false, "Xmin fetch interval (ms)", Support::Yes),
    property("skipped.operations", Kind::List, Importance::Low, Some("t"), &[], false, "Skipped Operations", Support::Yes),
    property("lsn.flush.mode", Kind::String, Importance::Low, None, &["connector_and_driver", "connector", "manual"], false, "LSN flush mode", Support::Partly("connector confirms a quiet database's position too, so connector_and_driver is the same")),
    property("flush.lsn.source", Kind::Boolean, Importance::Low, Some("true"), &[], false, "Boolean to determine if Debezium should flush LSN in the source database", Support::Yes),
    property("event.processing.failure.handling.mode", Kind::String, Importance::Medium, Some("fail"), &["warn", "fail", "ignore", "skip"], false, "Event deserialization failure handling", Support::Partly("warn, skip and ignore pass over a change whose values cannot be converted, and lose it because the configuration asks for that; each is counted in headwater_streamer_events_skipped_total")),
    property("max.batch.size", Kind::Int, Importance::Medium, Some("2048"), &[], false, "Change event batch size", Support::Tuning("records go out as they come, not in batches")),
    property("max.queue.size", Kind::Int, Importance::Medium, Some("8192"), &[], false, "Change event buffer size", Support::Tuning("the queue is bounded in bytes: max.queue.size.in.bytes")),
    property("poll.interval.ms", Kind::Long, Importance::Medium, Some("500"), &[], false, "Poll interval (ms)", Support::Tuning("the stream is read as it comes, nothing is polled")),
    property("max.queue.size.in.bytes", Kind::Long, Importance::Medium, Some("0"), &[], false, "Change event buffer size in bytes", Support::Yes),
    property("provide.transaction.metadata", Kind::Boolean, Importance::Low, Some("false"), &[], false, "Store transaction metadata information in a dedicated topic", Support::Yes),
    property("snapshot.delay.ms", Kind::Long, Importance::Low, Some("0"), &[], false, "Snapshot Delay (milliseconds)", Support::Yes),
    property("streaming.delay.ms", Kind::Long, Importance::Low, Some("0"), &[], false, "Streaming Delay (milliseconds)", Support::Yes),
    property("snapshot.include.collection.list", Kind::List, Importance::Medium, None, &[], false, "Snapshot mode include data collection", Support::Yes),
    property("snapshot.fetch.size", Kind::Int, Importance::Medium, None, &[], false, "Snapshot fetch size", Support::Tuning("tables are streamed with COPY")),
    property("snapshot.max.threads", Kind::Int, Importance::Medium, Some("1"), &[], false, "Snapshot maximum threads", Support::Yes),
    property("snapshot.mode.custom.name", Kind::String, Importance::Medium, None, &[], false, "Snapshot Mode Custom Name", Support::Tuning("only the mode custom reads it, and that is a Java class")),
    property("snapshot.mode.configuration.based.snapshot.data", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Snapshot mode property based snapshot data", Support::Yes),
    property("snapshot.mode.configuration.based.snapshot.schema", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Snapshot mode property based snapshot schema", Support::Tuning("PostgreSQL has no schema history, in Debezium either")),
    property("snapshot.mode.configuration.based.start.stream", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Snapshot mode property based start stream", Support::Yes),
    property("snapshot.mode.configuration.based.snapshot.on.schema.error", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Snapshot mode property based snapshot on schema error", Support::Tuning("PostgreSQL has no schema history, in Debezium either")),
    property("snapshot.mode.configuration.based.snapshot.on.data.error", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Snapshot mode property based snapshot on data error", Support::Yes),
    property("retriable.restart.connector.wait.ms", Kind::Long, Importance::Low, Some("10000"), &[], false, "Retriable restart wait (ms)", Support::Yes),
    property("query.fetch.size", Kind::Int, Importance::Medium, Some("0"), &[], false, "Query fetch size", Support::Tuning("results are streamed")),
    property("errors.max.retries", Kind::Int, Importance::Low, Some("-1"), &[], false, "The maximum number of retries", Support::Yes),
    property("incremental.snapshot.watermarking.strategy", Kind::String, Importance::Low, Some("INSERT_INSERT"), &["insert_delete", "insert_insert"], false, "Incremental snapshot watermarking strategy", Support::Yes),
    property("internal.log.position.check.enable", Kind::Boolean, Importance::Medium, Some("true"), &[], false, "Enable/Disable log position check", Support::Tuning("the position is always checked against the slot")),
    property("internal.advanced.metrics.enable", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Enable/Disable advance metrics", Support::Tuning("all metrics are always there")),
    property("connection.validation.timeout.ms", Kind::Long, Importance::Low, Some("60000"), &[], false, "Connection validation timeout (ms)", Support::Yes),
    property("executor.shutdown.timeout.ms", Kind::Long, Importance::Medium, Some("4000"), &[], false, "Executor shutdown timeout (ms)", Support::Yes),
    property("openlineage.integration.enabled", Kind::Boolean, Importance::Low, Some("false"), &[], false, "Enables OpenLineage integration", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.config.file.path", Kind::String, Importance::Low, Some("./openlineage.yml"), &[], false, "Path to OpenLineage file configuration", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.job.namespace", Kind::String, Importance::Low, None, &[], false, "Namespace used for Debezium job", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.job.description", Kind::String, Importance::Low, Some("Debezium change data capture job"), &[], false, "Description used for Debezium job", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.job.tags", Kind::List, Importance::Low, None, &[], false, "Debezium job tags", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.job.owners", Kind::List, Importance::Low, None, &[], false, "Debezium job owners", Support::Tuning("lineage events are not sent yet")),
    property("openlineage.integration.dataset.kafka.bootstrap.servers", Kind::String, Importance::Low, None, &[], false, "Kafka bootstrap server used in Kafka Connect deployment", Support::Tuning("lineage events are not sent yet")),
    property("extended.headers.enabled", Kind::Boolean, Importance::Low, Some("true"), &[], false, "Enable/Disable extended headers", Support::Yes),
    property("guardrail.collections.max", Kind::Int, Importance::Medium, Some("0"), &[], false, "Maximum number of collections or tables", Support::Yes),
    property("guardrail.collections.limit.action", Kind::String, Importance::Medium, Some("warn"), &["warn", "fail"], false, "Guardrail collections limit action", Support::Yes),
    property("custom.sanitize.pattern", Kind::String, Importance::Low, Some(".*secret$|.*password$|.*sasl\\.jaas\\.config$|.*basic\\.auth\\.user\\.info|.*registry\\.auth\\.client-secret"), &[], false, "Custom pattern for masking sensitive configuration", Support::Tuning("configuration values are not logged")),
    property("decimal.handling.mode", Kind::String, Importance::Medium, Some("precise"), &["string", "double", "precise"], false, "Decimal Handling", Support::Yes),
    property("time.precision.mode", Kind::String, Importance::Medium, Some("adaptive"), &["adaptive", "adaptive_time_microseconds", "isostring", "microseconds", "nanoseconds", "connect"], false, "Time Precision", Support::Yes),
    property("snapshot.lock.timeout.ms", Kind::Long, Importance::Medium, Some("10000"), &[], false, "Snapshot lock timeout (ms)", Support::Yes),
    property("snapshot.mode", Kind::String, Importance::Medium, Some("initial"), &["always", "initial_only", "configuration_based", "when_needed", "initial", "custom", "no_data"], false, "Snapshot mode", Support::Partly("all but custom, which is a Java class; never and schema_only are taken as no_data and exported as initial, with a warning")),
    property("snapshot.isolation.mode", Kind::String, Importance::Low, Some("serializable"), &["read_uncommitted", "repeatable_read", "read_committed", "serializable"], false, "Snapshot isolation mode", Support::Yes),
    property("snapshot.query.mode", Kind::String, Importance::Low, Some("select_all"), &["custom", "select_all"], false, "Snapshot query mode", Support::OnlyDefault("custom is a Java class; see snapshot.select.statement.overrides")),
    property("snapshot.query.mode.custom.name", Kind::String, Importance::Medium, None, &[], false, "Snapshot Query Mode Custom Name", Support::Tuning("only the mode custom reads it, and that is a Java class")),
    property("snapshot.locking.mode.custom.name", Kind::String, Importance::Medium, None, &[], false, "Snapshot Locking Mode Custom Name", Support::Tuning("only the mode custom reads it, and that is a Java class")),
    property("snapshot.locking.mode", Kind::String, Importance::Low, Some("none"), &["shared", "custom", "none"], false, "Snapshot locking mode", Support::Partly("none and shared; custom is a Java class")),
    property("hstore.handling.mode", Kind::String, Importance::Low, Some("json"), &["json", "map"], false, "HStore Handling", Support::Yes),
    property("binary.handling.mode", Kind::String, Importance::Low, Some("bytes"), &["bytes", "base64", "hex", "base64-url-safe"], false, "Binary Handling", Support::Yes),
    property("schema.name.adjustment.mode", Kind::String, Importance::Low, Some("none"), &["none", "avro_unicode", "avro"], false, "Schema Name Adjustment", Support::Yes),
    property("interval.handling.mode", Kind::String, Importance::Low, Some("numeric"), &["string", "numeric"], false, "Interval Handling", Support::Yes),
    property("schema.refresh.mode", Kind::String, Importance::Medium, Some("columns_diff"), &["columns_diff", "columns_diff_exclude_unchanged_toast"], false, "Schema refresh mode", Support::Partly("a table's description comes with the stream, so that both values give the same records, as in Debezium with pgoutput")),
    property("incremental.snapshot.chunk.size", Kind::Int, Importance::Medium, Some("1024"), &[], false, "Incremental snapshot chunk size", Support::Yes),
    property("unavailable.value.placeholder", Kind::String, Importance::Medium, Some("__debezium_unavailable_value"), &[], false, "Unavailable value placeholder", Support::Yes),
    property("message.prefix.include.list", Kind::List, Importance::Medium, None, &[], false, "Include Logical Decoding Message Prefixes", Support::Yes),
    property("message.prefix.exclude.list", Kind::List, Importance::Medium, None, &[], false, "Exclude Logical Decoding Message Prefixes", Support::Yes),
    property("publish.via.partition.root", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Publish via partition root", Support::Yes),
    property("converters", Kind::String, Importance::Low, None, &[], false, "List of prefixes defining custom values converters", Support::OnlyDefault("custom converters are Java classes")),
    property("post.processors", Kind::String, Importance::Low, None, &[], false, "List of change event post processors", Support::Partly("ReselectColumnsPostProcessor only, the one that Debezium has")),
    property("tombstones.on.delete", Kind::Boolean, Importance::Medium, Some("true"), &[], false, "Change the behaviour of Debezium with regards to delete operations", Support::Yes),
    property("heartbeat.interval.ms", Kind::Int, Importance::Medium, Some("0"), &[], false, "Connector heartbeat interval (milli-seconds)", Support::Yes),
    property("heartbeat.topics.prefix", Kind::String, Importance::Low, Some("__debezium-heartbeat"), &[], false, "A prefix used for naming of heartbeat topics", Support::Tuning("Debezium 3.4 declares it and does not read it: set topic.heartbeat.prefix")),
    property("signal.data.collection", Kind::List, Importance::Medium, None, &[], false, "Signaling data collection", Support::Yes),
    property("signal.poll.interval.ms", Kind::Long, Importance::Medium, Some("5000"), &[], false, "Signal processor poll interval", Support::Yes),
    property("signal.enabled.channels", Kind::List, Importance::Medium, Some("source"), &[], false, "Enabled channels names", Support::Partly("source, kafka and file; jmx is Java's own")),
    property("topic.naming.strategy", Kind::Class, Importance::Medium, Some("io.debezium.schema.SchemaTopicNamingStrategy"), &[], false, "Topic naming strategy class", Support::Yes),
    property("notification.enabled.channels", Kind::List, Importance::Medium, None, &[], false, "Enabled notification channels names", Support::Partly("sink and log; jmx is Java's own")),
    property("notification.sink.topic.name", Kind::String, Importance::High, None, &[], false, "Notification topic name", Support::Yes),
    property("transaction.metadata.factory", Kind::Class, Importance::Low, Some("io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory"), &[], false, "Factory class to create transaction context & transaction struct maker classes", Support::OnlyDefault("it names a Java class")),
    property("custom.metric.tags", Kind::List, Importance::Low, None, &[], false, "Customize metric tags", Support::Partly("they are labels of the connector's metrics; one that is called connector, table or column is put behind tag_")),
    property("column.include.list", Kind::List, Importance::Medium, None, &[], false, "Include Columns", Support::Yes),
    property("column.exclude.list", Kind::List, Importance::Medium, None, &[], false, "Exclude Columns", Support::Yes),
    property("table.include.list", Kind::List, Importance::High, None, &[], false, "Include Tables", Support::Yes),
    property("table.exclude.list", Kind::List, Importance::Medium, None, &[], false, "Exclude Tables", Support::Yes),
    property("table.ignore.builtin", Kind::Boolean, Importance::Low, Some("true"), &[], false, "Ignore system databases", Support::OnlyDefault("system tables are never captured")),
    property("schema.include.list", Kind::List, Importance::High, None, &[], false, "Include Schemas", Support::Yes),
    property("schema.exclude.list", Kind::List, Importance::Medium, None, &[], false, "Exclude Schemas", Support::Yes),
    property("message.key.columns", Kind::String, Importance::Medium, None, &[], false, "Columns PK mapping", Support::Yes),
    property("snapshot.select.statement.overrides", Kind::String, Importance::Medium, None, &[], false, "List of tables where the default select statement used during snapshotting should be overridden", Support::Yes),
    property("include.schema.comments", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Include Table and Column Comments", Support::Tuning("Debezium 3.4 does not put comments into record schemas either")),
    property("column.propagate.source.type", Kind::List, Importance::Medium, None, &[], false, "Propagate Source Types by Columns", Support::Yes),
    property("datatype.propagate.source.type", Kind::List, Importance::Medium, None, &[], false, "Propagate Source Types by Data Type", Support::Yes),
    property("internal.snapshot.scan.all.columns.force", Kind::Boolean, Importance::Low, Some("false"), &[], false, "Snapshot force scan all columns of all tables", Support::Tuning("only captured tables are described")),
    property("snapshot.tables.order.by.row.count", Kind::String, Importance::Medium, Some("disabled"), &["disabled", "ascending", "descending"], false, "Initial snapshot tables order by row count", Support::Tuning("Debezium 3.4 knows no row counts of PostgreSQL tables either: they come in their names' order")),
    property("heartbeat.action.query", Kind::String, Importance::Low, None, &[], false, "An optional query to execute with every heartbeat", Support::Yes),
    property("include.unknown.datatypes", Kind::Boolean, Importance::Medium, Some("false"), &[], false, "Include unknown datatypes", Support::Yes),
    property("sourceinfo.struct.maker", Kind::Class, Importance::Low, Some("io.debezium.connector.postgresql.PostgresSourceInfoStructMaker"), &[], false, "Source info struct maker class", Support::OnlyDefault("it names a Java class")),
];

/// Properties that Debezium reads without declaring them.
#[rustfmt::skip]
pub const HIDDEN: &[Property] = &[
    property("skip.messages.without.change", Kind::Boolean, Importance::Low, Some("false"), &[], false, "skip.messages.without.change", Support::Yes),
    property("money.fraction.digits", Kind::Int, Importance::Low, Some("2"), &[], false, "money.fraction.digits", Support::Yes),
    property("field.name.adjustment.mode", Kind::String, Importance::Low, Some("none"), &["none", "avro_unicode", "avro"], false, "field.name.adjustment.mode", Support::Yes),
    property("topic.delimiter", Kind::String, Importance::Low, Some("."), &[], false, "topic.delimiter", Support::Yes),
    property("topic.heartbeat.prefix", Kind::String, Importance::Low, Some("__debezium-heartbeat"), &[], false, "topic.heartbeat.prefix", Support::Yes),
    property("topic.transaction", Kind::String, Importance::Low, Some("transaction"), &[], false, "topic.transaction", Support::Yes),
    property("topic.regex", Kind::String, Importance::Low, None, &[], false, "topic.regex", Support::Yes),
    property("topic.replacement", Kind::String, Importance::Low, None, &[], false, "topic.replacement", Support::Yes),
    property("topic.key.enforce.uniqueness", Kind::Boolean, Importance::Low, Some("true"), &[], false, "topic.key.enforce.uniqueness", Support::Yes),
    property("topic.key.field.name", Kind::String, Importance::Low, Some("__dbz__physicalTableIdentifier"), &[], false, "topic.key.field.name", Support::Yes),
    property("topic.key.field.regex", Kind::String, Importance::Low, None, &[], false, "topic.key.field.regex", Support::Yes),
    property("topic.key.field.replacement", Kind::String, Importance::Low, None, &[], false, "topic.key.field.replacement", Support::Yes),
    property("topic.cache.size", Kind::Int, Importance::Low, Some("10000"), &[], false, "topic.cache.size", Support::Tuning("a table's topic is named once")),
    property("offset.mismatch.strategy", Kind::String, Importance::Low, Some("no_validation"), &[], false, "offset.mismatch.strategy", Support::Partly("as in Debezium. The stream goes on from the greater of the stored position and the slot's; with trust_offset the task stops where the slot is ahead. With each of them but no_validation a quiet database's position is stored before the slot is confirmed up to it, so that a slot that is ahead was moved by somebody else")),
    property("read.only", Kind::Boolean, Importance::Low, Some("false"), &[], false, "read.only", Support::Yes),
    property("internal.slot.seek.to.known.offset.on.start", Kind::Boolean, Importance::Low, Some("false"), &[], false, "internal.slot.seek.to.known.offset.on.start", Support::Partly("true is offset.mismatch.strategy=trust_offset, unless that is given")),
    property("internal.create.slot.command.timeout", Kind::Long, Importance::Low, Some("90"), &[], false, "internal.create.slot.command.timeout", Support::Tuning("a slot's creation waits for the transactions under way, however long")),
    property("event.converting.failure.handling.mode", Kind::String, Importance::Low, None, &["fail", "warn", "skip"], false, "event.converting.failure.handling.mode", Support::Partly("warn and skip give null, counted in headwater_streamer_values_degraded_total; unset, only what Debezium is known to give up is null (NaN under precise decimals, bit[]), anything else stops the task")),
    property("database.connection.factory.class", Kind::Class, Importance::Low, None, &[], false, "database.connection.factory.class", Support::OnlyDefault("it names a Java class")),
    property("signal.kafka.topic", Kind::String, Importance::Low, None, &[], false, "signal.kafka.topic", Support::Yes),
    property("signal.kafka.bootstrap.servers", Kind::String, Importance::Low, None, &[], false, "signal.kafka.bootstrap.servers", Support::Yes),
    property("signal.kafka.groupId", Kind::String, Importance::Low, Some("kafka-signal"), &[], false, "signal.kafka.groupId", Support::Yes),
    property("signal.kafka.poll.timeout.ms", Kind::Int, Importance::Low, Some("0"), &[], false, "signal.kafka.poll.timeout.ms", Support::Tuning("signals are taken as they come")),
    property("signal.file", Kind::String, Importance::Low, Some("file-signals.txt"), &[], false, "signal.file", Support::Yes),
];

/// Properties of our own, which Debezium passes over.
pub const OURS: &[Property] = &[
    property(
        "source.version",
        Kind::String,
        Importance::Low,
        Some("3.4.3.Final"),
        &[],
        false,
        "The version that the records' source.version names",
        Support::Yes,
    ),
    property(
        "headwater.value.fidelity",
        Kind::String,
        Importance::Low,
        Some("debezium"),
        &["debezium", "exact"],
        false,
        "Values that Debezium loses something of (dates before 1582 and before Christ in snapshots, `name` in the stream, times in arrays, offsets of `timetz`, arrays and vectors that were not sent): as Debezium writes them, or as PostgreSQL has them where the column's schema can carry it",
        Support::Yes,
    ),
    property(
        "headwater.slots",
        Kind::Int,
        Importance::Low,
        Some("1"),
        &[],
        false,
        "So many slots, from 1 to 16, read the connector's tables, each a share of them (docs/operations.md, *Several slots*). It asks for `publication.autocreate.mode=filtered`, and goes without transaction metadata, signals, notifications, `lsn.flush.mode=manual` and snapshot modes that do not stream",
        Support::Yes,
    ),
];

/// Families of properties that name what is done to columns, and what their values are.
pub const COLUMN_FAMILIES: &[(&str, &str)] = &[
    ("column.truncate.to.<length>.chars", "patterns of columns"),
    ("column.mask.with.<length>.chars", "patterns of columns"),
    ("column.mask.hash.<algorithm>.with.salt.<salt>", "patterns of columns"),
    ("column.mask.hash.v2.<algorithm>.with.salt.<salt>", "patterns of columns"),
];

/// The property of a key.
pub fn find(key: &str) -> Option<&'static Property> {
    DECLARED.iter().chain(HIDDEN).chain(OURS).find(|property| property.name == key)
}

/// A key's value as it may be shown: a password's, declared or by the look of its key, is hidden.
pub fn masked<'a>(key: &str, value: &'a str) -> &'a str {
    let is_password = match find(key) {
        Some(property) => property.kind == Kind::Password,
        None => ["password", "secret", "sasl.jaas.config"].iter().any(|word| key.to_ascii_lowercase().contains(word)),
    };
    if is_password { "[hidden]" } else { value }
}

/// docs/options.md: every property with how far it is supported.
#[cfg(test)]
fn options_document() -> String {
    let row = |property: &Property| {
        let default =
            property.default.map_or_else(|| "-".to_owned(), |default| format!("`{}`", default.replace('|', "\\|")));
        let values = match property.allowed {
            [] => property.kind.as_str().to_lowercase(),
            allowed => allowed.join(", "),
        };
        let support = match property.support {
            Support::Yes => "works".to_owned(),
            Support::Partly(which) => format!("works: {which}"),
            Support::OnlyDefault(why) => format!("only the default: {why}"),
            Support::Tuning(why) => format!("accepted, without effect: {why}"),
        };
        format!("| `{}` | {default} | {values} | {support} |\n", property.name)
    };
    let mut text = "# Options\n\n\
        What is a setting somewhere, and how far it is supported. This file is written by two tests, from the tables by which the programs\n\
        check what they are given:\n\
        [connector](#the-connector), [worker](#the-worker), [sink](#the-sink).\n\n\
        ## The connector\n\n\
        Every property of Debezium 3.4's PostgreSQL connector, in its own order (`streamer/src/config/properties.rs`, from which\n\
        `config/validate` comes too).\n\n\
        - *works*: as in Debezium.\n\
        - *accepted, without effect*: it tunes something that this worker does otherwise; a value that is not the default is\n  \
        a warning in the log.\n\
        - *only the default*: any other value is refused by name, with this reason.\n\n\
        A property that is in neither table is a warning in the log.\n\n"
        .to_owned();
    for (title, properties) in [("Declared", DECLARED), ("Read by Debezium without being declared", HIDDEN)] {
        text += &format!("### {title}\n\n| property | default | values | here |\n|---|---|---|---|\n");
        text.extend(properties.iter().map(row));
        text.push('\n');
    }
    text += "### The driver's\n\n\
        Debezium hands `driver.*` and `database.*` on to the JDBC driver; `driver.*` counts where both are there. The properties\n\
        above that begin with `database.` may be given as `driver.` too.\n\n| property | here |\n|---|---|\n";
    text.extend(driver::TAKEN.iter().map(|(name, what)| format!("| `driver.{name}` | {what} |\n")));
    text.extend(driver::REFUSED.iter().map(|(name, harmless, why)| match harmless {
        [] => format!("| `driver.{name}` | refused: {why} |\n"),
        harmless => format!("| `driver.{name}` | only {}: {why} |\n", harmless.join(", ")),
    }));
    text += "| any other `driver.*` | accepted, without effect, with a warning that names it |\n";
    text += "\n### Families, by column\n\n| property | its value | here |\n|---|---|---|\n";
    text.extend(COLUMN_FAMILIES.iter().map(|(family, value)| format!("| `{family}` | {value} | works |\n")));
    text += "\n### Ours\n\n| property | default | values | what it does |\n|---|---|---|---|\n";
    text.extend(OURS.iter().map(|property| {
        let values = match property.allowed {
            [] => property.kind.as_str().to_lowercase(),
            allowed => allowed.join(", "),
        };
        format!("| `{}` | `{}` | {values} | {} |\n", property.name, property.default.unwrap_or("-"), property.title)
    }));
    text += "\n## The worker\n\n\
        Properties of `streamer --worker FILE`, or variables where there is no file: each variable of Debezium's connect image, and\n\
        `CONNECT_A_B` for any property `a.b`. A property that is not known is a warning in the log. Variables beside those: `RUST_LOG`, the\n\
        log's level, `LOG_FORMAT=json`, and OpenTelemetry's `OTEL_…`, by which transactions are traced (docs/operations.md, *Traces*).\n\n";
    text + &worker_keys::document()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINK_PART: &str = "\n## The sink\n";

    #[test]
    fn the_document_of_the_options_is_the_tables() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/options.md");
        // Behind it comes the sink's part, which its own test writes.
        let behind = std::fs::read_to_string(file).unwrap_or_default();
        let behind = behind.split_once(SINK_PART).map_or("", |(_, behind)| behind);
        let text = options_document() + SINK_PART + behind;
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        let is_written = std::fs::read_to_string(file).is_ok_and(|written| written == text);
        assert!(is_written, "docs/options.md is old: UPDATE_DOCS=1 cargo test -p streamer --lib options");
    }

    #[test]
    fn a_password_is_hidden_also_in_keys_that_nobody_declares() {
        assert_eq!(masked("database.password", "p"), "[hidden]");
        assert_eq!(masked("producer.override.sasl.jaas.config", "p"), "[hidden]");
        assert_eq!(masked("database.user", "u"), "u");
    }
}
