//! In and out again: Debezium's place is taken over and given back, with its own topics and positions.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;

use super::pipeline::Pipeline;
use super::restarts::{wait_end, wait_records};

/// Debezium alone cannot say how far it is among rows that share an LSN, and would skip the rest of them.
#[tokio::test(flavor = "multi_thread")]
async fn debezium_takes_over_inside_a_transaction_and_loses_nothing() -> anyhow::Result<()> {
    const ROWS: usize = 200_000;
    let pipeline = Pipeline::new("taken_over_inside").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let streamer = pipeline.streamer().await?;
    pipeline.put(&streamer, &[]).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run(&format!("INSERT INTO t SELECT n, 'row' FROM generate_series(1, {ROWS}) n")).await?;
    wait_end(&pipeline, "t", 1).await?;
    streamer.into_process().stop().await?;
    let before = topic::read(&pipeline.kafka, &pipeline.topic("t"))?.len();
    assert!((1..ROWS).contains(&before), "it was stopped inside the transaction: {before}");

    let debezium = pipeline.debezium().await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    // Debezium reads the transaction whole.
    let records = wait_records(&pipeline, "t", before + ROWS).await?;
    let ids: BTreeSet<i64> = records.iter().filter_map(|record| record.key["id"].as_i64()).collect();
    assert_eq!(ids.len(), ROWS);
    debezium.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_hands_over_to_the_streamer_and_takes_over_again() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("hand_over").await?;
    let debezium = pipeline.debezium().await?;
    let (mut sink, _) = pipeline.sink(&debezium)?;
    sink.wait_complete(1, |_| {}).await?;
    let mut users = 0;
    let mut change = async |by: &str| {
        users += 10;
        pipeline
            .run(&format!(
                "INSERT INTO users (username, email) SELECT '{by} ' || n, 'e' FROM generate_series(1, 10) n;
                 UPDATE devices SET health_status = 'WARNING', tags = array_append(tags, '{by}') WHERE id % 100 = 0;
                 UPDATE warranties SET id = id + 100000 WHERE id = (SELECT min(id) FROM warranties);
                 DELETE FROM alerts WHERE id IN (SELECT id FROM alerts ORDER BY id LIMIT 5);"
            ))
            .await?;
        pipeline.equal().await?;
        wait_records(&pipeline, "users", users).await
    };
    change("Debezium").await?;
    debezium.into_process().stop().await?;

    // The connector comes from the config topic, the position from the offset topic: nothing is deployed again.
    let streamer = pipeline.streamer().await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    change("streamer").await?;
    streamer.into_process().stop().await?;

    let debezium = pipeline.debezium().await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let records = change("Debezium again").await?;
    debezium.into_process().stop().await?;

    let names: Vec<&str> = records.iter().filter_map(|record| record.value["after"]["username"].as_str()).collect();
    let expected: Vec<String> = ["Debezium", "streamer", "Debezium again"]
        .iter()
        .flat_map(|by| (1..=10).map(move |number| format!("{by} {number}")))
        .collect();
    assert_eq!(names, expected, "each once, in order");
    // Without the connector's clock and the run's id, a streamer's record has nothing that Debezium's has not.
    let shape = |record: &topic::Record| {
        let mut value = record.value.clone();
        for pointer in ["/ts_ms", "/ts_us", "/ts_ns", "/source", "/after"] {
            if let Some(part) = value.pointer_mut(pointer) {
                *part = part.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).into();
            }
        }
        (
            value.to_string(),
            record.headers.clone(),
            record.key.as_object().map(|key| key.keys().cloned().collect::<Vec<_>>()),
        )
    };
    assert_eq!(shape(&records[0]), shape(&records[10]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_refuses_to_start_beside_a_connect_worker_of_its_group() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("beside_connect").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let debezium = pipeline.debezium().await?;
    // It answers before it is in its group; with a task that runs it is.
    pipeline.put(&debezium, &[]).await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let refusal = pipeline.streamer().await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refusal.contains("a Kafka Connect worker of the group beside_connect (group.id) is alive"), "{refusal}");
    debezium.into_process().stop().await?;
    // It left the group: there is nothing to wait for.
    let streamer = pipeline.streamer().await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_streamer_of_a_group_takes_over_when_the_first_is_killed() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("standby").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let (mut first_settings, mut second_settings) = (pipeline.worker_settings()?, pipeline.worker_settings()?);
    for settings in [&mut first_settings, &mut second_settings] {
        settings.more.extend([("session.timeout.ms", "6000".to_owned()), ("heartbeat.interval.ms", "1000".to_owned())]);
    }
    let first = Worker::streamer(pipeline.directory.path(), &first_settings).await?;
    pipeline.put(&first, &[]).await?;
    first.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let directory = pipeline.directory.path().join("second");
    std::fs::create_dir(&directory)?;
    let second = Worker::streamer(&directory, &second_settings).await?;

    // The one that stands by answers as the active one does, and passes on what is to be done.
    let status = format!("/connectors/{}/status", pipeline.name);
    let active = |port: u16| json!(format!("127.0.0.1:{port}"));
    let (code, answer) = second.rest().get(&status).await?;
    assert_eq!((code, &answer["connector"]["worker_id"]), (200, &active(first_settings.port)), "{answer}");
    let (code, answer) = second.rest().get("/health").await?;
    assert!(code == 200 && answer["message"].as_str().is_some_and(|text| text.starts_with("Standing by")), "{answer}");
    let path = format!("/connectors/{}", pipeline.name);
    let (code, _) = second.rest().put(&format!("{path}/pause"), &Value::Null).await?;
    assert_eq!(code, 202);
    first.rest().wait_task(&pipeline.name, "PAUSED").await?;
    second.rest().put(&format!("{path}/resume"), &Value::Null).await?;
    first.rest().wait_task(&pipeline.name, "RUNNING").await?;

    pipeline.run("INSERT INTO t SELECT generate_series(1, 1000)").await?;
    wait_records(&pipeline, "t", 1).await?;
    first.into_process().kill();
    pipeline.run("INSERT INTO t SELECT generate_series(1001, 2000)").await?;
    wait_until("the second to take over", Duration::from_secs(60), async || {
        let (_, answer) = second.rest().get(&status).await?;
        let is_active = answer["connector"]["worker_id"] == active(second_settings.port);
        Ok(if is_active { Condition::Met(()) } else { Condition::NotYet(answer.to_string()) })
    })
    .await?;
    second.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let ids = wait_until("all rows", Duration::from_secs(60), async || {
        let records = topic::read(&pipeline.kafka, &pipeline.topic("t"))?;
        let ids: BTreeSet<i64> = records.iter().filter_map(|record| record.key["id"].as_i64()).collect();
        Ok(if ids.len() == 2000 { Condition::Met(ids) } else { Condition::NotYet(ids.len().to_string()) })
    })
    .await?;
    assert_eq!(ids.last(), Some(&2000));
    second.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_connectors_are_left_alone_and_target_states_are_kept() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("found").await?;
    let topic = format!("{}-configs", pipeline.name);
    topic::create_compacted(&pipeline.kafka, &topic).await?;
    let write = async |key: &str, value: Value| {
        topic::write(&pipeline.kafka, &topic, key.as_bytes(), value.to_string().as_bytes()).await
    };
    let sink = json!({ "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "name": "files", "file": "f" });
    write("connector-files", json!({ "properties": sink })).await?;
    let mut postgres = pipeline.connector(&[])?;
    postgres["name"] = json!("found");
    write("connector-found", json!({ "properties": postgres })).await?;
    write("target-state-found", json!({ "state": "PAUSED", "state.v2": "PAUSED" })).await?;

    let streamer = pipeline.streamer().await?;
    let (_, names) = streamer.rest().get("/connectors").await?;
    assert_eq!(names, json!(["files", "found"]));
    streamer.rest().wait_task("found", "PAUSED").await?;
    let (_, answer) = streamer.rest().get("/connectors/files/status").await?;
    let trace = answer["connector"]["trace"].as_str().unwrap_or_default();
    assert_eq!((&answer["type"], &answer["connector"]["state"]), (&json!("unknown"), &json!("UNASSIGNED")));
    assert!(trace.contains("FileStreamSinkConnector"), "{answer}");
    assert!(streamer.process().output().contains("not a PostgreSQL connector"));
    let (_, answer) = streamer.rest().get("/connectors/files/config").await?;
    assert_eq!(answer, sink);
    streamer.into_process().stop().await
}
