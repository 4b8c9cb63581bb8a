//! Tables without a key, whose rows are told by all that is in them; and sequences, whose values come in no change.

use super::pipeline::Pipeline;
use stack::sink::Sink;
use stack::worker::Worker;

/// A table whose rows can be the same, of types that have no equality among them.
const TABLE: &str =
    "CREATE TABLE t (n int, v text, j json, p point, x xml, a int[], d numeric(8, 2), f float8, c char(5));
    ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL";

const ROW: &str =
    r#"n, repeat('long ' || n, 900), '{"a":  1}', point(1.5, n), '<a>b</a>', ARRAY[n, NULL], n / 3.0, n / 7.0, 'ab'"#;

async fn started(name: &str, mode: &str) -> anyhow::Result<(Pipeline, Worker, Sink)> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run(TABLE).await?;
    pipeline.run(&format!("INSERT INTO t SELECT {ROW} FROM generate_series(1, 5) n, generate_series(1, 3)")).await?;
    let worker = pipeline.streamer().await?;
    let file = pipeline.directory.path().join("with-metadata.json");
    let config = pipeline.connector(&[("provide.transaction.metadata", "true")])?;
    std::fs::write(&file, serde_json::json!({ "name": name, "config": config }).to_string())?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| {
        settings.connector = Some(file);
        settings.environment.push(("SINK_MODE", mode.to_owned()));
    })?;
    sink.wait_complete(1, |_| {}).await?;
    Ok((pipeline, worker, sink))
}

/// Changes some of rows that are the same, and of those that came in the same batch.
async fn change(pipeline: &Pipeline) -> anyhow::Result<()> {
    for sql in [
        &format!("INSERT INTO t SELECT {ROW} FROM generate_series(4, 9) n, generate_series(1, 30)"),
        "UPDATE t SET f = 0 WHERE ctid IN (SELECT ctid FROM t WHERE n = 4 LIMIT 7)",
        "UPDATE t SET v = NULL, a = '{}' WHERE ctid IN (SELECT ctid FROM t WHERE n = 5 LIMIT 4)",
        "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE n = 6 LIMIT 11)",
        "BEGIN; INSERT INTO t (n) VALUES (77), (77), (77); DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE n = 77);
         UPDATE t SET n = 78 WHERE ctid = (SELECT min(ctid) FROM t WHERE n = 77); COMMIT",
        "DELETE FROM t WHERE n = 9",
    ] {
        pipeline.run(sql).await?;
    }
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM t WHERE n = 77", "1").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_the_same_are_as_many_as_in_the_source() -> anyhow::Result<()> {
    for (name, mode) in [("keyless_whole", "transaction"), ("keyless_table", "table")] {
        let (pipeline, worker, sink) = started(name, mode).await?;
        change(&pipeline).await?;
        // A change of a row that is not there is none of the source's any more: it is said, and what is behind it goes on.
        pipeline.target().await?.batch_execute("DELETE FROM t WHERE n = 78").await?;
        pipeline.run("DELETE FROM t WHERE n = 78; INSERT INTO t (n) VALUES (80)").await?;
        pipeline.target_has("SELECT count(*) FROM t WHERE n = 80", "1").await?;
        pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "1").await?;
        pipeline.equal().await?;
        sink.into_process().stop().await?;
        worker.into_process().stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_streamer_publishes_twice_is_inserted_once() -> anyhow::Result<()> {
    let (pipeline, mut worker, sink) = started("keyless_twice", "transaction").await?;
    for round in 0..3 {
        for n in 0..40 {
            pipeline.run(&format!("INSERT INTO t (n, v) VALUES ({n}, 'round {round}')")).await?;
        }
        pipeline.target_has(&format!("SELECT count(*) > 0 FROM t WHERE v = 'round {round}'"), "true").await?;
        worker.into_process().kill();
        worker = pipeline.streamer().await?;
    }
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_where_the_sources_are() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sequences").await?;
    pipeline
        .run(
            "CREATE TABLE t (id bigserial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);
             CREATE SEQUENCE \"Down \"\"now\" INCREMENT -5; CREATE SEQUENCE unused; INSERT INTO t DEFAULT VALUES",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT FROM generate_series(1, 10); SELECT nextval('\"Down \"\"now\"')").await?;
    let last = "SELECT string_agg(sequencename || ' ' || last_value, ', ' ORDER BY sequencename) FROM pg_sequences";
    pipeline.source_has(last, "Down \"now -1, t_id_seq 11, t_n_seq 11").await?;
    pipeline.target_has(last, "Down \"now -1, t_id_seq 11, t_n_seq 11").await?;
    // Never back, and the last ones at the end.
    pipeline.target().await?.batch_execute("SELECT setval('t_id_seq', 100)").await?;
    pipeline.run("SELECT nextval('unused')").await?;
    sink.into_process().stop().await?;
    pipeline.target_has(last, "Down \"now -1, t_id_seq 100, t_n_seq 11, unused 1").await?;
    worker.into_process().stop().await
}
