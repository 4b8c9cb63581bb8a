//! Protobuf with a schema registry, read back by another implementation and held against what the JSON converter writes.

use anyhow::{Context as _, bail};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use serde_json::{Value, json};
use stack::registry::Registry;
use stack::topic;

use super::avro::wait_bytes;
use super::pipeline::Pipeline;

const PROTOBUF: &str = "io.confluent.connect.protobuf.ProtobufConverter";

/// The files that a schema in the registry may import, or need without importing them: Confluent's clients know those.
const KNOWN_FILES: [(&str, &str); 4] = [
    (
        "confluent/meta.proto",
        "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";
         message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
         extend google.protobuf.FieldOptions { Meta field_meta = 1088; }",
    ),
    (
        "confluent/type/decimal.proto",
        "syntax = \"proto3\"; package confluent.type;
         message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
    ),
    (
        "google/type/date.proto",
        "syntax = \"proto3\"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }",
    ),
    (
        "google/type/timeofday.proto",
        "syntax = \"proto3\"; package google.type;
         message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }",
    ),
];

/// One schema of the registry's.
struct Registered(String);

impl FileResolver for Registered {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let known = KNOWN_FILES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source);
        match known.or_else(|| (name == "registered.proto").then_some(self.0.as_str())) {
            Some(source) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn pool(schema: &str) -> anyhow::Result<DescriptorPool> {
    // As Confluent's clients do for a schema with its options.
    let (syntax, rest) = schema.split_once('\n').context("a schema of one line")?;
    let schema = format!("{syntax}\nimport \"confluent/meta.proto\";\n{rest}");
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Registered(schema));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("registered.proto")?;
    Ok(compiler.descriptor_pool())
}

/// A value behind a zero byte, its schema's id and its message's place, which is the first. What is unset is missing.
async fn decoded(registry: &Registry, bytes: &[u8]) -> anyhow::Result<Value> {
    let (head, message) = bytes.split_at_checked(6).context("no value in Confluent's format")?;
    anyhow::ensure!(head[0] == 0 && head[5] == 0, "the head is {head:?}");
    let id = u32::from_be_bytes(head[1..5].try_into()?);
    let schema = registry.schema(id).await?;
    let pool = pool(&schema).with_context(|| schema.clone())?;
    let file = pool.get_file_by_name("registered.proto").context("the schema is not in the pool")?;
    let descriptor = file.messages().next().context("a schema without a message")?;
    let message = DynamicMessage::decode(descriptor, message)?;
    anyhow::ensure!(message.unknown_fields().next().is_none(), "fields that the schema does not have");
    let options =
        SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false).use_proto_field_name(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// Whether a Protobuf value says the same as the JSON converter's, null where a field is unset.
fn compare(json: &Value, protobuf: Option<&Value>, place: &str) -> anyhow::Result<()> {
    let protobuf = protobuf.unwrap_or(&Value::Null);
    let number = |name: &str| protobuf.get(name).and_then(Value::as_i64).unwrap_or_default();
    let is_same = match (json, protobuf) {
        // A repeated field is never unset.
        (Value::Null, Value::Array(elements)) => elements.is_empty(),
        (Value::Object(fields), Value::Object(found)) => {
            for (name, value) in fields {
                compare(value, found.get(name), &format!("{place}.{name}"))?;
            }
            true
        }
        // A map.
        (Value::Object(entries), Value::Array(found)) => {
            anyhow::ensure!(entries.len() == found.len(), "{place}: {json} is {protobuf}");
            for (entry, (key, value)) in found.iter().zip(entries) {
                anyhow::ensure!(entry["key"] == **key, "{place}: {json} is {protobuf}");
                // Confluent's schema has no `optional` in a map's entry: a null and an empty text are the same there.
                let value = if value.is_null() { &json!("") } else { value };
                compare(value, entry.get("value"), &format!("{place}.{key}"))?;
            }
            true
        }
        (Value::Array(elements), Value::Array(found)) => {
            anyhow::ensure!(elements.len() == found.len(), "{place}: {json} is {protobuf}");
            for (element, found) in elements.iter().zip(found) {
                compare(element, Some(found), place)?;
            }
            true
        }
        (Value::String(unscaled), Value::Object(_)) => protobuf["value"] == **unscaled,
        (Value::Number(days), Value::Object(date)) if date.contains_key("year") => {
            days.as_i64() == Some(days_since_1970(number("year"), number("month"), number("day")))
        }
        (Value::Number(time), Value::Object(date)) if date.contains_key("hours") => {
            let seconds = (number("hours") * 60 + number("minutes")) * 60 + number("seconds");
            time.as_i64() == Some(seconds * 1000 + number("nanos") / 1_000_000)
        }
        (Value::Number(milliseconds), Value::String(text)) if text.ends_with('Z') => {
            milliseconds.as_i64() == Some(milliseconds_since_1970(text)?)
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (json, protobuf) => json == protobuf,
    };
    if !is_same {
        bail!("{place}: {json} is {protobuf}");
    }
    Ok(())
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469
}

fn milliseconds_since_1970(text: &str) -> anyhow::Result<i64> {
    let number = |from: usize, to: usize| -> anyhow::Result<i64> { Ok(text.get(from..to).context("short")?.parse()?) };
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let milliseconds = if text.contains('.') { number(20, 23)? } else { 0 };
    Ok(((days * 24 + number(11, 13)?) * 60 + number(14, 16)?) * 60_000 + number(17, 19)? * 1000 + milliseconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_reads_back_as_the_json_converters_values() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("protobuf").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    pipeline
        .run(
            "CREATE EXTENSION hstore;
             CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE TABLE t (id int PRIMARY KEY, i2 smallint, i8 bigint, f4 real, f8 float8, b boolean, n numeric(10,2),
                free numeric, v text, c char(3), y bytea, d date, ti time(3), ts timestamp(3), us timestamp, tz timestamptz,
                iv interval, u uuid, j jsonb, x xml, ip inet, bit1 bit(1), bits bit(5), m money, o oid, e mood,
                ai int[], at text[], an numeric(6,1)[], ad date[], h hstore, p point, r int4range, \"my-col\" int);
             ALTER TABLE t REPLICA IDENTITY FULL;
             INSERT INTO t VALUES (0, 0, 0, 0, 0, false, 0, 0, '', '', '', '1970-01-01', '00:00', '1970-01-01', '1970-01-01',
                '1970-01-01Z', '0', gen_random_uuid(), '0', '', '::', '0', '00000', 0, 0, 'sad', '{}', '{}', '{}', '{}', '',
                '(0,0)', 'empty', 0);
             INSERT INTO t (id) VALUES (1)",
        )
        .await?;
    let streamer = pipeline.streamer().await?;
    let json_prefix = format!("{}_json", pipeline.name);
    let shared = [
        ("snapshot.mode", "initial"),
        ("publication.autocreate.mode", "filtered"),
        ("hstore.handling.mode", "map"),
        ("time.precision.mode", "connect"),
        ("heartbeat.interval.ms", "0"),
    ];
    let url = registry.url();
    let mut changes = shared.to_vec();
    for (key, value) in [("key.converter", PROTOBUF), ("value.converter", PROTOBUF), ("header.converter", PROTOBUF)] {
        changes.push((key, value));
    }
    changes.extend([
        ("key.converter.schema.registry.url", url),
        ("value.converter.schema.registry.url", url),
        ("header.converter.schema.registry.url", url),
        ("value.converter.optional.for.nullables", "true"),
        ("value.converter.scrub.invalid.names", "true"),
        (
            "value.converter.value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
        ),
    ]);
    let (status, answer) = pipeline.put(&streamer, &changes).await?;
    assert_eq!(status, 201, "{answer}");
    let mut changes = shared.to_vec();
    changes
        .extend(["topic.prefix", "slot.name", "publication.name"].into_iter().map(|name| (name, json_prefix.as_str())));
    let path = format!("/connectors/{json_prefix}/config");
    let (status, answer) = streamer.rest().put(&path, &pipeline.connector(&changes)?).await?;
    assert_eq!(status, 201, "{answer}");
    for name in [&pipeline.name, &json_prefix] {
        streamer.rest().wait_task(name, "RUNNING").await?;
    }
    let (topic, json_topic) = (pipeline.topic("t"), format!("{json_prefix}.public.t"));
    wait_bytes(&pipeline, &topic, 2).await?;
    wait_bytes(&pipeline, &json_topic, 2).await?;
    pipeline
        .run(
            "UPDATE t SET i2 = -7, i8 = -9223372036854775808, f4 = 'NaN', f8 = '-Infinity', b = true, n = -12345678.90,
                free = 3.14159265358979323846264338327950288, v = 'é\"🦀', c = 'ab', y = '\\xdeadbeef00', d = '1999-12-31',
                ti = '23:59:59.999', ts = '1969-12-31 23:59:59.999', us = '2024-02-29 01:02:03.123456',
                tz = '2024-02-29 01:02:03+05', iv = '1 year 3 days', j = '{\"a\": [1, null]}', x = '<a/>', ip = '10.0.0.1/8',
                bit1 = '1', bits = '10101', m = 1234.56, o = 4294967295, e = 'ok', ai = '{1,-2,0}', at = '{a,\"\"}',
                an = '{1.5,-2}', ad = '{2000-01-01}', h = 'a=>1,b=>NULL', p = '(1.5,-2)', r = '[1,5)', \"my-col\" = 5
             WHERE id = 1;
             DELETE FROM t WHERE id = 0;
             ALTER TABLE t ADD late text;
             UPDATE t SET id = 2, late = 'x'",
        )
        .await?;
    let records = wait_bytes(&pipeline, &topic, 8).await?;
    wait_bytes(&pipeline, &json_topic, 8).await?;
    let expected = topic::read(&pipeline.kafka, &json_topic)?;
    assert_eq!(records.len(), expected.len());
    let mut operations = Vec::new();
    for (index, ((key, value), expected)) in records.iter().zip(&expected).enumerate() {
        compare(&expected.key, Some(&decoded(&registry, key.as_deref().context("no key")?).await?), "key")?;
        let Some(value) = value else {
            assert_eq!(expected.value, Value::Null);
            operations.push("tombstone".to_owned());
            continue;
        };
        let value = decoded(&registry, value).await?;
        operations.push(expected.op().to_owned());
        for name in ["op", "before", "after"] {
            let mut row = expected.value[name].clone();
            if let Some(renamed) = row.as_object_mut().and_then(|row| row.remove("my-col")) {
                row["my_col"] = renamed;
            }
            compare(&row, value.get(name), &format!("{index}.{name}"))?;
        }
        assert_eq!(value["source"]["table"], "t");
    }
    assert_eq!(operations, ["r", "r", "u", "d", "tombstone", "d", "tombstone", "c"]);
    let last = decoded(&registry, records[7].1.as_deref().context("no value")?).await?;
    assert_eq!((&last["after"]["late"], &last["after"]["id"]), (&json!("x"), &json!(2)));

    let subject = format!("{topic}-{topic}.Envelope");
    let versions: Value = reqwest::get(format!("{url}/subjects/{subject}/versions")).await?.json().await?;
    assert_eq!(versions, json!([1, 2]));
    streamer.into_process().stop().await?;
    registry.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_protobuf_has_no_form_for_stops_the_task_and_says_where() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("protobufno").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, tags text[]); INSERT INTO t VALUES (1, '{a,NULL}')").await?;
    let streamer = pipeline.streamer().await?;
    let wrong = [
        ("key.converter", PROTOBUF),
        ("value.converter", PROTOBUF),
        ("value.converter.schema.registry.url", registry.url()),
        ("value.converter.optional.for.nullables", "perhaps"),
    ];
    let (status, answer) = pipeline.put(&streamer, &wrong).await?;
    let message = answer["message"].as_str().unwrap_or_default();
    let perhaps =
        "Invalid value perhaps for configuration optional.for.nullables: Expected value to be either true or false";
    assert_eq!(status, 400, "{answer}");
    assert!(message.contains(perhaps), "{message}");
    assert!(message.contains("Missing required configuration \"schema.registry.url\""), "{message}");

    let changes = [
        ("snapshot.mode", "initial"),
        ("value.converter", PROTOBUF),
        ("value.converter.schema.registry.url", registry.url()),
    ];
    let (status, answer) = pipeline.put(&streamer, &changes).await?;
    assert_eq!(status, 201, "{answer}");
    let trace = streamer.rest().wait_task(&pipeline.name, "FAILED").await?;
    let told = format!(
        "topic {}: a record cannot be converted: after: tags: element 1 is null, and Protobuf's repeated fields hold no nulls",
        pipeline.topic("t")
    );
    assert!(trace.contains(&told), "{trace}");
    streamer.into_process().stop().await?;
    registry.into_process().stop().await
}
