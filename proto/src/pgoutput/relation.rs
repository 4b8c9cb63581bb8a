//! Relation and Type: what tables and their columns look like.

use super::DecodeError;
use super::cursor::Cursor;
use crate::oid::Oid;

/// A table, before its first change in a session and again whenever it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its id.
    pub oid: Oid,
    /// Its schema's name.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What an UPDATE or DELETE says about the old row.
    pub identity: ReplicaIdentity,
    /// The published columns, in the order of the tuples.
    pub columns: Vec<RelationColumn>,
}

/// A published column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it is part of the replica identity.
    pub key: bool,
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: Oid,
    /// Its type's modifier, -1 for none.
    pub typmod: i32,
}

/// `ALTER TABLE … REPLICA IDENTITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing: the server refuses updates and deletes of published tables.
    Nothing,
    /// The whole row.
    Full,
    /// A unique index.
    Index,
}

impl TryFrom<u8> for ReplicaIdentity {
    type Error = DecodeError;

    /// From `pg_class.relreplident`.
    fn try_from(letter: u8) -> Result<Self, Self::Error> {
        match letter {
            b'd' => Ok(ReplicaIdentity::Default),
            b'n' => Ok(ReplicaIdentity::Nothing),
            b'f' => Ok(ReplicaIdentity::Full),
            b'i' => Ok(ReplicaIdentity::Index),
            other => Err(DecodeError::UnknownPart("replica identity", other)),
        }
    }
}

impl Relation {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let oid = Oid::from(cursor.u32("table OID")?);
        let namespace = match cursor.text("schema name")? {
            // The protocol's short form.
            empty if empty.is_empty() => "pg_catalog".to_owned(),
            name => name,
        };
        let name = cursor.text("table name")?;
        let identity = ReplicaIdentity::try_from(cursor.u8("replica identity")?)?;
        let count = cursor.u16("number of columns")?;
        let columns = (0..count)
            .map(|_| {
                Ok(RelationColumn {
                    key: cursor.u8("column flags")? & 1 == 1,
                    name: cursor.text("column name")?,
                    type_oid: Oid::from(cursor.u32("column type")?),
                    typmod: cursor.i32("column type modifier")?,
                })
            })
            .collect::<Result<_, DecodeError>>()?;
        Ok(Self { oid, namespace, name, identity, columns })
    }
}

/// The name of a type that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// Its id.
    pub oid: Oid,
    /// Its schema's name.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl TypeName {
    pub(super) fn decode(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        Ok(Self {
            oid: Oid::from(cursor.u32("type OID")?),
            namespace: cursor.text("type schema")?,
            name: cursor.text("type name")?,
        })
    }
}
