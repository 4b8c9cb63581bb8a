//! Rows and offsets in one transaction.
//!
//! # Layout
//! - [`ledger`]: the sink's own tables in the target: offsets, what was set aside, how far the first copy is
//! - [`copied`]: how far each table's copy is
//! - `fence`: one transaction at a time applies records of a partition
//! - [`batch`]: a batch of records of a partition, applied
//! - [`ordered`]: transactions of the source, applied
//! - `session`: a session of the target that applies them
//! - [`refused`]: records that the target does not take
//! - [`replay`]: records that were set aside, applied after all
//! - [`sequences`]: the source's sequences, whose values come in no change
//! - `tables`: what is known of a topic's tables
//! - `lacking`: what the target lacks of a table, and what is done about it
//! - `planner`: its records into stages
//! - `write`: a stage into the target
//! - [`statements`]: SQL for a table
//! - [`traces`]: a span of each transaction of the source that is applied, where traces are asked for

pub mod batch;
pub mod copied;
mod fence;
pub mod lacking;
pub mod ledger;
pub mod ordered;
mod planner;
pub mod refused;
pub mod replay;
pub mod sequences;
mod session;
pub mod statements;
mod tables;
pub mod traces;
mod write;
