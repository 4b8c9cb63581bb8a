//! Heartbeat records (`io.debezium.connector.common.Heartbeat`): a sign of life from a quiet database.

use crate::connect::record::{ConnectRecord, SchemaAndValue};
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::Value;
use crate::topic;

/// A heartbeat of the connector with this topic prefix, `ts_ms` being its clock. Debezium writes it to partition 0.
pub fn record(heartbeat_prefix: &str, topic_prefix: &str, ts_ms: i64) -> ConnectRecord {
    let of_one = |field, kind, name: &str, value| {
        let schema = Schema::structure([(field, Schema::new(kind))]);
        SchemaAndValue::new(schema.named(format!("io.debezium.connector.common.{name}"), 1), Value::Struct(vec![value]))
    };
    ConnectRecord {
        topic: topic(heartbeat_prefix, topic_prefix),
        partition: Some(0),
        key: of_one("serverName", SchemaKind::String, "ServerNameKey", Value::String(topic_prefix.to_owned())),
        value: of_one("ts_ms", SchemaKind::Int64, "Heartbeat", Value::Int64(ts_ms)),
        ..ConnectRecord::default()
    }
}

/// `<heartbeat prefix>.<topic prefix>`.
pub fn topic(heartbeat_prefix: &str, topic_prefix: &str) -> String {
    topic::sanitized(&format!("{heartbeat_prefix}.{topic_prefix}"))
}
