//! From a commit to who reads what is committed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::postgres::connect;

/// Between two commits.
const PAUSE: Duration = Duration::from_millis(10);
/// How many rows come before the clock counts: a consumer's first fetches are slower.
const WARM_UP: usize = 100;

/// Commits one row every ten milliseconds for so long, and says of each how long it took from the end of its commit to a
/// consumer that was reading already.
pub(super) async fn measure(
    bootstrap_servers: &str,
    topic: &str,
    database: &str,
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "latency")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut end = TopicPartitionList::new();
    end.add_partition_offset(topic, 0, Offset::End)?;
    consumer.assign(&end)?;
    // An assignment to the end counts from the first answer of the broker on.
    ensure!(tokio::time::timeout(Duration::from_secs(2), consumer.recv()).await.is_err(), "{topic} is not at rest");

    let client = connect(database).await?;
    let rows = WARM_UP + usize::try_from(duration.as_millis() / PAUSE.as_millis())?;
    let writing = tokio::spawn(async move {
        let statement = client.prepare("INSERT INTO devices (service_tag, device_name) VALUES ('LATENCY', $1)").await?;
        let mut committed = HashMap::new();
        let mut clock = tokio::time::interval(PAUSE);
        for row in 0..rows {
            clock.tick().await;
            let name = row.to_string();
            client.execute(&statement, &[&name]).await?;
            committed.insert(name, Instant::now());
        }
        Ok::<_, tokio_postgres::Error>(committed)
    });
    let mut received = HashMap::new();
    while received.len() < rows {
        let record =
            tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.context("a row does not come")??;
        let now = Instant::now();
        let value: Value = serde_json::from_slice(record.payload().context("no value")?)?;
        let name = value.pointer("/after/device_name").and_then(Value::as_str).context("no name")?;
        received.insert(name.to_owned(), now);
    }
    let committed = writing.await??;
    let of = |(name, committed): (&String, &Instant)| {
        let warm = name.parse::<usize>().is_ok_and(|row| row >= WARM_UP);
        warm.then(|| received.get(name).map(|received| received.saturating_duration_since(*committed))).flatten()
    };
    Ok(committed.iter().filter_map(of).collect())
}
