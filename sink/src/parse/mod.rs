//! A record into a change.
//!
//! # Layout
//! - [`handling`]: what the connector's configuration says of its records
//! - [`head`]: a value, and what all values of its topic begin with
//! - [`record`]: key, value and headers into what happened
//! - `envelope`: an envelope's fields; [`unwrap`]: rows without one
//! - [`row`]: a row's JSON into its columns
//! - [`transaction`]: which transaction of the source it is of
//! - [`reader`]: how a column's values are read, found out once
//! - [`value`]: a JSON value into the text that the column's type reads, with a file for each family: `number`, `binary`,
//!   `datetime`, `array`, `object`, `hstore`

mod array;
mod binary;
mod datetime;
mod envelope;
pub mod handling;
pub mod head;
mod hstore;
mod number;
mod object;
pub mod reader;
pub mod record;
pub mod row;
pub mod transaction;
pub mod unwrap;
pub mod value;

/// Why a record cannot be understood; it is set aside with this. It never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
