//! PostgreSQL, Kafka and the worker end and come back in any order, under load.

use std::collections::BTreeSet;
use std::time::Duration;

use stack::artifacts::Artifacts;
use stack::kafka::Kafka;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use stack::{ports, postgres, topic};
use tokio_util::sync::CancellationToken;

use super::own_server::{OwnServer, ids};
use super::pipeline::Pipeline;

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Postgres,
    Kafka,
    Worker,
}
use Part::{Kafka as K, Postgres as P, Worker as W};

/// In which order they end, whether they are killed, and in which they come back.
const ROUNDS: [([Part; 3], bool, [Part; 3]); 4] = [
    ([P, K, W], true, [W, P, K]),
    ([W, P, K], false, [K, W, P]),
    ([K, W, P], true, [P, K, W]),
    ([K, P, W], true, [W, K, P]),
];

/// Inserts until it is stopped, whatever the server does meanwhile.
async fn write(url: String, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Ok(client) = postgres::connect(&url).await {
            let insert = "INSERT INTO t (v) SELECT 'row' FROM generate_series(1, 20)";
            while !stop.is_cancelled() && client.batch_execute(insert).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_and_comes_back_in_whatever_order_nothing_is_lost() -> anyhow::Result<()> {
    survives("any_order", &ROUNDS[..2], &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_exactly_once_nothing_comes_twice_either() -> anyhow::Result<()> {
    survives("any_order_once", &ROUNDS[2..], &[("exactly.once.source.support", "enabled")]).await
}

async fn survives(
    name: &str,
    rounds: &[([Part; 3], bool, [Part; 3])],
    worker_settings: &[(&'static str, &str)],
) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new(name).await?;
    let settings = |pipeline: &Pipeline| {
        let mut settings = pipeline.worker_settings()?;
        settings.more.extend(worker_settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        anyhow::Ok(settings)
    };
    let (artifacts, port) = (Artifacts::fetch()?, ports::free()?);
    let kafka_directory = tempfile::Builder::new().prefix("headwater-any-order-kafka-").tempdir()?;
    let mut kafka = Some(Kafka::start(&artifacts, kafka_directory.path(), port).await?);
    pipeline.kafka = format!("127.0.0.1:{port}");
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("server").await?;
    own.sql("CREATE TABLE t (id bigserial PRIMARY KEY, v text)").await?;
    let mut worker = Some(Worker::streamer(pipeline.directory.path(), &settings(&pipeline)?).await?);
    if let Some(worker) = &worker {
        own.put(&pipeline, worker, &[]).await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    }
    own.wait("SELECT active FROM pg_replication_slots").await?;
    let stop = CancellationToken::new();
    let load = tokio::spawn(write(own.url(), stop.clone()));
    let end = |kafka: &str| {
        tokio::task::block_in_place(|| topic::end(kafka, &format!("{name}.public.t"))).unwrap_or_default()
    };
    for &(ends, is_killed, comes) in rounds {
        for part in ends {
            match part {
                P if is_killed => own.kill(),
                P => own.stop().await?,
                K => {
                    let process = kafka.take().map(Kafka::into_process);
                    process.into_iter().for_each(stack::process::Process::kill);
                }
                W => {
                    let process = worker.take().map(Worker::into_process);
                    process.into_iter().for_each(stack::process::Process::kill);
                }
            }
            // What is left meets with what is gone.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        // A worker whose Kafka is away answers only when that is back. One that has waited for a minute gives up, as Connect
        // does, and is started again by who keeps it.
        let settings = settings(&pipeline)?;
        let starts = async {
            let first = Worker::streamer(pipeline.directory.path(), &settings).await;
            match first {
                Err(gone) if gone.to_string().contains("is not usable") => {
                    Worker::streamer(pipeline.directory.path(), &settings).await
                }
                first => first,
            }
        };
        let others = async {
            for part in comes {
                match part {
                    P => own.start("server").await?,
                    K => kafka = Some(Kafka::start(&artifacts, kafka_directory.path(), port).await?),
                    W => {}
                }
            }
            anyhow::Ok(())
        };
        let started = match comes {
            [W, ..] => {
                let (started, others) = tokio::join!(starts, others);
                others?;
                started
            }
            _ => {
                others.await?;
                starts.await
            }
        }?;
        started.rest().wait_task(&pipeline.name, "RUNNING").await?;
        let before = end(&pipeline.kafka);
        wait_until("records of after the round", Duration::from_secs(60), async || {
            let now = end(&pipeline.kafka);
            Ok(if now > before { Condition::Met(()) } else { Condition::NotYet(format!("{now} records")) })
        })
        .await?;
        worker = Some(started);
    }
    stop.cancel();
    load.await?;
    own.sql("SET synchronous_commit = on; INSERT INTO t (v) VALUES ('the last')").await?;
    let there = postgres::connect(&own.url()).await?.query("SELECT id FROM t", &[]).await?;
    let there: BTreeSet<i64> = there.iter().map(|row| row.get(0)).collect();
    let records = wait_until("the last row", Duration::from_secs(60), async || {
        let topic = pipeline.topic("t");
        let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &topic))?;
        let last = ids(&records).last().copied();
        Ok(if last == there.last().copied() { Condition::Met(records) } else { Condition::NotYet(format!("{last:?}")) })
    })
    .await?;
    let published = ids(&records);
    if !worker_settings.is_empty() {
        assert_eq!(records.len(), published.len(), "each once");
    }
    let missing: Vec<i64> = there.difference(&published).copied().collect();
    assert!(missing.is_empty(), "{} of {} rows are missing: {missing:?}", missing.len(), there.len());
    match worker {
        Some(worker) => worker.into_process().stop().await,
        None => Ok(()),
    }
}
