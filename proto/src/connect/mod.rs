//! Kafka Connect's data model.
//!
//! # Layout
//! - [`schema`]: schemas, and the text that `JsonConverter` gives them
//! - [`value`]: values as trees
//! - [`record`]: key, value and headers on their way to the converters
//! - [`writer`]: the seam between a type's conversion and a format
//! - [`json`]: `org.apache.kafka.connect.json.JsonConverter`'s bytes
//! - [`avro_names`]: names that Avro takes
//! - [`java`]: numbers in Java's notation, the order of its hash maps

pub mod avro_names;
pub mod java;
pub mod json;
pub mod record;
pub mod schema;
pub mod value;
pub mod writer;
