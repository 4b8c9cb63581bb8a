//! The rows on their way out: held back one a table for its marker, and what is done laid behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::envelope::SnapshotMarker;
use proto::pgoutput::Datum;
use proto::position::{Offset, SnapshotOffset};

use super::done::Done;
use super::instant::Instant;
use super::marker::Markers;
use super::unit::{SourceTable, Unit};
use super::{Outputs, Plan};
use crate::emit::RowOrigin;
use crate::error::TaskError;
use crate::position::Checkpoint;

/// A row waiting for its marker.
type HeldRow = (usize, Vec<Datum>);

/// The rows of one snapshot.
pub(super) struct Rows<'a, 'b> {
    pub(super) outputs: &'a mut Outputs<'b>,
    tables: &'a [SourceTable],
    instant: Instant,
    /// One table after another, or each table for itself where several sessions read.
    markers: BTreeMap<usize, Markers<HeldRow>>,
    is_parallel: bool,
    /// Units whose last row may be held back.
    ended: Vec<Unit>,
    /// Tables that were read to their end, and whose last row may be held back.
    ended_tables: Vec<usize>,
    done: Done,
    laid_at: Option<std::time::Instant>,
    let_go_at: std::time::Instant,
    /// Where streaming begins, and whether what is done is kept in the offset.
    offset: Offset,
    keeps_done: bool,
    pub(super) published: u64,
}

impl<'a, 'b> Rows<'a, 'b> {
    pub(super) fn new(
        outputs: &'a mut Outputs<'b>,
        tables: &'a [SourceTable],
        instant: Instant,
        plan: &Plan,
        done: Done,
        is_parallel: bool,
    ) -> Self {
        let offset = Offset {
            lsn: Some(plan.start.unwrap_or(instant.lsn)),
            tx_id: instant.tx_id,
            ts_usec: Some(instant.started_us),
            snapshot: Some(SnapshotOffset { completed: false, last_record: false }),
            ..Offset::default()
        };
        Self {
            outputs,
            tables,
            instant,
            markers: BTreeMap::new(),
            is_parallel,
            ended: Vec::new(),
            ended_tables: Vec::new(),
            done,
            laid_at: None,
            let_go_at: std::time::Instant::now(),
            offset,
            keeps_done: plan.keeps_done,
            published: 0,
        }
    }

    /// The offset that stands for "snapshot complete".
    pub(super) fn completed(&self) -> Offset {
        Offset { snapshot: Some(SnapshotOffset { completed: true, last_record: true }), ..self.offset.clone() }
    }

    /// Publishes the rows of a table, all but the last one.
    pub(super) async fn push(&mut self, table: usize, rows: Vec<Vec<Datum>>) -> Result<(), TaskError> {
        for row in rows {
            let row = match self.tables.get(table) {
                Some(source) => source.arrange(row),
                None => continue,
            };
            let markers = self.markers.entry(if self.is_parallel { table } else { 0 }).or_default();
            if let Some((row, marker)) = markers.push(table, (table, row)) {
                // Among tables that are read side by side none is the first or the last.
                let is_first = self.is_parallel && marker == SnapshotMarker::First;
                self.publish(row, if is_first { SnapshotMarker::FirstInDataCollection } else { marker }).await?;
            }
            self.settle(table);
        }
        Ok(())
    }

    /// A unit is read to its end.
    pub(super) fn ended(&mut self, unit: Unit) {
        if !unit.is_again {
            self.ended.push(unit);
        }
    }

    /// A table is read to its end: where each table stands for itself, its last row is known now.
    pub(super) async fn table_ended(&mut self, table: usize) -> Result<(), TaskError> {
        if self.is_parallel
            && let Some((row, _)) = self.markers.remove(&table).and_then(Markers::finish)
        {
            self.publish(row, SnapshotMarker::LastInDataCollection).await?;
        }
        self.ended_tables.push(table);
        if !self.markers.values().any(|markers| markers.held_table() == Some(table)) {
            self.settle(table);
        }
        Ok(())
    }

    /// The last rows.
    pub(super) async fn finish(&mut self) -> Result<(), TaskError> {
        for (_, markers) in std::mem::take(&mut self.markers) {
            if let Some((row, marker)) = markers.finish() {
                self.publish(row, marker).await?;
            }
        }
        Ok(())
    }

    /// A row of `table` was let go: the units and tables that ended before it are published whole.
    fn settle(&mut self, table: usize) {
        if self.ended.is_empty() && self.ended_tables.is_empty() {
            return;
        }
        let held: Vec<usize> = self.markers.values().filter_map(Markers::held_table).collect();
        let is_parallel = self.is_parallel;
        for unit in self.ended.extract_if(.., |unit| !is_parallel || unit.table == table) {
            if let (Some((from, Some(to))), Some(source)) = (unit.blocks, self.tables.get(unit.table)) {
                self.done.range(&source.name, source.file, from, to);
            }
        }
        for table in self.ended_tables.extract_if(.., |table| !held.contains(table)) {
            if let Some(source) = self.tables.get(table) {
                self.done.table(&source.name);
            }
        }
        if self.keeps_done {
            self.lay();
        }
    }

    /// Lays what is done behind the rows that were published for it; not for every small table.
    fn lay(&mut self) {
        const PAUSE: Duration = Duration::from_millis(200);
        if self.laid_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        let now = std::time::Instant::now();
        (self.laid_at, self.let_go_at) = (Some(now), now);
        let offset = Offset { snapshot_done: Some(self.done.to_text()), ..self.offset.clone() };
        self.outputs.producer.ledger().checkpoint(Checkpoint { flush: None, offset: Some(offset) });
    }

    /// Where a unit takes long, its rows are let go without what is done: no transaction of Kafka's stays open as long as a
    /// large table is read. After a crash they come again.
    fn let_go(&mut self) {
        const LONG: Duration = Duration::from_secs(10);
        let now = std::time::Instant::now();
        if now.duration_since(self.let_go_at) < LONG {
            return;
        }
        self.let_go_at = now;
        self.outputs.producer.ledger().checkpoint(Checkpoint::default());
    }

    async fn publish(&mut self, (table, row): HeldRow, snapshot: SnapshotMarker) -> Result<(), TaskError> {
        let Some(source) = self.tables.get(table) else { return Ok(()) };
        let origin = RowOrigin {
            ts_us: self.instant.started_us,
            snapshot,
            last_commit_lsn: self.instant.last_commit_lsn,
            lsn: Some(self.instant.lsn),
            tx_id: self.instant.tx_id,
        };
        self.outputs.emitter.read(self.outputs.producer, &source.envelope, &row, origin).await?;
        self.published += 1;
        self.let_go();
        self.outputs.producer.metrics().snapshot_rows.increment(1);
        Ok(())
    }
}
