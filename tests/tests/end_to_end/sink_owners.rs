//! One sink at a time applies, and what it applied before is not applied over what came later.

use std::time::Duration;

use stack::wait::{Condition, wait_until};
use stack::worker::Rest;
use stack::{process, topic};

use super::pipeline::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_frozen_in_a_batch_and_wakes_commits_nothing_and_stops() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_frozen").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n")
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut frozen, _) = pipeline.sink(&worker)?;
    frozen.wait_complete(1, |_| {}).await?;
    pipeline.run("UPDATE t SET v = 1").await?;
    pipeline.target_has("SELECT sum(v) FROM t", "100").await?;

    // The batch waits for the table; frozen then, the sink does not learn that it got it.
    let mut target = pipeline.target().await?;
    let lock = target.transaction().await?;
    lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    pipeline.run("UPDATE t SET v = 2").await?;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND application_name = 'Headwater sink batch'";
    pipeline.target_has(&format!("{sessions} AND wait_event_type = 'Lock'"), "1").await?;
    let id = frozen.process().id().unwrap_or_default();
    process::signal(id, "STOP")?;
    lock.rollback().await?;
    pipeline.target_has(&format!("{sessions} AND state = 'idle in transaction'"), "1").await?;

    let directory = tempfile::tempdir()?;
    let (mut other, _) = pipeline.sink_in(directory.path(), &worker, |_| {})?;
    other.wait_complete(1, |_| {}).await?;
    pipeline.run("UPDATE t SET v = 3").await?;
    pipeline.target_has("SELECT sum(v) FROM t", "300").await?;

    process::signal(id, "CONT")?;
    let said = frozen.wait_refusal().await?;
    assert!(said.contains("another sink has taken over the topics of prefix sink_frozen"), "{said}");
    pipeline.run("UPDATE t SET v = 4").await?;
    pipeline.target_has("SELECT sum(v) FROM t", "400").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sinks_one_stands_by_until_the_other_ends() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_stands_by").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut first, _) = pipeline.sink(&worker)?;
    first.wait_complete(1, |_| {}).await?;
    let directory = tempfile::tempdir()?;
    let (mut second, _) = pipeline.sink_in(directory.path(), &worker, |_| {})?;
    wait_until("the second sink to stand by", Duration::from_secs(30), async || {
        let output = second.process().output();
        Ok(if output.contains("standing by") { Condition::Met(()) } else { Condition::NotYet(output) })
    })
    .await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;
    assert!(!second.process().output().contains("WRITER COMPLETE"));

    first.into_process().stop().await?;
    second.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "2").await?;
    // A crash frees the prefix as well: at once, not when the silence is long enough.
    second.into_process().kill();
    let (mut third, _) = pipeline.sink(&worker)?;
    third.wait_complete(2, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (3)").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_deleted_and_made_again_is_not_passed_over() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_topic_again").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT generate_series(1, 3)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "3").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await?;

    topic::delete(&pipeline.kafka, &pipeline.topic("t")).await?;
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    // More than there were: the old offset is inside of the new topic, and there is a record behind it.
    pipeline.run("INSERT INTO t SELECT generate_series(4, 9)").await?;
    super::restarts::wait_records(&pipeline, "t", 6).await?;
    let (_sink, port) = pipeline.sink(&worker)?;
    let topic = pipeline.topic("t");
    wait_until("the sink to say what stands still", Duration::from_secs(60), async || {
        let (_, health) = Rest::new(port).get("/health").await.unwrap_or_default();
        let error = health["topics"][&topic]["error"].as_str().unwrap_or_default();
        let told = error.contains("is not the one that was read before");
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    pipeline.target_has("SELECT count(*) FROM t", "3").await?;

    let target = pipeline.target().await?;
    target.batch_execute("DELETE FROM headwater.offsets WHERE topic = 'sink_topic_again.public.t'").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_was_set_back_under_a_running_sink_is_gone_on_from() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_set_back").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT generate_series(1, 9)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "9").await?;

    // Rows that somebody lost in the target, and asks for again.
    pipeline
        .target()
        .await?
        .batch_execute(
            "DELETE FROM t WHERE id > 5; UPDATE headwater.offsets SET next_offset = 5 WHERE topic LIKE '%.public.t'",
        )
        .await?;
    pipeline.run("INSERT INTO t VALUES (10)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "10").await?;
    pipeline.equal().await
}
