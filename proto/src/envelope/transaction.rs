//! Transaction metadata (`provide.transaction.metadata`): the envelope's `transaction` block, and the records that say where
//! a transaction begins and ends (`io.debezium.pipeline.txmetadata.TransactionMonitor`).

use crate::connect::record::{ConnectRecord, SchemaAndValue};
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::Value;
use crate::lsn::Lsn;
use crate::xid::Xid;

/// The envelope's `transaction` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionBlock {
    /// [`id`] with the LSN of this very event.
    pub id: String,
    /// The event's place among all of the transaction, from 1.
    pub total_order: i64,
    /// The event's place among those of its table, from 1.
    pub data_collection_order: i64,
}

/// How Debezium names a transaction: with the LSN of the event that speaks of it, so that each event of one transaction has
/// another name (`PostgresTransactionMonitor.adjustTxId`).
pub fn id(tx_id: Xid, lsn: Lsn) -> String {
    format!("{}:{}", tx_id.as_u32(), lsn.as_u64())
}

/// What an [`id`] names: the transaction, and the LSN of the event that speaks of it.
pub fn parse_id(id: &str) -> Option<(Xid, Lsn)> {
    let (tx_id, lsn) = id.split_once(':')?;
    Some((Xid::from(tx_id.parse::<u32>().ok()?), Lsn::from(lsn.parse::<u64>().ok()?)))
}

/// The block's schema.
pub(super) fn block_schema() -> Schema {
    let int64 = || Schema::new(SchemaKind::Int64);
    let fields =
        [("id", Schema::new(SchemaKind::String)), ("total_order", int64()), ("data_collection_order", int64())];
    Schema::structure(fields).named("event.block", 1)
}

/// The block as a struct's value.
pub(super) fn block_value(block: &TransactionBlock) -> Value {
    Value::Struct(vec![
        Value::String(block.id.clone()),
        Value::Int64(block.total_order),
        Value::Int64(block.data_collection_order),
    ])
}

/// The record of a transaction's beginning; `ts_ms` is its commit time.
pub fn begin(topic: &str, id: &str, ts_ms: i64) -> ConnectRecord {
    record(topic, "BEGIN", id, None, ts_ms)
}

/// The record of a transaction's end, with how many events of each table it had, in the order to show them.
pub fn end(topic: &str, id: &str, events: &[(String, i64)], ts_ms: i64) -> ConnectRecord {
    record(topic, "END", id, Some(events), ts_ms)
}

fn record(topic: &str, status: &str, id: &str, events: Option<&[(String, i64)]>, ts_ms: i64) -> ConnectRecord {
    let string = || Schema::new(SchemaKind::String);
    let int64 = || Schema::new(SchemaKind::Int64);
    let text = |text: &str| Value::String(text.to_owned());
    let of_table = Schema::structure([("data_collection", string()), ("event_count", int64())]);
    let of_table = of_table.named("event.collection", 1).optional();
    let key = Schema::structure([("id", string())]).named("io.debezium.connector.common.TransactionMetadataKey", 1);
    let value = Schema::structure([
        ("status", string()),
        ("id", string()),
        ("event_count", int64().optional()),
        ("data_collections", Schema::new(SchemaKind::Array(Box::new(of_table))).optional()),
        ("ts_ms", int64()),
    ]);
    let value = value.named("io.debezium.connector.common.TransactionMetadataValue", 1);
    let (total, of_tables) = match events {
        Some(events) => {
            let of_table = |(table, count): &(String, i64)| Value::Struct(vec![text(table), Value::Int64(*count)]);
            let total = events.iter().map(|(_, count)| count).sum();
            (Value::Int64(total), Value::Array(events.iter().map(of_table).collect()))
        }
        None => (Value::Null, Value::Null),
    };
    ConnectRecord {
        topic: topic.to_owned(),
        key: SchemaAndValue::new(key, Value::Struct(vec![text(id)])),
        value: SchemaAndValue::new(
            value,
            Value::Struct(vec![text(status), text(id), total, of_tables, Value::Int64(ts_ms)]),
        ),
        ..ConnectRecord::default()
    }
}
