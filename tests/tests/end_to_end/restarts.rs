//! Nothing is lost, whatever ends when.

use std::time::Duration;

use anyhow::Context as _;
use stack::artifacts::Artifacts;
use stack::kafka::Kafka;
use stack::ports;
use stack::topic::{self, Record};
use stack::wait::{Condition, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

/// Waits until a table's topic has that many records, and gives them.
pub(crate) async fn wait_records(pipeline: &Pipeline, table: &str, count: usize) -> anyhow::Result<Vec<Record>> {
    wait_end(pipeline, table, count).await?;
    tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &pipeline.topic(table)))
}

/// The same without reading them, which takes a while.
pub(crate) async fn wait_end(pipeline: &Pipeline, table: &str, count: usize) -> anyhow::Result<()> {
    let topic = pipeline.topic(table);
    wait_until(&format!("{count} records in {topic}"), Duration::from_secs(60), async || {
        let has = tokio::task::block_in_place(|| topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
        Ok(if has >= count { Condition::Met(()) } else { Condition::NotYet(format!("{has} records")) })
    })
    .await
}

/// Keeps changing the source until it is stopped: multi-row inserts, whose rows share one LSN, COPY, updates of many rows,
/// key changes, deletes, and foreign keys between two tables.
struct Load {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<u64>>,
}

const LOAD_TABLES: &str = "
    CREATE TABLE orders (id bigserial PRIMARY KEY, state text NOT NULL DEFAULT 'new', total numeric(12,2), at timestamptz DEFAULT now());
    CREATE TABLE items (id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE, note text, tags text[])";

impl Load {
    async fn on(pipeline: &Pipeline) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (client, stopped) = (pipeline.source().await?, stop.clone());
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            while !stopped.is_cancelled() {
                client
                    .batch_execute(
                        "BEGIN;
                         INSERT INTO orders (total) SELECT random() * 1000 FROM generate_series(1, 50);
                         INSERT INTO items (order_id, note, tags)
                             SELECT o.id, 'note ' || n, ARRAY['a', NULL, n::text]
                             FROM (SELECT id FROM orders ORDER BY id DESC LIMIT 50) o, generate_series(1, 4) n;
                         COMMIT;
                         UPDATE orders SET state = 'paid' WHERE id % 3 = 0 AND state = 'new';
                         UPDATE items SET note = NULL WHERE id % 7 = 0 AND note IS NOT NULL;
                         UPDATE items SET id = -id WHERE id % 97 = 0 AND id > 0;
                         DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE id % 5 = 0 ORDER BY id LIMIT 20);",
                    )
                    .await?;
                rounds += 1;
            }
            Ok(rounds)
        });
        Ok(Self { stop, task })
    }

    /// How many rounds there were.
    async fn stop(self) -> anyhow::Result<u64> {
        self.stop.cancel();
        self.task.await?
    }
}

/// Waits until the target has more orders than before: the pipeline moves.
async fn moves(pipeline: &Pipeline) -> anyhow::Result<()> {
    let newest: i64 = pipeline.target().await?.query_one("SELECT coalesce(max(id), 0) FROM orders", &[]).await?.get(0);
    pipeline.target_has(&format!("SELECT max(id) > {newest} FROM orders"), "true").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_is_killed_and_stopped_under_load_loses_nothing() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("streamer_restarts").await?;
    pipeline.run(LOAD_TABLES).await?;
    let mut worker = pipeline.streamer().await?;
    // The sink stays: it must live with a worker that is gone for a while.
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let load = Load::on(&pipeline).await?;
    for round in 0..6 {
        moves(&pipeline).await?;
        if round % 2 == 0 {
            worker.into_process().kill();
        } else {
            worker.into_process().stop().await?;
        }
        worker = pipeline.streamer().await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    }
    moves(&pipeline).await?;
    assert!(load.stop().await? > 6, "there was load all the time");
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_restarted_over_rest_under_load_lose_nothing_and_repeat_nothing() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("rest_restarts").await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY, v text)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let (source, topic) = (pipeline.source().await?, pipeline.topic("t"));
    let restart = format!("/connectors/{}/restart?includeTasks=true", pipeline.name);
    let mut rows = 0;
    for _ in 0..4 {
        source.batch_execute("INSERT INTO t (v) SELECT 'row' FROM generate_series(1, 100000)").await?;
        wait_until("the transaction to be published in part", Duration::from_secs(60), async || {
            let end = tokio::task::block_in_place(|| topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
            Ok(if end > rows { Condition::Met(()) } else { Condition::NotYet(format!("{end} records")) })
        })
        .await?;
        rows += 100_000;
        let (status, answer) = worker.rest().request(reqwest::Method::POST, &restart, None).await?;
        assert_eq!(status, 202, "{answer}");
    }
    let records = wait_records(&pipeline, "t", rows).await?;
    let ids: Vec<i64> = records.iter().filter_map(|record| record.key["id"].as_i64()).collect();
    let expected: Vec<i64> = (1..=rows as i64).collect();
    assert!(ids == expected, "{} records for {rows} rows, not each once and in order", ids.len());
    let log = worker.process().output();
    assert!(log.contains("going on inside a transaction"), "a restart came inside a transaction:\n{log}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_killed_and_stopped_under_load_goes_on_where_it_was() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_restarts").await?;
    pipeline.run(LOAD_TABLES).await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let load = Load::on(&pipeline).await?;
    for round in 2..6 {
        moves(&pipeline).await?;
        if round % 2 == 0 {
            sink.into_process().kill();
        } else {
            sink.into_process().stop().await?;
        }
        sink = pipeline.sink(&worker)?.0;
        sink.wait_complete(round, |_| {}).await?;
    }
    moves(&pipeline).await?;
    load.stop().await?;
    pipeline.equal().await?;
    let said = sink.process().output();
    assert_eq!(said.matches("copying schema and data").count(), 1, "copied once:\n{said}");
    assert_eq!(said.matches("going on where it was").count(), 4);
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_killed_while_it_copies_copies_what_is_not_there() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("copy_killed").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 300000) n")
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    let process = sink.process();
    wait_until("the copy to begin", Duration::from_secs(60), async || {
        Ok(if process.output().contains("copying schema") {
            Condition::Met(())
        } else {
            Condition::NotYet(String::new())
        })
    })
    .await?;
    sink.into_process().kill();
    pipeline.run("INSERT INTO t VALUES (0, 'between two copies')").await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_keeps_what_was_read_while_kafka_was_away() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("kafka_away").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let (artifacts, port) = (Artifacts::fetch()?, ports::free()?);
    let own = tempfile::Builder::new().prefix("headwater-kafka-").tempdir()?;
    let kafka = Kafka::start(&artifacts, own.path(), port).await?;
    pipeline.kafka = kafka.bootstrap_servers();
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (1, 'before')").await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;

    let transactions = async || -> anyhow::Result<u64> {
        let metrics = worker.rest().text("/metrics").await?;
        let counted = metrics.lines().find_map(|line| {
            line.strip_prefix("headwater_streamer_transactions_total{")?.rsplit_once(' ')?.1.parse().ok()
        });
        counted.context("no transactions are counted")
    };
    let before = transactions().await?;
    kafka.into_process().kill();
    pipeline.run("INSERT INTO t SELECT n, 'while Kafka is away' FROM generate_series(2, 500) n").await?;
    wait_until("the streamer to have read the rows", Duration::from_secs(60), async || {
        let now = transactions().await?;
        Ok(if now > before { Condition::Met(()) } else { Condition::NotYet(format!("{now} transactions")) })
    })
    .await?;
    // What it read dies with it. Had it confirmed the slot, the rows would be nowhere.
    worker.into_process().kill();

    let _kafka = Kafka::start(&artifacts, own.path(), port).await?;
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.target_has("SELECT count(*) FROM t", "500").await?;
    pipeline.equal().await
}

/// The position's topic would take it at once: what must hold it back is that the rows are not acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn the_slot_keeps_rows_that_kafka_has_not_acknowledged() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("not_acknowledged").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    // The producer gathers for ten minutes before it sends.
    let gathers = [("producer.override.linger.ms", "600000"), ("status.update.interval.ms", "200")];
    pipeline.put(&worker, &gathers).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'not_acknowledged'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;

    let source = pipeline.source().await?;
    source.batch_execute("INSERT INTO t SELECT generate_series(1, 100)").await?;
    let row = source.query_one("SELECT pg_current_wal_insert_lsn()::text, clock_timestamp()::text", &[]).await?;
    let (inserted, at): (String, String) = (row.get(0), row.get(1));
    // It has read the rows, and has since told the server where it is for several times as long as positions are kept back.
    let told = format!(
        "SELECT sent_lsn >= '{inserted}' AND reply_time > '{at}'::timestamptz + interval '3 s'
         FROM pg_stat_replication WHERE pid = (SELECT active_pid FROM {slot})"
    );
    pipeline.source_has(&told, "true").await?;
    // What it read dies with it. Had it confirmed the slot, the rows would be nowhere.
    worker.into_process().kill();

    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    let records = wait_records(&pipeline, "t", 100).await?;
    assert_eq!((records.len(), &records[0].key["id"]), (100, &1.into()));
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_does_not_pile_up_wal_behind_the_slot() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("idle").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unpublished (id int)").await?;
    let worker = pipeline.streamer().await?;
    let changes = [
        ("status.update.interval.ms", "500"),
        ("heartbeat.interval.ms", "0"),
        ("publication.autocreate.mode", "filtered"),
        ("table.include.list", "public.t"),
    ];
    pipeline.put(&worker, &changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "FROM pg_replication_slots WHERE slot_name = 'idle'";
    pipeline.source_has(&format!("SELECT active {slot}"), "true").await?;
    let source = pipeline.source().await?;
    let end = async || -> anyhow::Result<String> {
        Ok(source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0))
    };
    // WAL of a table that is not published.
    pipeline.run("INSERT INTO unpublished SELECT generate_series(1, 100000)").await?;
    let written = end().await?;
    pipeline.source_has(&format!("SELECT confirmed_flush_lsn >= '{written}' {slot}"), "true").await?;
    // WAL of another database of the same server, which this slot has no use for.
    let elsewhere = Pipeline::new("idle_elsewhere").await?;
    elsewhere.run("CREATE TABLE t AS SELECT n FROM generate_series(1, 100000) n").await?;
    let written = end().await?;
    pipeline.source_has(&format!("SELECT confirmed_flush_lsn >= '{written}' {slot}"), "true").await?;
    // And the log before it may be removed: the server says so with each list of running transactions.
    pipeline.run("SELECT pg_log_standby_snapshot()").await?;
    pipeline.source_has(&format!("SELECT restart_lsn >= '{written}' {slot}"), "true").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_connections_is_asked_again() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("closed").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task("closed", "RUNNING").await?;

    let server = stack::postgres::connect(&std::env::var("TEST_POSTGRES1")?).await?;
    server.batch_execute("ALTER DATABASE closed ALLOW_CONNECTIONS false").await?;
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'closed'", &[]).await?;
    wait_until("the task to find the database closed", Duration::from_secs(60), async || {
        let (_, status) = worker.rest().get("/connectors/closed/status").await?;
        let task = &status["tasks"][0];
        let is_closed =
            task["trace"].as_str().is_some_and(|trace| trace.contains("not currently accepting connections"));
        Ok(if is_closed && task["state"] == "RESTARTING" {
            Condition::Met(())
        } else {
            Condition::NotYet(status.to_string())
        })
    })
    .await?;
    server.batch_execute("ALTER DATABASE closed ALLOW_CONNECTIONS true").await?;
    worker.rest().wait_task("closed", "RUNNING").await?;
    worker.into_process().stop().await
}
