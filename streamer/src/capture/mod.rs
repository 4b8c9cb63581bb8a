//! Messages of the slot into row changes.
//!
//! # Layout
//! - [`relations`]: what each table looks like as of the change, compiled to its envelope
//! - [`stream`]: every message in its turn
//! - [`transaction`]: where in the stream we are: transaction, ordinal, last commit

pub mod relations;
pub mod stream;
pub mod transaction;
