//! Records of `pg_logical_emit_message` (`io.debezium.connector.postgresql.LogicalDecodingMessageMonitor`).

use std::sync::Arc;

use super::source::{self, SourceFields};
use super::transaction::{self, TransactionBlock};
use super::{EnvelopeSettings, Source};
use crate::connect::record::{ConnectRecord, SchemaAndValue};
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::{TreeWriter, Value};
use crate::pgoutput::LogicalMessage;
use crate::types::{BinaryMode, binary};

/// Writes the records of one connector's logical decoding messages.
#[derive(Debug, Clone)]
pub struct MessageEnvelope {
    topic: String,
    key: Arc<Schema>,
    value: Arc<Schema>,
    source: SourceFields,
    mode: BinaryMode,
}

impl MessageEnvelope {
    /// For a connector.
    pub fn new(settings: &EnvelopeSettings) -> Self {
        let prefix = || ("prefix", Schema::new(SchemaKind::String).optional());
        let name = |name: &str| format!("io.debezium.connector.postgresql.{name}");
        let mode = settings.modes.binary;
        let content = if mode == BinaryMode::Bytes { SchemaKind::Bytes } else { SchemaKind::String };
        let message = Schema::structure([prefix(), ("content", Schema::new(content).optional())]);
        let value = Schema::structure([
            ("op", Schema::new(SchemaKind::String)),
            ("ts_ms", Schema::new(SchemaKind::Int64).optional()),
            ("source", source::schema()),
            ("transaction", transaction::block_schema().optional()),
            ("message", message.named(name("Message"), 1)),
        ]);
        Self {
            topic: format!("{}.message", settings.topic_prefix),
            key: Arc::new(Schema::structure([prefix()]).named(name("MessageKey"), 1)),
            value: Arc::new(value.named(name("MessageValue"), 1)),
            source: SourceFields::new(settings),
            mode,
        }
    }

    /// The record of a message; `ts_ms` is the connector's clock. The field `transaction` is null unless it is given.
    pub fn record(
        &self,
        message: &LogicalMessage,
        source: &Source<'_>,
        transaction: Option<&TransactionBlock>,
        ts_ms: i64,
    ) -> ConnectRecord {
        let prefix = || Value::String(message.prefix.clone());
        let (mut origin, mut content) = (TreeWriter::default(), TreeWriter::default());
        binary::write(&message.content, self.mode, &mut content);
        self.source.write(source, &mut origin);
        let value = Value::Struct(vec![
            Value::String("m".to_owned()),
            Value::Int64(ts_ms),
            origin.finish(),
            transaction.map_or(Value::Null, transaction::block_value),
            Value::Struct(vec![prefix(), content.finish()]),
        ]);
        ConnectRecord {
            topic: self.topic.clone(),
            key: SchemaAndValue::new(self.key.clone(), Value::Struct(vec![prefix()])),
            value: SchemaAndValue::new(self.value.clone(), value),
            ..ConnectRecord::default()
        }
    }
}
