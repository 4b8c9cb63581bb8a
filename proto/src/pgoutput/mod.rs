//! The messages of PostgreSQL's `pgoutput` plugin, protocol version 1
//! (PostgreSQL documentation, "Logical Replication Message Formats").
//!
//! # Layout
//! - `cursor`: a checked reader
//! - `transaction`: Begin, Commit, Origin
//! - `relation`: Relation, Type
//! - `row`: Insert, Update, Delete, Truncate, and the tuples in them
//! - `logical`: `pg_logical_emit_message`

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cursor;
mod logical;
mod relation;
mod row;
mod transaction;

use bytes::Bytes;

pub use logical::LogicalMessage;
pub use relation::{Relation, RelationColumn, ReplicaIdentity, TypeName};
pub use row::{Datum, Delete, Insert, OldTuple, Truncate, Tuple, Update};
pub use transaction::{Begin, Commit, Origin};

use cursor::Cursor;

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A transaction begins.
    Begin(Begin),
    /// A transaction ends.
    Commit(Commit),
    /// Where the transaction came from first.
    Origin(Origin),
    /// What a table looks like from here on.
    Relation(Relation),
    /// The name of a type that is not built in.
    Type(TypeName),
    /// A new row.
    Insert(Insert),
    /// A changed row.
    Update(Update),
    /// A row that is gone.
    Delete(Delete),
    /// Tables emptied.
    Truncate(Truncate),
    /// An application's message.
    LogicalMessage(LogicalMessage),
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends before it is whole.
    #[error("the message ends inside its {0}")]
    Truncated(&'static str),
    /// Bytes are left over.
    #[error("{0} bytes are left behind the message")]
    Trailing(usize),
    /// The first byte names no message of protocol version 1.
    #[error("there is no message with tag {0:#04x}")]
    UnknownTag(u8),
    /// A tag inside the message is unknown.
    #[error("unknown tag {1:#04x} of its {0}")]
    UnknownPart(&'static str, u8),
    /// A name is not UTF-8; the session asks the server for UTF-8.
    #[error("its {0} is not UTF-8")]
    NotUtf8(&'static str),
}

/// Decodes one message. Values are slices of `bytes`: nothing is copied.
///
/// # Errors
/// [`DecodeError`] for anything that is not exactly one message; it never panics.
pub fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let message = match cursor.u8("tag")? {
        b'B' => Message::Begin(Begin::decode(&mut cursor)?),
        b'C' => Message::Commit(Commit::decode(&mut cursor)?),
        b'O' => Message::Origin(Origin::decode(&mut cursor)?),
        b'R' => Message::Relation(Relation::decode(&mut cursor)?),
        b'Y' => Message::Type(TypeName::decode(&mut cursor)?),
        b'I' => Message::Insert(Insert::decode(&mut cursor)?),
        b'U' => Message::Update(Update::decode(&mut cursor)?),
        b'D' => Message::Delete(Delete::decode(&mut cursor)?),
        b'T' => Message::Truncate(Truncate::decode(&mut cursor)?),
        b'M' => Message::LogicalMessage(LogicalMessage::decode(&mut cursor)?),
        tag => return Err(DecodeError::UnknownTag(tag)),
    };
    match cursor.remaining() {
        0 => Ok(message),
        left => Err(DecodeError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests;
