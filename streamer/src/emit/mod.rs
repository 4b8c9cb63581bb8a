//! Row changes into records: which records a change becomes, their keys, headers and order.
//!
//! # Layout
//! - [`headers`]: the `__debezium.*` headers
//! - [`outlet`]: transforms, converters, producer
//! - `failures`: what becomes of a change that cannot be written
//! - `reselect`: columns read again before a row is written
//! - `seen`: what was emitted, for those who count it
//! - [`message`]: logical decoding messages
//! - [`transaction`]: transaction metadata
//! - [`traces`]: a span of each transaction, where traces are asked for
//! - [`heartbeat`]: the records that say that the connector lives

mod failures;
pub mod headers;
pub mod heartbeat;
pub mod message;
pub mod outlet;
mod reselect;
mod seen;
pub mod traces;
pub mod transaction;

use std::borrow::Cow;

use proto::envelope::{Before, Change, EnvelopeSettings, Op, SnapshotMarker, Source, TableEnvelope};
use proto::lsn::Lsn;
use proto::pgoutput::{Datum, Delete, Insert, LogicalMessage, OldTuple, Update};
use proto::position::Offset;
use proto::position::TransactionOffset;
use proto::xid::Xid;

use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;
use crate::source::wal::{LargeRow, RowChange};
use failures::Failures;
use message::Messages;
use outlet::{Outlet, RowError, RowRecord};
use reselect::Reselection;
use seen::Seen;
use transaction::TransactionMetadata;

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

impl RowOrigin {
    /// Where the last record before a stored position came from.
    pub fn at(offset: &Offset) -> Self {
        Self {
            ts_us: offset.ts_usec.unwrap_or_default(),
            snapshot: SnapshotMarker::False,
            last_commit_lsn: offset.lsn_commit,
            lsn: offset.lsn,
            tx_id: offset.tx_id,
        }
    }
}

/// Writes one connector's records.
#[derive(Debug)]
pub struct RowEmitter {
    skipped: crate::config::SkippedOperations,
    skip_unchanged: bool,
    tombstones_on_delete: bool,
    /// The slot's oldest transaction, where it is asked for.
    xmin: Option<i64>,
    messages: Messages,
    /// `None` where transaction metadata is not asked for.
    transactions: Option<TransactionMetadata>,
    /// Whether what comes was published before a restart, and is only counted.
    is_counting: bool,
    /// `None` where no post processor is asked for.
    reselection: Option<Reselection>,
    failures: Failures,
    seen: Seen,
    outlet: Outlet,
}

impl RowEmitter {
    /// Emits with the connector's settings; the run's id in the headers is new.
    ///
    /// # Errors
    /// As [`Outlet::new`].
    pub fn new(config: &ConnectorConfig, settings: &EnvelopeSettings) -> Result<Self, TaskError> {
        Ok(Self {
            skipped: config.skipped,
            skip_unchanged: config.skip_unchanged,
            tombstones_on_delete: config.tombstones_on_delete,
            xmin: None,
            messages: Messages::new(config, settings),
            transactions: config.transaction_metadata.then(|| TransactionMetadata::new(config.topics.transaction())),
            is_counting: false,
            reselection: Reselection::new(config),
            failures: Failures::new(config),
            seen: Seen::default(),
            outlet: Outlet::new(config)?,
        })
    }

    /// From now on, changes have this `source.xmin`.
    pub fn set_xmin(&mut self, xmin: Option<i64>) {
        self.xmin = xmin;
    }

    /// The next change begins a transaction, or is one of it: publishes its beginning before the first of them, which was
    /// done already where `was_begun`. A change that was published before a restart is only counted.
    ///
    /// Gives whether the change is to be handed on.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn in_transaction(
        &mut self,
        producer: &RecordProducer,
        origin: &RowOrigin,
        was_begun: bool,
        was_published: bool,
    ) -> Result<bool, TaskError> {
        self.is_counting = was_published;
        let Some(transactions) = &mut self.transactions else { return Ok(!was_published) };
        if let (false, Some(tx_id), Some(lsn)) = (transactions.is_open(), origin.tx_id, origin.lsn) {
            transactions.begin(producer, &mut self.outlet, tx_id, lsn, origin.ts_us, was_begun).await?;
        }
        Ok(true)
    }

    /// A transaction ends at this place. Before PostgreSQL 15 one may come without any change.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn end_transaction(
        &mut self,
        producer: &RecordProducer,
        tx_id: Xid,
        lsn: Lsn,
        ts_us: i64,
    ) -> Result<(), TaskError> {
        let Some(transactions) = &mut self.transactions else { return Ok(()) };
        if !transactions.is_open() {
            transactions.begin(producer, &mut self.outlet, tx_id, lsn, ts_us, false).await?;
        }
        transactions.end(producer, &mut self.outlet, lsn, ts_us).await
    }

    /// What the offset says of a transaction's events; `None` where transaction metadata is not asked for.
    pub fn transaction_offset(&self, tx_id: Xid) -> Option<TransactionOffset> {
        self.transactions.as_ref().map(|transactions| transactions.offset(tx_id))
    }

    /// A logical decoding message, of a transaction where the origin has one. Gives whether it was published, or would have
    /// been: some are left out by their prefix.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn message(
        &mut self,
        producer: &RecordProducer,
        message: &LogicalMessage,
        origin: RowOrigin,
    ) -> Result<bool, TaskError> {
        if !self.messages.captures(message) {
            return Ok(false);
        }
        let transactions = self.transactions.as_mut().filter(|_| origin.tx_id.is_some());
        let block = transactions.zip(origin.lsn).and_then(|(transactions, lsn)| transactions.message(lsn));
        if !self.is_counting || origin.tx_id.is_none() {
            self.messages.emit(producer, &mut self.outlet, message, origin, self.xmin, block.as_ref()).await?;
            self.seen.message(&origin, now_ns());
        }
        Ok(true)
    }

    /// Adds what was emitted since the last time to what is counted of the connector.
    pub fn count(&mut self, producer: &RecordProducer) {
        self.seen.tell(producer.metrics());
    }

    /// The way out for records that are not of a row.
    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    /// A large row is coming, and is not read yet.
    ///
    /// # Errors
    /// Stop when no record of it can be small enough for the producer: reading it would take its size in memory twice, to no end.
    pub fn announced(&self, producer: &RecordProducer, table: &TableEnvelope, row: &LargeRow) -> Result<(), TaskError> {
        let is_published = match row.change {
            RowChange::Insert => !self.skipped.create,
            // A changed key makes it a delete and a create.
            RowChange::Update => {
                !(self.skip_unchanged || self.skipped.update || self.skipped.create || self.skipped.delete)
            }
            RowChange::Delete => !self.skipped.delete,
        };
        let at_least = self.outlet.record_at_least(table, row.bytes).filter(|_| is_published);
        match at_least.map(|at_least| producer.may_take(table.topic(), row.bytes, at_least)) {
            Some(Err(error)) => Err(error.while_doing(&name_of(table, Some(row.lsn)))),
            Some(Ok(())) | None => Ok(()),
        }
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
        self.emit(producer, table, row, &change, origin, None).await.map(drop)
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
        self.emit(producer, table, row, &change, origin, None).await.map(drop)
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
        let new = filled(&update.new.values, update.old.as_ref());
        let new = new.as_ref();
        if let (true, Some(OldTuple::Full(old))) = (self.skip_unchanged, &update.old) {
            match table.is_unchanged(&old.values, new) {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => return self.failures.of(producer, table, origin, &error),
            }
        }
        let before = update.old.as_ref().map(before);
        let Some(old) = update.old.as_ref().map(values).filter(|old| table.has_key() && table.key_changed(old, new))
        else {
            if self.skipped.update {
                return Ok(());
            }
            let change = Change { op: Op::Update, before, after: Some(new), ts_ns: now_ns(), transaction: None };
            return self.emit(producer, table, new, &change, origin, None).await.map(drop);
        };
        // Two operations, each skipped by itself, whatever is said of updates.
        if !self.skipped.delete {
            let delete = Change { op: Op::Delete, before, after: None, ts_ns: now_ns(), transaction: None };
            let link = Some((headers::NEW_KEY, new));
            if !self.delete_records(producer, table, old, &delete, origin, link).await? {
                return Ok(());
            }
        }
        if self.skipped.create {
            return Ok(());
        }
        let create = Change { op: Op::Create, before: None, after: Some(new), ts_ns: now_ns(), transaction: None };
        self.emit(producer, table, new, &create, origin, Some((headers::OLD_KEY, old))).await.map(drop)
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
        self.delete_records(producer, table, values(&delete.old), &change, origin, None).await.map(drop)
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
        self.record(producer, table, None, &change, origin, None).await.map(drop)
    }

    /// A delete and its tombstone; gives whether they were written.
    async fn delete_records(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        old: &[Datum],
        change: &Change<'_>,
        origin: RowOrigin,
        link: Option<(&'static str, &[Datum])>,
    ) -> Result<bool, TaskError> {
        if !self.emit(producer, table, old, change, origin, link).await? {
            return Ok(false);
        }
        if !self.tombstones_on_delete || self.is_counting {
            return Ok(true);
        }
        // A table without a key has tombstones all the same.
        let key = table.has_key().then_some(old);
        self.written(producer, RowRecord { table, key, value: None, link }, origin).await
    }

    async fn emit(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        key_row: &[Datum],
        change: &Change<'_>,
        origin: RowOrigin,
        link: Option<(&'static str, &[Datum])>,
    ) -> Result<bool, TaskError> {
        let key = table.has_key().then_some(key_row);
        self.record(producer, table, key, change, origin, link).await
    }

    async fn record(
        &mut self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        key: Option<&[Datum]>,
        change: &Change<'_>,
        origin: RowOrigin,
        link: Option<(&'static str, &[Datum])>,
    ) -> Result<bool, TaskError> {
        // What a snapshot reads is of no transaction, also where it is read in the middle of one.
        let transactions = self.transactions.as_ref().filter(|_| change.op != Op::Read);
        let transaction =
            transactions.zip(origin.lsn).and_then(|(transactions, lsn)| transactions.next(table.collection(), lsn));
        let reselected = match (&mut self.reselection, key, change.after) {
            // What a snapshot reads is the newest state already.
            (Some(reselection), Some(key), Some(after)) if change.op != Op::Read && !self.is_counting => {
                reselection.apply(table, key, after).await?
            }
            _ => None,
        };
        let after = reselected.as_deref().or(change.after);
        let change = Change { transaction: transaction.as_ref(), after, ..*change };
        let xmin = self.xmin.filter(|_| change.op != Op::Read);
        let source = Source { xmin, ..source(table, origin) };
        let row = RowRecord { table, key, value: Some((&change, &source)), link };
        let is_written = self.written(producer, row, origin).await?;
        if is_written && let Some(transactions) = self.transactions.as_mut().filter(|_| change.op != Op::Read) {
            transactions.count(table.collection());
        }
        if is_written && (!self.is_counting || change.op == Op::Read) {
            self.seen.change(table.collection(), change.op, &origin, change.ts_ns);
        }
        Ok(is_written)
    }

    /// Writes a record, or, where it was published before a restart, sees only whether it was. Gives whether it could be.
    async fn written(
        &mut self,
        producer: &RecordProducer,
        row: RowRecord<'_>,
        origin: RowOrigin,
    ) -> Result<bool, TaskError> {
        let is_read = row.value.is_some_and(|(change, _)| change.op == Op::Read);
        if self.is_counting && !is_read {
            return Ok(self.failures.stop() || self.outlet.is_writable(&row).is_ok());
        }
        match self.outlet.row(producer, row).await {
            Ok(()) => Ok(true),
            Err(RowError::Task(error)) if error.is_of_record() => {
                Err(error.while_doing(&name_of(row.table, origin.lsn)))
            }
            Err(RowError::Task(error)) => Err(error),
            Err(RowError::Value(error)) => self.failures.of(producer, row.table, origin, &error).map(|()| false),
        }
    }
}

/// Which change it is, for a person: no values.
fn name_of(table: &TableEnvelope, lsn: Option<Lsn>) -> String {
    let described = table.table();
    let key: Vec<&str> =
        described.key.iter().filter_map(|index| described.columns.get(*index)).map(|column| &*column.name).collect();
    let key = if key.is_empty() { "no key".to_owned() } else { format!("key {}", key.join(", ")) };
    let lsn = lsn.map_or_else(String::new, |lsn| format!(" at LSN {lsn}"));
    format!("table {} ({key}){lsn}", table.collection())
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

/// The new row, its unchanged TOASTed values taken from the old row as far as that came: whole, or the identity's columns
/// alone, which it has where one of them is TOASTed although none changed.
fn filled<'a>(new: &'a [Datum], old: Option<&OldTuple>) -> Cow<'a, [Datum]> {
    let Some(old) = old.filter(|_| new.iter().any(|value| matches!(value, Datum::Unchanged))) else {
        return Cow::Borrowed(new);
    };
    let value = |(new, old): (&Datum, &Datum)| match (new, old) {
        (Datum::Unchanged, Datum::Null) => Datum::Unchanged,
        (Datum::Unchanged, old) => old.clone(),
        (new, _) => new.clone(),
    };
    new.iter().zip(values(old)).map(value).collect()
}

/// The connector's wall clock in Unix nanoseconds, for the envelope's own `ts_*`.
pub(crate) fn now_ns() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::pgoutput::Tuple;

    use super::*;

    #[test]
    fn a_toasted_key_that_did_not_change_is_taken_from_the_old_key() {
        let text = |text: &'static str| Datum::Text(Bytes::from_static(text.as_bytes()));
        let old = OldTuple::Key(Tuple { values: vec![text("long key"), Datum::Null] });
        let new = [Datum::Unchanged, Datum::Unchanged];
        assert_eq!(filled(&new, Some(&old)).as_ref(), [text("long key"), Datum::Unchanged]);
        assert_eq!(filled(&new, None).as_ref(), new);
    }
}
