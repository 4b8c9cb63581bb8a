//! The real stack as native processes, and what the tests say it with.
//!
//! # Layout
//! - [`artifacts`]: what is downloaded, once for all checkouts
//! - [`process`]: a program that was started: its log, its end
//! - [`ports`]: free ports, taken ports
//! - [`wait`]: waiting for a condition
//! - [`postgres`], [`kafka`], [`registry`], [`worker`], [`sink`], [`prometheus`]: the services
//! - [`browser`]: a real one, for the page
//! - [`topic`]: what is in a topic
//! - [`mod@bench`]: how fast it all is, beside Debezium and beside PostgreSQL itself
//! - [`documents`]: the documents' code blocks, run as they stand
//! - [`demo`]: all of them on the demo's ports, left running
//! - [`memory`]: how much memory the programs take
//! - [`happened`]: what happened in the source, and what was published of it
//! - [`faults`]: breaks things under load and looks what came of it
//! - [`parity`]: the parity suite; [`random`]: random scenarios for it
//!
//! The binary `stack` is the command line to it: `stack fetch`, `stack demo`, `stack down`, and `stack run -- COMMAND`,
//! which starts PostgreSQL twice and Kafka on free ports, tells the command where they are, and stops them behind it.

pub mod artifacts;
pub mod bench;
pub mod browser;
pub mod demo;
pub mod documents;
pub mod faults;
pub mod happened;
pub mod java;
pub mod kafka;
pub mod memory;
pub mod parity;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod random;
pub mod registry;
pub mod sink;
pub mod topic;
pub mod wait;
pub mod worker;
