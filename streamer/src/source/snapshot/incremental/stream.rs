//! What the stream brings while a chunk waits: its window opens, changes take rows out of it, it closes.

use proto::envelope::{SnapshotMarker, TableEnvelope};
use proto::lsn::Lsn;
use proto::pgoutput::Datum;
use proto::xid::Xid;

use super::Incremental;
use super::chunk::ChunkTable;
use crate::emit::{RowOrigin, now_ns};
use crate::error::TaskError;
use crate::source::snapshot::Outputs;

impl Incremental {
    /// A window opens.
    pub fn open_window(&mut self, id: &str) {
        if self.is_current(id) {
            self.is_open = true;
        }
    }

    /// A window closes: its rows are published, and the next chunk is read.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn close_window(
        &mut self,
        id: &str,
        origin: RowOrigin,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        if !self.is_current(id) {
            return Ok(());
        }
        self.finish_window(origin, outputs).await?;
        self.read_chunk(origin.tx_id, outputs).await
    }

    /// The stream has come to `position`, between two transactions: closes windows that nothing in the stream marks.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn reached(
        &mut self,
        position: Lsn,
        origin: RowOrigin,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        while self.closes_at.is_some_and(|end| end <= position) {
            self.closes_at = None;
            self.finish_window(origin, outputs).await?;
            self.read_chunk(origin.tx_id, outputs).await?;
        }
        Ok(())
    }

    /// A row was changed in transaction `xid`; `row` has its key.
    pub fn changed(&mut self, table: &TableEnvelope, row: &[Datum], xid: Option<Xid>) {
        let Some(current) = &self.table else { return };
        let (name, changed) = (&current.name, table.table());
        let counts = self.is_open || xid.is_some_and(|xid| !self.visible.shows(xid));
        if !counts || name.schema != changed.schema || name.name != changed.name {
            return;
        }
        let key = &changed.key;
        let has_key = key.iter().all(|column| matches!(row.get(*column), Some(Datum::Text(_))));
        if has_key {
            self.window.remove(row, key);
        } else if !key.is_empty() && !self.window.is_empty() {
            self.is_stale = true;
        }
    }

    /// A table was truncated: none of the rows that wait are there any more.
    pub fn truncated(&mut self, table: &TableEnvelope) {
        let truncated = table.table();
        if let Some(ChunkTable { name, .. }) = &self.table
            && name.schema == truncated.schema
            && name.name == truncated.name
        {
            self.window.take();
        }
    }

    fn is_current(&self, id: &str) -> bool {
        self.chunk_id.as_ref().is_some_and(|current| id.starts_with(current.as_str()))
    }

    pub(super) async fn finish_window(
        &mut self,
        origin: RowOrigin,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        (self.is_open, self.chunk_id) = (false, None);
        let rows = self.window.take();
        if std::mem::take(&mut self.is_stale) {
            self.chunk_end = self.last_sent.clone();
            return Ok(());
        }
        let Some(table) = &self.table else { return Ok(()) };
        for row in rows {
            let origin =
                RowOrigin { ts_us: now_ns() / 1000, snapshot: SnapshotMarker::Incremental, tx_id: None, ..origin };
            outputs.emitter.read(outputs.producer, &table.envelope, &row, origin).await?;
            outputs.producer.metrics().snapshot_rows.increment(1);
            self.last_sent = Some(table.key_of(&row));
        }
        Ok(())
    }
}
