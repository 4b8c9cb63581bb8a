//! Insert, Update, Delete, Truncate, and the tuples in them.

use bytes::Bytes;

use super::DecodeError;
use super::cursor::Cursor;
use crate::oid::Oid;

/// A new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub relation: Oid,
    /// The row.
    pub new: Tuple,
}

/// A changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The table.
    pub relation: Oid,
    /// What the replica identity says about the old row, if it says anything.
    pub old: Option<OldTuple>,
    /// The row as it is now.
    pub new: Tuple,
}

/// A row that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The table.
    pub relation: Oid,
    /// What the replica identity says about it.
    pub old: OldTuple,
}

/// Tables emptied by one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    /// The tables.
    pub relations: Vec<Oid>,
    /// `CASCADE` was given.
    pub cascade: bool,
    /// `RESTART IDENTITY` was given.
    pub restart_identity: bool,
}

/// An old row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Only the identity's columns have values; the others are null.
    Key(Tuple),
    /// The whole row (`REPLICA IDENTITY FULL`).
    Full(Tuple),
}

/// A row's values in the order of the Relation message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuple {
    /// One for each column.
    pub values: Vec<Datum>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    /// NULL.
    Null,
    /// A TOASTed value that the change did not touch: the server does not send it.
    Unchanged,
    /// The type's text form.
    Text(Bytes),
    /// The type's binary form (only with the `binary` option, which is not asked for).
    Binary(Bytes),
}

impl Insert {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let relation = Oid::from(cursor.u32("table OID")?);
        match cursor.u8("tuple tag")? {
            b'N' => Ok(Self { relation, new: Tuple::decode(cursor)? }),
            tag => Err(DecodeError::UnknownPart("tuple", tag)),
        }
    }
}

impl Update {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let relation = Oid::from(cursor.u32("table OID")?);
        let mut tag = cursor.u8("tuple tag")?;
        let old = OldTuple::decode(tag, cursor)?;
        if old.is_some() {
            tag = cursor.u8("tuple tag")?;
        }
        match tag {
            b'N' => Ok(Self { relation, old, new: Tuple::decode(cursor)? }),
            tag => Err(DecodeError::UnknownPart("tuple", tag)),
        }
    }
}

impl Delete {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let relation = Oid::from(cursor.u32("table OID")?);
        let tag = cursor.u8("tuple tag")?;
        let old = OldTuple::decode(tag, cursor)?.ok_or(DecodeError::UnknownPart("tuple", tag))?;
        Ok(Self { relation, old })
    }
}

impl Truncate {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let count = cursor.u32("number of tables")?;
        let options = cursor.u8("options")?;
        let relations =
            (0..count).map(|_| cursor.u32("table OID").map(Oid::from)).collect::<Result<_, DecodeError>>()?;
        Ok(Self { relations, cascade: options & 1 != 0, restart_identity: options & 2 != 0 })
    }
}

impl OldTuple {
    /// The old tuple that `tag` announces, `None` when it announces something else.
    fn decode(tag: u8, cursor: &mut Cursor) -> Result<Option<Self>, DecodeError> {
        match tag {
            b'K' => Tuple::decode(cursor).map(|tuple| Some(OldTuple::Key(tuple))),
            b'O' => Tuple::decode(cursor).map(|tuple| Some(OldTuple::Full(tuple))),
            _ => Ok(None),
        }
    }
}

impl Tuple {
    fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let count = cursor.u16("number of values")?;
        // A value takes a byte at least: the count alone makes no room.
        let mut values = Vec::with_capacity(usize::from(count).min(cursor.remaining()));
        for _ in 0..count {
            values.push(match cursor.u8("value kind")? {
                b'n' => Datum::Null,
                b'u' => Datum::Unchanged,
                b't' => {
                    let length = cursor.u32("value length")?;
                    Datum::Text(cursor.bytes(length, "value")?)
                }
                b'b' => {
                    let length = cursor.u32("value length")?;
                    Datum::Binary(cursor.bytes(length, "value")?)
                }
                kind => return Err(DecodeError::UnknownPart("value", kind)),
            });
        }
        Ok(Self { values })
    }
}
