//! The worker's three topics, in Kafka Connect's forms, so that a Java worker can take over and give back.
//!
//! # Layout
//! - [`log`], a compacted topic as a map: read whole at the start, written through
//! - [`condition`], whether such a topic is as it has to be
//! - [`configs`], connectors' configurations and target states (`KafkaConfigBackingStore`)
//! - [`statuses`], states (`KafkaStatusBackingStore`)
//!
//! The third topic, positions, is [`crate::position::OffsetStore`]'s.

pub mod condition;
pub mod configs;
pub mod log;
pub mod statuses;
