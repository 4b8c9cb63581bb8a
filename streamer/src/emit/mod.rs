//! Row changes into records: which records a change becomes, their keys, headers and order.
//!
//! # Layout
//! - [`headers`]: the `__debezium.*` headers
//! - [`outlet`]: transforms, converters, producer
//! - [`heartbeat`]: the records that say that the connector lives

pub mod headers;
pub mod heartbeat;
pub mod outlet;

use proto::envelope::{Before, Change, Op, SnapshotMarker, Source, TableEnvelope};
use proto::lsn::Lsn;
use proto::pgoutput::{Datum, Delete, Insert, OldTuple, Update};
use proto::xid::Xid;

use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;
use outlet::{Outlet, RowRecord};

/// Where a row comes from: what its `source` block says beside the table.
#[derive(Debug, Clone, Copy)]
pub struct RowOrigin {
    /// The commit time, or the snapshot's start, in Unix microseconds.
    pub ts_us: i64,
    /// The row's place in a snapshot, `False` for a change.
    pub snapshot: SnapshotMarker,
    /// The end of the last commit before this transaction.
    pub last_commit_lsn: Option<Lsn>,
    /// The LSN of the row's WAL record.
    pub lsn: Option<Lsn>,
    /// The transaction's id.
    pub tx_id: Option<Xid>,
}

/// Writes one connector's row records.
#[derive(Debug)]
pub struct RowEmitter {
    skipped: crate::config::SkippedOperations,
    tombstones_on_delete: bool,
    outlet: Outlet,
}

impl RowEmitter {
    /// Emits with the connector's settings; the run's id in the headers is new.
    ///
    /// # Errors
    /// As [`Outlet::new`].
    pub fn new(config: &ConnectorConfig) -> Result<Self, TaskError> {
        let outlet = Outlet::new(config)?;
        Ok(Self { skipped: config.skipped, tombstones_on_delete: config.tombstones_on_delete, outlet })
    }

    /// The way out for records that are not of a row.
    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    /// A row of a snapshot (`r`).
    ///
    /// # Errors
    /// As [`RecordProducer::publish`]; stop when a value is not of the form its type has.
    pub async fn read(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        row: &[Datum],
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        let change = Change { op: Op::Read, before: None, after: Some(row), ts_ns: now_ns(), transaction: None };
        self.emit(producer, table, row, &change, origin, None).await
    }

    /// An inserted row (`c`).
    ///
    /// # Errors
    /// As [`RowEmitter::read`].
    pub async fn insert(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        insert: &Insert,
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.skipped.create {
            return Ok(());
        }
        let row = insert.new.values.as_slice();
        let change = Change { op: Op::Create, before: None, after: Some(row), ts_ns: now_ns(), transaction: None };
        self.emit(producer, table, row, &change, origin, None).await
    }

    /// An updated row: one `u`, or, when its key changed, a delete of the old key and a create under the new one, so that
    /// consumers of a compacted topic see the old key go.
    ///
    /// # Errors
    /// As [`RowEmitter::read`].
    pub async fn update(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        update: &Update,
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.skipped.update {
            return Ok(());
        }
        let new = update.new.values.as_slice();
        let before = update.old.as_ref().map(before);
        if let Some(old) = update.old.as_ref().map(values).filter(|old| table.has_key() && table.key_changed(old, new))
        {
            let delete = Change { op: Op::Delete, before, after: None, ts_ns: now_ns(), transaction: None };
            if !self.skipped.delete {
                self.delete_records(producer, table, old, &delete, origin, Some((headers::NEW_KEY, new))).await?;
            }
            if self.skipped.create {
                return Ok(());
            }
            let full;
            let after = match &update.old {
                // What TOAST left out of the new row is in the whole old one.
                Some(OldTuple::Full(old)) => {
                    full = filled(new, &old.values);
                    full.as_slice()
                }
                _ => new,
            };
            let create =
                Change { op: Op::Create, before: None, after: Some(after), ts_ns: now_ns(), transaction: None };
            return self.emit(producer, table, new, &create, origin, Some((headers::OLD_KEY, old))).await;
        }
        // Debezium shows only a whole old row; the key columns alone say nothing that the key does not.
        let before = before.filter(|before| matches!(before, Before::Full(_)));
        let change = Change { op: Op::Update, before, after: Some(new), ts_ns: now_ns(), transaction: None };
        self.emit(producer, table, new, &change, origin, None).await
    }

    /// A deleted row: `d`, and its tombstone.
    ///
    /// # Errors
    /// As [`RowEmitter::read`].
    pub async fn delete(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        delete: &Delete,
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.skipped.delete {
            return Ok(());
        }
        let change = Change {
            op: Op::Delete,
            before: Some(before(&delete.old)),
            after: None,
            ts_ns: now_ns(),
            transaction: None,
        };
        self.delete_records(producer, table, values(&delete.old), &change, origin, None).await
    }

    /// A truncated table (`t`): no key, no rows.
    ///
    /// # Errors
    /// As [`RowEmitter::read`].
    pub async fn truncate(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.skipped.truncate {
            return Ok(());
        }
        let change = Change { op: Op::Truncate, before: None, after: None, ts_ns: now_ns(), transaction: None };
        let source = source(table, origin);
        self.outlet.row(producer, RowRecord { table, key: None, value: Some((&change, &source)), link: None }).await
    }

    async fn delete_records(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        old: &[Datum],
        change: &Change<'_>,
        origin: RowOrigin,
        link: Option<(&'static str, &[Datum])>,
    ) -> Result<(), TaskError> {
        self.emit(producer, table, old, change, origin, link).await?;
        if !self.tombstones_on_delete {
            return Ok(());
        }
        // A table without a key has tombstones all the same.
        let key = table.has_key().then_some(old);
        self.outlet.row(producer, RowRecord { table, key, value: None, link }).await
    }

    async fn emit(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        key_row: &[Datum],
        change: &Change<'_>,
        origin: RowOrigin,
        link: Option<(&'static str, &[Datum])>,
    ) -> Result<(), TaskError> {
        let source = source(table, origin);
        let key = table.has_key().then_some(key_row);
        self.outlet.row(producer, RowRecord { table, key, value: Some((change, &source)), link }).await
    }
}

fn source(table: &TableEnvelope, origin: RowOrigin) -> Source<'_> {
    Source {
        ts_us: origin.ts_us,
        snapshot: origin.snapshot,
        last_commit_lsn: origin.last_commit_lsn,
        lsn: origin.lsn,
        tx_id: origin.tx_id,
        schema: &table.table().schema,
        table: &table.table().name,
        xmin: None,
    }
}

fn before(old: &OldTuple) -> Before<'_> {
    match old {
        OldTuple::Full(tuple) => Before::Full(&tuple.values),
        OldTuple::Key(tuple) => Before::Key(&tuple.values),
    }
}

fn values(old: &OldTuple) -> &[Datum] {
    match old {
        OldTuple::Full(tuple) | OldTuple::Key(tuple) => &tuple.values,
    }
}

/// The new row with its unchanged TOASTed values taken from the whole old row.
fn filled(new: &[Datum], old: &[Datum]) -> Vec<Datum> {
    new.iter()
        .zip(old)
        .map(|(new, old)| if matches!(new, Datum::Unchanged) { old.clone() } else { new.clone() })
        .collect()
}

/// The connector's wall clock in Unix nanoseconds, for the envelope's own `ts_*`.
fn now_ns() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}
