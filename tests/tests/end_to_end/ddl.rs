//! The target's tables follow the source's, under load and at their place in the stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use stack::postgres;
use stack::sink::Sink;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

const TABLES: &str = "
    CREATE TABLE items (id bigserial PRIMARY KEY, name varchar(20) NOT NULL, amount int NOT NULL DEFAULT 1, note text, size numeric(8, 2));
    CREATE TABLE visits (id bigserial PRIMARY KEY, item bigint, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE old (id bigserial PRIMARY KEY, v text);
    INSERT INTO items (name, note) SELECT 'item ' || n, 'note ' || n FROM generate_series(1, 200) n;
    INSERT INTO old (v) SELECT 'old ' || n FROM generate_series(1, 50) n";

/// Everything of the tables that is to be equal, as text: columns, constraints, indexes, enums.
const SCHEMA: &str = "
    SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (
        SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid), a.attidentity) AS line
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT format('%s %s', enumtypid::regtype, string_agg(enumlabel, ',' ORDER BY enumsortorder)) FROM pg_enum GROUP BY enumtypid
    ) AS lines";

/// Waits until both have the same tables.
pub(super) async fn same_tables(pipeline: &Pipeline) -> anyhow::Result<()> {
    let (source, target) = (pipeline.source().await?, pipeline.target().await?);
    wait_until("the target to have the source's tables", Duration::from_secs(60), async || {
        let is: String = target.query_one(SCHEMA, &[]).await?.get(0);
        let wanted: String = source.query_one(SCHEMA, &[]).await?.get(0);
        let differing = |one: &str, other: &str| {
            one.lines().filter(|line| !other.lines().any(|same| same == *line)).collect::<Vec<_>>().join("\n  ")
        };
        Ok(match is == wanted {
            true => Condition::Met(()),
            false => {
                Condition::NotYet(format!("lacking\n  {}\nbut\n  {}", differing(&wanted, &is), differing(&is, &wanted)))
            }
        })
    })
    .await
}

/// Who writes to the tables all the time, whatever their columns are called now: each statement is another transaction.
struct Load {
    stop: CancellationToken,
    count: Arc<AtomicU64>,
    users: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Load {
    fn start(pipeline: &Pipeline) -> Self {
        let (stop, count) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let user = |number: u64| {
            let (url, stop, count) = (pipeline.source_url(), stop.clone(), count.clone());
            tokio::spawn(async move {
                let (client, mut random) = (postgres::connect(&url).await?, fastrand::Rng::with_seed(number));
                while !stop.is_cancelled() {
                    let id = random.u32(1..=250);
                    let sql = match random.u32(0..5) {
                        0 => format!("INSERT INTO items (name) VALUES ('new {id}')"),
                        1 => format!("UPDATE items SET amount = amount + 1 WHERE id = {id}"),
                        2 => format!("DELETE FROM items WHERE id = {id} AND id % 7 = 0"),
                        3 => format!("INSERT INTO visits (item) VALUES ({id})"),
                        _ => format!(
                            "BEGIN; UPDATE items SET name = 'i{id}' WHERE id = {id}; INSERT INTO visits (item) VALUES (-{id}); COMMIT"
                        ),
                    };
                    match client.batch_execute(&sql).await {
                        Ok(()) => _ = count.fetch_add(1, Ordering::Relaxed),
                        // A table that was renamed or is changed just now, a constraint, a deadlock.
                        Err(error)
                            if error.code().is_some_and(|code| matches!(&code.code()[..2], "23" | "40" | "42")) =>
                        {
                            client.batch_execute("ROLLBACK").await?;
                        }
                        Err(error) => return Err(error).context(sql),
                    }
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Ok(())
            })
        };
        let users = (0..3).map(user).collect();
        Self { stop, count, users }
    }

    /// Waits for so many more of their transactions.
    async fn more(&self, more: u64) -> anyhow::Result<()> {
        let before = self.count.load(Ordering::Relaxed);
        wait_until("more load", Duration::from_secs(60), async || {
            let now = self.count.load(Ordering::Relaxed) - before;
            Ok(if now >= more { Condition::Met(()) } else { Condition::NotYet(now.to_string()) })
        })
        .await
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for user in self.users {
            user.await??;
        }
        Ok(())
    }
}

/// Who reads the target all the time; a table that is another now is the only thing that may fail.
fn reader(pipeline: &Pipeline, stop: &CancellationToken) -> JoinHandle<anyhow::Result<u64>> {
    let (url, stop) = (pipeline.target_url(), stop.clone());
    tokio::spawn(async move {
        let (client, mut count) = (postgres::connect(&url).await?, 0);
        while !stop.is_cancelled() {
            for sql in [
                "SELECT count(*), sum(amount) FROM items",
                "SELECT * FROM visits LIMIT 3",
                "SELECT count(*) FROM orders",
            ] {
                match client.simple_query(sql).await {
                    Ok(_) => count += 1,
                    // No such table or column, now or yet.
                    Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42P01" | "42703")) => {}
                    Err(error) => return Err(error).context(sql),
                }
            }
        }
        Ok(count)
    })
}

fn connector(pipeline: &Pipeline) -> anyhow::Result<PathBuf> {
    let file = pipeline.directory.path().join("with-metadata.json");
    let config = pipeline.connector(&[("provide.transaction.metadata", "true")])?;
    std::fs::write(&file, json!({ "name": pipeline.name, "config": config }).to_string())?;
    Ok(file)
}

/// Starts a sink; its HTTP port too.
async fn sink(pipeline: &Pipeline, worker: &Worker, mode: &str, policy: &str) -> anyhow::Result<(Sink, u16)> {
    let file = connector(pipeline)?;
    let (mut sink, port) = pipeline.sink_with(worker, |settings| {
        settings.connector = Some(file);
        settings.environment.push(("SINK_MODE", mode.to_owned()));
        settings.environment.push(("SINK_SCHEMA_EVOLUTION", policy.to_owned()));
    })?;
    sink.wait_complete(1, |_| {}).await?;
    Ok((sink, port))
}

/// Nothing stood still, and nothing was set aside.
async fn nothing_stopped(pipeline: &Pipeline, sink: &mut Sink) -> anyhow::Result<()> {
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    let log = sink.process().output();
    if let Some(line) = log.lines().find(|line| line.contains(" ERROR sink")) {
        bail!("something stood still: {line}");
    }
    Ok(())
}

/// Ten and more different changes of tables, each with what has to hold before the next.
const CHANGES: [&str; 16] = [
    "ALTER TABLE items ADD COLUMN colour text NOT NULL DEFAULT 'none'",
    "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE items ADD COLUMN mood mood DEFAULT 'good'; UPDATE items SET mood = 'bad' WHERE id % 3 = 0",
    "ALTER TABLE items RENAME COLUMN note TO remark; UPDATE items SET remark = remark || '!' WHERE id % 5 = 0",
    "ALTER TABLE items DROP COLUMN size",
    "ALTER TABLE items ALTER COLUMN amount TYPE bigint; UPDATE items SET amount = 5000000000 WHERE id = 3",
    "ALTER TABLE items ALTER COLUMN name TYPE text; UPDATE items SET name = repeat('long ', 20) WHERE id = 4",
    "BEGIN; CREATE TABLE orders (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, item bigint REFERENCES items, moods mood[], CHECK (item > 0));
     INSERT INTO orders (item, moods) SELECT 1, ARRAY['good', 'bad']::mood[] FROM generate_series(1, 100);
     CREATE INDEX ON orders (item); COMMIT",
    "ALTER TYPE mood ADD VALUE 'indifferent' BEFORE 'bad'",
    "UPDATE items SET mood = 'indifferent' WHERE id % 4 = 0",
    "ALTER TABLE visits RENAME TO calls; ALTER TABLE calls RENAME TO visits; ALTER TABLE old RENAME TO archive; INSERT INTO archive (v) VALUES ('new')",
    "ALTER TABLE items ADD CONSTRAINT one_remark UNIQUE (id, remark); CREATE INDEX by_mood ON items (mood, lower(name)) WHERE amount > 0",
    "ALTER TABLE orders ALTER COLUMN item SET NOT NULL; ALTER TABLE orders ALTER COLUMN moods SET DEFAULT '{good}'",
    "BEGIN; ALTER TABLE visits ADD COLUMN who text; UPDATE visits SET who = 'somebody'; ALTER TABLE visits ALTER COLUMN who SET NOT NULL;
     ALTER TABLE visits ALTER COLUMN who SET DEFAULT 'nobody'; COMMIT",
    "DROP TABLE archive; CREATE TABLE archive (id text PRIMARY KEY, n int[]); INSERT INTO archive VALUES ('a', '{1,2}')",
    "CREATE TABLE made AS SELECT id, name FROM items LIMIT 10; ALTER TABLE made ADD PRIMARY KEY (id)",
    "BEGIN; ALTER TABLE items ADD COLUMN gone int; UPDATE items SET gone = 1; ROLLBACK;
     ALTER TABLE items RENAME CONSTRAINT one_remark TO a_remark; ALTER INDEX by_mood RENAME TO on_mood; DROP TABLE made",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_tables_under_load_is_done_in_the_target() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("ddl_full").await?;
    pipeline.run(TABLES).await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = sink(&pipeline, &worker, "transaction", "full").await?;
    let (load, stop) = (Load::start(&pipeline), CancellationToken::new());
    let reader = reader(&pipeline, &stop);
    for change in CHANGES {
        load.more(20).await?;
        pipeline.run(change).await?;
    }
    load.more(20).await?;
    load.end().await?;
    same_tables(&pipeline).await?;
    pipeline.equal().await?;
    // What is in the log is there, so it comes to this.
    pipeline.run("ALTER TABLE items ADD COLUMN last int; UPDATE items SET last = 1 WHERE id = 1").await?;
    pipeline.target_has("SELECT count(*) FROM information_schema.columns WHERE column_name = 'last'", "1").await?;
    pipeline.equal().await?;
    stop.cancel();
    assert!(reader.await?? > 100, "a reader that hardly read saw nothing");
    nothing_stopped(&pipeline, &mut sink).await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_killed_around_changes_of_tables_does_each_once() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("ddl_killed").await?;
    pipeline.run(TABLES).await?;
    let mut worker = pipeline.streamer().await?;
    let (mut sink, _) = self::sink(&pipeline, &worker, "transaction", "full").await?;
    let load = Load::start(&pipeline);
    for (number, change) in CHANGES.into_iter().enumerate() {
        load.more(10).await?;
        pipeline.run(change).await?;
        if number % 4 == 3 {
            sink.into_process().kill();
            load.more(10).await?;
            (sink, _) = self::sink(&pipeline, &worker, "transaction", "full").await?;
        } else if number == 6 {
            worker.into_process().kill();
            worker = pipeline.streamer().await?;
        }
    }
    load.end().await?;
    same_tables(&pipeline).await?;
    pipeline.equal().await?;
    nothing_stopped(&pipeline, &mut sink).await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_tables_come_by_themselves_table_by_table() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("ddl_basic").await?;
    pipeline.run(TABLES).await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = sink(&pipeline, &worker, "table", "basic").await?;
    let load = Load::start(&pipeline);
    for change in [
        "ALTER TABLE items ADD COLUMN colour text NOT NULL DEFAULT 'none'",
        "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE visits ADD COLUMN mood mood DEFAULT 'good'",
        "CREATE TABLE orders (id serial PRIMARY KEY, item bigint, mood mood DEFAULT 'bad', UNIQUE (item, id)); CREATE INDEX ON orders (mood);
         INSERT INTO orders (item) SELECT n FROM generate_series(1, 100) n",
        "ALTER TYPE mood ADD VALUE 'indifferent'",
        "INSERT INTO orders (item, mood) VALUES (1000, 'indifferent')",
        // One that comes and goes, and one that takes no NULL and goes.
        "ALTER TABLE items ADD COLUMN short int DEFAULT 3; UPDATE items SET short = 1 WHERE id < 20; ALTER TABLE items DROP COLUMN short",
        "ALTER TABLE items DROP COLUMN amount, ADD COLUMN amount int",
        "CREATE TABLE short (id int PRIMARY KEY); INSERT INTO short VALUES (1); DROP TABLE short",
    ] {
        load.more(20).await?;
        pipeline.run(change).await?;
    }
    load.more(20).await?;
    load.end().await?;
    pipeline.run("UPDATE items SET colour = 'red', amount = 1; UPDATE visits SET mood = 'bad'").await?;
    pipeline.equal().await?;
    nothing_stopped(&pipeline, &mut sink).await?;
    pipeline.target_has("SELECT count(*) FROM pg_indexes WHERE tablename = 'orders'", "3").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_evolution_changes_wait_until_somebody_adds_the_column() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("ddl_none").await?;
    pipeline.run(TABLES).await?;
    let worker = pipeline.streamer().await?;
    let (sink, port) = sink(&pipeline, &worker, "transaction", "none").await?;
    pipeline.run("ALTER TABLE items ADD COLUMN colour text; UPDATE items SET colour = 'red' WHERE id = 1").await?;
    wait_until("the sink to say what is missing", Duration::from_secs(60), async || {
        let (_, health) = Rest::new(port).get("/health").await?;
        let text = health.to_string();
        Ok(if text.contains("has no column colour") { Condition::Met(()) } else { Condition::NotYet(text) })
    })
    .await?;
    pipeline.target().await?.batch_execute("ALTER TABLE items ADD COLUMN colour text").await?;
    pipeline.target_has("SELECT colour FROM items WHERE id = 1", "red").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debeziums_messages_bring_changes_of_tables_too() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("ddl_debezium").await?;
    pipeline.run(TABLES).await?;
    let worker = pipeline.debezium().await?;
    let (mut sink, _) = sink(&pipeline, &worker, "transaction", "full").await?;
    let load = Load::start(&pipeline);
    for change in [
        CHANGES[0],
        CHANGES[2],
        CHANGES[6]
            .replace("moods mood[], ", "")
            .replace(", moods", "")
            .replace(", ARRAY['good', 'bad']::mood[]", "")
            .as_str(),
    ] {
        load.more(20).await?;
        pipeline.run(change).await?;
    }
    load.more(20).await?;
    load.end().await?;
    same_tables(&pipeline).await?;
    pipeline.equal().await?;
    nothing_stopped(&pipeline, &mut sink).await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
