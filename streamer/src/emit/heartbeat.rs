//! Heartbeat records (`heartbeat.interval.ms`).

use proto::envelope::heartbeat;

use super::outlet::Outlet;
use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;

/// Publishes one heartbeat.
///
/// # Errors
/// As [`Outlet::publish`].
pub async fn emit(producer: &RecordProducer, outlet: &mut Outlet, config: &ConnectorConfig) -> Result<(), TaskError> {
    let now_ms = super::now_ns() / 1_000_000;
    outlet.publish(producer, heartbeat::record(&config.topics.heartbeat(), &config.topic_prefix, now_ms)).await
}
