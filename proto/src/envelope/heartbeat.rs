//! Heartbeat records (`io.debezium.connector.common.Heartbeat`): a sign of life from a quiet database.

use crate::connect::record::{ConnectRecord, SchemaAndValue};
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::Value;

/// A heartbeat of the connector with this topic prefix into `topic`, `ts_ms` being its clock. Debezium writes it to partition 0.
pub fn record(topic: &str, topic_prefix: &str, ts_ms: i64) -> ConnectRecord {
    let of_one = |field, kind, name: &str, value| {
        let schema = Schema::structure([(field, Schema::new(kind))]);
        SchemaAndValue::new(schema.named(format!("io.debezium.connector.common.{name}"), 1), Value::Struct(vec![value]))
    };
    ConnectRecord {
        topic: topic.to_owned(),
        partition: Some(0),
        key: of_one("serverName", SchemaKind::String, "ServerNameKey", Value::String(topic_prefix.to_owned())),
        value: of_one("ts_ms", SchemaKind::Int64, "Heartbeat", Value::Int64(ts_ms)),
        ..ConnectRecord::default()
    }
}
