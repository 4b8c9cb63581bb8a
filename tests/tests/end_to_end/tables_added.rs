//! Tables that come to the connector's list later: their rows are copied while the others go on, and no change of theirs is lost or
//! applied twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use proto::failpoint;
use serde_json::json;
use stack::postgres;
use stack::process::Process;
use stack::sink::{Settings, Sink};
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::crash_windows::crashes;
use super::pipeline::Pipeline;

/// `first` is in the list at once, `second` and `third`, which has no key, and the partitions of `days` later.
const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE first (id bigserial PRIMARY KEY, v text);
    CREATE TABLE second (id bigserial PRIMARY KEY, first bigint REFERENCES first, mood mood DEFAULT 'good', v text);
    CREATE INDEX ON second (v) WHERE mood = 'bad';
    CREATE TABLE third (n int, v text); ALTER TABLE third REPLICA IDENTITY FULL;
    CREATE TABLE days (day date, n int, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    INSERT INTO first (v) SELECT 'first ' || n FROM generate_series(1, 100) n;
    INSERT INTO second (first, v) SELECT n % 100 + 1, repeat('second', 20) FROM generate_series(1, 3000) n;
    INSERT INTO third SELECT n % 20, repeat('third', 20) FROM generate_series(1, 2000) n;
    INSERT INTO days SELECT '2026-01-01'::date + n, n FROM generate_series(1, 25) n";

const LATER: &str = "public.first,public.second,public.third,public.days.*";

fn settings(pipeline: &Pipeline, url: &str, mode: &str, list: &str) -> anyhow::Result<Settings> {
    let mut settings = pipeline.sink_settings(url)?;
    let file = pipeline.directory.path().join("with-list.json");
    let changes = [
        ("provide.transaction.metadata", "true"),
        ("table.include.list", list),
        ("publication.autocreate.mode", "filtered"),
    ];
    let config = pipeline.connector(&changes)?;
    std::fs::write(&file, json!({ "name": pipeline.name, "config": config }).to_string())?;
    settings.connector = Some(file);
    settings.environment.push(("SINK_MODE", mode.to_owned()));
    settings.environment.push(("SINK_COPY_JOBS", "1".to_owned()));
    Ok(settings)
}

/// Who changes all the tables all the time, several in each transaction.
fn load(pipeline: &Pipeline, stop: &CancellationToken) -> Vec<JoinHandle<anyhow::Result<()>>> {
    let user = |number: u64| {
        let (url, stop) = (pipeline.source_url(), stop.clone());
        tokio::spawn(async move {
            let (client, mut random) = (postgres::connect(&url).await?, fastrand::Rng::with_seed(number));
            while !stop.is_cancelled() {
                let n = random.u32(1..=20);
                let sql = format!(
                    "BEGIN; INSERT INTO first (v) VALUES ('new'); INSERT INTO third VALUES ({n}, 'user {number}'), ({n}, 'user {number}');
                     INSERT INTO second (first, v) SELECT max(id), 'new' FROM first;
                     UPDATE second SET mood = 'bad', v = v || '!' WHERE id % 50 = {n} AND length(v) < 300;
                     DELETE FROM third WHERE ctid = (SELECT min(ctid) FROM third WHERE n = {n});
                     DELETE FROM second WHERE id = (SELECT max(id) FROM second WHERE id % 7 = 0);
                     INSERT INTO days VALUES ('2026-01-30', {n}) ON CONFLICT DO NOTHING; DELETE FROM days WHERE n = {n} + 1; COMMIT"
                );
                match client.batch_execute(&sql).await {
                    Ok(()) => {}
                    Err(error) if error.code().is_some_and(|code| code.code().starts_with("40")) => {
                        client.batch_execute("ROLLBACK").await?;
                    }
                    Err(error) => return Err(error).context(sql),
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            Ok(())
        })
    };
    (0..3).map(user).collect()
}

async fn end(stop: &CancellationToken, users: Vec<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    stop.cancel();
    for user in users {
        user.await??;
    }
    Ok(())
}

/// Waits until what is written now is in the target.
async fn goes_on(pipeline: &Pipeline) -> anyhow::Result<()> {
    let newest: i64 = pipeline.source().await?.query_one("SELECT max(id) FROM first", &[]).await?.get(0);
    pipeline.target_has(&format!("SELECT max(id) > {newest} FROM first"), "true").await
}

/// Everything is there as in the source, and nothing was set aside.
async fn whole(pipeline: &Pipeline) -> anyhow::Result<()> {
    pipeline.target_has("SELECT count(*) FROM headwater.copied_tables WHERE state <> 'ready'", "0").await?;
    pipeline.equal().await?;
    super::ddl::same_tables(pipeline).await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.copied_parts WHERE part LIKE 'foreign%'", "0").await
}

async fn comes_later(pipeline: &Pipeline, worker: &Worker, mode: &str) -> anyhow::Result<()> {
    pipeline.run(TABLES).await?;
    let url = worker.rest().url().to_owned();
    let mut sink = Sink::start(pipeline.directory.path(), &settings(pipeline, &url, mode, "public.first")?)?;
    sink.wait_complete(1, |_| {}).await?;
    let (stop, old) = (CancellationToken::new(), pipeline.source().await?);
    let users = load(pipeline, &stop);
    pipeline.target_has("SELECT count(*) > 150 FROM first", "true").await?;
    // What it writes before the list changes, no publication has.
    old.batch_execute("BEGIN; INSERT INTO third VALUES (101, 'old'); INSERT INTO second (v) VALUES ('old')").await?;
    sink.into_process().stop().await?;
    let mut sink = Sink::start(pipeline.directory.path(), &settings(pipeline, &url, mode, LATER)?)?;
    sink.wait_complete(2, |_| {}).await?;
    let process = sink.process();
    wait_until("the copy to wait for the transaction", Duration::from_secs(60), async || {
        let said = process.output();
        let told = said.contains("new tables are copied when the transactions have ended");
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(said) })
    })
    .await?;
    if mode == "table" {
        // The others go on while that one is waited for.
        goes_on(pipeline).await?;
    }
    pipeline.target_has("SELECT to_regclass('second') IS NULL", "true").await?;
    old.batch_execute("INSERT INTO third VALUES (102, 'old'); COMMIT").await?;
    pipeline
        .target_has(
            "SELECT count(*) > 0 FROM headwater.copied_tables WHERE state = 'ready' AND table_name = 'third'",
            "true",
        )
        .await?;
    pipeline.run("INSERT INTO third VALUES (103, 'old')").await?;
    goes_on(pipeline).await?;
    end(&stop, users).await?;
    whole(pipeline).await?;
    pipeline.target_has("SELECT count(*) FROM third WHERE v = 'old'", "3").await?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_to_the_list_are_copied_while_the_others_go_on() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("added_table").await?;
    let worker = pipeline.streamer().await?;
    comes_later(&pipeline, &worker, "table").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_to_the_list_are_copied_beside_whole_transactions() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("added_whole").await?;
    let worker = pipeline.streamer().await?;
    comes_later(&pipeline, &worker, "transaction").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_to_debeziums_list_are_copied() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("added_debezium").await?;
    let worker = pipeline.debezium().await?;
    comes_later(&pipeline, &worker, "table").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_killed_while_it_copies_new_tables_goes_on_with_them() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("added_killed").await?;
    pipeline.run(TABLES).await?;
    let worker = pipeline.streamer().await?;
    let url = worker.rest().url().to_owned();
    let mut sink = Sink::start(pipeline.directory.path(), &settings(&pipeline, &url, "table", "public.first")?)?;
    sink.wait_complete(1, |_| {}).await?;
    sink.into_process().stop().await?;
    let stop = CancellationToken::new();
    let users = load(&pipeline, &stop);
    let list = "public.first,public.second,public.third";
    for place in ["connector-deployed", "table-copied", "table-copied"] {
        let mut command = Sink::command(&settings(&pipeline, &url, "table", list)?)?;
        command.env(failpoint::VARIABLE, place);
        crashes(&mut Process::start("sink", command, &pipeline.directory.path().join("sink.log"), "TERM")?, place)
            .await?;
        pipeline.run("INSERT INTO third VALUES (101, 'between')").await?;
    }
    // A table that changes before it is ready is made anew.
    pipeline.run("ALTER TABLE second ADD COLUMN more int DEFAULT 3").await?;
    let mut sink = Sink::start(pipeline.directory.path(), &settings(&pipeline, &url, "table", list)?)?;
    pipeline
        .target_has("SELECT count(*) FROM headwater.copied_tables WHERE state = 'ready' AND table_name <> 'first'", "2")
        .await?;
    end(&stop, users).await?;
    pipeline.run("DROP TABLE days").await?;
    whole(&pipeline).await?;
    pipeline.target_has("SELECT count(*) FROM third WHERE v = 'between'", "3").await?;
    sink.process().check_running()?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_that_is_not_published_waits_and_says_why() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("added_silent").await?;
    pipeline.run(TABLES).await?;
    pipeline.run("CREATE PUBLICATION added_silent FOR TABLE first").await?;
    let worker = pipeline.streamer().await?;
    let start = |list: &str| -> anyhow::Result<(Sink, u16)> {
        let mut settings = settings(&pipeline, worker.rest().url(), "table", list)?;
        let file = settings.connector.clone().context("no connector")?;
        let text = std::fs::read_to_string(&file)?.replace("\"filtered\"", "\"disabled\"");
        std::fs::write(&file, text)?;
        settings.environment.push(("RUST_LOG", "info".to_owned()));
        Ok((Sink::start(pipeline.directory.path(), &settings)?, settings.port))
    };
    let (mut sink, _) = start("public.first")?;
    sink.wait_complete(1, |_| {}).await?;
    sink.into_process().stop().await?;
    let (mut sink, port) = start("public.first,public.third")?;
    sink.wait_complete(2, |_| {}).await?;
    wait_until("the sink to say what is missing", Duration::from_secs(60), async || {
        let (status, health) = Rest::new(port).get("/health").await?;
        let text = health.to_string();
        let told = status == 503 && text.contains("ADD TABLE");
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(text) })
    })
    .await?;
    pipeline.run("INSERT INTO first (v) VALUES ('meanwhile')").await?;
    pipeline.target_has("SELECT count(*) FROM first WHERE v = 'meanwhile'", "1").await?;
    pipeline.run("ALTER PUBLICATION added_silent ADD TABLE third").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.copied_tables WHERE state = 'ready'", "2").await?;
    pipeline.run("INSERT INTO third VALUES (1, 'after')").await?;
    pipeline.target_has("SELECT count(*) FROM third", "2001").await?;
    wait_until("nothing to stand still", Duration::from_secs(60), async || {
        let (status, health) = Rest::new(port).get("/health").await?;
        Ok(if status == 200 { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    let said = sink.process().output();
    ensure!(!said.contains("panicked"), "{said}");
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
