//! A column's text form into Kafka Connect's value, as Debezium's `PostgresValueConverter` maps it.
//!
//! The text is that of a session with `TimeZone=UTC`, `DateStyle=ISO`, `IntervalStyle=postgres`, `bytea_output=hex`,
//! `extra_float_digits=3`.
//!
//! # Layout
//! - `modes`: where the configuration gives a choice
//! - `mapping`: which conversion and which schema a type has
//! - `codec`: a column's conversion, compiled once; `form`: what its values are in a record, for who reads them back
//! - `stand_in`: what stands for values that were not sent
//! - `rule`: what the configuration does to single columns; `source_type`: their types as it shows them
//! - `loss`: who is told when a value loses something
//! - `default`: a default's expression into the schema's default
//! - one file a type family: `number`, [`decimal`], [`datetime`] and `temporal`, [`interval`], `binary`, [`mod@array`], [`hstore`], `point`,
//!   `geometric`, `postgis`, `vector`

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod array;
pub(crate) mod binary;
mod codec;
pub mod datetime;
pub mod decimal;
mod default;
mod form;
mod geometric;
pub mod hstore;
pub mod interval;
mod loss;
mod mapping;
mod modes;
mod number;
mod point;
mod postgis;
mod rule;
mod source_type;
mod stand_in;
mod temporal;
mod vector;

pub use codec::{ColumnCodec, Kept};
pub use form::{Form, Temporal};
pub use loss::{Losses, OnLoss};
pub use modes::{
    BinaryMode, ConversionFailure, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, Placeholder, TimePrecision,
    ValueModes,
};

pub use rule::{ColumnRule, ColumnRules, HashAlgorithm, HashInput};

/// A text is not what its type's output function writes. The text itself is a row's value and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0} as PostgreSQL writes it")]
pub struct NotA(pub &'static str);

/// Why a value has no place in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    /// It is not of its type's form.
    #[error(transparent)]
    NotA(#[from] NotA),
    /// The mode has no value for it, and null is excluded or was not allowed to stand for it.
    #[error(
        "without a form for this value under the configured modes (NaN or an infinity needs decimal.handling.mode=string \
         or double), and null may not stand for it"
    )]
    NoForm,
}

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, NotA> {
    std::str::from_utf8(bytes).map_err(|_| NotA(what))
}

#[cfg(test)]
mod tests;
