//! What is written between the streamer's clean stop and Debezium's start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use tokio_postgres::Client;

use super::pipeline::Pipeline;

/// What happens while the first worker streams, and what between its stop and Debezium's start: rows by their number,
/// messages outside of a transaction by their text.
const CASES: [(&str, &[&str], &[&str]); 8] = [
    ("nothing_row", &[], &["1"]),
    ("nothing_message", &[], &["a", "1"]),
    ("row_row", &["1"], &["2"]),
    ("row_message", &["1"], &["a"]),
    ("row_message_row", &["1"], &["a", "2"]),
    ("row_row_message", &["1"], &["2", "a"]),
    ("message_row", &["1", "a"], &["2"]),
    ("message_message", &["1", "a"], &["b", "2"]),
];

/// What comes at last: when it is there, everything before it is, or never will be.
const LAST: &str = "99";

async fn write(database: &Client, what: &[&str]) -> anyhow::Result<()> {
    for one in what {
        let sql = match one.parse::<i32>() {
            Ok(id) => format!("INSERT INTO t VALUES ({id})"),
            Err(_) => format!("SELECT pg_logical_emit_message(false, '{one}', '')"),
        };
        database.batch_execute(&sql).await?;
    }
    Ok(())
}

/// Waits until the last of `what` is published; gives what of it is not.
async fn missing(pipeline: &Pipeline, case: &str, what: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let Some(last) = what.last() else { return Ok(BTreeSet::new()) };
    wait_until(&format!("{last} of {case}"), Duration::from_secs(60), async || {
        let read = |topic: &str| {
            tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &format!("{case}.{topic}"))).unwrap_or_default()
        };
        let rows =
            read("public.t").into_iter().filter_map(|record| Some(record.value["after"]["id"].as_i64()?.to_string()));
        let messages = read("message").into_iter();
        let messages = messages.filter_map(|record| Some(record.value["message"]["prefix"].as_str()?.to_owned()));
        let seen: BTreeSet<String> = rows.chain(messages).collect();
        if !seen.contains(*last) {
            return Ok(Condition::NotYet(format!("{seen:?}")));
        }
        Ok(Condition::Met(what.iter().filter(|one| !seen.contains(**one)).map(|one| (*one).to_owned()).collect()))
    })
    .await
}

/// What Debezium never publishes, by case, when `first` had the connectors before it.
async fn lost_behind(pipeline: &Pipeline, first: Worker) -> anyhow::Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let server = pipeline.source_url();
    let server = server.rsplit_once('/').map_or("", |(server, _)| server).to_owned();
    let mut databases = Vec::new();
    for (case, before, _) in CASES {
        let name = format!("{}_{case}", pipeline.name);
        pipeline.run(&format!("CREATE DATABASE {name}")).await?;
        let database = stack::postgres::connect(&format!("{server}/{name}")).await?;
        database.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
        let config = pipeline.connector(&[
            ("database.dbname", &name),
            ("topic.prefix", &name),
            ("slot.name", &name),
            ("publication.name", &name),
            ("snapshot.mode", "no_data"),
        ])?;
        let (status, answer) = first.rest().put(&format!("/connectors/{name}/config"), &config).await?;
        anyhow::ensure!(status == 201, "{name}: {answer}");
        first.rest().wait_task(&name, "RUNNING").await?;
        let streaming = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active";
        wait_until("the slot to be read", Duration::from_secs(30), async || {
            let count: i64 = database.query_one(streaming, &[&name]).await?.get(0);
            Ok(if count == 1 { Condition::Met(()) } else { Condition::NotYet("it is not".to_owned()) })
        })
        .await?;
        write(&database, before).await?;
        databases.push((name, database));
    }
    for ((name, _), (_, before, _)) in databases.iter().zip(CASES) {
        assert!(missing(pipeline, name, before).await?.is_empty());
    }
    first.into_process().stop().await?;
    for ((_, database), (_, _, between)) in databases.iter().zip(CASES) {
        write(database, between).await?;
    }
    let debezium = pipeline.debezium().await?;
    for (name, database) in &databases {
        debezium.rest().wait_task(name, "RUNNING").await?;
        write(database, &[LAST]).await?;
    }
    let mut lost = BTreeMap::new();
    for ((name, _), (case, _, between)) in databases.iter().zip(CASES) {
        let all: Vec<&str> = between.iter().copied().chain([LAST]).collect();
        lost.insert(case, missing(pipeline, name, &all).await?);
    }
    debezium.into_process().stop().await?;
    Ok(lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_passes_over_nothing_behind_the_streamer_that_it_takes_behind_itself() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("back_from_debezium").await?;
    let debezium = pipeline.debezium().await?;
    let behind_itself = lost_behind(&pipeline, debezium).await?;
    let pipeline = Pipeline::new("back_from_streamer").await?;
    let streamer = pipeline.streamer().await?;
    let behind_us = lost_behind(&pipeline, streamer).await?;
    for (case, lost) in &behind_us {
        let itself = behind_itself.get(case).cloned().unwrap_or_default();
        assert!(lost.is_subset(&itself), "{case}: {lost:?} behind the streamer, {itself:?} behind Debezium");
    }
    Ok(())
}
