//! Records that the target does not take: it holds them up, or they are set aside.

use std::time::Duration;

use access::diagnosis::Finding;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::session::Session;
use crate::config::{OnRefused, RunConfig};
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::kafka::Kafka;
use crate::parse::head::Value;

/// How long Kafka may take to take one.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done with them.
#[derive(Debug, Clone)]
pub struct Refused {
    on: OnRefused,
    topic: Option<String>,
    client: ClientConfig,
    /// Whose records they are.
    connector: Option<String>,
}

impl Refused {
    /// Whether the sink was told something that would go round for ever.
    ///
    /// # Errors
    /// Where records that are set aside would come back as a table's.
    pub fn check(config: &RunConfig) -> Result<(), Finding> {
        let rest = config.dead_letter_topic.as_deref().and_then(|topic| topic.strip_prefix(&config.topic_prefix));
        match rest.and_then(|rest| rest.strip_prefix('.')).filter(|rest| rest.contains('.')) {
            None => Ok(()),
            Some(_) => Err(Finding::error(
                "dead-letter-topic",
                format!(
                    "--dead-letter-topic {} is named as a table's topic of the prefix {}: the sink would read what it sets aside",
                    config.dead_letter_topic.as_deref().unwrap_or_default(),
                    config.topic_prefix
                ),
                "Give it a name that does not begin with the prefix",
            )),
        }
    }

    /// As the sink was told.
    pub fn new(config: &RunConfig) -> Self {
        let mut client = config.kafka.client();
        client.set("enable.idempotence", "true");
        Self { on: config.on_refused, topic: config.dead_letter_topic.clone(), client, connector: None }
    }

    /// As a JDBC sink connector's configuration says.
    pub fn of_connector(kafka: &Kafka, on: OnRefused, topic: Option<String>, name: &str) -> Self {
        let mut client = kafka.client();
        client.set("enable.idempotence", "true");
        Self { on, topic, client, connector: Some(name.to_owned()) }
    }

    /// None is set aside.
    pub(super) fn none() -> Self {
        Self { on: OnRefused::Stop, topic: None, client: ClientConfig::new(), connector: None }
    }

    /// Sets records aside, each with its reason: in `headwater.set_aside`, with the open transaction, and in the topic of dead letters
    /// before that. What is done again after a failure is in the topic once more.
    ///
    /// # Errors
    /// Stop where they are not to be set aside; retry when Kafka or the target does not take them.
    pub(super) async fn set_aside(
        &self,
        session: &mut Session,
        records: &[(&Record, String)],
    ) -> Result<(), SinkError> {
        if let Some((record, reason)) = records.first().filter(|_| self.on == OnRefused::Stop) {
            return Err(SinkError::stop(
                "record-refused",
                format!(
                    "the record at offset {} of topic {} (partition {}) cannot be applied: {reason}. Nothing from there on is, and it is tried \
                 again every ten seconds: mend the target, or set {}",
                    record.offset,
                    record.topic,
                    record.partition,
                    match self.connector {
                        None => "--on-refused set-aside",
                        Some(_) => "errors.tolerance=all, and it is set aside",
                    }
                ),
            ));
        }
        self.send(records).await?;
        for (record, reason) in records {
            tracing::warn!(
                topic = &*record.topic,
                partition = record.partition,
                offset = record.offset,
                "record set aside in headwater.set_aside, with the reason"
            );
            session
                .execute(
                    "INSERT INTO headwater.set_aside (topic, partition, record_offset, key, value, new_key, reason)
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                    &[
                        &self.ledger_name(&record.topic),
                        &record.partition,
                        &record.offset,
                        &record.key,
                        &record.value.as_ref().map(Value::whole),
                        &record.new_key,
                        reason,
                    ],
                )
                .await?;
        }
        Ok(())
    }

    /// By what name the target knows a topic.
    fn ledger_name(&self, topic: &str) -> String {
        self.connector.as_ref().map_or_else(|| topic.to_owned(), |name| format!("{name}/{topic}"))
    }

    /// Sends them to the topic of dead letters, if there is one, with the headers that Connect gives such records
    /// (`DeadLetterQueueReporter`).
    async fn send(&self, records: &[(&Record, String)]) -> Result<(), SinkError> {
        let Some(topic) = self.topic.as_deref().filter(|_| !records.is_empty()) else { return Ok(()) };
        let failed = |error: &dyn std::fmt::Display| {
            SinkError::retry(format!(
                "a record that cannot be applied does not get into topic {topic}: {error}. Nothing is passed over before it is there"
            ))
        };
        let producer: FutureProducer = self.client.create().map_err(|error| failed(&error))?;
        for (record, reason) in records {
            let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
            let headers = [
                ("__connect.errors.topic", &*record.topic),
                ("__connect.errors.partition", partition.as_str()),
                ("__connect.errors.offset", offset.as_str()),
                ("__connect.errors.connector.name", self.connector.as_deref().unwrap_or("headwater-sink")),
                ("__connect.errors.exception.message", reason.as_str()),
            ];
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
            let mut letter: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(headers);
            (letter.key, letter.payload) = (record.key.as_deref(), record.value.as_ref().map(Value::whole));
            producer.send(letter, PATIENCE).await.map_err(|(error, _)| failed(&error))?;
        }
        Ok(())
    }
}
