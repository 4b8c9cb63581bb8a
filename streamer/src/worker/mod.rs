//! What a Kafka Connect worker is to its users.
//!
//! # Layout
//! - [`storage`]: the topics that make a restart, or a change back to a Java worker, go on where it was
//! - [`entrance`]: whether Kafka lets the worker in
//! - [`group`]: the worker's place in its group: active, or standing by
//! - [`herder`]: connectors' life cycle
//! - [`log_levels`]: what the log says, changed while the worker runs
//! - [`task`]: one running task and its state
//! - [`rest`]: the REST API
//! - [`page`]: what the page at `/` shows
//! - [`deploy`]: connectors given on the command line
//! - [`ask`]: the worker that runs here is asked how it is

pub mod ask;
pub mod deploy;
pub mod entrance;
pub mod group;
pub mod herder;
pub mod log_levels;
pub mod page;
pub mod rest;
pub mod storage;
pub mod task;

/// The version of Kafka Connect whose API this is.
pub const CONNECT_VERSION: &str = "4.1.1";
