//! A column's text form into Kafka Connect's value, as Debezium's `PostgresValueConverter` maps it.
//!
//! The text is that of a session with `TimeZone=UTC`, `DateStyle=ISO`, `IntervalStyle=postgres`, `bytea_output=hex`,
//! `extra_float_digits=3`.
//!
//! # Layout
//! - `modes`: where the configuration gives a choice
//! - `mapping`: which conversion and which schema a type has
//! - `codec`: a column's conversion, compiled once
//! - `stand_in`: what stands for values that were not sent
//! - `default`: a default's expression into the schema's default
//! - one file a type family: `number`, [`decimal`], [`datetime`] and `temporal`, [`interval`], `binary`, [`mod@array`], [`hstore`], `point`

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod array;
pub(crate) mod binary;
mod codec;
pub mod datetime;
pub mod decimal;
mod default;
pub mod hstore;
pub mod interval;
mod mapping;
mod modes;
mod number;
mod point;
mod stand_in;
mod temporal;

pub use codec::ColumnCodec;
pub use modes::{
    BinaryMode, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, Placeholder, TimePrecision, ValueModes,
};

/// A text is not what its type's output function writes. The text itself is a row's value and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0} as PostgreSQL writes it")]
pub struct NotA(pub &'static str);

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, NotA> {
    std::str::from_utf8(bytes).map_err(|_| NotA(what))
}
