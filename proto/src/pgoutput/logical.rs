//! `pg_logical_emit_message`.

use bytes::Bytes;

use super::DecodeError;
use super::cursor::Cursor;
use crate::lsn::Lsn;

/// An application's message in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalMessage {
    /// Whether it belongs to the transaction around it.
    pub transactional: bool,
    /// Where it is in the log.
    pub lsn: Lsn,
    /// Who it is for.
    pub prefix: String,
    /// What it says.
    pub content: Bytes,
}

impl LogicalMessage {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let transactional = cursor.u8("flags")? & 1 == 1;
        let lsn = Lsn::from(cursor.u64("LSN")?);
        let prefix = cursor.text("prefix")?;
        let length = cursor.u32("content length")?;
        Ok(Self { transactional, lsn, prefix, content: cursor.bytes(length, "content")? })
    }
}
