//! Heartbeat records (`heartbeat.interval.ms`).

use proto::envelope::EnvelopeSettings;
use proto::envelope::heartbeat;

use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::publish::producer::{Record, RecordProducer};

/// Publishes one heartbeat, to partition 0 as Debezium does.
///
/// # Errors
/// As [`RecordProducer::publish`].
pub async fn emit(
    producer: &RecordProducer,
    config: &ConnectorConfig,
    settings: &EnvelopeSettings,
) -> Result<(), TaskError> {
    let topic = heartbeat::topic(&config.heartbeat.topic_prefix, &config.topic_prefix);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    heartbeat::write_key(settings, &mut key);
    heartbeat::write_value(settings, super::now_ns() / 1_000_000, &mut value);
    let record = Record { topic: &topic, partition: Some(0), key: Some(&key), value: Some(&value), headers: None };
    producer.publish(record).await
}
