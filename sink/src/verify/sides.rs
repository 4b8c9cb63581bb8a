//! A table on both sides, asked at once.

use std::time::Duration;

use super::barrier::Barrier;
use super::candidate::Rows;
use super::ranges::{Range, Ranges, Side};
use super::rows::{Hashes, Image, Key, Sum};
use super::side::TableSide;
use super::tables::Table;
use crate::error::SinkError;

/// The pause between two looks at rows, so short that of one that changes all the time most states are seen.
const PAUSE: Duration = Duration::from_millis(25);

/// A table on both sides.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    /// The source's.
    pub(super) source: TableSide<'a>,
    /// The target's.
    pub(super) target: TableSide<'a>,
}

impl Ranges for Sides<'_> {
    async fn sums(&self, range: &Range) -> Result<(Sum, Sum), SinkError> {
        tokio::try_join!(self.source.sum(range), self.target.sum(range))
    }

    async fn end(&self, above: Option<&Key>, rows: i64) -> Result<Option<Key>, SinkError> {
        self.source.end(above, rows).await
    }

    async fn boundaries(&self, of: Side, range: &Range, every: i64) -> Result<Vec<Key>, SinkError> {
        match of {
            Side::Source => self.source.boundaries(range, every).await,
            Side::Target => self.target.boundaries(range, every).await,
        }
    }

    async fn hashes(&self, range: &Range) -> Result<(Hashes, Hashes), SinkError> {
        tokio::try_join!(self.source.hashes(range), self.target.hashes(range))
    }
}

/// The same with the stream between them.
pub(super) struct Streamed<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// Its sides.
    pub(super) sides: Sides<'a>,
    /// What comes from the one to the other.
    pub(super) barrier: &'a mut Barrier,
}

impl Rows for Streamed<'_> {
    async fn source(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
        self.sides.source.images(keys).await
    }

    async fn target(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
        self.sides.target.images(keys).await
    }

    async fn barrier(&mut self) -> Result<(), SinkError> {
        self.barrier.pass(self.table).await
    }

    async fn pause(&self, looked: Duration) {
        // Many rows are a load, beside which those that are awaited have to arrive.
        tokio::time::sleep(PAUSE.max(looked)).await;
    }
}
