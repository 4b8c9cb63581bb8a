//! A record into a change.
//!
//! # Layout
//! - [`head`]: a value, and what all values of its topic begin with
//! - [`record`]: key, value and headers into what happened
//! - [`row`]: a row's JSON into its columns
//! - [`value`]: a JSON value into the text that the column's type reads
//! - [`transaction`]: which transaction of the source it is of
//! - `envelope`: an envelope's fields
//! - `array`, `datetime`: arrays, dates and times

mod array;
mod datetime;
mod envelope;
pub mod head;
pub mod record;
pub mod row;
pub mod transaction;
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
