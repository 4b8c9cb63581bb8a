//! Transactions are applied whole and in the order of their commits: who reads the target never sees a half of one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use stack::sink::Sink;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use stack::{postgres, topic};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

/// A bank whose tables refer to each other, checked at once and at the end of a transaction.
const BANK: &str = "
    CREATE TABLE accounts (
        id int PRIMARY KEY, balance int NOT NULL, rank int NOT NULL,
        CONSTRAINT one_a_rank UNIQUE (rank) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE transfers (
        id bigserial PRIMARY KEY, amount int NOT NULL,
        payer int NOT NULL REFERENCES accounts DEFERRABLE INITIALLY DEFERRED,
        payee int NOT NULL REFERENCES accounts);
    CREATE TABLE bookings (id bigserial PRIMARY KEY, transfer bigint NOT NULL REFERENCES transfers, amount int NOT NULL);
    CREATE TABLE cards (code text PRIMARY KEY, account int NOT NULL UNIQUE REFERENCES accounts);
    INSERT INTO accounts SELECT n, 1000, n FROM generate_series(1, 100) n;
    INSERT INTO cards SELECT 'card ' || n, n FROM generate_series(1, 50) n";

/// What is so in every state that the source ever had.
const INVARIANTS: &str = "SELECT array_to_string(ARRAY[
    CASE WHEN (SELECT sum(balance) FROM accounts) <> 100000 THEN 'the sum of all balances is not 100,000' END,
    CASE WHEN (SELECT coalesce(sum(amount), 0) FROM bookings) <> 0 THEN 'the bookings do not add up to nothing' END,
    CASE WHEN (SELECT count(*) FROM bookings) <> 2 * (SELECT count(*) FROM transfers) THEN 'a transfer has not two bookings' END,
    CASE WHEN EXISTS (SELECT FROM transfers t WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = t.payer))
        THEN 'a transfer of nobody' END,
    CASE WHEN EXISTS (SELECT FROM transfers t WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = t.payee))
        THEN 'a transfer to nobody' END,
    CASE WHEN EXISTS (SELECT FROM bookings b WHERE NOT EXISTS (SELECT FROM transfers t WHERE t.id = b.transfer))
        THEN 'a booking of no transfer' END,
    CASE WHEN EXISTS (SELECT FROM cards c WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = c.account))
        THEN 'a card of nobody' END,
    CASE WHEN (SELECT count(DISTINCT rank) FROM accounts) <> (SELECT count(*) FROM accounts) THEN 'two of one rank' END
    ], '; ')";

/// A transaction of a user, with ids of accounts that nobody else makes.
fn transaction(random: &mut fastrand::Rng, new_ids: &AtomicI32) -> String {
    let (a, b, amount) = (random.i32(1..=100), random.i32(1..=100), random.i32(1..50));
    let book = "INSERT INTO bookings (transfer, amount) SELECT currval('transfers_id_seq'), amount FROM (VALUES";
    match random.u32(0..10) {
        0..5 => format!(
            "BEGIN; UPDATE accounts SET balance = balance - {amount} WHERE id = {a};
             INSERT INTO transfers (amount, payer, payee) VALUES ({amount}, {a}, {b});
             {book} ({amount}), (-{amount})) AS v (amount);
             UPDATE accounts SET balance = balance + {amount} WHERE id = {b}; COMMIT"
        ),
        5..7 => format!(
            "BEGIN; SELECT FROM accounts WHERE id IN ({a}, {b}) ORDER BY id FOR UPDATE;
             UPDATE accounts SET rank = (SELECT sum(rank) FROM accounts WHERE id IN ({a}, {b})) - rank
             WHERE id IN ({a}, {b}) AND {a} <> {b}; COMMIT"
        ),
        7 => {
            let id = new_ids.fetch_add(1, Ordering::Relaxed);
            format!(
                "BEGIN; INSERT INTO transfers (amount, payer, payee) VALUES (0, {id}, {b});
                 {book} (0), (0)) AS v (amount);
                 INSERT INTO accounts VALUES ({id}, 0, {id}); INSERT INTO cards VALUES ('card ' || {id}, {id}); COMMIT"
            )
        }
        8 => "BEGIN; CREATE TEMP TABLE gone ON COMMIT DROP AS
                 SELECT id FROM accounts WHERE id > 100 AND balance = 0 ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED;
             DELETE FROM bookings WHERE transfer IN (SELECT id FROM transfers WHERE payer IN (SELECT id FROM gone));
             DELETE FROM transfers WHERE payer IN (SELECT id FROM gone);
             DELETE FROM cards WHERE account IN (SELECT id FROM gone);
             DELETE FROM accounts WHERE id IN (SELECT id FROM gone); COMMIT"
            .to_owned(),
        _ => format!(
            "BEGIN; DELETE FROM cards WHERE account = {a}; INSERT INTO cards
                 SELECT 'card ' || {amount} || clock_timestamp()::text, {a}; COMMIT"
        ),
    }
}

/// Users who work at the source until they are stopped; each gives the number of its transactions.
fn users(pipeline: &Pipeline, stop: &CancellationToken) -> Vec<JoinHandle<anyhow::Result<u64>>> {
    let new_ids = Arc::new(AtomicI32::new(1000));
    let user = |seed| {
        let (url, stop, new_ids) = (pipeline.source_url(), stop.clone(), new_ids.clone());
        tokio::spawn(async move {
            let (client, mut random, mut count) = (postgres::connect(&url).await?, fastrand::Rng::with_seed(seed), 0);
            while !stop.is_cancelled() {
                let sql = transaction(&mut random, &new_ids);
                match client.batch_execute(&sql).await {
                    Ok(()) => count += 1,
                    // Two were in each other's way.
                    Err(error) if error.code().is_some_and(|code| matches!(&code.code()[..2], "23" | "40")) => {
                        client.batch_execute("ROLLBACK").await?;
                    }
                    Err(error) => return Err(error).context(sql),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(count)
        })
    };
    (0..4).map(user).collect()
}

/// Readers of the target, each with the number of states that it saw.
struct Readers {
    stop: CancellationToken,
    seen: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Readers {
    /// Some who read all the time.
    async fn start(pipeline: &Pipeline) -> anyhow::Result<Self> {
        let (stop, seen, mut tasks) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)), Vec::new());
        for _ in 0..2 {
            let (client, stop, seen) = (pipeline.target().await?, stop.clone(), seen.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let broken: String = client.query_one(INVARIANTS, &[]).await?.get(0);
                    if !broken.is_empty() {
                        bail!("a reader of the target saw a state that the source never had: {broken}");
                    }
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        Ok(Self { stop, seen, tasks })
    }

    /// Waits until they have seen so many more states.
    async fn see(&mut self, more: u64) -> anyhow::Result<()> {
        let before = self.seen.load(Ordering::Relaxed);
        wait_until(&format!("readers to see {more} more states"), Duration::from_secs(60), async || {
            for task in self.tasks.extract_if(.., |task| task.is_finished()) {
                task.await??;
            }
            let now = self.seen.load(Ordering::Relaxed);
            Ok(if now >= before + more { Condition::Met(()) } else { Condition::NotYet(format!("{}", now - before)) })
        })
        .await
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// A connector whose changes say which transaction they are of.
fn connector(pipeline: &Pipeline) -> anyhow::Result<PathBuf> {
    let file = pipeline.directory.path().join("with-metadata.json");
    let config = pipeline.connector(&[("provide.transaction.metadata", "true")])?;
    std::fs::write(&file, json!({ "name": pipeline.name, "config": config }).to_string())?;
    Ok(file)
}

/// Starts a sink that applies transactions whole.
async fn sink(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<(Sink, u16)> {
    let file = connector(pipeline)?;
    let (mut sink, port) = pipeline.sink_with(worker, |settings| settings.connector = Some(file))?;
    sink.wait_complete(1, |_| {}).await?;
    assert!(sink.process().output().contains("transaction by transaction"), "{}", sink.process().output());
    Ok((sink, port))
}

/// Waits until the target has what the source's users wrote last.
async fn arrives(pipeline: &Pipeline) -> anyhow::Result<()> {
    pipeline
        .run("INSERT INTO accounts VALUES (-1, 0, -1) ON CONFLICT (id) DO UPDATE SET rank = accounts.rank - 1")
        .await?;
    let rank: i32 = pipeline.source().await?.query_one("SELECT rank FROM accounts WHERE id = -1", &[]).await?.get(0);
    pipeline.target_has("SELECT max(rank) FROM accounts WHERE id = -1", &rank.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_a_broken_sum_or_a_dangling_reference_whatever_is_killed() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("whole_bank").await?;
    // Transactions are whole whatever the number of partitions.
    topic::create(&pipeline.kafka, &pipeline.topic("accounts"), 3).await?;
    pipeline.run(BANK).await?;
    let mut worker = pipeline.streamer().await?;
    let (mut sink, _) = self::sink(&pipeline, &worker).await?;
    let mut readers = Readers::start(&pipeline).await?;
    let stop = CancellationToken::new();
    let users = users(&pipeline, &stop);
    for round in 0..4 {
        readers.see(100).await?;
        if round % 2 == 0 {
            sink.into_process().kill();
            (sink, _) = self::sink(&pipeline, &worker).await?;
        } else {
            // What it had published and not stored comes twice.
            worker.into_process().kill();
            readers.see(20).await?;
            worker = pipeline.streamer().await?;
        }
        arrives(&pipeline).await?;
    }
    stop.cancel();
    let mut transactions = 0;
    for user in users {
        transactions += user.await??;
    }
    assert!(transactions > 200, "{transactions} transactions are no load");
    arrives(&pipeline).await?;
    readers.end().await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debeziums_transactions_are_applied_whole_too() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("whole_debezium").await?;
    pipeline.run(BANK).await?;
    let worker = pipeline.debezium().await?;
    let (sink, _) = self::sink(&pipeline, &worker).await?;
    let mut readers = Readers::start(&pipeline).await?;
    let stop = CancellationToken::new();
    let users = users(&pipeline, &stop);
    readers.see(200).await?;
    arrives(&pipeline).await?;
    stop.cancel();
    for user in users {
        user.await??;
    }
    arrives(&pipeline).await?;
    readers.end().await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_memory_holds_is_seen_whole_or_not_at_all() -> anyhow::Result<()> {
    const ROWS: usize = 150_000;
    let pipeline = Pipeline::new("whole_large").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (sink, _) = self::sink(&pipeline, &worker).await?;
    let target = pipeline.target().await?;
    for (sql, rows, ends) in [
        (format!("BEGIN; INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, {ROWS}) n; INSERT INTO u VALUES (1); COMMIT"), ROWS, 1),
        // With a message and a row of another table in its middle, and rows that come and go.
        (
            "BEGIN; UPDATE t SET v = 'y' || v; SELECT pg_logical_emit_message(true, 'app', 'inside'); INSERT INTO u VALUES (2);
                 DELETE FROM t WHERE id % 2 = 0; INSERT INTO u VALUES (3); COMMIT"
                .to_owned(),
            ROWS / 2,
            3,
        ),
    ] {
        let before: (i64, i64) = counts(&target).await?;
        pipeline.run(&sql).await?;
        let after = (rows as i64, ends);
        wait_until("the transaction in the target", Duration::from_secs(120), async || {
            let now = counts(&target).await?;
            if now != before && now != after {
                bail!("a part of it was there: {now:?} between {before:?} and {after:?}");
            }
            Ok(if now == after { Condition::Met(()) } else { Condition::NotYet(format!("{now:?}")) })
        })
        .await?;
    }
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

async fn counts(client: &tokio_postgres::Client) -> anyhow::Result<(i64, i64)> {
    let row = client.query_one("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)", &[]).await?;
    Ok((row.get(0), row.get(1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_changes_from_tables_to_transactions_and_back_under_load() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("whole_switched").await?;
    pipeline.run(BANK).await?;
    let worker = pipeline.streamer().await?;
    let file = connector(&pipeline)?;
    let stop = CancellationToken::new();
    let mut users = Vec::new();
    for (number, mode) in ["table", "transaction", "table", "transaction"].into_iter().enumerate() {
        let (mut sink, _) = pipeline.sink_with(&worker, |settings| {
            settings.connector = Some(file.clone());
            settings.environment.push(("SINK_MODE", mode.to_owned()));
        })?;
        // All of them write into one log.
        sink.wait_complete(number + 1, |_| {}).await?;
        if users.is_empty() {
            users = self::users(&pipeline, &stop);
        }
        if mode == "transaction" {
            // It may have been in the middle of transactions until then.
            wait_until("transactions to be whole", Duration::from_secs(60), async || {
                let said = sink.process().output();
                let is_so = said.matches("committed from here on are applied whole").count() > number / 2;
                Ok(if is_so { Condition::Met(()) } else { Condition::NotYet("its log does not say it".to_owned()) })
            })
            .await?;
        }
        arrives(&pipeline).await?;
        if mode == "transaction" {
            let mut readers = Readers::start(&pipeline).await?;
            readers.see(50).await?;
            readers.end().await?;
        }
        // What is under way is left in the middle.
        sink.into_process().stop().await?;
    }
    stop.cancel();
    for user in users {
        user.await??;
    }
    let (sink, _) = self::sink(&pipeline, &worker).await?;
    arrives(&pipeline).await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sink_applies_transactions_and_another_takes_over() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("whole_standby").await?;
    pipeline.run(BANK).await?;
    let worker = pipeline.streamer().await?;
    let (first, _) = self::sink(&pipeline, &worker).await?;
    let (directory, file) = (tempfile::tempdir()?, connector(&pipeline)?);
    let (mut second, _) = pipeline.sink_in(directory.path(), &worker, |settings| settings.connector = Some(file))?;
    second.wait_complete(1, |_| {}).await?;
    let mut readers = Readers::start(&pipeline).await?;
    let stop = CancellationToken::new();
    let users = users(&pipeline, &stop);
    arrives(&pipeline).await?;
    first.into_process().kill();
    arrives(&pipeline).await?;
    readers.see(50).await?;
    stop.cancel();
    for user in users {
        user.await??;
    }
    arrives(&pipeline).await?;
    readers.end().await?;
    pipeline.equal().await?;
    second.into_process().stop().await?;
    worker.into_process().stop().await
}
