//! What the catalog says about a captured table.

use crate::oid::Oid;
use crate::pgoutput::ReplicaIdentity;
use crate::types::Phase;

/// A table as of one version of its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its id in `pg_class`.
    pub oid: Oid,
    /// Its schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Who described it: the driver's metadata and the stream do not agree on every type's name and length.
    pub described_by: Phase,
    /// What an UPDATE or DELETE says about the old row.
    pub identity: ReplicaIdentity,
    /// In the order of the Relation message; generated columns are not in it.
    pub columns: Vec<Column>,
    /// Indexes into `columns`, in the order of the primary key's (or the first unique index's) columns; empty without one.
    pub key: Vec<usize>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type's modifier (`atttypmod`), -1 for none.
    pub typmod: i32,
    /// Its type.
    pub pg_type: PgType,
    /// Whether NULL is excluded.
    pub not_null: bool,
    /// The default's expression as `pg_get_expr` prints it.
    pub default: Option<String>,
    /// Whether it is computed by the server.
    pub generated: bool,
}

/// A type as `pg_type` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgType {
    /// Its id.
    pub oid: Oid,
    /// Its schema's name.
    pub schema: String,
    /// `typname`: `int4`, `_text`, `mood`.
    pub name: String,
    /// What sort of type it is.
    pub kind: PgTypeKind,
}

/// The sorts of types (`pg_type.typtype`, arrays told apart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PgTypeKind {
    /// A type of its own.
    Base,
    /// `CREATE TYPE … AS ENUM`, labels in their order.
    Enum {
        /// The labels.
        labels: Vec<String>,
    },
    /// `CREATE DOMAIN`.
    Domain {
        /// The type underneath.
        base: Box<PgType>,
        /// The modifier the domain puts on it.
        typmod: i32,
    },
    /// An array type.
    Array {
        /// The elements' type.
        element: Box<PgType>,
    },
    /// A row type.
    Composite,
    /// A range type.
    Range,
    /// A multirange type.
    Multirange,
    /// A pseudo-type, or a type that is gone from the catalog.
    Pseudo,
}
