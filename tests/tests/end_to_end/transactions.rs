//! Transaction metadata and logical decoding messages across restarts.

use std::time::Duration;

use serde_json::{Value, json};
use stack::topic::{self, Record};
use stack::wait::{Condition, wait_until};

use super::pipeline::Pipeline;

/// Waits until a topic has that many records.
async fn wait_topic(pipeline: &Pipeline, topic: &str, count: usize) -> anyhow::Result<Vec<Record>> {
    let topic = format!("{}.{topic}", pipeline.name);
    wait_until(&format!("{count} records in {topic}"), Duration::from_secs(60), async || {
        let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &topic)).unwrap_or_default();
        Ok(if records.len() >= count {
            Condition::Met(records)
        } else {
            Condition::NotYet(format!("{} records", records.len()))
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_restarts_interrupt_is_counted_to_its_end() -> anyhow::Result<()> {
    const ROWS: i64 = 100_000;
    let pipeline = Pipeline::new("transaction_restarts").await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    // A small queue that waits for its batches: the transaction takes seconds, and the restart comes inside of it.
    let slowly = [("max.queue.size.in.bytes", "131072"), ("producer.override.linger.ms", "20")];
    pipeline.put(&worker, &[&slowly[..], &[("provide.transaction.metadata", "true")]].concat()).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let (source, rows) = (pipeline.source().await?, pipeline.topic("t"));
    source
        .batch_execute(&format!(
            "BEGIN;
             INSERT INTO t (v) SELECT 'row' FROM generate_series(1, {ROWS});
             SELECT pg_logical_emit_message(true, 'app', 'inside');
             INSERT INTO u VALUES (1);
             COMMIT"
        ))
        .await?;
    wait_until("the transaction to be published in part", Duration::from_secs(60), async || {
        let end = tokio::task::block_in_place(|| topic::end(&pipeline.kafka, &rows)).unwrap_or_default();
        Ok(if end > 0 { Condition::Met(()) } else { Condition::NotYet(format!("{end} records")) })
    })
    .await?;
    let restart = format!("/connectors/{}/restart?includeTasks=true", pipeline.name);
    let (status, answer) = worker.rest().request(reqwest::Method::POST, &restart, None).await?;
    assert_eq!(status, 202, "{answer}");

    let transactions = wait_topic(&pipeline, "transaction", 2).await?;
    let statuses: Vec<_> = transactions.iter().map(|record| &record.value["status"]).collect();
    assert_eq!(statuses, ["BEGIN", "END"], "each once");
    assert_eq!(transactions[1].value["event_count"], json!(ROWS + 2));
    let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &rows))?;
    let orders: Vec<i64> =
        records.iter().filter_map(|record| record.value["transaction"]["total_order"].as_i64()).collect();
    assert!(orders == (1..=ROWS).collect::<Vec<_>>(), "every row once, numbered without a gap");
    let message = wait_topic(&pipeline, "message", 1).await?;
    assert_eq!(message[0].value["transaction"]["total_order"], json!(ROWS + 1));
    let log = worker.process().output();
    assert!(log.contains("going on inside a transaction"), "the restart came inside the transaction:\n{log}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_outside_of_transactions_come_once_each_across_restarts() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("message_restarts").await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY)").await?;
    let mut worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    let source = pipeline.source().await?;
    for round in 0..4_usize {
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
        source
            .batch_execute(&format!(
                "SELECT pg_logical_emit_message(false, 'app', 'message {}'); INSERT INTO t DEFAULT VALUES;
                 SELECT pg_logical_emit_message(false, 'app', 'message {}')",
                2 * round,
                2 * round + 1
            ))
            .await?;
        if round % 2 == 0 {
            // Half of them come while nobody reads.
            wait_topic(&pipeline, "message", 2 * (round + 1)).await?;
        }
        worker.into_process().stop().await?;
        worker = pipeline.streamer().await?;
    }
    let messages = wait_topic(&pipeline, "message", 8).await?;
    let contents: Vec<&Value> = messages.iter().map(|record| &record.value["message"]["content"]).collect();
    let expected: Vec<Value> = (0..8).map(|n| json!(BASE64[n])).collect();
    assert_eq!(contents, expected.iter().collect::<Vec<_>>(), "each once and in order");
    worker.into_process().stop().await
}

/// `message 0` to `message 7` in base64.
const BASE64: [&str; 8] = [
    "bWVzc2FnZSAw",
    "bWVzc2FnZSAx",
    "bWVzc2FnZSAy",
    "bWVzc2FnZSAz",
    "bWVzc2FnZSA0",
    "bWVzc2FnZSA1",
    "bWVzc2FnZSA2",
    "bWVzc2FnZSA3",
];
