//! Crashes between two steps of which the one is done and the other not, as `proto::failpoint` names them: whoever starts next
//! makes of it what should be.

use std::time::Duration;

use proto::failpoint;
use stack::process::Process;
use stack::sink::Sink;
use stack::worker::Worker;
use tokio_util::sync::CancellationToken;

use super::exactly_once::{difference, publishes, settings, source};
use super::hand_over_under_load::keep_writing;
use super::pipeline::Pipeline;

/// Under load: a streamer that ends at the place, and one that goes on behind it.
async fn streamer_ends_at(name: &str, place: &str, support: &str) -> anyhow::Result<()> {
    let pipeline = source(name).await?;
    let settings = settings(&pipeline, support)?;
    let mut command = Worker::streamer_command(&settings)?;
    command.env(failpoint::VARIABLE, place);
    let worker = Worker::start("streamer", command, pipeline.directory.path(), settings.port).await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    crashes(&mut worker.into_process(), place).await?;
    let worker = Worker::streamer(pipeline.directory.path(), &settings).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    publishes(&pipeline, 500).await?;
    stop.cancel();
    load.await??;
    let (mut difference, _) = difference(&pipeline).await?;
    if support == "disabled" {
        // What was not stored comes again.
        difference.twice.clear();
    }
    assert!(difference.is_none(), "{difference}");
    worker.into_process().stop().await
}

pub(super) async fn crashes(process: &mut Process, place: &str) -> anyhow::Result<()> {
    let is_clean = process.ended(Duration::from_secs(90)).await?;
    assert!(!is_clean, "it ended by itself, and not at {place}");
    Ok(())
}

/// Under load: a sink that ends at the place, and one that goes on behind it.
async fn sink_ends_at(name: &str, place: &str) -> anyhow::Result<()> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY, v text)").await?;
    pipeline.run("INSERT INTO t (v) SELECT 'before' FROM generate_series(1, 2000)").await?;
    let worker = pipeline.streamer().await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    let settings = pipeline.sink_settings(worker.rest().url())?;
    let mut command = Sink::command(&settings)?;
    command.env(failpoint::VARIABLE, place);
    let mut process = Process::start("sink", command, &pipeline.directory.path().join("sink.log"), "TERM")?;
    crashes(&mut process, place).await?;
    let before = process.output().matches("WRITER COMPLETE").count();
    let mut sink = Sink::start(pipeline.directory.path(), &settings)?;
    sink.wait_complete(before + 1, |_| {}).await?;
    stop.cancel();
    load.await??;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_before_kafka_acknowledges_loses_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_enqueued", "record-enqueued:1500", "disabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_before_it_stores_what_is_acknowledged_loses_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_acknowledged", "position-not-stored:4", "disabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_between_the_stored_position_and_the_slot_loses_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_stored", "position-stored:4", "disabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_inside_a_kafka_transaction_loses_and_repeats_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_inside", "record-enqueued:1500", "enabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_before_kafkas_commit_loses_and_repeats_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_uncommitted", "transaction-not-committed:15", "enabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_between_kafkas_commit_and_the_slot_loses_and_repeats_nothing() -> anyhow::Result<()> {
    streamer_ends_at("crash_committed", "transaction-committed:15", "enabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_before_the_targets_commit_applies_it_again() -> anyhow::Result<()> {
    sink_ends_at("crash_applied", "batch-not-committed:10").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_behind_the_targets_commit_applies_nothing_twice() -> anyhow::Result<()> {
    sink_ends_at("crash_applied_whole", "batch-committed:10").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_between_the_slot_and_the_copy_begins_anew() -> anyhow::Result<()> {
    sink_ends_at("crash_slot", "slot-created").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_before_it_stores_that_it_copied_copies_nothing_again() -> anyhow::Result<()> {
    sink_ends_at("crash_copied", "rows-copied").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_between_the_copy_and_the_connector_goes_on_with_the_connector() -> anyhow::Result<()> {
    sink_ends_at("crash_undeployed", "copy-stored").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_crashes_when_the_connector_runs_goes_on_with_the_changes() -> anyhow::Result<()> {
    sink_ends_at("crash_deployed", "connector-deployed").await
}
