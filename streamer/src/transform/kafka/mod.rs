//! The transforms of Apache Kafka 4.1 (`org.apache.kafka.connect.transforms`).

pub(super) mod drop_headers;
pub(super) mod filter;
pub(super) mod regex_router;
