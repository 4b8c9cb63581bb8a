//! Rows and offsets in one transaction.
//!
//! # Layout
//! - [`ledger`]: the sink's own tables in the target: offsets, what was set aside, how far the first copy is
//! - `fence`: one transaction at a time applies records of a partition
//! - [`statements`]: SQL for a table
//! - [`batch`]: a batch of records, applied

pub mod batch;
mod fence;
pub mod ledger;
pub mod statements;
