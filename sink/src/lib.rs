//! Debezium envelopes from Kafka into a second PostgreSQL, equal to the first.
//!
//! # Layout
//! The folders are the data's path.
//! - [`config`]: what the sink is told
//! - [`bootstrap`]: the first start: slot, copy of its snapshot, connector, test rows
//! - [`consume`]: this sink's share of the partitions through one Kafka consumer, and what is applied next
//! - [`avro`]: records in Avro into JSON
//! - [`parse`]: a record into a change
//! - [`assemble`]: the source's transactions, put together again
//! - [`evolve`]: the target's tables follow the source's
//! - [`plan`]: the target's tables; what of a batch has to be written
//! - [`apply`]: rows and offsets in one transaction
//! - [`verify`]: whether two databases are equal, and how they become it again
//! - [`jdbc`]: a configuration of Debezium's JDBC sink connector, run as it is
//! - [`doctor`]: everything that could be wrong, looked at
//! - [`metrics`]: what is counted, and how the sink is
//! - [`error`]: the two kinds of failure
//! - [`kafka`], [`mod@postgres`]: how the services are reached
//!
//! # Invariants
//! 1. The slot exists before the copy, and the copy is that slot's snapshot: no change falls between them.
//! 2. Rows and the offsets behind them commit in one transaction of the target. After a crash, reading goes on at exactly
//!    the first record that was not applied.
//! 3. Kafka's group says which sink reads a partition; what is committed is decided in the target. A batch of a partition commits
//!    only where the stored offset is the one it was read behind, under a lock that one transaction at a time has. A record that
//!    was applied is a no-op the second time: upserts and deletes by key.
//! 4. A record that cannot be applied is set aside with its topic, partition and offset, in the same transaction as the
//!    offset that passes it. None is skipped in silence.
//! 5. What is read ahead, waits and is applied is bounded in bytes, whatever the number of tables. A table or partition that is locked or
//!    refused holds up no other.
//! 6. The sink writes nothing into a target that holds data it did not put there.
//! 7. Order holds in a partition. What depends on the order between partitions waits for it for a while, and is set aside then.

pub mod apply;
pub mod assemble;
pub mod avro;
pub mod bootstrap;
pub mod config;
pub mod consume;
pub mod doctor;
pub mod error;
pub mod evolve;
pub mod jdbc;
pub mod kafka;
pub mod metrics;
pub mod parse;
pub mod plan;
pub mod postgres;
pub mod verify;
