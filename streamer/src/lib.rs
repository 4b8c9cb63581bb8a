//! PostgreSQL's replication slot to Kafka, run the way a Kafka Connect worker with Debezium is run.
//!
//! # Layout
//! The folders are the data's path.
//! - [`config`]: Debezium's and Connect's keys
//! - [`source`]: everything that talks to PostgreSQL: sessions, TLS, slot, publication, catalog, stream, snapshot
//! - [`capture`]: messages into row changes: tables and their versions, transactions
//! - [`emit`]: a row change into key, envelope, tombstone, headers
//! - [`transform`]: the connector's single message transforms
//! - [`convert`]: key, value and headers into bytes
//! - [`publish`]: records into Kafka, and the ledger of what Kafka has acknowledged
//! - [`position`]: where to start, what to skip, what to store
//! - [`pipeline`]: wires the stages; retries; shutdown
//! - [`worker`]: the REST API, connectors' life cycle, the worker's topics
//! - [`metrics`]: what is counted
//! - [`doctor`]: everything that could be wrong, looked at
//! - [`look`]: changes shown to a person, beside what runs: `tail`, `explain`, `replay`
//! - [`error`]: the two kinds of failure
//!
//! # Invariants
//! 1. The slot is told `flushed` only up to a commit whose every record Kafka has acknowledged, and whose position is
//!    stored.
//! 2. Records enter the producer in WAL order. A full queue blocks the one task that enqueues; nothing is queued again
//!    behind others.
//! 3. With nothing under way, a keepalive's position may be confirmed, so a quiet database does not pile up WAL.
//! 4. A start never asks the server for a position beyond what is durably published: the server does not clamp it, it skips.
//! 5. A position is a commit and an ordinal in the transaction behind it, never an LSN alone: the rows of one COPY or
//!    multi-row INSERT share one.
//! 6. Every queue is bounded, and back-pressure reaches the socket.
//! 7. There are two kinds of failure, in the types: try again, and stop because a person must act. A pipeline that stands
//!    still is not RUNNING.

pub mod capture;
pub mod config;
pub mod convert;
pub mod doctor;
pub mod emit;
pub mod error;
pub mod look;
pub mod metrics;
pub mod notify;
pub mod pipeline;
pub mod position;
pub mod publish;
pub mod signal;
pub mod source;
pub mod transform;
pub mod worker;
