//! The target's tables, and what of a batch has to be written.
//!
//! # Layout
//! - [`table`]: a target table as its catalog has it
//! - [`reduce`]: the last state of every row of a batch

pub mod reduce;
pub mod table;
