//! Kafka Connect's data model, as far as records of tables need it.
//!
//! # Layout
//! - [`schema`]: schemas, and the text that `JsonConverter` gives them
//! - [`writer`]: the seam between a type's conversion and a format
//! - [`scalar`]: one simple value, for the defaults in schemas
//! - [`json`]: `org.apache.kafka.connect.json.JsonConverter`'s bytes
//! - [`java`]: numbers in Java's notation

pub mod java;
pub mod json;
pub mod scalar;
pub mod schema;
pub mod writer;
