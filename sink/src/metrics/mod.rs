//! What is counted, and how the sink is.
//!
//! # Layout
//! - [`names`]: the metrics' names
//! - [`health`]: how the sink is, and each topic
//! - [`http`]: `/metrics`, `/health`, and the page at `/`
//! - [`page`]: what the page shows

pub mod health;
pub mod http;
pub mod names;
pub mod page;
