//! Records into Kafka, in order, and what may be confirmed behind them.
//!
//! # Layout
//! - [`settings`]: Kafka Connect's producer properties in librdkafka's words
//! - [`producer`]: the one place that enqueues; a full queue blocks it
//! - `hurry`: records that shall not wait for company
//! - [`topics`]: a topic's creation before its first record; `leaders`: whether a new one takes records
//! - [`preflight`]: the topics that records are to go to, looked at
//! - `requests`: the largest request that the brokers take
//! - `transactions`: records and position in one Kafka transaction
//! - [`ledger`]: acknowledgements in, the safe position out
//!
//! # The rule
//! The position behind a record is *safe* once that record and every record enqueued before it are acknowledged. Only a
//! safe position is stored, and only a stored position is confirmed to the slot. So a crash at any moment finds the
//! server still holding whatever Kafka does not have.

mod hurry;
mod leaders;
pub mod ledger;
pub mod preflight;
pub mod producer;
mod requests;
pub mod settings;
pub mod topics;
mod transactions;
