//! What becomes of a change that cannot be written, as `event.processing.failure.handling.mode` says.

use std::sync::atomic::Ordering;

use proto::envelope::{TableEnvelope, ValueError};
use proto::types::Unconvertible;

use super::RowOrigin;
use crate::config::{ConnectorConfig, EventFailures};
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;

/// One connector's way with them.
#[derive(Debug)]
pub(super) struct Failures {
    connector: String,
    handling: EventFailures,
}

impl Failures {
    pub(super) fn new(config: &ConnectorConfig) -> Self {
        Self { connector: config.name.clone(), handling: config.event_failures }
    }

    /// Whether such a change stops the task.
    pub(super) fn stop(&self) -> bool {
        self.handling == EventFailures::Stop
    }

    /// A change cannot be written: it is counted and logged, and passed over.
    ///
    /// # Errors
    /// Stop, unless the configuration asks for it to be passed over.
    pub(super) fn of(
        &self,
        producer: &RecordProducer,
        table: &TableEnvelope,
        origin: RowOrigin,
        error: &ValueError,
    ) -> Result<(), TaskError> {
        const LOST: &str = "a change cannot be processed and is lost, as event.processing.failure.handling.mode asks: it is passed over";
        let (table, lsn) = (format!("{}.{}", table.table().schema, table.table().name), origin.lsn.unwrap_or_default());
        producer.metrics().beans.streaming.erroneous.fetch_add(1, Ordering::Relaxed);
        match self.handling {
            EventFailures::Stop => {
                return Err(TaskError::stop("value-inconvertible", format!(
                    "table {table}: a value cannot be converted ({error}); the change is kept in the slot and nothing \
                     behind it is published. Leave the column out with column.exclude.list, or pass such changes over, \
                     and lose them, with event.processing.failure.handling.mode=warn"
                ))
                .because(debeziums(error)));
            }
            EventFailures::Warn => tracing::warn!(connector = %self.connector, table, %lsn, %error, "{LOST}"),
            EventFailures::Skip => tracing::debug!(connector = %self.connector, table, %lsn, %error, "{LOST}"),
        }
        producer.metrics().events_skipped.increment(1);
        Ok(())
    }
}

/// What Debezium's trace has: without a form, a value is null, which Connect does not take in a field that may not be null.
fn debeziums(error: &ValueError) -> String {
    const DATA: &str = "org.apache.kafka.connect.errors.DataException: ";
    match error {
        ValueError::Column { column, why: Unconvertible::NoForm } => {
            format!("{DATA}Invalid value: null used for required field: \"{column}\"")
        }
        other => format!("{DATA}{other}"),
    }
}
