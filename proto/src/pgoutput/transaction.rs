//! Begin, Commit, Origin.

use super::DecodeError;
use super::cursor::Cursor;
use crate::lsn::Lsn;
use crate::xid::Xid;

/// The first message of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The LSN of the commit record.
    pub final_lsn: Lsn,
    /// When it committed, in microseconds since 1970.
    pub commit_time_us: i64,
    /// Its id.
    pub xid: Xid,
}

impl Begin {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        Ok(Self {
            final_lsn: Lsn::from(cursor.u64("commit LSN")?),
            commit_time_us: cursor.timestamp("commit time")?,
            xid: Xid::from(cursor.u32("transaction id")?),
        })
    }
}

/// The last message of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record begins.
    pub commit_lsn: Lsn,
    /// Where it ends: what may be confirmed once the transaction is safe.
    pub end_lsn: Lsn,
    /// When it committed, in microseconds since 1970.
    pub commit_time_us: i64,
}

impl Commit {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        cursor.u8("flags")?;
        Ok(Self {
            commit_lsn: Lsn::from(cursor.u64("commit LSN")?),
            end_lsn: Lsn::from(cursor.u64("end LSN")?),
            commit_time_us: cursor.timestamp("commit time")?,
        })
    }
}

/// Where a transaction came from, when it was itself replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The commit's LSN there.
    pub commit_lsn: Lsn,
    /// The origin's name.
    pub name: String,
}

impl Origin {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        Ok(Self { commit_lsn: Lsn::from(cursor.u64("commit LSN")?), name: cursor.text("origin name")? })
    }
}
