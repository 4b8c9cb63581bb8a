//! The language that the streamer and the sink share. No sockets, no clock, no runtime: bytes in, meaning out, bytes again.
//!
//! # Layout
//! - [`lsn`], [`xid`], [`oid`]: PostgreSQL's numbers as types of their own
//! - [`pgoutput`]: the logical replication messages; decoding never panics
//! - [`table`]: what the catalog says about a captured table
//! - [`types`]: a column's text form into Kafka Connect's value, one file a type family
//! - [`connect`]: Kafka Connect's schema and values, and the JSON converter
//! - [`envelope`]: Debezium's envelope and key, compiled once a table version; heartbeats
//! - [`topic`]: topic names
//! - [`position`]: Debezium's offset
//! - [`failpoint`]: where a test lets the process crash
//!
//! # The writer seam
//! A type's conversion builds no value tree: it calls a [`connect::writer::ValueWriter`], and the converter behind that
//! writes straight into the record's buffer. One conversion serves every format.

pub mod connect;
pub mod envelope;
pub mod failpoint;
pub mod lsn;
pub mod oid;
pub mod pgoutput;
pub mod position;
pub mod table;
pub mod topic;
pub mod types;
pub mod xid;
