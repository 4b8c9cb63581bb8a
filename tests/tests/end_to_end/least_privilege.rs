//! Roles that may do what is needed and nothing else: those of docs/security.md.

use anyhow::ensure;
use stack::postgres;

use super::pipeline::Pipeline;

/// docs/security.md has the same statements.
const READER: &str = "
    CREATE ROLE least_reader LOGIN PASSWORD 'reader';
    GRANT SELECT ON goods, goods_id_seq TO least_reader;
    CREATE PUBLICATION least FOR TABLE goods";
const WRITER: &str = "
    CREATE ROLE least_writer LOGIN PASSWORD 'writer';
    ALTER DATABASE least OWNER TO least_writer";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_read_one_table_and_one_that_owns_one_database_are_enough() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("least").await?;
    pipeline
        .run(
            "CREATE TABLE goods (id serial PRIMARY KEY, name text);
             CREATE TABLE secrets (id int PRIMARY KEY, secret text);
             INSERT INTO goods (name) VALUES ('copied')",
        )
        .await?;
    pipeline.run(READER).await?;
    pipeline.target().await?.batch_execute(WRITER).await?;
    let streamer = pipeline.streamer().await?;
    let connector = pipeline.connector(&[
        ("database.user", "least_reader"),
        ("database.password", "reader"),
        ("table.include.list", "public.goods"),
        ("publication.autocreate.mode", "disabled"),
    ])?;
    let file = pipeline.directory.path().join("least.json");
    std::fs::write(&file, serde_json::json!({ "name": pipeline.name, "config": connector }).to_string())?;
    let sink = || {
        pipeline.sink_with(&streamer, |settings| {
            settings.source = settings.source.replace("postgres:postgres@", "least_reader:reader@");
            settings.target = settings.target.replace("postgres:postgres@", "least_writer:writer@");
            settings.connector = Some(file.clone());
        })
    };
    // Each right is needed, and asked for by name.
    let said = sink()?.0.wait_refusal().await?;
    ensure!(said.contains("ALTER ROLE \"least_reader\" REPLICATION"), "{said}");
    pipeline.run("ALTER ROLE least_reader REPLICATION").await?;
    let said = sink()?.0.wait_refusal().await?;
    ensure!(said.contains("GRANT SET ON PARAMETER session_replication_role TO \"least_writer\""), "{said}");
    let grant = "GRANT SET ON PARAMETER session_replication_role TO least_writer";
    pipeline.target().await?.batch_execute(grant).await?;

    let (mut sink, _) = sink()?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline
        .run(
            "INSERT INTO goods (name) VALUES ('streamed'), ('to go'); UPDATE goods SET name = 'changed' WHERE id = 1;
             DELETE FROM goods WHERE id = 3; INSERT INTO secrets VALUES (1, 'not for them')",
        )
        .await?;
    pipeline.target_has("SELECT string_agg(id || name, ',' ORDER BY id) FROM goods", "1changed,2streamed").await?;
    pipeline.target_has("SELECT to_regclass('secrets') IS NULL", "true").await?;

    // And it is no more than that.
    let reader =
        postgres::connect(&pipeline.source_url().replace("postgres:postgres@", "least_reader:reader@")).await?;
    for forbidden in ["TABLE secrets", "INSERT INTO goods VALUES (9)", "CREATE TABLE t ()", "DROP PUBLICATION least"] {
        let error =
            reader.batch_execute(forbidden).await.err().map(|error| error.code().map(|code| code.code().to_owned()));
        ensure!(error == Some(Some("42501".to_owned())), "{forbidden}: {error:?}");
    }
    sink.into_process().stop().await?;
    streamer.into_process().stop().await
}
