//! Where to start, what to skip, what to store.
//!
//! A position is a commit and, inside the transaction behind it, an ordinal: one LSN is shared by all rows of a COPY or
//! a multi-row INSERT, so an LSN alone cannot say how far a transaction was read (Debezium loses rows there).

mod anchor;
pub mod committer;
mod own;
mod resume;
mod start;
mod store;

use proto::lsn::Lsn;
use proto::position::Offset;

pub use anchor::{Anchored, on_server};
pub use own::Positions;
pub use resume::{Published, Resume};
pub use start::{SlotAction, Start};
pub use store::OffsetStore;

/// What becomes true once all records before it are acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// The server may forget everything up to here: the end of a commit, or a keepalive's position between transactions.
    pub flush: Option<Lsn>,
    /// The offset to store before that, if records led here.
    pub offset: Option<Offset>,
}

impl Checkpoint {
    /// Replaces this by a newer checkpoint; an offset still to be stored is not forgotten for a keepalive.
    pub fn supersede(&mut self, newer: Checkpoint) {
        self.flush = newer.flush.max(self.flush);
        if newer.offset.is_some() {
            self.offset = newer.offset;
        }
    }
}
