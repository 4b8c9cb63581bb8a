//! Heartbeat records (`io.debezium.connector.common.Heartbeat`): a sign of life from a quiet database.

use super::EnvelopeSettings;
use super::table::{close, head};
use crate::connect::json::write_string;
use crate::connect::schema::{Field, Schema, SchemaKind};
use crate::topic;

/// `<heartbeat prefix>.<topic prefix>`.
pub fn topic(heartbeat_prefix: &str, topic_prefix: &str) -> String {
    topic::sanitized(&format!("{heartbeat_prefix}.{topic_prefix}"))
}

/// Appends the key: the connector's logical name.
pub fn write_key(settings: &EnvelopeSettings, out: &mut Vec<u8>) {
    let head = if settings.key_converter.schemas_enable {
        head(&of_one("serverName", SchemaKind::String, "ServerNameKey"))
    } else {
        Vec::new()
    };
    out.extend_from_slice(&head);
    out.extend_from_slice(b"{\"serverName\":");
    write_string(&settings.topic_prefix, out);
    out.push(b'}');
    close(&head, out);
}

/// Appends the value: the connector's clock in milliseconds.
pub fn write_value(settings: &EnvelopeSettings, ts_ms: i64, out: &mut Vec<u8>) {
    let head = if settings.value_converter.schemas_enable {
        head(&of_one("ts_ms", SchemaKind::Int64, "Heartbeat"))
    } else {
        Vec::new()
    };
    out.extend_from_slice(&head);
    out.extend_from_slice(format!("{{\"ts_ms\":{ts_ms}}}").as_bytes());
    close(&head, out);
}

fn of_one(field: &str, kind: SchemaKind, name: &str) -> Schema {
    let fields = vec![Field { name: field.to_owned(), schema: Schema::new(kind) }];
    Schema::logical(SchemaKind::Struct(fields), &format!("io.debezium.connector.common.{name}"))
}
