//! What is looked at, as the command line names it.
//!
//! # Layout
//! - [`kafka`]: Kafka, entered as the worker does; reading it without a group's positions
//! - [`postgres`]: a database by its URL
//! - [`connect`]: the REST API of the worker, ours or Kafka Connect's

pub mod connect;
pub mod kafka;
pub mod postgres;
