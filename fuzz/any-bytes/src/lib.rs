//! What is read from outside, given any bytes. Each function reads them as its reader's callers do, and returns: whatever
//! the bytes are, nothing panics, recurses without end, or takes memory that is not in proportion to them.
//!
//! # Layout
//! - `message`: the replication stream and COPY
//! - `column`: PostgreSQL's texts of values and defaults
//! - `record`: Debezium's records as the sink reads them
//! - `configuration`: connectors and workers
//! - `position`: offsets
//! - `door`: key stores and logins
//!
//! The fuzzer's targets in `fuzz/fuzz_targets` call these functions, and so does a test with every file of `fuzz/corpus`.
//! Protobuf is written here, never read.

mod column;
mod configuration;
#[cfg(test)]
mod corpus;
mod door;
mod message;
mod position;
mod record;

pub use column::{column_default, column_text};
pub use configuration::{connector_config, java_pattern, properties, worker_config};
pub use door::{key_stores, logins};
pub use message::{copy_line, pgoutput};
pub use position::{java_object, offset};
pub use record::{jdbc_record, sink_avro, sink_record, sink_value};

/// Reads any bytes.
pub type Reader = fn(&[u8]);

/// The readers by the names of their targets and of their folders in `fuzz/corpus`.
pub const READERS: [(&str, Reader); 16] = [
    ("pgoutput", pgoutput),
    ("copy_line", copy_line),
    ("column_text", column_text),
    ("column_default", column_default),
    ("sink_record", sink_record),
    ("sink_value", sink_value),
    ("sink_avro", sink_avro),
    ("jdbc_record", jdbc_record),
    ("connector_config", connector_config),
    ("worker_config", worker_config),
    ("properties", properties),
    ("java_pattern", java_pattern),
    ("offset", offset),
    ("java_object", java_object),
    ("key_stores", key_stores),
    ("logins", logins),
];
