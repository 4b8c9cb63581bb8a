//! Every change is in Kafka once, for who reads what is committed (`exactly.once.source.support`).

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Message as _;
use serde_json::Value;
use stack::happened::{Change, Difference, published as published_change};
use stack::process;
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::{Settings, Worker};
use tokio_util::sync::CancellationToken;

use super::hand_over_under_load::{happened, keep_writing};
use super::pipeline::Pipeline;

/// A worker with or without `exactly.once.source.support` that soon takes over from one that is silent.
pub(super) fn settings(pipeline: &Pipeline, support: &str) -> anyhow::Result<Settings> {
    let mut settings = pipeline.worker_settings()?;
    let more =
        [("exactly.once.source.support", support), ("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")];
    settings.more.extend(more.map(|(key, value)| (key, value.to_owned())));
    Ok(settings)
}

/// A streamer that publishes in transactions.
async fn streamer(pipeline: &Pipeline) -> anyhow::Result<Worker> {
    Worker::streamer(pipeline.directory.path(), &settings(pipeline, "enabled")?).await
}

/// A table under load, and a slot that says what really happened to it.
pub(super) async fn source(name: &str) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY, v text)").await?;
    pipeline.run(&format!("SELECT pg_create_logical_replication_slot('happened_{name}', 'test_decoding')")).await?;
    Ok(pipeline)
}

/// Waits until so many more records, committed or not, are in the topic.
pub(super) async fn publishes(pipeline: &Pipeline, more: usize) -> anyhow::Result<()> {
    let topic = pipeline.topic("t");
    let end = || tokio::task::block_in_place(|| topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
    let before = end();
    wait_until(&format!("{more} more records"), Duration::from_secs(90), async || {
        let now = end();
        Ok(if now >= before + more { Condition::Met(()) } else { Condition::NotYet(format!("{}", now - before)) })
    })
    .await
}

/// How what is committed differs from what happened, and how many changes that were.
pub(super) async fn difference(pipeline: &Pipeline) -> anyhow::Result<(Difference, usize)> {
    // Decoding goes as far as the WAL is flushed, and the server here commits before it flushes.
    pipeline.run("SET synchronous_commit = on; INSERT INTO t VALUES (0, 'the last')").await?;
    let happened = happened(pipeline, &format!("happened_{}", pipeline.name)).await?;
    let (topic, mut next, mut published, mut tombstones) = (pipeline.topic("t"), BTreeMap::new(), Vec::new(), 0);
    wait_until("the last row", Duration::from_secs(180), async || {
        let records = tokio::task::block_in_place(|| {
            topic::read_on(&pipeline.kafka, &topic, &mut next, |message| {
                let json = |bytes: Option<&[u8]>| bytes.map_or(Ok(Value::Null), serde_json::from_slice);
                Ok(published_change(&json(message.key())?, &json(message.payload())?))
            })
        })?;
        for record in records.into_values().flatten() {
            tombstones += usize::from(record.is_none());
            published.extend(record);
        }
        let is_last = published.last().is_some_and(|change: &Change| change.id == 0);
        Ok(if is_last { Condition::Met(()) } else { Condition::NotYet(format!("{} changes", published.len())) })
    })
    .await?;
    let deletes = published.iter().filter(|change| change.op == 'd').count();
    assert_eq!(tombstones, deletes, "a tombstone behind each delete");
    Ok((Difference::of(&happened, [&published]), happened.len()))
}

/// What is committed is what happened, each change once and in its order.
async fn is_what_happened(pipeline: &Pipeline) -> anyhow::Result<()> {
    let (difference, _) = difference(pipeline).await?;
    assert!(difference.is_none(), "not each change once and in its order:\n{difference}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_is_killed_and_stopped_under_load_publishes_every_change_once() -> anyhow::Result<()> {
    let pipeline = source("exactly_once").await?;
    let mut worker = streamer(&pipeline).await?;
    let (status, answer) = pipeline.put(&worker, &[("exactly.once.support", "required")]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    for round in 0..6 {
        publishes(&pipeline, 700 + 137 * round).await?;
        if round % 3 == 2 {
            worker.into_process().stop().await?;
        } else {
            worker.into_process().kill();
        }
        worker = streamer(&pipeline).await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    }
    stop.cancel();
    load.await??;
    is_what_happened(&pipeline).await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_was_frozen_and_wakes_publishes_nothing_behind_the_one_that_took_over() -> anyhow::Result<()> {
    let pipeline = source("exactly_once_frozen").await?;
    let frozen = streamer(&pipeline).await?;
    pipeline.put(&frozen, &[]).await?;
    frozen.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    publishes(&pipeline, 500).await?;
    let id = frozen.process().id().unwrap_or_default();
    process::signal(id, "STOP")?;
    // The server takes the frozen one's session for alive as long as `wal_sender_timeout`; here its network is cut.
    pipeline
        .run(&format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{}'",
            pipeline.name
        ))
        .await?;
    let other = streamer(&pipeline).await?;
    other.rest().wait_task(&pipeline.name, "RUNNING").await?;
    publishes(&pipeline, 500).await?;
    process::signal(id, "CONT")?;
    publishes(&pipeline, 500).await?;
    stop.cancel();
    load.await??;
    is_what_happened(&pipeline).await?;
    frozen.into_process().stop().await?;
    other.into_process().stop().await
}
