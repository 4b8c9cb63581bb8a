//! Rows and offsets in one transaction.
//!
//! # Layout
//! - [`ledger`]: the sink's own tables in the target: offsets, what was set aside, how far the first copy is
//! - [`owner`]: who applies, one sink at a time
//! - [`statements`]: SQL for a table
//! - [`batch`]: a batch of records, applied

pub mod batch;
pub mod ledger;
pub mod owner;
pub mod statements;
