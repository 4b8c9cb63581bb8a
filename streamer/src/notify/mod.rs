//! Notifications: how the connector tells of its snapshots (`notification.*`).

use proto::connect::java;
use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;
use uuid::Uuid;

use crate::config::ConnectorConfig;
use crate::emit::outlet::Outlet;
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The snapshot before streaming, or a blocking one.
    InitialSnapshot,
    /// An incremental snapshot.
    IncrementalSnapshot,
}

impl Aggregate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InitialSnapshot => "Initial Snapshot",
            Self::IncrementalSnapshot => "Incremental Snapshot",
        }
    }
}

/// A notification (`io.debezium.pipeline.notification.Notification`).
#[derive(Debug)]
pub struct Notification<'a> {
    /// What it refers to, the signal for an incremental snapshot; `None` gets an id of its own.
    pub id: Option<&'a str>,
    /// What it is about.
    pub aggregate: Aggregate,
    /// What happened: `STARTED`, `IN_PROGRESS`, `TABLE_SCAN_COMPLETED`, `COMPLETED`, …
    pub kind: &'static str,
    /// The particulars.
    pub data: &'a [(&'static str, String)],
}

/// Tells of what happens, through the channels that are on.
#[derive(Debug, Clone)]
pub struct Notifier {
    topic: Option<String>,
    log: bool,
    connector: String,
}

impl Notifier {
    /// With the connector's channels.
    pub fn new(config: &ConnectorConfig) -> Self {
        let channels = &config.notifications;
        Self { topic: channels.topic.clone(), log: channels.log, connector: config.topic_prefix.clone() }
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn send(
        &self,
        outlet: &mut Outlet,
        producer: &RecordProducer,
        notification: Notification<'_>,
    ) -> Result<(), TaskError> {
        if self.topic.is_none() && !self.log {
            return Ok(());
        }
        let id = notification.id.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let now_ms = crate::emit::now_ns() / 1_000_000;
        let data = self.data(notification.data);
        if self.log {
            tracing::info!(
                id,
                aggregate_type = notification.aggregate.as_str(),
                kind = notification.kind,
                ?data,
                timestamp = now_ms,
                "[Notification Service]"
            );
        }
        let Some(topic) = &self.topic else { return Ok(()) };
        outlet.publish(producer, record(topic, id, &notification, data, now_ms)).await
    }

    /// The particulars with the connector's name, in the order that Java's map gives them.
    fn data(&self, particulars: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        let mut data = particulars.to_vec();
        data.push(("connector_name", self.connector.clone()));
        // A copy of the particulars with room for one more, `new HashMap<>(particulars)`.
        let buckets = match particulars.len() {
            0 => 16,
            1 | 2 => 4,
            _ => 8,
        };
        data.sort_by_key(|(key, _)| java::bucket(key, buckets));
        data
    }
}

/// The record of the channel `sink` (`SinkNotificationChannel`).
fn record(
    topic: &str,
    id: String,
    notification: &Notification<'_>,
    data: Vec<(&'static str, String)>,
    now_ms: i64,
) -> ConnectRecord {
    let string = || Schema::new(SchemaKind::String);
    let key = Schema::structure([("id", string())]).named("io.debezium.connector.common.NotificationKey", 1);
    let map = SchemaKind::Map(Box::new(string()), Box::new(string()));
    let value = Schema::structure([
        ("id", string()),
        ("type", string()),
        ("aggregate_type", string()),
        ("additional_data", Schema::new(map).optional()),
        ("timestamp", Schema::new(SchemaKind::Int64)),
    ])
    .named("io.debezium.connector.common.Notification", 1);
    let text = |text: &str| Value::String(text.to_owned());
    let entries = data.into_iter().map(|(key, value)| (text(key), Value::String(value))).collect();
    ConnectRecord {
        topic: topic.to_owned(),
        key: SchemaAndValue::new(key, Value::Struct(vec![text(&id)])),
        value: SchemaAndValue::new(
            value,
            Value::Struct(vec![
                Value::String(id),
                text(notification.kind),
                text(notification.aggregate.as_str()),
                Value::Map(entries),
                Value::Int64(now_ms),
            ]),
        ),
        ..ConnectRecord::default()
    }
}
