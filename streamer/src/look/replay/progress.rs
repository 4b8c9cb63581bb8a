//! What a connector tells of an incremental snapshot, until it is done.
//!
//! Its notifications say it (`notification.enabled.channels=sink`). A connector without them is watched: what arrives in the table's
//! topic, and whether its stored position still tells of a snapshot.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::look::Ended;
use crate::look::reach::connect::{Connector, Rest};
use crate::look::reach::kafka::{Arrival, Reader};
use crate::look::record::Record;
use crate::look::screen::Screen;

/// How often the stored position is asked for.
const ASK: Duration = Duration::from_secs(1);

/// How long nothing may come and no position tell of a snapshot, until it is taken for done.
const QUIET: Duration = Duration::from_secs(10);

/// How long the connector may take to begin.
const BEGIN: Duration = Duration::from_secs(120);

/// Where it is seen how far a snapshot is.
pub(super) struct Progress {
    id: String,
    table: String,
    watch: Watch,
}

enum Watch {
    /// The topic of notifications.
    Notifications(FromHere),
    /// The table's topic, if Kafka can be read, and the stored position.
    Records(Option<FromHere>),
}

/// What comes in a topic from now on, also if it is only made then.
struct FromHere {
    reader: Reader,
    topic: String,
    is_there: bool,
}

impl FromHere {
    fn new(client: &rdkafka::ClientConfig, topic: String) -> Result<Self, Ended> {
        let reader = Reader::new(client)?;
        let partitions = reader.topics()?.remove(&topic).unwrap_or_default();
        let mut from = Vec::new();
        for partition in &partitions {
            from.push((topic.as_str(), *partition, reader.range(&topic, *partition)?.1));
        }
        reader.assign(from)?;
        let is_there = !partitions.is_empty();
        Ok(Self { reader, topic, is_there })
    }

    /// The next record, `None` where none comes so soon, or it is no JSON.
    async fn next(&mut self, within: Duration) -> Result<Option<Record>, Ended> {
        if !self.is_there {
            let partitions = self.reader.topics()?.remove(&self.topic).unwrap_or_default();
            for partition in &partitions {
                let (first, _) = self.reader.range(&self.topic, *partition)?;
                self.reader.add(&self.topic, *partition, first)?;
            }
            self.is_there = !partitions.is_empty();
        }
        match tokio::time::timeout(within, self.reader.next()).await {
            Ok(arrival) => Ok(match arrival? {
                Arrival::Record(message) => Record::of(&message).ok(),
                Arrival::End(_) => None,
            }),
            Err(_) => Ok(None),
        }
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    rows: u64,
    is_told: bool,
}

impl Done {
    pub(super) fn told(&self) -> String {
        let rows = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        match self.is_told {
            true => format!("{rows} read and published again (op r)"),
            false => format!(
                "as far as can be seen: {rows} came again (op r), and the stored position tells of no snapshot any more. With \
                 notification.enabled.channels=sink and notification.sink.topic.name the connector would say it"
            ),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "done": true, "rows": self.rows, "told_by_notification": self.is_told })
    }
}

impl Progress {
    /// Notes where the topics end; `None` when nobody waits.
    ///
    /// # Errors
    /// As [`Reader::range`].
    pub(super) fn of(
        connector: &Connector,
        kafka: &crate::look::reach::kafka::Kafka,
        table: &str,
        id: &str,
        no_wait: bool,
    ) -> Result<Option<Self>, Ended> {
        if no_wait {
            return Ok(None);
        }
        let channels = connector.property("notification.enabled.channels").unwrap_or_default();
        let notifications = connector
            .property("notification.sink.topic.name")
            .filter(|_| channels.split(',').any(|channel| channel.trim() == "sink"));
        let servers = connector.property("signal.kafka.bootstrap.servers");
        let watch = match (notifications, kafka.is_given()? || servers.is_some()) {
            (_, false) => Watch::Records(None),
            (Some(topic), true) => Watch::Notifications(FromHere::new(&kafka.client(servers)?, topic.to_owned())?),
            (None, true) => {
                let prefix = connector.property("topic.prefix").unwrap_or_default();
                let topic = proto::topic::sanitized(&format!("{prefix}.{table}"));
                Watch::Records(Some(FromHere::new(&kafka.client(servers)?, topic)?))
            }
        };
        Ok(Some(Self { id: id.to_owned(), table: table.to_owned(), watch }))
    }

    /// Waits until it is done.
    ///
    /// # Errors
    /// When the connector says that it could not read the table, or does not begin, or when it cannot be seen.
    pub(super) async fn wait(
        mut self,
        rest: &Rest,
        connector: &Connector,
        screen: &Screen,
        json: bool,
    ) -> Result<Done, Ended> {
        let bar = match io::stderr().is_terminal() && !json {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_message(format!("waiting for connector {} to begin", connector.name));
        let done = tokio::select! {
            done = async {
                match &mut self.watch {
                    Watch::Notifications(topic) => notified(topic, &self.id, &self.table, connector, &bar).await,
                    Watch::Records(topic) => seen(topic.as_mut(), &self.table, rest, connector, &bar).await,
                }
            } => done,
            pressed = tokio::signal::ctrl_c() => {
                bar.finish_and_clear();
                screen.note("the snapshot goes on; a signal stop-snapshot would end it");
                return Err(match pressed { Ok(()) => Ended::Closed, Err(error) => Ended::cannot("Ctrl-C").because(error) });
            }
        };
        bar.finish_and_clear();
        done
    }
}

/// Waits for the notification of the end.
async fn notified(
    topic: &mut FromHere,
    id: &str,
    table: &str,
    connector: &Connector,
    bar: &ProgressBar,
) -> Result<Done, Ended> {
    let (begun, mut is_begun, mut rows) = (Instant::now(), false, 0);
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    loop {
        let record = topic.next(ASK).await?;
        if !is_begun && begun.elapsed() > BEGIN {
            return Err(not_begun(connector));
        }
        let Some(record) = record.filter(|record| text(&record.value, "id").as_deref() == Some(id)) else { continue };
        is_begun = true;
        let data = record.value.get("additional_data").cloned().unwrap_or_default();
        match text(&record.value, "type").unwrap_or_default().as_str() {
            "IN_PROGRESS" => {
                let [last, end] =
                    ["last_processed_key", "maximum_key"].map(|key| text(&data, key).unwrap_or_else(|| "?".to_owned()));
                bar.set_message(format!("{table}: up to key {last} of {end}"));
            }
            "TABLE_SCAN_COMPLETED" => {
                rows += text(&data, "total_rows_scanned").and_then(|rows| rows.parse::<u64>().ok()).unwrap_or_default();
                let status = text(&data, "status").unwrap_or_default();
                if !matches!(status.as_str(), "SUCCEEDED" | "EMPTY") {
                    return Err(Ended::cannot(format!(
                        "connector {} did not read {table} again: {status}. The worker's log says more",
                        connector.name
                    )));
                }
            }
            "COMPLETED" => return Ok(Done { rows, is_told: true }),
            "ABORTED" => return Err(Ended::cannot("the snapshot was stopped by a signal")),
            _ => {}
        }
    }
}

/// Watches what arrives, and the stored position.
async fn seen(
    mut topic: Option<&mut FromHere>,
    table: &str,
    rest: &Rest,
    connector: &Connector,
    bar: &ProgressBar,
) -> Result<Done, Ended> {
    let (begun, mut is_begun, mut rows) = (Instant::now(), false, 0_u64);
    let mut last = Instant::now();
    loop {
        let asked = Instant::now();
        while asked.elapsed() < ASK {
            let left = ASK.saturating_sub(asked.elapsed());
            let Some(topic) = topic.as_deref_mut() else {
                tokio::time::sleep(left).await;
                continue;
            };
            let record = topic.next(left).await?;
            if record.is_some_and(|record| record.value.get("op").and_then(Value::as_str) == Some("r")) {
                (rows, is_begun, last) = (rows + 1, true, Instant::now());
                bar.set_message(format!("{table}: {rows} rows"));
            }
        }
        let offsets = rest.offsets(&connector.name).await?;
        if offsets.iter().any(|(_, offset)| tells_of_a_snapshot(offset)) {
            (is_begun, last) = (true, Instant::now());
        }
        match is_begun {
            true if last.elapsed() > QUIET => return Ok(Done { rows, is_told: false }),
            false if begun.elapsed() > BEGIN => return Err(not_begun(connector)),
            _ => {}
        }
    }
}

fn not_begun(connector: &Connector) -> Ended {
    Ended::cannot(format!(
        "connector {} has not begun with it in {} s: no such row may be there, the table may not be one of its, or it does not read \
         the signal. The worker's log says it",
        connector.name,
        BEGIN.as_secs()
    ))
}

/// Whether a stored position is in the middle of an incremental snapshot.
fn tells_of_a_snapshot(offset: &Value) -> bool {
    offset.as_object().is_some_and(|offset| {
        offset.iter().any(|(key, value)| key.starts_with("incremental_snapshot") && !value.is_null())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_position_tells_of_a_snapshot_while_there_is_one() {
        assert!(tells_of_a_snapshot(&json!({"lsn": 1, "incremental_snapshot_primary_key": "x"})));
        assert!(!tells_of_a_snapshot(&json!({"lsn": 1, "incremental_snapshot_primary_key": null})));
        assert!(!tells_of_a_snapshot(&json!({"lsn": 1})));
    }
}
