//! The channels outside of the stream: `kafka` and `file` (`signal.enabled.channels`), and the REST API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::kafka::Security;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Signal;
use crate::config::{ConnectorConfig, SignalChannel};
use crate::error::TaskError;
use crate::metrics::live::Live;

/// Signals on their way to the task; a task that is busy lets the channels wait.
const ROOM: usize = 16;
/// What mends a consumer that cannot be made.
const MENDED: &str = "Put the connector's signal.consumer.* right, then restart it";

/// Listens to the connector's channels, and to who asks through `live`. The tasks that do so end when the receiver is dropped.
///
/// # Errors
/// Stop when the consumer's settings are not accepted.
pub fn open(config: &Arc<ConnectorConfig>, live: &Live) -> Result<mpsc::Receiver<Signal>, TaskError> {
    let (sender, receiver) = mpsc::channel(ROOM);
    live.hears(sender.clone());
    for channel in &config.signals.channels {
        match channel {
            SignalChannel::Source => {}
            SignalChannel::File(path) => {
                tokio::spawn(watch_file(path.clone(), config.signals.poll_interval, sender.clone()));
            }
            SignalChannel::Kafka { topic, bootstrap_servers, group, consumer } => {
                let consumer = consume(topic, bootstrap_servers, group, consumer)?;
                tokio::spawn(listen(consumer, config.topic_prefix.clone(), sender.clone()));
            }
        }
    }
    Ok(receiver)
}

/// A signal written as JSON: `{"id": …, "type": …, "data": {…}}`; without an id it gets none.
fn parse(text: &str) -> Option<Signal> {
    let signal: Value = serde_json::from_str(text).ok()?;
    let part = |name: &str| signal.get(name).and_then(Value::as_str);
    let data = signal.get("data").filter(|data| !data.is_null()).map(Value::to_string).unwrap_or_default();
    Some(Signal { id: part("id").unwrap_or_default().to_owned(), kind: part("type")?.to_owned(), data })
}

/// Takes the lines of the file and empties it, every `every` (`FileSignalChannel`).
async fn watch_file(path: PathBuf, every: Duration, signals: mpsc::Sender<Signal>) {
    tracing::info!(file = %path.display(), "looking for signals in a file");
    let mut interval = tokio::time::interval(every.max(Duration::from_millis(10)));
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = signals.closed() => return,
        }
        for line in taken(&path).await {
            match parse(&line) {
                Some(signal) => {
                    if signals.send(signal).await.is_err() {
                        return;
                    }
                }
                None => tracing::warn!(file = %path.display(), "a line that is no signal is passed over"),
            }
        }
    }
}

async fn taken(path: &Path) -> Vec<String> {
    let Ok(text) = tokio::fs::read_to_string(path).await else { return Vec::new() };
    if text.is_empty() {
        return Vec::new();
    }
    if let Err(error) = tokio::fs::write(path, "").await {
        // Signals that stay there would come again with every look.
        tracing::error!(file = %path.display(), %error, "the file of signals cannot be emptied: its signals are not taken");
        return Vec::new();
    }
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// A consumer of partition 0, where all signals are (`KafkaSignalChannel`). It goes on behind its group's last one.
fn consume(
    topic: &str,
    bootstrap_servers: &str,
    group: &str,
    settings: &BTreeMap<String, String>,
) -> Result<StreamConsumer, TaskError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", group)
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.fast.interval.ms", "250")
        .set("reconnect.backoff.max.ms", "1000");
    let is_own = |key: &str| !key.ends_with(".deserializer") && !access::kafka::concerns(key);
    for (key, value) in settings.iter().filter(|(key, _)| is_own(key)) {
        config.set(key, value);
    }
    let security = Security::of(settings, None);
    security
        .map_err(|error| TaskError::stop("signal-settings", format!("signal.consumer.{error}")).mended_by(MENDED))?
        .apply(&mut config);
    let failed = |error| {
        let text = format!(
            "signals cannot be read from topic {topic}: nothing is published until they can, and the slot keeps it"
        );
        TaskError::stop("signal-topic", text).mended_by(MENDED).because(error)
    };
    let consumer: StreamConsumer = config.create().map_err(failed)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Stored).map_err(failed)?;
    consumer.assign(&assignment).map_err(failed)?;
    tracing::info!(topic, "listening for signals in a topic");
    Ok(consumer)
}

async fn listen(consumer: StreamConsumer, key: String, signals: mpsc::Sender<Signal>) {
    loop {
        let record = tokio::select! {
            record = consumer.recv() => record,
            () = signals.closed() => return,
        };
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // The topic may still have to be created, a broker to come back: the consumer goes on by itself.
                tracing::warn!(%error, "reading signals");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        if record.key() != Some(key.as_bytes()) {
            tracing::info!(offset = record.offset(), "a signal whose key is not topic.prefix is for another connector");
            continue;
        }
        let text = record.payload().and_then(|payload| std::str::from_utf8(payload).ok());
        match text.and_then(parse) {
            Some(signal) => {
                if signals.send(signal).await.is_err() {
                    return;
                }
            }
            None => tracing::warn!(offset = record.offset(), "a record that is no signal is passed over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_in_json_has_its_data_as_text() {
        let signal = parse(r#"{"id":"1","type":"log","data":{"message":"x"}}"#).unwrap();
        assert_eq!((signal.kind.as_str(), signal.data.as_str()), ("log", r#"{"message":"x"}"#));
        assert_eq!(parse(r#"{"type":"pause-snapshot"}"#).unwrap().data, "");
        assert_eq!(parse("x"), None);
    }

    #[tokio::test]
    async fn a_files_lines_are_taken_once() {
        let path = std::env::temp_dir().join(format!("signals-{}", uuid::Uuid::new_v4()));
        tokio::fs::write(&path, "a\n\nb\n").await.unwrap();
        assert_eq!(taken(&path).await, ["a", "b"]);
        assert!(taken(&path).await.is_empty());
        tokio::fs::remove_file(&path).await.unwrap();
    }
}
