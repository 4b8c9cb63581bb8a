//! Turn by turn while the source is written to: Debezium, the streamer, Debezium, the streamer, one after the other on the same
//! topics and the same slot.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use stack::happened::Change;
use stack::topic::{self, Record};
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

/// Many rows by COPY, which share LSNs, inserts of several rows, and changes of some of them: each a transaction.
const ROUND: [&str; 3] = [
    "COPY t (v) FROM PROGRAM 'seq 1 40'",
    "INSERT INTO t (v) SELECT 'row ' || n FROM generate_series(1, 20) n",
    "INSERT INTO t (v) VALUES ('one'), ('two'), ('three');
     COPY t (v) FROM PROGRAM 'seq 1 15';
     UPDATE t SET v = v || '!' WHERE id IN (SELECT id FROM t ORDER BY id DESC LIMIT 5);
     DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 3)",
];

/// Works until it is told to stop, at a pace that both keep up with.
pub(super) async fn keep_writing(
    pipeline: &Pipeline,
    stop: &CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let (client, stop) = (pipeline.source().await?, stop.clone());
    Ok(tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !stop.is_cancelled() {
            pace.tick().await;
            for transaction in ROUND {
                client.batch_execute(transaction).await?;
            }
        }
        Ok(())
    }))
}

/// What a slot of `test_decoding`'s says has happened to the table, in its order.
pub(super) async fn happened(pipeline: &Pipeline, slot: &str) -> anyhow::Result<Vec<Change>> {
    Ok(stack::happened::happened(&pipeline.source().await?, slot).await?.remove("t").unwrap_or_default())
}

pub(super) fn published(record: &Record) -> Option<Change> {
    stack::happened::published(&record.key, &record.value)
}

/// Lets a worker publish for a while under the load, and stops it.
async fn take_a_turn(pipeline: &Pipeline, worker: Worker) -> anyhow::Result<()> {
    const TURN: usize = 1_500;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let topic = pipeline.topic("t");
    let end = || tokio::task::block_in_place(|| topic::end(&pipeline.kafka, &topic)).unwrap_or_default();
    let before = end();
    wait_until("the worker to publish what is written", Duration::from_secs(90), async || {
        let now = end();
        Ok(if now > before + TURN {
            Condition::Met(())
        } else {
            Condition::NotYet(format!("{} records", now - before))
        })
    })
    .await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_overs_under_load_miss_nothing_and_repeat_only_rows_of_one_lsn() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("hand_over_load").await?;
    pipeline.run("CREATE TABLE t (id bigserial PRIMARY KEY, v text)").await?;
    pipeline.run("SELECT pg_create_logical_replication_slot('happened', 'test_decoding')").await?;
    let debezium = pipeline.debezium().await?;
    pipeline.put(&debezium, &[]).await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'hand_over_load'", "true").await?;

    let stop = CancellationToken::new();
    let load = keep_writing(&pipeline, &stop).await?;
    take_a_turn(&pipeline, debezium).await?;
    take_a_turn(&pipeline, pipeline.streamer().await?).await?;
    take_a_turn(&pipeline, pipeline.debezium().await?).await?;
    let streamer = pipeline.streamer().await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    stop.cancel();
    load.await??;
    // Decoding goes as far as the WAL is flushed, and the server here commits before it flushes.
    pipeline.run("SET synchronous_commit = on; INSERT INTO t VALUES (0, 'the last')").await?;
    let happened = happened(&pipeline, "happened").await?;
    let topic = pipeline.topic("t");
    let records = wait_until("the last row", Duration::from_secs(90), async || {
        let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &topic))?;
        let is_last = records.last().is_some_and(|record| record.key["id"] == 0);
        Ok(if is_last { Condition::Met(records) } else { Condition::NotYet(format!("{} records", records.len())) })
    })
    .await?;
    streamer.into_process().stop().await?;

    let published: Vec<Change> = records.iter().filter_map(published).collect();
    let mut times: HashMap<Change, usize> = HashMap::new();
    let first_times: Vec<Change> = published
        .iter()
        .filter(|change| {
            let times = times.entry(**change).or_default();
            *times += 1;
            *times == 1
        })
        .copied()
        .collect();
    let wrong = first_times.iter().zip(&happened).position(|(published, happened)| published != happened);
    let context =
        |number: usize| format!("published {:?}, happened {:?}", first_times.get(number), happened.get(number));
    assert_eq!(wrong.map(context), None, "each change in its order");
    assert_eq!(first_times.len(), happened.len(), "nothing is missing");

    let mut of_one_lsn: HashMap<u64, usize> = HashMap::new();
    for change in &happened {
        *of_one_lsn.entry(change.lsn).or_default() += 1;
    }
    let repeated: Vec<&Change> = times.iter().filter(|(_, times)| **times > 1).map(|(change, _)| change).collect();
    // A delete is two records, and a position of Debezium's may name the first alone.
    let is_alone = |lsn: &u64| of_one_lsn.get(lsn).is_none_or(|rows| *rows < 2);
    let alone: Vec<_> = repeated.iter().filter(|change| is_alone(&change.lsn) && change.op != 'd').collect();
    assert!(
        alone.is_empty(),
        "{} of {} changes came twice although no other has their LSN: {alone:?}",
        alone.len(),
        happened.len()
    );
    let lsns: BTreeSet<u64> = repeated.iter().map(|change| change.lsn).collect();
    assert!(lsns.len() <= 3, "at each of three hand-overs the rows of one LSN at most: {lsns:?}");
    Ok(())
}
