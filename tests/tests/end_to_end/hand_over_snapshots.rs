//! An incremental snapshot that one of the two began and the other ends.

use std::collections::BTreeSet;
use std::time::Duration;

use stack::topic::{self, Record};
use stack::wait::{Condition, wait_until};

use super::pipeline::Pipeline;

const ROWS: usize = 3_000;

fn records(pipeline: &Pipeline, topic: &str) -> Vec<Record> {
    tokio::task::block_in_place(|| topic::read(&pipeline.kafka, topic)).unwrap_or_default()
}

/// The rows of a table that were read.
async fn wait_reads(pipeline: &Pipeline, table: &str, count: usize) -> anyhow::Result<()> {
    wait_until(&format!("{count} rows of {table} to be read"), Duration::from_secs(60), async || {
        let read = records(pipeline, &pipeline.topic(table)).len();
        Ok(if read >= count { Condition::Met(()) } else { Condition::NotYet(format!("{read} rows")) })
    })
    .await
}

/// Waits for the notification that a signal's snapshot is at its end.
async fn wait_completed(pipeline: &Pipeline, signal: &str) -> anyhow::Result<()> {
    let topic = format!("{}-notifications", pipeline.name);
    wait_until(&format!("the end of {signal}"), Duration::from_secs(120), async || {
        let seen = records(pipeline, &topic);
        let of_signal = seen.iter().filter(|record| record.key["id"] == signal);
        let kinds: Vec<&str> = of_signal.filter_map(|record| record.value["type"].as_str()).collect();
        Ok(match kinds.last() {
            Some(&"COMPLETED") => Condition::Met(()),
            last => Condition::NotYet(format!("{} notifications, the last {last:?}", kinds.len())),
        })
    })
    .await
}

/// Every row is there, and no more than the chunks under way at the change were read again.
fn assert_gone_on(pipeline: &Pipeline, table: &str) {
    let records = records(pipeline, &pipeline.topic(table));
    let ids: BTreeSet<i64> = records.iter().filter_map(|record| record.key["id"].as_i64()).collect();
    assert_eq!(ids.len(), ROWS, "{table}: no row is missing");
    assert!(records.len() < ROWS + ROWS / 10, "{table}: {} rows were read, from its beginning again", records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_snapshot_goes_on_when_the_other_takes_over() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("incremental_handed_over").await?;
    pipeline
        .run(
            "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
             CREATE TABLE first (id bigint PRIMARY KEY); CREATE TABLE second (id bigint PRIMARY KEY);",
        )
        .await?;
    for table in ["first", "second"] {
        pipeline.run(&format!("INSERT INTO {table} SELECT generate_series(1, {ROWS})")).await?;
    }
    let notifications = format!("{}-notifications", pipeline.name);
    let config = [
        ("snapshot.mode", "no_data"),
        ("signal.data.collection", "public.signals"),
        ("incremental.snapshot.chunk.size", "20"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", notifications.as_str()),
    ];
    let signal = |id: &str, table: &str| {
        format!(
            "INSERT INTO signals VALUES ('{id}', 'execute-snapshot', '{{\"data-collections\": [\"public.{table}\"]}}')"
        )
    };

    let debezium = pipeline.debezium().await?;
    pipeline.put(&debezium, &config).await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run(&signal("begun-by-debezium", "first")).await?;
    wait_reads(&pipeline, "first", ROWS / 3).await?;
    debezium.into_process().stop().await?;
    let read = records(&pipeline, &pipeline.topic("first")).len();
    assert!(read < ROWS, "it was stopped before its end: {read}");

    let streamer = pipeline.streamer().await?;
    wait_completed(&pipeline, "begun-by-debezium").await?;
    assert_gone_on(&pipeline, "first");
    pipeline.run(&signal("begun-by-streamer", "second")).await?;
    wait_reads(&pipeline, "second", ROWS / 3).await?;
    streamer.into_process().stop().await?;
    let read = records(&pipeline, &pipeline.topic("second")).len();
    assert!(read < ROWS, "it was stopped before its end: {read}");

    let debezium = pipeline.debezium().await?;
    wait_completed(&pipeline, "begun-by-streamer").await?;
    assert_gone_on(&pipeline, "second");
    debezium.into_process().stop().await
}
