//! Records of logical decoding messages (`message.prefix.include.list`, `message.prefix.exclude.list`).

use proto::envelope::{EnvelopeSettings, MessageEnvelope, Source, TransactionBlock};
use proto::pgoutput::LogicalMessage;

use super::outlet::Outlet;
use super::traces::Kind;
use super::{RowOrigin, now_ns};
use crate::config::{ConnectorConfig, List};
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;

/// Writes one connector's messages.
#[derive(Debug)]
pub struct Messages {
    envelope: MessageEnvelope,
    prefixes: List,
}

impl Messages {
    /// Those that the connector's lists let pass.
    pub fn new(config: &ConnectorConfig, settings: &EnvelopeSettings) -> Self {
        Self { envelope: MessageEnvelope::new(settings), prefixes: config.message_prefixes.clone() }
    }

    /// Whether a message is published.
    pub fn captures(&self, message: &LogicalMessage) -> bool {
        self.prefixes.passes(&message.prefix)
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn emit(
        &self,
        producer: &RecordProducer,
        outlet: &mut Outlet,
        message: &LogicalMessage,
        origin: RowOrigin,
        xmin: Option<i64>,
        transaction: Option<&TransactionBlock>,
    ) -> Result<(), TaskError> {
        let source = Source {
            ts_us: origin.ts_us,
            snapshot: origin.snapshot,
            last_commit_lsn: origin.last_commit_lsn,
            lsn: origin.lsn,
            tx_id: origin.tx_id,
            schema: "",
            table: "",
            xmin,
        };
        let record = self.envelope.record(message, &source, transaction, now_ns() / 1_000_000);
        outlet.publish_of_transaction(producer, record, Kind::Event).await
    }
}
