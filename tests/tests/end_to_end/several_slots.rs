//! Several slots for one connector (`headwater.slots`).

use std::collections::BTreeMap;
use std::time::Duration;

use proto::failpoint;
use serde_json::{Value, json};
use stack::happened::{Change, Changes, Difference, published};
use stack::sink::Sink;
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::crash_windows::crashes;
use super::exactly_once::settings;
use super::own_server::{ids, wait_trace};
use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// Of two shares each has two of them, of three each has at least one.
const TABLES: [&str; 4] = ["a", "items", "orders", "t2"];

const FILTERED: (&str, &str) = ("publication.autocreate.mode", "filtered");
const TWO: (&str, &str) = ("headwater.slots", "2");
const THREE: (&str, &str) = ("headwater.slots", "3");

/// The tables, and a slot that says what really happened to them.
async fn source(name: &str) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(name).await?;
    for table in TABLES {
        pipeline.run(&format!("CREATE TABLE {table} (id bigserial PRIMARY KEY, v text)")).await?;
    }
    pipeline.run(&format!("SELECT pg_create_logical_replication_slot('happened_{name}', 'test_decoding')")).await?;
    Ok(pipeline)
}

/// Works at all tables until it is told to stop: transactions of one table and of all of them, COPY, changes and deletes.
async fn keep_writing(pipeline: &Pipeline, stop: &CancellationToken) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let (client, stop) = (pipeline.source().await?, stop.clone());
    let of_each = |sql: &str| TABLES.map(|table| sql.replace("$t", table)).join("; ");
    let rounds = [
        format!("BEGIN; {}; COMMIT", of_each("INSERT INTO $t (v) SELECT 'row ' || n FROM generate_series(1, 10) n")),
        of_each("COPY $t (v) FROM PROGRAM 'seq 1 15'"),
        of_each("UPDATE $t SET v = v || '!' WHERE id IN (SELECT id FROM $t ORDER BY id DESC LIMIT 5)"),
        of_each("DELETE FROM $t WHERE id IN (SELECT id FROM $t ORDER BY id LIMIT 3)"),
    ];
    Ok(tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !stop.is_cancelled() {
            pace.tick().await;
            for round in &rounds {
                client.batch_execute(round).await?;
            }
        }
        Ok(())
    }))
}

/// Waits until so many more records are in each table's topic.
async fn publishes(pipeline: &Pipeline, more: usize) -> anyhow::Result<()> {
    let ends = || {
        let end = |table| topic::end(&pipeline.kafka, &pipeline.topic(table)).unwrap_or_default();
        tokio::task::block_in_place(|| TABLES.map(end))
    };
    let before = ends();
    wait_until(&format!("{more} more records of each table"), Duration::from_secs(90), async || {
        let now = ends();
        let all = now.iter().zip(before).all(|(now, before)| *now >= before + more);
        Ok(if all { Condition::Met(()) } else { Condition::NotYet(format!("{before:?}, now {now:?}")) })
    })
    .await
}

/// How what each topic holds, read committed, differs from what happened to its table.
async fn differences(pipeline: &Pipeline) -> anyhow::Result<BTreeMap<&'static str, Difference>> {
    let last = TABLES.map(|table| format!("INSERT INTO {table} VALUES (0, 'the last')")).join("; ");
    // Decoding goes as far as the WAL is flushed, and the server here commits before it flushes.
    pipeline.run(&format!("SET synchronous_commit = on; {last}")).await?;
    let slot = format!("happened_{}", pipeline.name);
    let happened: Changes = stack::happened::happened(&pipeline.source().await?, &slot).await?;
    let mut differences = BTreeMap::new();
    for table in TABLES {
        let (topic, mut next, mut changes) = (pipeline.topic(table), BTreeMap::new(), Vec::new());
        wait_until(&format!("the last row of {table}"), Duration::from_secs(90), async || {
            let records = tokio::task::block_in_place(|| {
                topic::read_on(&pipeline.kafka, &topic, &mut next, |message| {
                    use rdkafka::Message as _;
                    let json = |bytes: Option<&[u8]>| bytes.map_or(Ok(Value::Null), serde_json::from_slice);
                    Ok(published(&json(message.key())?, &json(message.payload())?))
                })
            })?;
            changes.extend(records.into_values().flatten().flatten());
            let is_last = changes.last().is_some_and(|change: &Change| change.id == 0);
            Ok(if is_last { Condition::Met(()) } else { Condition::NotYet(format!("{} changes", changes.len())) })
        })
        .await?;
        let happened = happened.get(table).map(Vec::as_slice).unwrap_or_default();
        assert!(happened.len() > 100, "{table} was hardly written to");
        differences.insert(table, Difference::of(happened, [&changes]));
    }
    Ok(differences)
}

/// Each change of each table once and in its order.
async fn is_what_happened(pipeline: &Pipeline) -> anyhow::Result<()> {
    for (table, difference) in differences(pipeline).await? {
        assert!(difference.is_none(), "{table}, not each change once and in its order:\n{difference}");
    }
    Ok(())
}

/// Which slots of the connector the server has and somebody reads.
async fn reads_from(pipeline: &Pipeline, slots: &[&str]) -> anyhow::Result<()> {
    let names = slots.iter().map(|slot| format!("{}{slot}", pipeline.name)).collect::<Vec<_>>().join(",");
    let found = format!(
        "SELECT string_agg(slot_name || CASE WHEN active THEN '' ELSE ' (idle)' END, ',' ORDER BY slot_name)
         FROM pg_replication_slots WHERE database = '{}' AND plugin = 'pgoutput'",
        pipeline.name
    );
    pipeline.source_has(&found, &names).await
}

/// The slots that positions are stored of, null for Debezium's partition.
async fn positions(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<Vec<Value>> {
    let (_, offsets) = worker.rest().get(&format!("/connectors/{}/offsets", pipeline.name)).await?;
    let of = |entry: &Value| entry["partition"]["slot"].clone();
    Ok(offsets["offsets"].as_array().into_iter().flatten().map(of).collect())
}

async fn wait_positions(pipeline: &Pipeline, worker: &Worker, expected: &[Value]) -> anyhow::Result<()> {
    wait_until("the stored positions", Duration::from_secs(60), async || {
        let found = positions(pipeline, worker).await?;
        Ok(if found == expected { Condition::Met(()) } else { Condition::NotYet(format!("{found:?}")) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_slots_publish_every_change_once_also_when_killed_and_stopped_under_load() -> anyhow::Result<()> {
    let pipeline = source("two_slots").await?;
    let start = async || Worker::streamer(pipeline.directory.path(), &settings(&pipeline, "enabled")?).await;
    let mut worker = start().await?;
    let (status, answer) = pipeline.put(&worker, &[FILTERED, TWO]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &["_1_of_2", "_2_of_2"]).await?;
    // Each slot is sent its own tables only.
    let shares =
        "SELECT string_agg(pubname || ' ' || tablename, ', ' ORDER BY pubname, tablename) FROM pg_publication_tables";
    let expected = "two_slots_1_of_2 items, two_slots_1_of_2 t2, two_slots_2_of_2 a, two_slots_2_of_2 orders";
    pipeline.source_has(shares, expected).await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    for round in 0..5 {
        publishes(&pipeline, 150 + 37 * round).await?;
        if round % 3 == 2 {
            worker.into_process().stop().await?;
        } else {
            worker.into_process().kill();
        }
        worker = start().await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    }
    stop.cancel();
    load.await??;
    is_what_happened(&pipeline).await?;
    wait_positions(&pipeline, &worker, &[json!("two_slots_1_of_2"), json!("two_slots_2_of_2")]).await?;
    let metrics = worker.rest().text("/metrics").await?;
    assert!(metrics.contains("slot=\"two_slots_2_of_2\""), "{metrics}");
    worker.into_process().stop().await
}

/// Also without exactly-once support: nothing ends in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_slots_changes_under_load_and_each_change_comes_once_and_in_order() -> anyhow::Result<()> {
    let pipeline = source("slots_change").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[FILTERED]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &[""]).await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    publishes(&pipeline, 150).await?;
    wait_positions(&pipeline, &worker, &[Value::Null]).await?;
    let (two, three) = (&["_1_of_2", "_2_of_2"][..], &["_1_of_3", "_2_of_3", "_3_of_3"][..]);
    for (changes, slots) in [
        (vec![FILTERED, TWO], two),
        (vec![FILTERED, THREE], three),
        (vec![FILTERED], &[""]),
        (vec![FILTERED, THREE], three),
    ] {
        pipeline.put(&worker, &changes).await?;
        reads_from(&pipeline, slots).await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
        publishes(&pipeline, 150).await?;
    }
    stop.cancel();
    load.await??;
    is_what_happened(&pipeline).await?;
    worker.into_process().stop().await
}

/// Each change of the number ends in the middle once, and is gone on with.
#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_that_crashes_while_the_number_of_slots_changes_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let pipeline = source("slots_crash").await?;
    let start = async |place: Option<&str>| {
        let settings = settings(&pipeline, "enabled")?;
        let mut command = Worker::streamer_command(&settings)?;
        command.envs(place.map(|place| (failpoint::VARIABLE, place)));
        Worker::start("streamer", command, pipeline.directory.path(), settings.port).await
    };
    let worker = start(None).await?;
    pipeline.put(&worker, &[FILTERED]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &[""]).await?;
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    publishes(&pipeline, 100).await?;
    worker.into_process().kill();
    let (one, two): (&[&str], &[&str]) = (&[""], &["_1_of_2", "_2_of_2"]);
    for place in ["slots-made", "cut-stored", "slots-changed"] {
        for (changes, slots) in [(vec![FILTERED, TWO], two), (vec![FILTERED], one)] {
            let worker = start(Some(place)).await?;
            worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
            pipeline.put(&worker, &changes).await?;
            crashes(&mut worker.into_process(), place).await?;
            let worker = start(None).await?;
            reads_from(&pipeline, slots).await?;
            worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
            publishes(&pipeline, 100).await?;
            worker.into_process().kill();
        }
    }
    let worker = start(None).await?;
    stop.cancel();
    load.await??;
    is_what_happened(&pipeline).await?;
    wait_positions(&pipeline, &worker, &[Value::Null]).await?;
    worker.into_process().stop().await
}

/// The sink makes one slot with its copy's snapshot; the connector goes on behind that with two.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_whose_connector_has_two_slots_copies_once_and_stays_equal() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("slots_sink").await?;
    for table in TABLES {
        pipeline.run(&format!("CREATE TABLE {table} (id bigserial PRIMARY KEY, v text)")).await?;
        pipeline.run(&format!("INSERT INTO {table} (v) SELECT 'before' FROM generate_series(1, 500)")).await?;
    }
    let worker = pipeline.streamer().await?;
    let mut settings = pipeline.sink_settings(worker.rest().url())?;
    let file = pipeline.directory.path().join("two_slots.json");
    let connector = json!({ "name": pipeline.name, "config": pipeline.connector(&[FILTERED, TWO])? });
    std::fs::write(&file, connector.to_string())?;
    settings.connector = Some(file);
    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    let mut sink = Sink::start(pipeline.directory.path(), &settings)?;
    sink.wait_complete(1, |_| {}).await?;
    reads_from(&pipeline, &["_1_of_2", "_2_of_2"]).await?;
    publishes(&pipeline, 100).await?;
    sink.into_process().kill();
    let mut sink = Sink::start(pipeline.directory.path(), &settings)?;
    sink.wait_complete(2, |_| {}).await?;
    stop.cancel();
    load.await??;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_reads_its_own_tables_first_and_tables_that_come_or_change_their_name_stay_whole()
-> anyhow::Result<()> {
    let pipeline = Pipeline::new("slots_tables").await?;
    pipeline
        .run(
            "CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY);
             CREATE TABLE heir (x int, PRIMARY KEY (id)) INHERITS (orders);
             CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF root FOR VALUES FROM (0) TO (100);
             INSERT INTO items VALUES (1); INSERT INTO orders VALUES (1); INSERT INTO heir VALUES (10); INSERT INTO root VALUES (1)",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let changes = [FILTERED, THREE, ("snapshot.mode", "initial"), ("heartbeat.interval.ms", "0")];
    pipeline.put(&worker, &changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &["_1_of_3", "_2_of_3", "_3_of_3"]).await?;
    // A snapshot of a table has the rows of those that inherit from it, as in Debezium.
    for table in ["items", "orders", "heir", "low"] {
        wait_records(&pipeline, table, 1).await?;
    }
    // Another partition comes through its root's slot at once; a table of another name stays where it was.
    pipeline
        .run(
            "CREATE TABLE high PARTITION OF root FOR VALUES FROM (100) TO (200); INSERT INTO root VALUES (2), (101);
             INSERT INTO heir VALUES (11); INSERT INTO orders VALUES (2);
             ALTER TABLE items RENAME TO renamed; INSERT INTO renamed VALUES (2)",
        )
        .await?;
    for (table, count) in [("high", 1), ("low", 2), ("renamed", 1)] {
        wait_records(&pipeline, table, count).await?;
    }
    // A new table begins with the next start, as with one slot.
    pipeline.run("CREATE TABLE new (id int PRIMARY KEY)").await?;
    pipeline.put(&worker, &changes).await?;
    pipeline.source_has("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'new'", "1").await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline
        .run("INSERT INTO new VALUES (1); INSERT INTO renamed VALUES (3); INSERT INTO root VALUES (3), (102)")
        .await?;
    for (table, expected) in [
        ("new", vec![1]),
        ("renamed", vec![2, 3]),
        ("high", vec![101, 102]),
        ("low", vec![1, 2, 3]),
        ("heir", vec![10, 11]),
        ("orders", vec![1, 2, 10]),
    ] {
        let records = wait_records(&pipeline, table, expected.len()).await?;
        assert_eq!(records.len(), expected.len(), "{table}: each row once");
        assert_eq!(ids(&records), expected.into_iter().collect(), "{table}");
    }
    worker.into_process().stop().await
}

/// Its own partition is empty, and no slot of its name is there: it does what it does at a first start.
#[tokio::test(flavor = "multi_thread")]
async fn debezium_goes_on_behind_one_slot_and_begins_anew_behind_two() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("slots_debezium").await?;
    pipeline.run("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY)").await?;
    let changes = |more: &[(&'static str, &'static str)]| [&[FILTERED, ("snapshot.mode", "initial")], more].concat();
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &changes(&[TWO])).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &["_1_of_2", "_2_of_2"]).await?;
    pipeline.run("INSERT INTO items VALUES (1); INSERT INTO orders VALUES (1)").await?;
    wait_records(&pipeline, "items", 1).await?;
    wait_records(&pipeline, "orders", 1).await?;
    worker.into_process().stop().await?;
    pipeline.run("INSERT INTO items VALUES (2); INSERT INTO orders VALUES (2)").await?;
    let debezium = pipeline.debezium().await?;
    let ops = async |table: &str, count| {
        let records = wait_records(&pipeline, table, count).await?;
        anyhow::Ok(records.iter().map(stack::topic::Record::op).collect::<String>())
    };
    assert_eq!((ops("items", 3).await?, ops("orders", 3).await?), ("crr".to_owned(), "crr".to_owned()));
    debezium.into_process().stop().await?;

    // Debezium's position is one slot's; the streamer goes on there, with two, and gives back with one.
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    reads_from(&pipeline, &["_1_of_2", "_2_of_2"]).await?;
    pipeline.run("INSERT INTO items VALUES (3); INSERT INTO orders VALUES (3)").await?;
    assert_eq!((ops("items", 4).await?, ops("orders", 4).await?), ("crrc".to_owned(), "crrc".to_owned()));
    pipeline.put(&worker, &changes(&[])).await?;
    reads_from(&pipeline, &[""]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    worker.into_process().stop().await?;
    pipeline.run("INSERT INTO items VALUES (4); INSERT INTO orders VALUES (4)").await?;
    let debezium = pipeline.debezium().await?;
    assert_eq!((ops("items", 5).await?, ops("orders", 5).await?), ("crrcc".to_owned(), "crrcc".to_owned()));
    debezium.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_slots_cannot_do_is_refused_and_a_slot_of_another_name_stops_the_task() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("slots_refused").await?;
    pipeline.run("CREATE TABLE items (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[TWO]).await?;
    assert_eq!(status, 400);
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains("publication.autocreate.mode") && message.contains("set filtered"), "{message}");
    pipeline.put(&worker, &[FILTERED, TWO]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let both = [json!("slots_refused_1_of_2"), json!("slots_refused_2_of_2")];
    pipeline.run("INSERT INTO items VALUES (1)").await?;
    wait_records(&pipeline, "items", 1).await?;
    wait_positions(&pipeline, &worker, &both).await?;
    pipeline.put(&worker, &[FILTERED, ("slot.name", "another")]).await?;
    wait_trace(&pipeline, &worker, "FAILED", "stored position of slot slots_refused_1_of_2").await?;
    // The one slot's publication has to have all tables.
    pipeline.put(&worker, &[]).await?;
    wait_trace(&pipeline, &worker, "FAILED", "more slots than headwater.slots says").await?;
    pipeline.put(&worker, &[FILTERED]).await?;
    reads_from(&pipeline, &[""]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO items VALUES (2)").await?;
    assert_eq!(ids(&wait_records(&pipeline, "items", 2).await?), [1, 2].into());
    worker.into_process().stop().await
}
