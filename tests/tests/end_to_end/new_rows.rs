//! Many new rows at once go into the target by COPY, and come to the same as upserts.

use super::pipeline::Pipeline;

/// What COPY's text format writes in another way, or reads as something else.
const TEXTS: &str =
    r"ARRAY[E'a\tb', E'a\nb', E'a\r\nb', E'\\', E'\\N', E'\\.', E'a\\tb', '', NULL, 'ünïcödé 🚀', E'\x01']";

/// Notes how rows come into `t` in the target, by the statement's first word.
async fn note_statements(pipeline: &Pipeline) -> anyhow::Result<()> {
    let target = pipeline.target().await?;
    target
        .batch_execute(
            "CREATE TABLE headwater.seen (n bigserial, word text);
             CREATE FUNCTION headwater.see() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO headwater.seen (word) VALUES (split_part(current_query(), ' ', 1)); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT OR UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION headwater.see();
             ALTER TABLE t ENABLE ALWAYS TRIGGER see",
        )
        .await?;
    Ok(())
}

/// A running sink whose target notes statements, and 300 rows that were inserted meanwhile.
async fn with_new_rows(name: &str) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(8, 2), s varchar(20), b bytea)").await?;
    Ok(pipeline)
}

async fn insert(pipeline: &Pipeline, from: u32) -> anyhow::Result<()> {
    let to = from + 299;
    pipeline
        .run(&format!(
            r"INSERT INTO t SELECT i, ({TEXTS})[1 + i % 11], i / 7.0, ({TEXTS})[1 + i % 7], E'\\x0009ff5c' FROM generate_series({from}, {to}) i"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_rows_with_all_that_copy_escapes_reach_the_target() -> anyhow::Result<()> {
    let pipeline = with_new_rows("new_rows").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    note_statements(&pipeline).await?;
    insert(&pipeline, 1).await?;
    pipeline.target_has("SELECT count(*) FROM t", "300").await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) > 0 FROM headwater.seen WHERE word = 'COPY'", "true").await?;

    // Of what is there only the rest is written, whichever way it came.
    pipeline.run("UPDATE t SET v = 'new' WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0").await?;
    pipeline.run("DELETE FROM t WHERE id = 1; INSERT INTO t (id, v) VALUES (1, 'once more')").await?;
    insert(&pipeline, 301).await?;
    pipeline.target_has("SELECT count(*) FROM t", "540").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_that_are_there_already_are_written_as_upserts() -> anyhow::Result<()> {
    let pipeline = with_new_rows("new_rows_again").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    insert(&pipeline, 1).await?;
    pipeline.target_has("SELECT count(*) FROM t", "300").await?;
    note_statements(&pipeline).await?;

    // Everything comes once more, to rows that are there, changed or gone.
    let target = pipeline.target().await?;
    target.batch_execute("UPDATE t SET v = 'other' WHERE id < 100; DELETE FROM t WHERE id > 200").await?;
    target.batch_execute("UPDATE headwater.offsets SET next_offset = 0 WHERE topic LIKE '%.public.t'").await?;
    pipeline.run("INSERT INTO t VALUES (301, 'last')").await?;
    pipeline.target_has("SELECT count(*) FROM t", "301").await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    pipeline.target_has("SELECT count(*) > 0 FROM headwater.seen WHERE word = 'INSERT'", "true").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_row_that_the_target_does_not_take_is_set_aside_and_its_neighbours_are_written() -> anyhow::Result<()> {
    let pipeline = with_new_rows("new_rows_refused").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.target().await?.batch_execute("ALTER TABLE t ADD CHECK (id <> 77)").await?;
    insert(&pipeline, 1).await?;
    pipeline.target_has("SELECT count(*) FROM t", "299").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "1").await
}
