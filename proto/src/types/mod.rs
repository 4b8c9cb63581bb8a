//! A column's text form into Kafka Connect's value, as Debezium's `PostgresValueConverter` maps it.
//!
//! The text is that of a session with `TimeZone=UTC`, `DateStyle=ISO`, `IntervalStyle=postgres`, `bytea_output=hex`,
//! `extra_float_digits=3`.
//!
//! # Layout
//! - `codec`: which conversion a type has, its schema, its values for special cases
//! - `default`: a default's expression into the schema's default
//! - one file a type family: `number`, [`decimal`], [`datetime`], [`interval`], `binary`, [`mod@array`], [`hstore`], `point`

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod array;
mod binary;
mod codec;
pub mod datetime;
pub mod decimal;
mod default;
pub mod hstore;
pub mod interval;
mod number;
mod point;

pub use codec::ColumnCodec;

/// How values are represented where Debezium gives a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ValueModes {
    /// `interval.handling.mode`.
    pub interval: IntervalMode,
}

/// `interval.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalMode {
    /// Microseconds, a month being 365.25 / 12 days: it does not say which interval it was.
    #[default]
    Numeric,
    /// ISO 8601: `P1Y2M3DT4H5M6.789S`.
    String,
}

/// A text is not what its type's output function writes. The text itself is a row's value and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0} as PostgreSQL writes it")]
pub struct NotA(pub &'static str);

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, NotA> {
    std::str::from_utf8(bytes).map_err(|_| NotA(what))
}
