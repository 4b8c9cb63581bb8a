//! A JDBC sink connector's configuration, run by Debezium's connector and by ours.

mod both;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use stack::wait::{Condition, wait_until};
use stack::worker::program;

use self::both::{Both, TABLES, rows, says};
use super::pipeline::Pipeline;

const TYPES: &str = "
    CREATE TABLE kinds (id bigint PRIMARY KEY, b boolean, i2 smallint DEFAULT 7, i4 integer NOT NULL DEFAULT 0, i8 bigint, f4 real,
        f8 double precision, n numeric(10, 2) DEFAULT 1.5, n0 numeric(20, 0), t text DEFAULT 'it''s', v varchar(20), c char(3), u uuid, j json, jb jsonb, x xml,
        by bytea, d date, ts timestamp, ts3 timestamp(3), tz timestamptz, ti time, tt timetz, ip inet, arr int[], tags text[]);
    INSERT INTO kinds VALUES (1, true, 1, 2, 3, 1.5, 2.25, 12.34, 12345678901234567890, 'text', 'va', 'abc',
        '6f4ad1e6-0a1b-4c6e-9d3c-1f2e3d4c5b6a', '{\"a\": 1}', '{\"b\": [1, 2]}', '<a/>', '\\x00ff', '2024-02-29', '2024-02-29 12:34:56.789012',
        '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789012+02', '12:34:56.789012', '12:34:56.789012+02', '10.0.0.1', '{1,2,NULL}', '{a,\"b,c\"}');
    INSERT INTO kinds (id, i4) VALUES (2, 5);
    CREATE TABLE \"MixedCase\" (\"Id\" int, part text, \"SomeValue\" text, PRIMARY KEY (\"Id\", part));
    INSERT INTO \"MixedCase\" SELECT n, 'p' || n % 3, 'v' || n FROM generate_series(1, 50) n";

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_rows_are_as_debeziums_connector_makes_them() -> anyhow::Result<()> {
    are_the_same("jdbc_same", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_as_debeziums_connector_makes_them_where_records_say_what_the_source_has() -> anyhow::Result<()> {
    are_the_same("jdbc_source_types", &[("column.propagate.source.type", ".*")]).await
}

async fn are_the_same(name: &str, source: &[(&str, &str)]) -> anyhow::Result<()> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run(TYPES).await?;
    let mut both = Both::start(pipeline, source, &[("collection.name.format", "t_${source.table}")]).await?;
    both.start_theirs().await?;
    both.start_ours()?;
    both.both_have("SELECT count(*) FROM t_kinds", "2").await?;
    both.both_have("SELECT count(*) FROM t_mixedcase", "50").await?;
    both.same(TABLES).await?;
    both.pipeline
        .run(
            "UPDATE kinds SET t = 'changed', arr = '{}' WHERE id = 2; DELETE FROM \"MixedCase\" WHERE \"Id\" % 7 = 0;
             ALTER TABLE kinds ADD COLUMN more text; UPDATE kinds SET more = 'm' WHERE id = 1",
        )
        .await?;
    both.both_have("SELECT more FROM t_kinds WHERE id = 1", "m").await?;
    both.both_have("SELECT count(*) FROM t_mixedcase", "43").await?;
    both.same(TABLES).await?;
    both.same(&rows("t_kinds")).await?;
    both.same(&rows("t_mixedcase")).await?;
    both.pipeline.run("TRUNCATE \"MixedCase\"; INSERT INTO \"MixedCase\" VALUES (1, 'p', 'new')").await?;
    both.both_have("SELECT string_agg(somevalue, ',') FROM t_mixedcase", "new").await?;
    // Of another key Debezium's connector dies: the header that says it has no schema.
    both.pipeline.run("UPDATE \"MixedCase\" SET part = 'other', \"SomeValue\" = 'moved'").await?;
    both.ours_has("SELECT string_agg(part || somevalue, ',') FROM t_mixedcase", "othermoved").await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_of_keys_and_inserts_writes_what_debeziums_connector_writes() -> anyhow::Result<()> {
    for (number, (sink, tables)) in [
        // A history: a row for each record, told from others by where it stands in Kafka.
        (
            vec![("primary.key.mode", "kafka"), ("insert.mode", "insert"), ("delete.enabled", "false")],
            "",
        ),
        (
            vec![("primary.key.mode", "none"), ("insert.mode", "insert"), ("delete.enabled", "false"), ("quote.identifiers", "true"),
                 ("field.exclude.list", "secret")],
            "",
        ),
        (
            vec![("primary.key.mode", "record_value"), ("primary.key.fields", "id"), ("delete.enabled", "false"),
                 ("collection.name.format", "${source.schema}.x_${source.table}_${source.db}")],
            "",
        ),
        // Each record a row, and a delete takes all of its key's that came before it.
        (
            vec![("insert.mode", "insert"), ("schema.evolution", "none")],
            "CREATE TABLE a (id int, v text, secret text)",
        ),
        // Where deletes are applied too, Debezium's connector dies of tombstones, whose keys keep their fields' names.
        (
            vec![
                ("delete.enabled", "false"),
                ("quote.identifiers", "true"),
                ("transforms", "a"),
                ("transforms.a.type", "io.debezium.connector.jdbc.transforms.FieldNameTransformation"),
                ("transforms.a.column.naming.style", "UPPER_CASE"),
                ("transforms.a.column.naming.prefix", "p_"),
            ],
            "",
        ),
        // Rows that are not there are none of what is written.
        (
            vec![("insert.mode", "update"), ("schema.evolution", "none"), ("field.include.list", "id,v")],
            "CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'before'), (3, 'before'), (9, 'before')",
        ),
        (
            vec![("collection.name.format", "${topic}"), ("transforms", "a,b,c"),
                 ("transforms.a.type", "org.apache.kafka.connect.transforms.RegexRouter"),
                 ("transforms.a.regex", "jdbc_modes_\\d\\.public\\.(.*)"), ("transforms.a.replacement", "routed.$1"),
                 ("transforms.b.type", "io.debezium.connector.jdbc.transforms.CollectionNameTransformation"),
                 ("transforms.b.collection.naming.style", "snake_case"), ("transforms.b.collection.naming.suffix", "_end"),
                 ("transforms.c.type", "io.debezium.transforms.ExtractNewRecordState")],
            "",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let pipeline = Pipeline::new(&format!("jdbc_modes_{number}")).await?;
        pipeline
            .run("CREATE TABLE a (id int PRIMARY KEY, v text DEFAULT 'none', secret text); INSERT INTO a VALUES (1, 'one', 's'), (2, 'two', 's')")
            .await?;
        let mut sink = sink;
        if sink.iter().all(|(key, _)| *key != "collection.name.format") {
            sink.push(("collection.name.format", "${source.table}"));
        }
        let mut both = Both::start(pipeline, &[], &sink).await?;
        both.start_theirs_with(tables).await?;
        both.pipeline.target().await?.batch_execute(tables).await?;
        both.start_ours()?;
        both.pipeline.run("INSERT INTO a VALUES (3, 'three', NULL); UPDATE a SET v = v || '!' WHERE id = 1; DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (2, 'again', 's')").await?;
        both.pipeline.run("INSERT INTO a (id, v) VALUES (4, 'the last')").await?;
        // The last one is there, or would be.
        both.pipeline.run("UPDATE a SET v = 'end' WHERE id = 3").await?;
        let all = "SELECT coalesce(string_agg(format('%s %s', c.relname, query_to_xml(format('SELECT * FROM %s ORDER BY 1, 2', c.oid::regclass), false, true, '')), E'\\n' ORDER BY c.relname), '')
            FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
        let ends = "SELECT count(*) FROM (SELECT query_to_xml(format('SELECT * FROM %s', c.oid::regclass), false, true, '')::text AS found
            FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace) AS t WHERE found LIKE '%>end<%'";
        both.both_have(ends, "1").await.with_context(|| format!("{sink:?}"))?;
        both.same(TABLES).await.with_context(|| format!("{sink:?}"))?;
        both.same(all).await.with_context(|| format!("{sink:?}"))?;
        both.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connector_moves_from_kafka_connect_and_back_and_no_row_is_lost_or_written_twice() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_moves").await?;
    pipeline.run("CREATE TABLE events (id bigserial PRIMARY KEY, v text)").await?;
    let settings = [
        ("insert.mode", "insert"),
        ("primary.key.mode", "none"),
        ("delete.enabled", "false"),
        ("consumer.override.auto.offset.reset", "earliest"),
    ];
    let mut both = Both::start(pipeline, &[], &settings).await?;
    let (name, url) = (both.pipeline.name.clone(), both.url(&both.pipeline.name)?);
    let insert = "INSERT INTO events (v) SELECT 'v' FROM generate_series(1, 500)";
    let mut expected = 0;
    for round in 0..2 {
        let theirs = both.connect(&name, &url).await?;
        both.pipeline.run(insert).await?;
        expected += 500;
        both.ours_has("SELECT count(*) FROM events", &expected.to_string()).await.context("in Kafka Connect")?;
        theirs.into_process().stop().await?;
        both.pipeline.run(insert).await?;
        expected += 500;
        both.start_ours()?;
        both.ours_has("SELECT count(*) FROM events", &expected.to_string())
            .await
            .with_context(|| format!("round {round}"))?;
        if let Some(ours) = both.ours.take() {
            ours.stop().await?;
        }
    }
    both.ours_has("SELECT count(DISTINCT id) FROM events", &expected.to_string()).await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_only_inserted_are_there_once_however_often_the_sink_is_killed() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_killed").await?;
    pipeline.run("CREATE TABLE events (id bigserial PRIMARY KEY, v text)").await?;
    let settings =
        [("insert.mode", "insert"), ("primary.key.mode", "none"), ("delete.enabled", "false"), ("batch.size", "50")];
    let mut both = Both::start(pipeline, &[], &settings).await?;
    for _ in 0..5 {
        both.start_ours()?;
        both.pipeline.run("INSERT INTO events (v) SELECT 'v' FROM generate_series(1, 2000)").await?;
        let before =
            "SELECT coalesce(max(next_offset), 0) > (SELECT count(*) - 2000 FROM events) FROM headwater.offsets";
        // Somewhere in the middle.
        wait_until("the sink to have begun", Duration::from_secs(60), async || {
            let target = both.pipeline.target().await?;
            let begun = target.query_one(before, &[]).await.map(|row| row.get::<_, bool>(0)).unwrap_or_default();
            Ok(if begun { Condition::Met(()) } else { Condition::NotYet("nothing applied".to_owned()) })
        })
        .await?;
        if let Some(ours) = both.ours.take() {
            ours.kill();
        }
    }
    both.start_ours()?;
    both.ours_has("SELECT count(*) || ' ' || count(DISTINCT id) FROM events", "10000 10000").await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_schemas_and_without_envelopes_go_into_a_table_that_is_there() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_bare").await?;
    pipeline.run(TYPES).await?;
    let source = [
        ("key.converter.schemas.enable", "false"),
        ("value.converter.schemas.enable", "false"),
        ("transforms", "unwrap"),
        ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
    ];
    let sink = [
        ("schema.evolution", "none"),
        ("collection.name.format", "${topic}"),
        ("transforms", "route"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", ".*\\.([^.]+)"),
        ("transforms.route.replacement", "$1"),
        ("quote.identifiers", "true"),
        ("topics.regex", "jdbc_bare\\.public\\.kinds"),
    ];
    let mut both = Both::start(pipeline, &source, &sink).await?;
    let table = TYPES.split(';').find(|sql| sql.contains("CREATE TABLE kinds")).context("no table")?;
    let rest = both.start_ours()?;
    says(&rest, "table public.kinds, into which topic").await?;
    both.pipeline.target().await?.batch_execute(table).await?;
    both.ours_has("SELECT count(*) FROM kinds", "2").await?;
    both.pipeline.run("UPDATE kinds SET t = 'changed', ts = NULL WHERE id = 2; INSERT INTO kinds (id, n0, tz) VALUES (3, 7, 'infinity'); DELETE FROM kinds WHERE id = 2; INSERT INTO kinds (id) VALUES (4)").await?;
    let source: String = both.pipeline.source().await?.query_one(&rows("kinds"), &[]).await?.get(0);
    both.ours_has(&rows("kinds"), &source).await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_does_not_take_holds_it_up_or_is_set_aside_and_replayed() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_refused").await?;
    pipeline
        .run("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'fits'), (2, 'too long')")
        .await?;
    pipeline.target().await?.batch_execute("CREATE TABLE a (id int PRIMARY KEY, v varchar(5))").await?;
    let mut both = Both::start(pipeline, &[], &[("schema.evolution", "none")]).await?;
    let rest = both.start_ours()?;
    says(&rest, "errors.tolerance=all").await?;
    if let Some(ours) = both.ours.take() {
        ours.stop().await?;
    }
    both.connector["errors.tolerance"] = json!("all");
    both.connector["errors.deadletterqueue.topic.name"] = json!("jdbc_refused_letters");
    both.start_ours()?;
    both.pipeline.run("INSERT INTO a VALUES (3, 'fits')").await?;
    both.ours_has("SELECT string_agg(id::text, ',' ORDER BY id) FROM a", "1,3").await?;
    both.ours_has("SELECT topic FROM headwater.set_aside", "jdbc_refused/jdbc_refused.public.a").await?;
    both.pipeline.target().await?.batch_execute("ALTER TABLE a ALTER v TYPE text").await?;
    let mut replay = Command::new(program("sink")?);
    replay
        .arg("replay")
        .args(["--target", &both.pipeline.target_url()])
        .arg("--connector")
        .arg(both.file(&both.url(&both.pipeline.name)?)?);
    let output = tokio::task::spawn_blocking(move || replay.output()).await??;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    both.ours_has("SELECT string_agg(v, ',' ORDER BY id) FROM a", "fits,too long,fits").await?;
    both.ours_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_kept_is_refused_with_all_of_its_faults() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_faults").await?;
    let file = pipeline.directory.path().join("bad.json");
    let config = json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.url": "jdbc:mysql://h/d",
        "connection.password": "secret word", "topics": "a", "insert.mode": "upsert",
        "value.converter": "io.confluent.connect.protobuf.ProtobufConverter",
    });
    std::fs::write(&file, json!({ "name": "x", "config": config }).to_string())?;
    let mut command = Command::new(program("sink")?);
    command.arg("jdbc").arg("--connector").arg(&file).args(["--bootstrap-servers", &pipeline.kafka]);
    command.env("SINK_JDBC_BATCH_SIZE", "none");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2), "{said}");
    for fault in ["connection.url", "insert.mode", "value.converter", "batch.size"] {
        ensure!(said.contains(fault), "{fault}: {said}");
    }
    ensure!(!said.contains("secret word"), "{said}");
    Ok(())
}

/// Types whose rows Debezium's connector does not write into such a table.
const HARD: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE hard (id int PRIMARY KEY, bits bit(12), more bit varying, length interval, any_scale numeric, mood mood, p point, m money,
        long numeric(40, 5), tz timestamptz, arr timestamp[], words text[]);
    INSERT INTO hard VALUES (1, B'100000000001', B'101', '1 mon 2 days 03:04:05.678', 12345678901234567890.123456789, 'bad', '(1.5,2)', 12.34,
        12345678901234567890123456789012345.12345, '2024-02-29 12:34:56.789012+02', '{\"2024-02-29 12:34:56.789\"}', '{\"a,b\",NULL}')";

#[tokio::test(flavor = "multi_thread")]
async fn values_of_types_that_stop_debeziums_connector_are_the_sources() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_values").await?;
    pipeline.run(HARD).await?;
    let target = "CREATE TABLE hard (id int PRIMARY KEY, bits bit(12), more bit varying, length interval, any_scale numeric, mood text, p point,
        m numeric, long numeric(40, 5), tz timestamptz, arr timestamp[], words text[])";
    pipeline.target().await?.batch_execute(target).await?;
    let mut both = Both::start(pipeline, &[("interval.handling.mode", "string")], &[]).await?;
    both.start_ours()?;
    let sql = "SELECT row(id, bits, more, length, any_scale, mood::text, p, m::numeric, long, tz, arr, words)::text FROM hard";
    let source: String = both.pipeline.source().await?.query_one(sql, &[]).await?.get(0);
    both.ours_has(sql, &source).await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_go_into_one_plain_table_of_another_name_and_schema() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_parts").await?;
    pipeline
        .run(
            "CREATE TABLE events (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
             CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
             CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
             INSERT INTO events SELECT n, date '2024-12-20' + n, 'v' || n FROM generate_series(1, 30) n",
        )
        .await?;
    pipeline.target().await?.batch_execute("CREATE SCHEMA archive").await?;
    let sink = [
        ("collection.name.format", "${topic}"),
        ("collection.naming.strategy", "io.debezium.sink.naming.PassthroughCollectionNamingStrategy"),
        ("topics.regex", "jdbc_parts\\.public\\.events_.*"),
        ("transforms", "route"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", ".*\\.events_\\d+"),
        ("transforms.route.replacement", "archive.events"),
    ];
    let mut both = Both::start(pipeline, &[], &sink).await?;
    both.start_ours()?;
    both.ours_has("SELECT count(*) FROM archive.events", "30").await?;
    // Into another partition: a delete in one topic, an insert in another.
    both.pipeline
        .run("UPDATE events SET day = '2025-06-01', v = 'moved' WHERE id = 1; DELETE FROM events WHERE id > 25")
        .await?;
    both.pipeline.run("INSERT INTO events VALUES (100, '2024-06-01', 'new')").await?;
    let source: String = both.pipeline.source().await?.query_one(&rows("events"), &[]).await?.get(0);
    both.ours_has(&rows("archive.events"), &source).await?;
    both.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_a_single_value_is_the_column_that_the_configuration_names() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("jdbc_single").await?;
    pipeline.run("CREATE TABLE other (id int PRIMARY KEY)").await?;
    let topic = "jdbc_single_rows";
    stack::topic::create(&pipeline.kafka, topic, 1).await?;
    let value = |v: &str| {
        let schema = json!({ "type": "struct", "optional": false, "fields": [{ "type": "string", "optional": true, "field": "v" }] });
        json!({ "schema": schema, "payload": { "v": v } }).to_string()
    };
    let key = |id: i64| json!({ "schema": { "type": "int64", "optional": false }, "payload": id }).to_string();
    for (id, v) in [(5, "five"), (-6, "six"), (5, "five again")] {
        stack::topic::write(&pipeline.kafka, topic, key(id).as_bytes(), value(v).as_bytes()).await?;
    }
    let sink =
        [("topics", topic), ("topics.regex", ""), ("collection.name.format", "${topic}"), ("primary.key.fields", "id")];
    let mut both = Both::start(pipeline, &[], &sink).await?;
    both.start_ours()?;
    both.ours_has(&rows("jdbc_single_rows"), "(-6,six)\n(5,\"five again\")").await?;
    both.ours_has("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'jdbc_single_rows'::regclass AND attname = 'id'", "bigint").await?;
    both.stop().await
}
