//! Debezium's envelope: what a record of a table holds.
//!
//! # Layout
//! - `row`: a tuple's fields through their codecs
//! - `source`: the `source` block
//! - `table`: one table version's key and value, compiled once
//! - [`heartbeat`]: heartbeat records
//! - `message`: records of logical decoding messages
//! - [`transaction`]: the `transaction` block, the records of a transaction's beginning and end

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod heartbeat;
mod message;
mod row;
mod source;
mod table;
pub mod transaction;

use crate::connect::avro_names::NameAdjustment;
pub use crate::connect::json::JsonConverter;
use crate::pgoutput::Datum;
use crate::types::{ColumnRules, Losses, Phase, Placeholder, Unconvertible, ValueModes};

pub use message::MessageEnvelope;
pub use source::{SnapshotMarker, Source};
pub use table::{RecordNaming, RecordSchema, TableEnvelope};
pub use transaction::TransactionBlock;

/// What a connector's configuration decides about its records.
#[derive(Debug, Clone)]
pub struct EnvelopeSettings {
    /// `topic.prefix`.
    pub topic_prefix: String,
    /// `database.dbname`.
    pub database: String,
    /// `source.version`: the Debezium version that the records name.
    pub source_version: String,
    /// The key's converter, where rows are written as JSON with nothing in between; else `None`.
    pub key_converter: Option<JsonConverter>,
    /// The value's converter, likewise.
    pub value_converter: Option<JsonConverter>,
    /// How values are represented.
    pub modes: ValueModes,
    /// What is done to single columns.
    pub column_rules: ColumnRules,
    /// Who is told when a value loses something.
    pub losses: Losses,
    /// `schema.name.adjustment.mode`.
    pub schema_names: NameAdjustment,
    /// `field.name.adjustment.mode`.
    pub field_names: NameAdjustment,
    /// `unavailable.value.placeholder`.
    pub placeholder: Placeholder,
}

/// One change of one row.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What happened.
    pub op: Op,
    /// The old row.
    pub before: Option<Before<'a>>,
    /// The new row.
    pub after: Option<&'a [Datum]>,
    /// The connector's clock, in nanoseconds since 1970.
    pub ts_ns: i64,
    /// The change's place in its transaction (`provide.transaction.metadata`).
    pub transaction: Option<&'a TransactionBlock>,
}

/// The envelope's `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `r`: read by a snapshot.
    Read,
    /// `c`.
    Create,
    /// `u`.
    Update,
    /// `d`.
    Delete,
    /// `t`.
    Truncate,
}

impl Op {
    /// Where the row's values come from.
    pub const fn phase(self) -> Phase {
        match self {
            Op::Read => Phase::Snapshot,
            Op::Create | Op::Update | Op::Delete | Op::Truncate => Phase::Streaming,
        }
    }

    /// The letter.
    pub const fn letter(self) -> char {
        match self {
            Op::Read => 'r',
            Op::Create => 'c',
            Op::Update => 'u',
            Op::Delete => 'd',
            Op::Truncate => 't',
        }
    }
}

/// What is known of an old row.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// All of it.
    Full(&'a [Datum]),
    /// The replica identity's columns; the others are null here without being so.
    Key(&'a [Datum]),
}

/// A value that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A column's value cannot be converted.
    #[error("column {column} is {why}")]
    Column {
        /// The column.
        column: String,
        /// Why.
        why: Unconvertible,
    },
    /// The tuple does not fit the table.
    #[error("the row has {row} values for {table} columns")]
    Width {
        /// How many values came.
        row: usize,
        /// How many columns were described.
        table: usize,
    },
    /// A value came in binary form, which was not asked for.
    #[error("column {0} came in binary form")]
    Binary(String),
}

#[cfg(test)]
mod tests;
