//! A sink that reads Avro, whose schemas a registry has.

use std::time::Duration;

use serde_json::json;
use stack::process::Process;
use stack::registry::Registry;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker, program};

use super::pipeline::Pipeline;

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE kinds (id bigint PRIMARY KEY, b boolean, i2 smallint DEFAULT 7, f4 real, f8 double precision, n numeric(10, 2), any_scale numeric, t text DEFAULT 'd',
        u uuid, jb jsonb, by bytea, d date, ts timestamp, tz timestamptz, ti time, arr int[], tags text[], mood mood, p point, bits bit(5));
    CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (a, b));
    CREATE TABLE bare (v text, n int);
    ALTER TABLE bare REPLICA IDENTITY FULL";

const ROWS: &str = "
    INSERT INTO kinds VALUES (1, true, 1, 1.5, 'NaN', 12.34, 1.23456789, 'text', '6f4ad1e6-0a1b-4c6e-9d3c-1f2e3d4c5b6a', '{\"b\": [1, 2]}',
        '\\x00ff', '2024-02-29', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+02', '12:34:56.789012', '{1,2,NULL}',
        '{a,\"b,c\",NULL}', 'bad', '(1.5,2)', B'10011'), (-3, false, -7, -1.5, '-Infinity', -12.34, -1e-30, '', NULL, NULL, '', '1960-02-29', '0099-01-02 03:04:05', NULL, '00:00:00', '{-1}', '{}', NULL, NULL, NULL),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    BEGIN; INSERT INTO pairs SELECT n, 'b' || n, 'v' FROM generate_series(1, 300) n; INSERT INTO bare SELECT 'x', n % 3 FROM generate_series(1, 20) n; COMMIT;
    UPDATE pairs SET b = 'other' WHERE a = 5; DELETE FROM pairs WHERE a % 7 = 0; UPDATE bare SET v = 'y' WHERE n = 2; TRUNCATE pairs;
    INSERT INTO pairs VALUES (1, 'é \"', repeat('long ', 2000)); UPDATE pairs SET a = 2";

fn connector(pipeline: &Pipeline, registry: &Registry, more: &[(&str, &str)]) -> anyhow::Result<std::path::PathBuf> {
    let mut settings = vec![
        ("provide.transaction.metadata", "true"),
        ("key.converter", AVRO),
        ("key.converter.schema.registry.url", registry.url()),
        ("value.converter", AVRO),
        ("value.converter.schema.registry.url", registry.url()),
        ("value.converter.ignore.default.for.nullables", "true"),
    ];
    settings.extend(more);
    let file = pipeline.directory.path().join("avro.json");
    std::fs::write(&file, json!({ "name": pipeline.name, "config": pipeline.connector(&settings)? }).to_string())?;
    Ok(file)
}

async fn becomes_equal(
    pipeline: &Pipeline,
    worker: Worker,
    registry: &Registry,
    mode: &'static str,
) -> anyhow::Result<()> {
    pipeline.run(TABLES).await?;
    let file = connector(pipeline, registry, &[])?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| {
        settings.connector = Some(file);
        settings.environment.push(("SINK_MODE", mode.to_owned()));
    })?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run(ROWS).await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_avro_comes_back_in_whole_transactions() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro_sink").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    let worker = pipeline.streamer().await?;
    becomes_equal(&pipeline, worker, &registry, "transaction").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_avro_comes_back_table_by_table_and_waits_for_its_registry() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro_tables").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let worker = pipeline.streamer().await?;
    let file = connector(&pipeline, &registry, &[])?;
    let start = |port: u16| {
        let file = file.clone();
        pipeline.sink_with(&worker, move |settings| {
            settings.connector = Some(file);
            settings.port = port;
            settings.environment.push(("SINK_MODE", "table".to_owned()));
        })
    };
    let (mut sink, _) = start(stack::ports::free()?)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (1, 'one')").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    // A sink that knows no schema yet, and whose registry is away.
    pipeline.run("INSERT INTO t VALUES (2, 'two')").await?;
    registry.into_process().stop().await?;
    let port = stack::ports::free()?;
    let (sink, _) = start(port)?;
    wait_until("the sink to say what it waits for", Duration::from_secs(60), async || {
        let said = Rest::new(port)
            .get("/health")
            .await
            .map_or_else(|error| error.to_string(), |(_, health)| health.to_string());
        Ok(if said.contains("no schema registry answers") { Condition::Met(()) } else { Condition::NotYet(said) })
    })
    .await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_that_the_converter_would_replace_is_refused_before_anything_is_copied() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro_nulls").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    let worker = pipeline.streamer().await?;
    let file = connector(&pipeline, &registry, &[("value.converter.ignore.default.for.nullables", "false")])?;
    let (sink, _) = pipeline.sink_with(&worker, |settings| settings.connector = Some(file))?;
    let said = sink.wait_refusal().await?;
    anyhow::ensure!(said.contains("value.converter.ignore.default.for.nullables must be true"), "{said}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jdbc_sink_connector_makes_its_tables_of_avro() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro_jdbc").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, n numeric(10, 2), at timestamp, v text DEFAULT 'd'); INSERT INTO t VALUES (1, 1.5, '2024-02-29 01:02:03.4', 'v')").await?;
    let worker = pipeline.streamer().await?;
    let file = connector(&pipeline, &registry, &[("snapshot.mode", "initial")])?;
    let config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let (status, answer) =
        worker.rest().put(&format!("/connectors/{}/config", pipeline.name), &config["config"]).await?;
    anyhow::ensure!(status == 201, "{status} {answer}");
    let url = pipeline.target_url();
    let server =
        url.split(['@', '/']).find(|part| part.contains(':') && !part.contains("postgres")).unwrap_or_default();
    let config = json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": pipeline.topic("t"), "insert.mode": "upsert",
        "connection.url": format!("jdbc:postgresql://{server}/{}", pipeline.name), "connection.username": "postgres",
        "connection.password": "postgres", "primary.key.mode": "record_key", "delete.enabled": "true", "schema.evolution": "basic",
        "collection.name.format": "${source.table}", "key.converter": AVRO, "key.converter.schema.registry.url": registry.url(),
        "value.converter": AVRO, "value.converter.schema.registry.url": registry.url(),
    });
    let file = pipeline.directory.path().join("jdbc.json");
    std::fs::write(&file, json!({ "name": pipeline.name, "config": config }).to_string())?;
    let mut command = std::process::Command::new(program("sink")?);
    command.arg("jdbc").arg("--connector").arg(&file).args(["--bootstrap-servers", &pipeline.kafka]);
    command.args(["--http-listen", &format!("127.0.0.1:{}", stack::ports::free()?)]);
    let sink = Process::start("sink", command, &pipeline.directory.path().join("sink.log"), "TERM")?;
    wait_until("the table", Duration::from_secs(60), async || {
        let there = pipeline.target().await?.query_one("SELECT to_regclass('t') IS NOT NULL", &[]).await?.get(0);
        Ok(if there { Condition::Met(()) } else { Condition::NotYet(sink.output()) })
    })
    .await?;
    pipeline
        .run("INSERT INTO t VALUES (2, NULL, NULL, 'two'), (3, 3, now(), 'three'); DELETE FROM t WHERE id = 3")
        .await?;
    pipeline
        .target_has(
            "SELECT string_agg(t::text, ' ' ORDER BY id) FROM t",
            "(1,1.50,\"2024-02-29 01:02:03.4\",v) (2,,,two)",
        )
        .await?;
    sink.stop().await?;
    worker.into_process().stop().await
}
