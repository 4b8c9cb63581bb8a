//! What is counted, and how the sink is.
//!
//! # Layout
//! - [`names`]: the metrics' names
//! - [`health`]: every table's state
//! - [`http`]: `/metrics` and `/health`

pub mod health;
pub mod http;
pub mod names;
