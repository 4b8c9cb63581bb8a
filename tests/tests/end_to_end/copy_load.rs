//! Clean restarts and kills while rows come by COPY and by statements of many rows, which share one LSN: of our streamer, and of
//! Debezium in Kafka Connect, under the same load and the same comparison. The figures of docs/operations.md are from here.

use std::time::Duration;

use stack::happened::Difference;
use stack::wait::{Condition, wait_until};
use stack::worker::{Settings, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::exactly_once::{difference, publishes, settings, source};
use super::pipeline::Pipeline;

/// Clean restarts over REST.
const RESTARTS: usize = 15;
/// `SIGKILL`s of the worker.
const KILLS: usize = 8;
/// Records that are published between two of them.
const BETWEEN: usize = 2_000;

/// Who publishes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Streamer,
    Debezium,
}

impl Carrier {
    async fn start(self, pipeline: &Pipeline, settings: &Settings) -> anyhow::Result<Worker> {
        match self {
            Carrier::Streamer => Worker::streamer(pipeline.directory.path(), settings).await,
            Carrier::Debezium => {
                let artifacts = stack::artifacts::Artifacts::fetch()?;
                Worker::debezium(&artifacts, pipeline.directory.path(), settings).await
            }
        }
    }
}

/// Batches by COPY and updates of many rows, at a pace that both keep up with, until it is told to stop.
async fn keep_copying(pipeline: &Pipeline, stop: &CancellationToken) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let (client, stop) = (pipeline.source().await?, stop.clone());
    Ok(tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !stop.is_cancelled() {
            pace.tick().await;
            client.batch_execute("COPY t (v) FROM PROGRAM 'seq 1 150'").await?;
            client.batch_execute("UPDATE t SET v = v || '!' WHERE id > (SELECT max(id) - 50 FROM t)").await?;
        }
        Ok(())
    }))
}

/// The process of the server that feeds the slot, `None` while nobody reads it.
async fn reader(pipeline: &Pipeline) -> anyhow::Result<Option<i32>> {
    let active = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
    let row = pipeline.source().await?.query_opt(active, &[&pipeline.name]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Starts a worker and its connector, interrupts it under the load as often as `times` says, and compares.
async fn interrupted(
    name: &str,
    carrier: Carrier,
    support: &str,
    times: usize,
    interrupt: impl AsyncFn(&Pipeline, Worker) -> anyhow::Result<Option<Worker>>,
) -> anyhow::Result<Difference> {
    let pipeline = source(name).await?;
    let settings = settings(&pipeline, support)?;
    let mut worker = carrier.start(&pipeline, &settings).await?;
    let (status, answer) = pipeline.put(&worker, &[]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let stop = CancellationToken::new();
    let load = keep_copying(&pipeline, &stop).await?;
    for _ in 0..times {
        publishes(&pipeline, BETWEEN).await?;
        worker = match interrupt(&pipeline, worker).await? {
            Some(worker) => worker,
            None => carrier.start(&pipeline, &settings).await?,
        };
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    }
    publishes(&pipeline, BETWEEN).await?;
    stop.cancel();
    load.await??;
    let (difference, changes) = difference(&pipeline).await?;
    let twice: usize = difference.twice.iter().map(|(_, times)| times).sum();
    println!(
        "{name}: {changes} changes happened, {times} times interrupted: {} lost, {twice} twice, {} out of order",
        difference.lost.len(),
        difference.out_of_order.len()
    );
    worker.into_process().stop().await?;
    Ok(difference)
}

/// Over REST, as an operator does. It is over when another session reads the slot.
async fn restart(pipeline: &Pipeline, worker: Worker) -> anyhow::Result<Option<Worker>> {
    let before = reader(pipeline).await?;
    let path = format!("/connectors/{}/restart?includeTasks=true", pipeline.name);
    let (status, answer) = worker.rest().request(reqwest::Method::POST, &path, None).await?;
    assert_eq!(status, 202, "{answer}");
    wait_until("another session that reads the slot", Duration::from_secs(90), async || {
        let now = reader(pipeline).await?;
        Ok(if now.is_some() && now != before { Condition::Met(()) } else { Condition::NotYet(format!("{now:?}")) })
    })
    .await?;
    Ok(Some(worker))
}

async fn kill(_: &Pipeline, worker: Worker) -> anyhow::Result<Option<Worker>> {
    worker.into_process().kill();
    Ok(None)
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_under_copy_lose_nothing_and_repeat_nothing() -> anyhow::Result<()> {
    let difference = interrupted("copy_restarts", Carrier::Streamer, "disabled", RESTARTS, restart).await?;
    assert!(difference.is_none(), "{difference}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_under_copy_lose_nothing_and_repeat_nothing_exactly_once() -> anyhow::Result<()> {
    let difference = interrupted("copy_restarts_once", Carrier::Streamer, "enabled", RESTARTS, restart).await?;
    assert!(difference.is_none(), "{difference}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_copy_lose_nothing_and_keep_the_order() -> anyhow::Result<()> {
    let mut difference = interrupted("copy_kills", Carrier::Streamer, "disabled", KILLS, kill).await?;
    difference.twice.clear();
    assert!(difference.is_none(), "{difference}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_copy_lose_nothing_and_repeat_nothing_exactly_once() -> anyhow::Result<()> {
    let difference = interrupted("copy_kills_once", Carrier::Streamer, "enabled", KILLS, kill).await?;
    assert!(difference.is_none(), "{difference}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_restarted_under_copy_loses_rows_that_share_an_lsn() -> anyhow::Result<()> {
    let difference = interrupted("copy_restarts_debezium", Carrier::Debezium, "disabled", RESTARTS, restart).await?;
    assert!(!difference.lost.is_empty(), "Debezium's position has become better than the documentation says");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_killed_under_copy_repeats_rows() -> anyhow::Result<()> {
    let difference = interrupted("copy_kills_debezium", Carrier::Debezium, "disabled", KILLS, kill).await?;
    assert!(!difference.twice.is_empty(), "Debezium repeats less than the documentation says");
    Ok(())
}
