//! Snapshots: interrupted, in parallel, between the changes, and told what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stack::topic::{self, Record};
use stack::wait::{Condition, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

const UNAVAILABLE: &str = "__debezium_unavailable_value";

fn records(pipeline: &Pipeline, topic: &str) -> Vec<Record> {
    tokio::task::block_in_place(|| topic::read(&pipeline.kafka, topic)).unwrap_or_default()
}

/// What a consumer has that keeps the newest record of every key, and of a column that a record leaves out, the value it has.
fn newest(records: &[Record]) -> BTreeMap<i64, Value> {
    let mut state: BTreeMap<i64, Value> = BTreeMap::new();
    for record in records {
        let Some(id) = record.key["id"].as_i64() else { continue };
        match &record.value["after"] {
            Value::Object(after) => {
                let row = state.entry(id).or_insert_with(|| json!({}));
                for (column, value) in after {
                    if value != UNAVAILABLE {
                        row[column] = value.clone();
                    }
                }
            }
            _ => {
                state.remove(&id);
            }
        }
    }
    state
}

/// Waits until a consumer of a table's topic has what the table has.
async fn wait_equal(pipeline: &Pipeline, table: &str) -> anyhow::Result<Vec<Record>> {
    let source = pipeline.source().await?;
    let topic = pipeline.topic(table);
    wait_until(&format!("{topic} to have the rows of {table}"), Duration::from_secs(120), async || {
        let rows = source.query(&format!("SELECT id::int8, (to_jsonb(t) - 'pad')::text FROM {table} t"), &[]).await?;
        let rows: BTreeMap<i64, Value> = rows
            .iter()
            .map(|row| Ok((row.get(0), serde_json::from_str(row.get(1))?)))
            .collect::<anyhow::Result<_>>()?;
        let records = records(pipeline, &topic);
        let newest = newest(&records);
        let different = rows.iter().filter(|(id, row)| newest.get(id) != Some(row)).count();
        let extra = newest.keys().filter(|id| !rows.contains_key(id)).count();
        Ok(if different + extra == 0 {
            Condition::Met(records)
        } else {
            Condition::NotYet(format!("{different} rows differ or are missing, {extra} are too many"))
        })
    })
    .await
}

async fn wait_notification(pipeline: &Pipeline, kind: &str) -> anyhow::Result<()> {
    let topic = format!("{}-notifications", pipeline.name);
    wait_until(&format!("the notification {kind}"), Duration::from_secs(60), async || {
        let kinds: Vec<String> = records(pipeline, &topic)
            .iter()
            .filter_map(|record| record.value["type"].as_str().map(str::to_owned))
            .collect();
        Ok(if kinds.iter().any(|seen| seen == kind) { Condition::Met(()) } else { Condition::NotYet(kinds.join(", ")) })
    })
    .await
}

fn reads(records: &[Record]) -> usize {
    records.iter().filter(|record| record.op() == "r").count()
}

/// Changes rows of `t` all over until it is stopped.
struct Load {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Load {
    async fn on(pipeline: &Pipeline) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (client, stopped) = (pipeline.source().await?, stop.clone());
        let task = tokio::spawn(async move {
            let mut round = 0;
            while !stopped.is_cancelled() {
                round += 1;
                client
                    .batch_execute(&format!(
                        "UPDATE t SET v = 'round {round}' WHERE id % 97 = {round} % 97;
                         BEGIN; DELETE FROM t WHERE id % 1009 = {round} % 1009;
                         INSERT INTO t (v) SELECT 'new in {round}' FROM generate_series(1, 5); COMMIT;
                         UPDATE t SET id = -id WHERE id = (SELECT max(id) FROM t);"
                    ))
                    .await?;
                // The stream has to keep up with it on a machine that has more to do.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        });
        Ok(Self { stop, task })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}

const TABLE: &str = "CREATE TABLE t (id bigserial PRIMARY KEY, v text);
    INSERT INTO t (v) SELECT 'row ' || n FROM generate_series(1, 4000) n";
const SIGNALS: &str =
    "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))";

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_killed_goes_on_where_it_was_and_misses_nothing() -> anyhow::Result<()> {
    // Two rows a block.
    const ROWS: usize = 16_000;
    let pipeline = Pipeline::new("snapshot_killed").await?;
    pipeline
        .run(&format!(
            "CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1);
             CREATE TABLE t (id int PRIMARY KEY, v text, pad text, big text);
             ALTER TABLE t ALTER pad SET STORAGE PLAIN, ALTER big SET STORAGE EXTERNAL;
             INSERT INTO t SELECT n, 'first', repeat('p', 3500), CASE WHEN n % 50 = 0 THEN repeat('b', 3000) END
             FROM generate_series(1, {ROWS}) n"
        ))
        .await?;
    let worker = pipeline.streamer().await?;
    // Many blocks and small records, and a queue to Kafka that lets few of them through at a time.
    let config =
        [("snapshot.mode", "initial"), ("column.exclude.list", "public.t.pad"), ("max.queue.size.in.bytes", "8192")];
    pipeline.put(&worker, &config).await?;
    let offsets = format!("/connectors/{}/offsets", pipeline.name);
    wait_until("a quarter of the table to be done", Duration::from_secs(60), async || {
        let (_, offsets) = worker.rest().get(&offsets).await?;
        let done = offsets.pointer("/offsets/0/offset/headwater_snapshot_done").and_then(Value::as_str);
        let done: Value = serde_json::from_str(done.unwrap_or("null"))?;
        let blocks = done.pointer("/parts/public.t/ranges/0/1").and_then(Value::as_u64).unwrap_or_default();
        Ok(if blocks >= ROWS as u64 / 8 { Condition::Met(()) } else { Condition::NotYet(done.to_string()) })
    })
    .await?;
    worker.into_process().kill();
    let before = reads(&records(&pipeline, &pipeline.topic("t")));
    // Rows of the rest move to where it was read already, with values that their updates do not carry.
    for sql in [
        "DELETE FROM t WHERE id <= 500",
        "VACUUM t",
        "UPDATE t SET v = 'moved' WHERE id > 15800",
        "DELETE FROM t WHERE id % 1000 = 7",
    ] {
        pipeline.run(sql).await?;
    }
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let records = wait_equal(&pipeline, "t").await?;
    // The rest, and the rows that moved; what was sent and not stored as done is read again.
    let again = reads(&records) - before;
    assert!(again < ROWS - ROWS / 5, "{again} rows were read behind {before}: from zero again");
    wait_equal(&pipeline, "small").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parallel_snapshot_under_load_is_of_one_moment() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("snapshot_parallel").await?;
    pipeline.run(TABLE).await?;
    // Big enough for several ranges, and two tables that change together.
    pipeline
        .run(
            "CREATE TABLE wide (id int PRIMARY KEY, v text, pad text); ALTER TABLE wide ALTER pad SET STORAGE PLAIN;
             INSERT INTO wide SELECT n, 'wide ' || n, repeat('p', 3500) FROM generate_series(1, 6000) n;
             CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, n int);
             INSERT INTO a VALUES (1, 0); INSERT INTO b VALUES (1, 0)",
        )
        .await?;
    let load = Load::on(&pipeline).await?;
    let (client, stop) = (pipeline.source().await?, load.stop.clone());
    let pair = tokio::spawn(async move {
        while !stop.is_cancelled() {
            client.batch_execute("BEGIN; UPDATE a SET n = n + 1; UPDATE b SET n = n + 1; COMMIT").await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    });
    let worker = pipeline.streamer().await?;
    pipeline
        .put(
            &worker,
            &[("snapshot.mode", "initial"), ("snapshot.max.threads", "4"), ("column.exclude.list", "public.wide.pad")],
        )
        .await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.stop().await?;
    pair.await??;
    wait_equal(&pipeline, "t").await?;
    wait_equal(&pipeline, "wide").await?;
    let first = async |table| {
        let records = wait_equal(&pipeline, table).await?;
        anyhow::Ok(records.first().map(|record| (record.op().to_owned(), record.value["after"]["n"].clone())))
    };
    let (a, b) = (first("a").await?, first("b").await?);
    assert!(a.as_ref().is_some_and(|(op, _)| op == "r"), "{a:?}");
    assert_eq!(a, b, "both tables are read as of one moment");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_snapshot_under_load_ends_in_every_keys_newest_state_also_over_a_kill() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("incremental_killed").await?;
    pipeline.run(TABLE).await?;
    pipeline.run(SIGNALS).await?;
    let worker = pipeline.streamer().await?;
    let notifications = format!("{}-notifications", pipeline.name);
    let config = [
        ("snapshot.mode", "no_data"),
        ("signal.data.collection", "public.signals"),
        ("incremental.snapshot.chunk.size", "50"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", notifications.as_str()),
    ];
    pipeline.put(&worker, &config).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let load = Load::on(&pipeline).await?;
    pipeline
        .run(r#"INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{"data-collections": ["public.t"]}')"#)
        .await?;
    wait_until("some rows to be read", Duration::from_secs(60), async || {
        let count = reads(&records(&pipeline, &pipeline.topic("t")));
        Ok(if count > 200 { Condition::Met(()) } else { Condition::NotYet(format!("{count} rows")) })
    })
    .await?;
    worker.into_process().kill();
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    wait_notification(&pipeline, "COMPLETED").await?;
    load.stop().await?;
    let records = wait_equal(&pipeline, "t").await?;
    assert!(records.iter().any(|record| record.value["source"]["snapshot"] == "incremental"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_snapshot_that_writes_nothing_ends_in_every_keys_newest_state() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("incremental_read_only").await?;
    pipeline.run(TABLE).await?;
    let worker = pipeline.streamer().await?;
    let signals = format!("{}-signal", pipeline.name);
    let file = pipeline.directory.path().join("signals.txt");
    let config = [
        ("snapshot.mode", "no_data"),
        ("read.only", "true"),
        ("signal.enabled.channels", "kafka,file"),
        ("signal.kafka.bootstrap.servers", pipeline.kafka.as_str()),
        ("signal.kafka.groupId", signals.as_str()),
        ("signal.poll.interval.ms", "100"),
        ("signal.file", file.to_str().unwrap_or_default()),
        ("incremental.snapshot.chunk.size", "200"),
    ];
    pipeline.put(&worker, &config).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let load = Load::on(&pipeline).await?;
    let signal = r#"{"id": "k1", "type": "execute-snapshot", "data": {"data-collections": ["public.t"]}}"#;
    topic::write(&pipeline.kafka, &signals, pipeline.name.as_bytes(), signal.as_bytes()).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.stop().await?;
    wait_equal(&pipeline, "t").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_snapshot_is_paused_resumed_and_stopped_by_signals() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("incremental_signals").await?;
    pipeline.run(TABLE).await?;
    pipeline.run(SIGNALS).await?;
    let worker = pipeline.streamer().await?;
    let file = pipeline.directory.path().join("signals.txt");
    let notifications = format!("{}-notifications", pipeline.name);
    let config = [
        ("snapshot.mode", "no_data"),
        ("signal.data.collection", "public.signals"),
        ("signal.enabled.channels", "source,file"),
        ("signal.file", file.to_str().unwrap_or_default()),
        ("signal.poll.interval.ms", "50"),
        ("incremental.snapshot.chunk.size", "2"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", notifications.as_str()),
    ];
    pipeline.put(&worker, &config).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let signal = |kind: &str, data: &str| format!("INSERT INTO signals VALUES (gen_random_uuid(), '{kind}', '{data}')");
    pipeline.run(&signal("execute-snapshot", r#"{"data-collections": ["public.t"]}"#)).await?;
    wait_notification(&pipeline, "IN_PROGRESS").await?;
    tokio::fs::write(&file, r#"{"id": "f1", "type": "pause-snapshot", "data": {}}"#).await?;
    wait_notification(&pipeline, "PAUSED").await?;
    let topic = pipeline.topic("t");
    // The chunk under way comes to its end; then nothing does.
    let settled = wait_until("the snapshot to stand still", Duration::from_secs(30), async || {
        let before = reads(&records(&pipeline, &topic));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = reads(&records(&pipeline, &topic));
        Ok(if before == after { Condition::Met(after) } else { Condition::NotYet(format!("{after} rows")) })
    })
    .await?;
    pipeline.run(&signal("resume-snapshot", "{}")).await?;
    wait_until("it to go on", Duration::from_secs(30), async || {
        let count = reads(&records(&pipeline, &topic));
        Ok(if count > settled { Condition::Met(()) } else { Condition::NotYet(format!("{count} rows")) })
    })
    .await?;
    pipeline.run(&signal("stop-snapshot", r#"{"type": "incremental"}"#)).await?;
    wait_notification(&pipeline, "ABORTED").await?;
    assert!(reads(&records(&pipeline, &topic)) < 4000, "it was stopped before its end");
    Ok(())
}
