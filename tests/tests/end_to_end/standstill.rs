//! A pipeline that makes no progress is not RUNNING, and is again by itself when it goes on.

use std::time::{Duration, Instant};

use serde_json::json;
use stack::process;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;

use super::own_server::{OwnServer, ids};
use super::pipeline::Pipeline;
use super::proxy::Proxy;
use super::restarts::wait_records;

/// Waits until the task is said to stand still, with `part` in its trace, at most 30 s after `since`.
async fn wait_told(pipeline: &Pipeline, worker: &Worker, since: Instant, part: &str) -> anyhow::Result<()> {
    wait_until(&format!("a standstill with {part}"), Duration::from_secs(45), async || {
        let (_, status) = worker.rest().get(&format!("/connectors/{}/status", pipeline.name)).await?;
        let task = &status["tasks"][0];
        let is_told = task["trace"].as_str().is_some_and(|trace| trace.contains(part));
        Ok(if is_told && task["state"] == "RESTARTING" {
            Condition::Met(())
        } else {
            Condition::NotYet(status.to_string())
        })
    })
    .await?;
    assert!(since.elapsed() <= Duration::from_secs(30), "told after {:?}", since.elapsed());
    let (status, health) = worker.rest().get("/health").await?;
    assert_eq!((status, &health["tasks"][0]["connector"]), (503, &json!(pipeline.name)), "{health}");
    let metrics = worker.rest().text("/metrics").await?;
    let stalled = format!("headwater_streamer_stalled{{connector=\"{}\"}} 1", pipeline.name);
    assert!(metrics.contains(&stalled), "{metrics}");
    Ok(())
}

/// A broker that is frozen takes the worker's place in the group with it, and its REST API answers 409. Here the worker stays,
/// and only its records are not taken: the producer gathers for ten minutes before it sends.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_kafka_does_not_acknowledge_are_told_in_half_a_minute() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("unacknowledged").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("producer.override.linger.ms", "600000")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'unacknowledged'", "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_told(&pipeline, &worker, Instant::now(), "has not acknowledged the oldest of the").await?;
    pipeline.put(&worker, &[("executor.shutdown.timeout.ms", "1000")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    wait_records(&pipeline, "t", 1).await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_told_in_half_a_minute() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("server_frozen").await?;
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("frozen").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    own.put(&pipeline, &worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT active FROM pg_replication_slots").await?;
    own.sql("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;

    // Every process of it: the kernel goes on to accept connections, and nobody answers.
    let others =
        own.ask("SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE pid <> pg_backend_pid()").await?;
    let mut processes = others.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let server = own.take()?;
    processes.extend(server.id());
    for id in &processes {
        process::signal(*id, "STOP")?;
    }
    let told = wait_told(&pipeline, &worker, Instant::now(), "does not answer").await;
    for id in &processes {
        process::signal(*id, "CONT")?;
    }
    told?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.sql("INSERT INTO t VALUES (2)").await?;
    let records = wait_records(&pipeline, "t", 2).await?;
    assert_eq!(records.last().map(|record| &record.key), Some(&json!({ "id": 2 })));
    worker.into_process().stop().await
}

/// Stops the process that reads the slot until `part` is told, writing meanwhile.
async fn freeze_reader(pipeline: &Pipeline, worker: &Worker, write: &str, part: &str) -> anyhow::Result<()> {
    let slot = format!("pg_replication_slots WHERE slot_name = '{}'", pipeline.name);
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(pipeline, "t", 1).await?;
    let source = pipeline.source().await?;
    let reader: i32 = source.query_one(&format!("SELECT active_pid FROM {slot}"), &[]).await?.get(0);
    process::signal(reader.unsigned_abs(), "STOP")?;
    let since = Instant::now();
    let told = match pipeline.run(write).await {
        Ok(()) => wait_told(pipeline, worker, since, part).await,
        Err(error) => Err(error),
    };
    process::signal(reader.unsigned_abs(), "CONT")?;
    told?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (-1)").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walsender_that_stands_still_is_told_in_half_a_minute() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("reader_frozen").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    freeze_reader(&pipeline, &worker, "INSERT INTO t VALUES (2)", "it has not read what it is sent").await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [-1, 1, 2].into());
    worker.into_process().stop().await
}

/// It is not told what the server shows to `pg_read_all_stats`.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_replicate_sees_a_standstill_by_the_log_that_waits() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("plain_frozen").await?;
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION plain_frozen FOR TABLE t;
             CREATE ROLE plain_frozen LOGIN REPLICATION PASSWORD 'plain'; GRANT SELECT ON t TO plain_frozen",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let role = [
        ("database.user", "plain_frozen"),
        ("database.password", "plain"),
        ("publication.autocreate.mode", "disabled"),
    ];
    pipeline.put(&worker, &role).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let write = "INSERT INTO t SELECT generate_series(2, 3000)";
    freeze_reader(&pipeline, &worker, write, "bytes of log wait").await?;
    assert_eq!(wait_records(&pipeline, "t", 3001).await?.len(), 3001);
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_network_swallowed_is_told_and_begun_anew() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("swallowed").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    pipeline.run("ALTER DATABASE swallowed SET wal_sender_timeout = '40s'").await?;
    let source = pipeline.connector(&[])?["database.port"].as_str().unwrap_or_default().parse()?;
    let proxy = Proxy::to(source).await?;
    let worker = pipeline.streamer().await?;
    let port = proxy.port.to_string();
    pipeline.put(&worker, &[("database.port", &port), ("retriable.restart.connector.wait.ms", "1000")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'swallowed'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    proxy.swallow();
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    wait_told(&pipeline, &worker, Instant::now(), "it has not read what it is sent").await?;
    // The server gives the connection up, and we do then.
    assert_eq!(ids(&wait_records(&pipeline, "t", 2).await?), [1, 2].into());
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_stands_still_is_told_and_goes_on() -> anyhow::Result<()> {
    const ROWS: usize = 300_000;
    let pipeline = Pipeline::new("snapshot_still").await?;
    pipeline
        .run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, {ROWS}) n"
        ))
        .await?;
    // A slot is not made while a transaction is open that writes, as one that locks does.
    pipeline.run("SELECT pg_create_logical_replication_slot('snapshot_still', 'pgoutput')").await?;
    let worker = pipeline.streamer().await?;
    let locker = pipeline.source().await?;
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    pipeline.put(&worker, &[("snapshot.mode", "initial")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    wait_told(&pipeline, &worker, Instant::now(), "waits for a lock that").await?;
    // It is the one that reads. Behind the lock it may be between two ranges of rows when one looks for it.
    let reads = "SELECT pid FROM pg_stat_activity WHERE datname = 'snapshot_still' AND wait_event_type = 'Lock'";
    let reader: i32 = pipeline.source().await?.query_one(reads, &[]).await?.get(0);

    let topic = pipeline.topic("t");
    locker.batch_execute("COMMIT").await?;
    wait_until("the first rows", Duration::from_secs(60), async || {
        let rows = tokio::task::block_in_place(|| stack::topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
        Ok(if rows > 0 { Condition::Met(()) } else { Condition::NotYet(String::new()) })
    })
    .await?;
    process::signal(reader.unsigned_abs(), "STOP")?;
    // What it had sent is published first.
    let (mut published, mut since) = (0, Instant::now());
    wait_until("silence", Duration::from_secs(60), async || {
        let now = tokio::task::block_in_place(|| stack::topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
        if now != published {
            (published, since) = (now, Instant::now());
        }
        Ok(if since.elapsed() > Duration::from_secs(5) {
            Condition::Met(())
        } else {
            Condition::NotYet(now.to_string())
        })
    })
    .await?;
    let told = wait_told(&pipeline, &worker, since, "the snapshot has brought no row for").await;
    process::signal(reader.unsigned_abs(), "CONT")?;
    told?;
    assert_eq!(ids(&wait_records(&pipeline, "t", ROWS).await?).len(), ROWS);
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    worker.into_process().stop().await
}

/// A server where nothing happens, with its log ending in the middle of a transaction, and a Kafka that is slow.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_idle_or_slow_is_not_told() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("slow").await?;
    pipeline.run("CREATE TABLE t (id serial PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("producer.override.linger.ms", "12000")]).await?;
    worker.rest().wait_task("slow", "RUNNING").await?;
    let mut own = OwnServer::new("idle")?;
    own.start("idle").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let port = own.port.to_string();
    let idle = [("slot.name", "idle_source"), ("topic.prefix", "idle_source"), ("heartbeat.interval.ms", "0")];
    let idle = idle.into_iter().chain([("database.port", port.as_str()), ("database.dbname", "postgres")]);
    let idle = pipeline.connector(&idle.collect::<Vec<_>>())?;
    let (status, answer) = worker.rest().put("/connectors/idle_source/config", &idle).await?;
    assert!(status < 300, "{answer}");
    worker.rest().wait_task("idle_source", "RUNNING").await?;
    let open = stack::postgres::connect(&own.url()).await?;
    open.batch_execute("BEGIN; INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n").await?;
    let source = pipeline.source().await?;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(50) {
        source.batch_execute("INSERT INTO t DEFAULT VALUES").await?;
        for name in ["slow", "idle_source"] {
            let (_, status) = worker.rest().get(&format!("/connectors/{name}/status")).await?;
            assert_eq!(status["tasks"][0]["state"], "RUNNING", "{status}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    worker.into_process().stop().await
}
