//! The target's tables, and what of a batch has to be written.
//!
//! # Layout
//! - [`table`]: a target table as its catalog has it
//! - [`rows`]: rows on their way into a table
//! - [`snapshot`]: which changes are in a table's copy already
//! - [`stage`]: steps that are carried out together, reduced to the last state of every row

pub mod rows;
pub mod snapshot;
pub mod stage;
pub mod table;
