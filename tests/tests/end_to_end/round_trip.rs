//! Every type in every mode comes back as it was: random rows of all of them through streamer and sink.

use anyhow::Context as _;
use serde_json::{Value, json};
use stack::random::RoundTrip;
use stack::topic;

use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// How many changes of rows there are.
const CHANGES: usize = 400;

const UNWRAP: [(&str, &str); 2] =
    [("transforms", "unwrap"), ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState")];
const SCHEMAS: [(&str, &str); 2] =
    [("key.converter.schemas.enable", "true"), ("value.converter.schemas.enable", "true")];

/// A running sink under a connector with these settings.
async fn start(
    pipeline: &Pipeline,
    settings: &[(&str, &str)],
) -> anyhow::Result<(stack::worker::Worker, stack::sink::Sink)> {
    let worker = pipeline.streamer().await?;
    let file = pipeline.directory.path().join("round-trip.json");
    let connector = json!({ "name": pipeline.name, "config": pipeline.connector(settings)? });
    std::fs::write(&file, connector.to_string())?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| settings.connector = Some(file))?;
    sink.wait_complete(1, |_| {}).await?;
    Ok((worker, sink))
}

async fn comes_back(name: &str, seed: u64, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    let pipeline = Pipeline::new(name).await?;
    let mut rows = RoundTrip::new(seed, settings);
    pipeline.run(&rows.create()).await?;
    let (worker, mut sink) = start(&pipeline, settings).await?;
    let source = pipeline.source().await?;
    let mut changed = 0;
    while changed < CHANGES {
        let sql = rows.change();
        match source.batch_execute(&sql).await {
            Ok(()) => changed += 1,
            // A value that is rounded beyond its type's range is no value.
            Err(error) if error.code().is_some_and(|code| code.code().starts_with("22")) => {}
            Err(error) => return Err(error).with_context(|| sql),
        }
    }
    pipeline.source_has("SELECT count(*) > 20 FROM whole", "true").await?;
    pipeline.source_has("SELECT count(*) > 20 FROM keyed", "true").await?;
    if let Err(differ) = pipeline.equal().await {
        let reasons = "SELECT DISTINCT reason FROM headwater.set_aside ORDER BY 1";
        let reasons = pipeline.target().await?.query(reasons, &[]).await?;
        let reasons: Vec<String> = reasons.iter().map(|row| row.get(0)).collect();
        return Err(differ).context(format!("set aside: {reasons:#?}"));
    }
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;

    let mark = settings.iter().find(|(key, _)| *key == "unavailable.value.placeholder").map(|(_, value)| *value);
    let mark = match mark {
        Some("hex:00ff41") => "\0\u{fffd}A",
        Some(text) => text,
        None => "__debezium_unavailable_value",
    };
    let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &pipeline.topic("keyed")))?;
    let left_out = records.iter().filter(|record| has(&record.value, mark)).count();
    assert!(left_out > 0, "no TOASTed value was left out, so nothing was seen of how it stays");
    sink.process().check_running()?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

/// Whether a text is anywhere in a value.
fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(values) => values.iter().any(|value| has(value, text)),
        Value::Object(fields) => fields.values().any(|value| has(value, text)),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_debeziums_own_modes() -> anyhow::Result<()> {
    comes_back("own_modes", 1, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_texts_with_schemas() -> anyhow::Result<()> {
    let settings = [
        ("decimal.handling.mode", "string"),
        ("time.precision.mode", "isostring"),
        ("interval.handling.mode", "string"),
        ("binary.handling.mode", "hex"),
        ("hstore.handling.mode", "map"),
        ("include.unknown.datatypes", "true"),
        SCHEMAS[0],
        SCHEMAS[1],
    ];
    comes_back("texts_schemas", 2, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_exact_fidelity_whatever_was_not_sent_stays() -> anyhow::Result<()> {
    let settings = [
        ("headwater.value.fidelity", "exact"),
        ("decimal.handling.mode", "string"),
        ("time.precision.mode", "microseconds"),
        ("interval.handling.mode", "string"),
        ("binary.handling.mode", "base64"),
        ("include.unknown.datatypes", "true"),
        ("unavailable.value.placeholder", "__gone__"),
    ];
    comes_back("exact_base64", 3, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_nanoseconds_with_a_placeholder_of_bytes() -> anyhow::Result<()> {
    let settings = [
        ("headwater.value.fidelity", "exact"),
        ("decimal.handling.mode", "string"),
        ("time.precision.mode", "nanoseconds"),
        ("interval.handling.mode", "string"),
        ("binary.handling.mode", "base64-url-safe"),
        ("hstore.handling.mode", "map"),
        ("unavailable.value.placeholder", "hex:00ff41"),
        SCHEMAS[0],
        SCHEMAS[1],
    ];
    comes_back("nanoseconds", 4, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_connect_and_doubles_keep() -> anyhow::Result<()> {
    let settings = [
        ("decimal.handling.mode", "double"),
        ("time.precision.mode", "connect"),
        ("money.fraction.digits", "4"),
        ("value.converter.decimal.format", "NUMERIC"),
    ];
    comes_back("connect_doubles", 5, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn decimals_as_numbers_of_json() -> anyhow::Result<()> {
    let settings = [
        ("time.precision.mode", "adaptive_time_microseconds"),
        ("money.fraction.digits", "4"),
        ("include.unknown.datatypes", "true"),
        ("key.converter.decimal.format", "NUMERIC"),
        ("value.converter.decimal.format", "NUMERIC"),
        SCHEMAS[0],
        SCHEMAS[1],
    ];
    comes_back("json_numbers", 6, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_envelope() -> anyhow::Result<()> {
    let settings = [UNWRAP.as_slice(), &[("time.precision.mode", "adaptive_time_microseconds")]].concat();
    comes_back("unwrapped", 7, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_envelope_but_with_schemas_and_deletes_as_tombstones() -> anyhow::Result<()> {
    let settings = [
        UNWRAP.as_slice(),
        &SCHEMAS,
        &[
            ("transforms.unwrap.delete.tombstone.handling.mode", "delete-to-tombstone"),
            ("transforms.unwrap.add.fields", "op,table,source.ts_ms"),
        ],
    ]
    .concat();
    comes_back("unwrapped_schemas", 8, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_envelope_and_with_deletes_rewritten() -> anyhow::Result<()> {
    let settings = [
        UNWRAP.as_slice(),
        &[
            ("transforms.unwrap.delete.tombstone.handling.mode", "rewrite-with-tombstone"),
            ("transforms.unwrap.replace.null.with.default", "false"),
            ("transforms.unwrap.add.fields", "op:operation,lsn"),
            ("transforms.unwrap.add.fields.prefix", "_"),
            ("decimal.handling.mode", "string"),
            ("time.precision.mode", "isostring"),
            ("interval.handling.mode", "string"),
            ("binary.handling.mode", "hex"),
            ("hstore.handling.mode", "map"),
        ],
    ]
    .concat();
    comes_back("rewritten", 9, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_its_envelope_is_of_its_topics_table_whatever_its_name() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("unwrapped_names").await?;
    let table = "\"two words.größe\"";
    pipeline
        .run(&format!("CREATE TABLE {table} (\"schema\" int PRIMARY KEY, \"payload\" text, __deleted bool)"))
        .await?;
    let (worker, sink) = start(&pipeline, &UNWRAP).await?;
    pipeline
        .run(&format!(
            "INSERT INTO {table} SELECT i, 'v' || i, i % 2 = 0 FROM generate_series(1, 50) i;
             UPDATE {table} SET payload = NULL WHERE \"schema\" = 7;
             UPDATE {table} SET \"schema\" = 70 WHERE \"schema\" = 8;
             DELETE FROM {table} WHERE \"schema\" = 9"
        ))
        .await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_computed_or_always_identities_are_as_in_the_source() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("always_identities").await?;
    pipeline
        .run(
            "CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
             CREATE TABLE computed (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
             CREATE TABLE keyed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text UNIQUE, long text);
             CREATE TABLE counted (id int PRIMARY KEY, v text, n bigint GENERATED ALWAYS AS IDENTITY, long text);
             ALTER TABLE keyed ALTER long SET STORAGE EXTERNAL;
             ALTER TABLE counted ALTER long SET STORAGE EXTERNAL",
        )
        .await?;
    let (worker, sink) = start(&pipeline, &[("signal.data.collection", "public.signals")]).await?;
    pipeline
        .run(
            "INSERT INTO computed SELECT i, i FROM generate_series(1, 30) i;
             INSERT INTO keyed (v, long) SELECT 'v' || i, repeat('long', 1000) FROM generate_series(1, 30) i;
             INSERT INTO counted (id, v, long) SELECT i, 'v' || i, repeat('long', 1000) FROM generate_series(1, 30) i",
        )
        .await?;
    pipeline.equal().await?;
    // Rows that are there, whose long values are not sent; each statement by itself, so that none makes another needless.
    for sql in [
        "UPDATE keyed SET v = 'changed' WHERE id = 3",
        "UPDATE keyed SET id = DEFAULT WHERE id = 4",
        "UPDATE keyed SET id = DEFAULT, v = 'both' WHERE id = 5",
        "UPDATE counted SET v = 'changed' WHERE id = 3",
        "UPDATE counted SET n = DEFAULT WHERE id = 4",
        "UPDATE counted SET n = DEFAULT, long = 'short' WHERE id = 5",
        "UPDATE counted SET id = 60, n = DEFAULT WHERE id = 6",
        "UPDATE computed SET a = 100 WHERE id = 3",
        "DELETE FROM counted WHERE id = 7; INSERT INTO counted (id, v) VALUES (7, 'again')",
    ] {
        pipeline.run(sql).await?;
        pipeline.equal().await?;
    }
    // Records of a snapshot have what is computed; those of the stream have not.
    let before = wait_records(&pipeline, "computed", 31).await?.len();
    let data = json!({ "data-collections": ["public.computed", "public.counted"], "type": "incremental" });
    let signal = "INSERT INTO signals VALUES ('1', 'execute-snapshot', $1)";
    pipeline.source().await?.execute(signal, &[&data.to_string()]).await?;
    let records = wait_records(&pipeline, "computed", before + 30).await?;
    assert!(records.iter().any(|record| record.value["after"]["twice"] == 200), "no record has the computed column");
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
