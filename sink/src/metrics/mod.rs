//! What is counted, and how the sink is.
//!
//! # Layout
//! - [`names`]: the metrics' names
//! - [`health`]: how the sink is, and each topic
//! - [`http`]: `/metrics` and `/health`

pub mod health;
pub mod http;
pub mod names;
