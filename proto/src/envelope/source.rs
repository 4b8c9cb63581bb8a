//! The `source` block: where a record comes from.

use std::sync::LazyLock;

use super::EnvelopeSettings;
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::Value;
use crate::connect::writer::{Label, ValueWriter};
use crate::lsn::Lsn;
use crate::xid::Xid;

/// What a record says about its origin beside the connector.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The commit time, or the snapshot's start, in microseconds since 1970.
    pub ts_us: i64,
    /// The row's place in a snapshot.
    pub snapshot: SnapshotMarker,
    /// The end of the last commit before the row's transaction.
    pub last_commit_lsn: Option<Lsn>,
    /// The row's LSN.
    pub lsn: Option<Lsn>,
    /// The row's transaction.
    pub tx_id: Option<Xid>,
    /// The table's schema.
    pub schema: &'a str,
    /// The table.
    pub table: &'a str,
    /// The oldest open transaction (`xmin.fetch.interval.ms`).
    pub xmin: Option<i64>,
}

/// `source.snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMarker {
    /// A row in the middle of a table.
    True,
    /// The first row of the first table.
    First,
    /// The first row of another table.
    FirstInDataCollection,
    /// The last row of a table.
    LastInDataCollection,
    /// The last row of all.
    Last,
    /// Of an incremental snapshot.
    Incremental,
    /// Not of a snapshot.
    False,
}

impl SnapshotMarker {
    /// The marker's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            SnapshotMarker::True => "true",
            SnapshotMarker::First => "first",
            SnapshotMarker::FirstInDataCollection => "first_in_data_collection",
            SnapshotMarker::LastInDataCollection => "last_in_data_collection",
            SnapshotMarker::Last => "last",
            SnapshotMarker::Incremental => "incremental",
            SnapshotMarker::False => "false",
        }
    }
}

/// The block's names, and the values that are the connector's.
#[derive(Debug, Clone)]
pub(super) struct SourceFields {
    version: String,
    name: String,
    database: String,
}

/// The same of every table.
static LABELS: LazyLock<[Label; NAMES.len()]> = LazyLock::new(|| NAMES.map(Label::new));
static SNAPSHOT: LazyLock<Schema> = LazyLock::new(snapshot_schema);

const NAMES: [&str; 14] = [
    "version",
    "connector",
    "name",
    "ts_ms",
    "snapshot",
    "db",
    "sequence",
    "ts_us",
    "ts_ns",
    "schema",
    "table",
    "txId",
    "lsn",
    "xmin",
];

impl SourceFields {
    pub(super) fn new(settings: &EnvelopeSettings) -> Self {
        Self {
            version: settings.source_version.clone(),
            name: settings.topic_prefix.clone(),
            database: settings.database.clone(),
        }
    }

    pub(super) fn write(&self, source: &Source<'_>, writer: &mut impl ValueWriter) {
        let [version, connector, name, ts_ms, snapshot, db, sequence, ts_us, ts_ns, schema, table, tx_id, lsn, xmin] =
            &*LABELS;
        writer.begin_struct();
        for (label, text) in [(version, self.version.as_str()), (connector, "postgresql"), (name, &self.name)] {
            writer.labelled(label);
            writer.string(text);
        }
        writer.labelled(ts_ms);
        writer.int64(source.ts_us.div_euclid(1000));
        writer.labelled(snapshot);
        match source.snapshot {
            // Not written by Debezium either (`SnapshotRecord.toSource`): formats show the schema's default.
            SnapshotMarker::False => writer.null_of(&SNAPSHOT),
            marker => writer.string(marker.as_str()),
        }
        writer.labelled(db);
        writer.string(&self.database);
        writer.labelled(sequence);
        writer.string(&self::sequence(source.last_commit_lsn, source.lsn));
        writer.labelled(ts_us);
        writer.int64(source.ts_us);
        writer.labelled(ts_ns);
        writer.int64(source.ts_us.wrapping_mul(1000));
        for (label, text) in [(schema, source.schema), (table, source.table)] {
            writer.labelled(label);
            writer.string(text);
        }
        // A row of an incremental snapshot is of no WAL record; `sequence` says behind which it comes.
        let of_wal = source.snapshot != SnapshotMarker::Incremental;
        let numbers = [
            (tx_id, source.tx_id.filter(|_| of_wal).map(|id| id.as_u32().into())),
            (lsn, source.lsn.filter(|_| of_wal).map(|lsn| lsn.as_u64() as i64)),
            (xmin, source.xmin),
        ];
        for (label, number) in numbers {
            writer.labelled(label);
            match number {
                Some(number) => writer.int64(number),
                None => writer.null(),
            }
        }
        writer.end_struct();
    }
}

/// `source.sequence`: a JSON array of the two LSNs as strings.
fn sequence(last_commit: Option<Lsn>, lsn: Option<Lsn>) -> String {
    // Two numbers of 20 digits at most.
    let mut text = String::with_capacity(48);
    text.push('[');
    for (index, lsn) in [last_commit, lsn].into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match lsn {
            Some(lsn) => {
                text.push('"');
                text.push_str(itoa::Buffer::new().format(lsn.as_u64() as i64));
                text.push('"');
            }
            None => text.push_str("null"),
        }
    }
    text.push(']');
    text
}

/// The block's schema.
pub(super) fn schema() -> Schema {
    let string = || Schema::new(SchemaKind::String);
    let int64 = || Schema::new(SchemaKind::Int64);
    let fields = [
        ("version", string()),
        ("connector", string()),
        ("name", string()),
        ("ts_ms", int64()),
        ("snapshot", snapshot_schema()),
        ("db", string()),
        ("sequence", string().optional()),
        ("ts_us", int64().optional()),
        ("ts_ns", int64().optional()),
        ("schema", string()),
        ("table", string()),
        ("txId", int64().optional()),
        ("lsn", int64().optional()),
        ("xmin", int64().optional()),
    ];
    Schema::structure(fields).named("io.debezium.connector.postgresql.Source", 1)
}

fn snapshot_schema() -> Schema {
    let markers = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";
    Schema {
        default: Some(Value::String("false".to_owned())),
        ..Schema::logical(SchemaKind::String, "io.debezium.data.Enum").optional().with("allowed", markers)
    }
}
