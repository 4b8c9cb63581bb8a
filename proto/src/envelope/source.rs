//! The `source` block: where a record comes from.

use super::EnvelopeSettings;
use crate::connect::json::write_string;
use crate::connect::scalar::Scalar;
use crate::connect::schema::{Field, Schema, SchemaKind};
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
            SnapshotMarker::False => "false",
        }
    }
}

/// The block's constant parts as JSON.
#[derive(Debug, Clone)]
pub(super) struct SourceTemplate {
    head: Vec<u8>,
    database: Vec<u8>,
}

impl SourceTemplate {
    pub(super) fn new(settings: &EnvelopeSettings) -> Self {
        let mut head = b"{\"version\":".to_vec();
        write_string(&settings.source_version, &mut head);
        head.extend_from_slice(b",\"connector\":\"postgresql\",\"name\":");
        write_string(&settings.topic_prefix, &mut head);
        head.extend_from_slice(b",\"ts_ms\":");
        let mut database = b"\",\"db\":".to_vec();
        write_string(&settings.database, &mut database);
        database.extend_from_slice(b",\"sequence\":\"[");
        Self { head, database }
    }

    pub(super) fn write(&self, source: &Source<'_>, out: &mut Vec<u8>) {
        let mut integers = itoa::Buffer::new();
        let mut integer = |out: &mut Vec<u8>, value: i64| out.extend_from_slice(integers.format(value).as_bytes());
        out.extend_from_slice(&self.head);
        integer(out, source.ts_us.div_euclid(1000));
        out.extend_from_slice(b",\"snapshot\":\"");
        out.extend_from_slice(source.snapshot.as_str().as_bytes());
        out.extend_from_slice(&self.database);
        for (index, lsn) in [source.last_commit_lsn, source.lsn].into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match lsn {
                Some(lsn) => {
                    out.extend_from_slice(b"\\\"");
                    integer(out, lsn.as_u64() as i64);
                    out.extend_from_slice(b"\\\"");
                }
                None => out.extend_from_slice(b"null"),
            }
        }
        out.extend_from_slice(b"]\",\"ts_us\":");
        integer(out, source.ts_us);
        out.extend_from_slice(b",\"ts_ns\":");
        integer(out, source.ts_us.wrapping_mul(1000));
        out.extend_from_slice(b",\"schema\":");
        write_string(source.schema, out);
        out.extend_from_slice(b",\"table\":");
        write_string(source.table, out);
        let numbers = [
            (",\"txId\":", source.tx_id.map(|id| id.as_u32().into())),
            (",\"lsn\":", source.lsn.map(|lsn| lsn.as_u64() as i64)),
            (",\"xmin\":", source.xmin),
        ];
        for (name, value) in numbers {
            out.extend_from_slice(name.as_bytes());
            match value {
                Some(value) => integer(out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
}

/// The block's schema.
pub(super) fn schema() -> Schema {
    let string = || Schema::new(SchemaKind::String);
    let int64 = || Schema::new(SchemaKind::Int64);
    let markers = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";
    let snapshot = Schema {
        default: Some(Scalar::String("false".to_owned())),
        ..Schema::logical(SchemaKind::String, "io.debezium.data.Enum").optional().with("allowed", markers)
    };
    let fields = [
        ("version", string()),
        ("connector", string()),
        ("name", string()),
        ("ts_ms", int64()),
        ("snapshot", snapshot),
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
    let fields = fields.into_iter().map(|(name, schema)| Field { name: name.to_owned(), schema }).collect();
    Schema::logical(SchemaKind::Struct(fields), "io.debezium.connector.postgresql.Source")
}
