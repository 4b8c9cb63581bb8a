//! From a commit to who reads its record: 100 commits of one row a second, and a consumer that reads already.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_postgres::Client;

use super::carrier::Carrier;
use super::ends::Ends;
use super::result::{Measured, Round};
use super::stage::{DATABASE, Stage};
use super::table::{DEVICES, devices};
use super::{Arguments, Work};

/// Between two commits.
const PAUSE: Duration = Duration::from_millis(10);
/// How many rows come before the clock counts: a consumer's first fetches are slower, and so is a Java that just began.
const WARM_UP: usize = 500;

/// Measures it.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, arguments: &Arguments) -> anyhow::Result<Measured> {
    let source = stage.source().await?;
    source.batch_execute(DEVICES).await?;
    source.batch_execute(&format!("CREATE PUBLICATION {DATABASE} FOR ALL TABLES")).await?;
    let about =
        "100 commits of one row a second; from the end of a commit to a consumer that has its record.".to_owned();
    let mut measured = Measured::new(Work::Latency, "Latency", about);
    for round in 0..arguments.rounds {
        for (number, carrier) in carriers(arguments).iter().enumerate() {
            let name = format!("r{round}_{number}");
            let found = one(stage, &source, carrier, &name, arguments).await.context(carrier.name.clone())?;
            let [p50, _, p99, ..] = found.latency.unwrap_or_default();
            eprintln!("latency, round {}: {}: p50 {p50:.1} ms, p99 {p99:.1} ms", round + 1, carrier.name);
            measured.push(&carrier.name, carrier.part, found);
        }
    }
    Ok(measured)
}

fn carriers(arguments: &Arguments) -> Vec<Carrier> {
    let exactly_once = Carrier::streamer_with(arguments).called("streamer, exactly once");
    let mut carriers =
        vec![Carrier::streamer_with(arguments), exactly_once.worker("exactly.once.source.support", "enabled")];
    if !arguments.alone {
        let tuned = Carrier::debezium().called("Debezium, poll.interval.ms=1");
        carriers.extend([Carrier::debezium(), tuned.connector("poll.interval.ms", "1")]);
    }
    carriers
}

async fn one(
    stage: &Stage,
    source: &Client,
    carrier: &Carrier,
    name: &str,
    arguments: &Arguments,
) -> anyhow::Result<Round> {
    source.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&name]).await?;
    let topic = format!("{name}.public.devices");
    let ends = Ends::create(&stage.bootstrap_servers(), vec![topic.clone()]).await?;
    let carrying = carrier.start(stage, name).await?;
    carrying.wait_running().await?;
    // Something goes through before.
    source.batch_execute(&devices("devices", 1000)).await?;
    ends.reach(1000).await?;
    let rows = WARM_UP + usize::try_from(arguments.seconds)? * 100;
    let consumer = consumer(&stage.bootstrap_servers(), &topic).await?;
    let reading = tokio::spawn(read(consumer, rows));
    let (warm, is_warm) = oneshot::channel();
    let writing = tokio::spawn(write(stage.source().await?, rows, warm));
    is_warm.await.context("the commits broke off")?;
    let (watched, begun) = (carrying.watched()?, Instant::now());
    let committed = writing.await??;
    let core = watched.cpu()? / begun.elapsed().as_secs_f64();
    let received = reading.await??;
    let latencies = committed.iter().filter(|(row, _)| **row >= WARM_UP).filter_map(|(row, committed)| {
        let received = received.get(row)?;
        Some(received.saturating_duration_since(*committed).as_secs_f64() * 1000.0)
    });
    let latency = Some(percentiles(latencies.collect()));
    let peak_mb = Some(watched.peak_mb()?);
    carrying.stop(source).await?;
    ends.delete().await?;
    Ok(Round { latency, core: Some(core), peak_mb, ..Round::default() })
}

/// The 50th, 90th, 99th and 99.9th percentile, and the largest.
pub(super) fn percentiles(mut values: Vec<f64>) -> [f64; 5] {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let value = values.get((values.len() as f64 * part) as usize).or(values.last());
        value.copied().unwrap_or_default()
    };
    [at(0.5), at(0.9), at(0.99), at(0.999), at(1.0)]
}

/// One that reads what comes from now on, and has begun to.
async fn consumer(bootstrap_servers: &str, topic: &str) -> anyhow::Result<StreamConsumer> {
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
    Ok(consumer)
}

/// Commits one row every ten milliseconds, and gives when each commit had ended. `warm` is told when the clock begins to count.
async fn write(client: Client, rows: usize, warm: oneshot::Sender<()>) -> anyhow::Result<HashMap<usize, Instant>> {
    let statement = client.prepare("INSERT INTO devices (service_tag, device_name) VALUES ('LATENCY', $1)").await?;
    let (mut committed, mut warm) = (HashMap::new(), Some(warm));
    let mut clock = tokio::time::interval(PAUSE);
    for row in 0..rows {
        clock.tick().await;
        if let Some(warm) = warm.take_if(|_| row == WARM_UP) {
            // Who asked may be gone.
            warm.send(()).ok();
        }
        client.execute(&statement, &[&row.to_string()]).await?;
        committed.insert(row, Instant::now());
    }
    Ok(committed)
}

/// When each row's record came.
async fn read(consumer: StreamConsumer, rows: usize) -> anyhow::Result<HashMap<usize, Instant>> {
    let mut received = HashMap::new();
    while received.len() < rows {
        let record =
            tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await.context("a row does not come")??;
        let now = Instant::now();
        let value: Value = serde_json::from_slice(record.payload().context("no value")?)?;
        let name = value.pointer("/after/device_name").and_then(Value::as_str).context("no name")?;
        received.insert(name.parse()?, now);
    }
    Ok(received)
}
