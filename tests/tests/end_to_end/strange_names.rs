//! Names that would do something else if one of them were ever put into SQL without quotes.

use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// What a name is followed by in SQL, as its own text.
const TABLE: &str = r#""; DROP TABLE canary; --"#;
const SCHEMA: &str = r#"s'"; DROP TABLE canary; --"#;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_named_as_an_attack_is_a_table() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("strange").await?;
    let (schema, name) = (quoted(SCHEMA), quoted(TABLE));
    let (id, note) = (quoted(r#"id"), (1); DROP TABLE canary; --"#), quoted(r"$1 \ ' note"));
    let columns = format!("({id} int PRIMARY KEY, {note} text)");
    pipeline
        .run(&format!(
            "CREATE TABLE canary (id int PRIMARY KEY);
             INSERT INTO canary VALUES (1);
             CREATE SCHEMA {schema};
             CREATE TABLE public.{name} {columns};
             CREATE TABLE {schema}.{name} {columns};
             INSERT INTO public.{name} VALUES (1, 'copied'), (2, NULL);
             INSERT INTO {schema}.{name} VALUES (1, 'copied');
             CREATE TABLE signals (id text PRIMARY KEY, type text, data text)"
        ))
        .await?;
    let streamer = pipeline.streamer().await?;
    let changes = [
        ("schema.include.list", ".*"),
        ("publication.name", r#"p'"; DROP TABLE canary; --"#),
        ("publication.autocreate.mode", "filtered"),
        ("signal.data.collection", "public.signals"),
    ];
    let file = pipeline.directory.path().join("strange.json");
    let connector = serde_json::json!({ "name": pipeline.name, "config": pipeline.connector(&changes)? });
    std::fs::write(&file, connector.to_string())?;
    let (mut sink, _) = pipeline.sink_with(&streamer, |settings| settings.connector = Some(file))?;
    sink.wait_complete(1, |_| {}).await?;

    for table in [format!("public.{name}"), format!("{schema}.{name}")] {
        pipeline
            .run(&format!(
                "INSERT INTO {table} VALUES (10, 'streamed'), (11, 'streamed'), (12, 'to go');
                 UPDATE {table} SET {note} = 'changed' WHERE {id} = 10;
                 UPDATE {table} SET {id} = 13 WHERE {id} = 11;
                 DELETE FROM {table} WHERE {id} = 12;
                 ALTER TABLE {table} REPLICA IDENTITY FULL;
                 UPDATE {table} SET {note} = NULL WHERE {id} = 1"
            ))
            .await?;
    }
    pipeline.equal().await?;
    pipeline.run(&format!("TRUNCATE {schema}.{name}")).await?;
    pipeline.equal().await?;

    let topic = "___DROP_TABLE_canary__--";
    let before = wait_records(&pipeline, topic, 10).await?.len();
    let data = serde_json::json!({ "data-collections": [format!("\"public\".{name}")], "type": "incremental" });
    pipeline
        .source()
        .await?
        .execute("INSERT INTO signals VALUES ('1', 'execute-snapshot', $1)", &[&data.to_string()])
        .await?;
    wait_records(&pipeline, topic, before + 4).await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM canary", "1").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    sink.into_process().stop().await?;
    streamer.into_process().stop().await
}
