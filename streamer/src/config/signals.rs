//! How a running connector is told what to do (`signal.*`, `incremental.snapshot.*`), and how it tells of its snapshots
//! (`notification.*`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Finding;
use access::java_properties::with_prefix;

use super::connector::Keys;
use crate::source::table_name::TableName;

/// Where signals come from, and how incremental snapshots are taken.
#[derive(Debug, Clone)]
pub struct Signals {
    /// `signal.data.collection`: the signal table, schema and name.
    pub table: Option<(String, String)>,
    /// `signal.enabled.channels`.
    pub channels: Vec<SignalChannel>,
    /// `signal.poll.interval.ms`: how often the channels outside the stream are looked at.
    pub poll_interval: Duration,
    /// `incremental.snapshot.chunk.size`.
    pub chunk_size: u32,
    /// `incremental.snapshot.watermarking.strategy`.
    pub watermarking: Watermarking,
    /// `read.only`: nothing is written into the database.
    pub read_only: bool,
}

/// A way by which signals come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalChannel {
    /// `source`: rows of the signal table.
    Source,
    /// `kafka`: records of partition 0 of a topic.
    Kafka {
        /// `signal.kafka.topic`.
        topic: String,
        /// `signal.kafka.bootstrap.servers`.
        bootstrap_servers: String,
        /// `signal.kafka.groupId`.
        group: String,
        /// `signal.consumer.*`, without the prefix.
        consumer: BTreeMap<String, String>,
    },
    /// `file`: lines of a file.
    File(PathBuf),
}

/// `incremental.snapshot.watermarking.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watermarking {
    /// Two rows in the signal table mark a window.
    InsertInsert,
    /// One row does: its insert opens the window and its delete closes it.
    InsertDelete,
}

impl Signals {
    pub(super) fn parse(keys: &Keys<'_>) -> Result<Self, Vec<Finding>> {
        let table = keys.text("signal.data.collection").map(|name| {
            let TableName { schema, name } = TableName::parse(name);
            (schema, name)
        });
        let mut channels = Vec::new();
        for channel in names(&keys.string("signal.enabled.channels")) {
            channels.push(match channel.as_str() {
                "source" => SignalChannel::Source,
                "file" => SignalChannel::File(keys.string("signal.file").into()),
                "kafka" => SignalChannel::Kafka {
                    topic: keys
                        .text("signal.kafka.topic")
                        .map_or_else(|| format!("{}-signal", keys.string("topic.prefix")), str::to_owned),
                    bootstrap_servers: keys.string("signal.kafka.bootstrap.servers"),
                    group: keys.string("signal.kafka.groupId"),
                    consumer: with_prefix(keys.config, "signal.consumer."),
                },
                // Debezium passes over names that no channel has.
                _ => continue,
            });
        }
        Ok(Self {
            table,
            channels,
            poll_interval: keys.milliseconds("signal.poll.interval.ms"),
            chunk_size: u32::try_from(keys.number("incremental.snapshot.chunk.size")).unwrap_or(1024).max(1),
            watermarking: match keys.string("incremental.snapshot.watermarking.strategy").to_ascii_lowercase().as_str()
            {
                "insert_delete" => Watermarking::InsertDelete,
                _ => Watermarking::InsertInsert,
            },
            read_only: keys.flag("read.only"),
        })
    }

    /// Whether this is the signal table.
    pub fn is_table(&self, schema: &str, table: &str) -> bool {
        self.table.as_ref().is_some_and(|(known_schema, known)| known_schema == schema && known == table)
    }

    /// Whether rows of the signal table are signals.
    pub fn from_source(&self) -> bool {
        self.channels.contains(&SignalChannel::Source)
    }
}

/// Where the connector tells of its snapshots (`notification.*`).
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    /// `notification.sink.topic.name`, where the channel `sink` is on.
    pub topic: Option<String>,
    /// Whether the channel `log` is on.
    pub log: bool,
}

impl Notifications {
    pub(super) fn parse(keys: &Keys<'_>) -> Self {
        let channels = names(keys.text("notification.enabled.channels").unwrap_or_default());
        let has = |channel: &str| channels.iter().any(|known| known == channel);
        let topic = keys.text("notification.sink.topic.name").map(str::to_owned);
        Self { topic: topic.filter(|_| has("sink")), log: has("log") }
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// What is wrong with the value of a key of signals or notifications, beyond its type.
pub(super) fn invalid(key: &str, value: &str, given: &dyn Fn(&str) -> bool) -> Option<String> {
    let jmx = |list: &str| {
        names(list)
            .iter()
            .any(|channel| channel == "jmx")
            .then(|| "not supported by this worker (jmx is Java's own; use another channel)".to_owned())
    };
    match key {
        "signal.enabled.channels" => jmx(value).or_else(|| {
            let needs_servers = names(value).iter().any(|channel| channel == "kafka");
            (needs_servers && !given("signal.kafka.bootstrap.servers"))
                .then(|| "the channel kafka needs signal.kafka.bootstrap.servers".to_owned())
        }),
        "notification.enabled.channels" => jmx(value).or_else(|| {
            let needs_topic = names(value).iter().any(|channel| channel == "sink");
            (needs_topic && !given("notification.sink.topic.name")).then(|| {
                "Notification topic name must be provided when kafka notification channel is enabled".to_owned()
            })
        }),
        _ => None,
    }
}

/// Whether this key is one of the signals' own consumer.
pub(super) fn is_channel_key(key: &str) -> bool {
    key.starts_with("signal.consumer.")
}
