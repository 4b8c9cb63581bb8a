//! Much passes through little memory. `stack memory` is the same at full size.

use stack::artifacts::Artifacts;
use stack::kafka::{self, Kafka};
use stack::memory::resident::Resident;
use stack::memory::{SINK_MB, STREAMER_MB};
use stack::ports;
use stack::sink::Sink;
use stack::worker::Worker;

use super::pipeline::Pipeline;

/// Fails when one of the two had more resident than it may, at any time.
fn stayed_small(worker: &Worker, sink: &mut Sink) -> anyhow::Result<()> {
    let streamer = Resident::of(worker.process().id().unwrap_or_default())?;
    let sink = Resident::of(sink.process().id().unwrap_or_default())?;
    println!("streamer {streamer:?}, sink {sink:?}");
    assert!(streamer.peak_mb() <= STREAMER_MB, "the streamer: {streamer:?}");
    assert!(sink.peak_mb() <= SINK_MB, "the sink: {sink:?}");
    assert!(sink.threads < 40, "the sink: {sink:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_passes_through_little_memory() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("memory_transaction").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, words text)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT n, repeat('word ', 40) FROM generate_series(1, 200000) n").await?;
    super::restarts::wait_records(&pipeline, "t", 200_000).await?;
    pipeline.equal().await?;
    stayed_small(&worker, &mut sink)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tables_need_no_threads_and_little_memory() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("memory_tables").await?;
    pipeline
        .run("DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n); END LOOP; END $$")
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline
        .run(
            "DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('INSERT INTO t%s VALUES (1, ''a'')', n); END LOOP; END $$",
        )
        .await?;
    pipeline.equal().await?;
    stayed_small(&worker, &mut sink)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_fills_no_memory_and_holds_up_no_other() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("memory_locked").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, words text); CREATE TABLE other (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let mut target = pipeline.target().await?;
    let lock = target.transaction().await?;
    lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    pipeline.run("INSERT INTO t SELECT n, repeat('word ', 200) FROM generate_series(1, 50000) n").await?;
    pipeline.run("INSERT INTO other VALUES (1)").await?;
    pipeline.target_has("SELECT count(*) FROM other", "1").await?;
    super::restarts::wait_records(&pipeline, "t", 50_000).await?;
    pipeline.run("INSERT INTO other VALUES (2)").await?;
    pipeline.target_has("SELECT count(*) FROM other", "2").await?;
    stayed_small(&worker, &mut sink)?;
    lock.rollback().await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_any_request_to_the_broker_fails_the_task_with_the_broker_s_setting() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("memory_request").await?;
    let own = tempfile::Builder::new().prefix("headwater-small-requests-").tempdir()?;
    let small = kafka::Settings {
        port: ports::free()?,
        limits: kafka::Limits { message: 50_000_000, ..kafka::Limits::default() },
        more: "socket.request.max.bytes=12000000\n".to_owned(),
        ..kafka::Settings::default()
    };
    let kafka = Kafka::start_with(&Artifacts::fetch()?, own.path(), &small).await?;
    pipeline.kafka = kafka.bootstrap_servers();
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[("producer.override.max.request.size", "50000000")]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    // What the broker takes passes, what it does not is named with what does not take it.
    pipeline.run("INSERT INTO t VALUES (1, repeat('a', 11000000)), (2, repeat('b', 13000000))").await?;
    super::restarts::wait_records(&pipeline, "t", 1).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for said in ["socket.request.max.bytes, which is 12000000", "public.t", "the change is kept in the slot"] {
        assert!(trace.contains(said), "{said}: {trace}");
    }
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_which_no_record_is_small_enough_is_refused_before_it_is_read() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("memory_refused").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text, b bytea)").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (1, repeat('0123456789abcdef', 65536 * 200), '')").await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for said in ["table public.t (key id) at LSN ", "max.request.size", "the change is kept in the slot"] {
        assert!(trace.contains(said), "{said}: {trace}");
    }
    let streamer = Resident::of(worker.process().id().unwrap_or_default())?;
    assert!(streamer.peak_mb() <= STREAMER_MB, "{streamer:?}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_row_whose_record_is_small_is_read() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("memory_cut").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY, v text)")
        .await?;
    let worker = pipeline.streamer().await?;
    let cut = [("table.include.list", "public.t"), ("column.truncate.to.3.chars", "public.t.v")];
    let (status, answer) = pipeline.put(&worker, &cut).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO other VALUES (1, repeat('a', 20000000))").await?;
    pipeline.run("INSERT INTO t VALUES (1, repeat('b', 20000000))").await?;
    let records = super::restarts::wait_records(&pipeline, "t", 1).await?;
    assert_eq!(records[0].value["after"]["v"], "bbb");
    worker.into_process().stop().await
}
