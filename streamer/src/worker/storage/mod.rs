//! The worker's three topics, in Kafka Connect's forms, so that a Java worker can take over and give back.
//!
//! # Layout
//! - [`log`], a compacted topic as a map: read whole at the start, written through
//! - [`configs`], connectors' configurations and target states (`KafkaConfigBackingStore`)
//! - [`statuses`], states (`KafkaStatusBackingStore`)
//!
//! The third topic, positions, is [`crate::position::OffsetStore`]'s.

pub mod configs;
pub mod log;
pub mod statuses;
