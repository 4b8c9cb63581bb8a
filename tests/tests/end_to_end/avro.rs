//! Avro with a schema registry, read back by another implementation.

use std::time::Duration;

use anyhow::Context as _;
use apache_avro::reader::datum::GenericDatumReader;
use serde_json::{Value, json};
use stack::ports;
use stack::registry::Registry;
use stack::topic;
use stack::wait::{Condition, wait_until};

use super::encrypted::certificates;
use super::guarded_kafka::{STORE_PASSWORD, stores};
use super::pipeline::Pipeline;

/// A value behind a zero byte and its schema's id.
async fn decoded(registry: &Registry, bytes: &[u8]) -> anyhow::Result<Value> {
    let (head, mut rest) = bytes.split_at_checked(5).context("no value in Confluent's format")?;
    anyhow::ensure!(head[0] == 0, "the first byte is {}", head[0]);
    let id = u32::from_be_bytes(head[1..].try_into()?);
    let schema = apache_avro::Schema::parse_str(&registry.schema(id).await?)?;
    let value = GenericDatumReader::builder(&schema).build()?.read_value(&mut rest)?;
    anyhow::ensure!(rest.is_empty(), "{} bytes are left over", rest.len());
    Ok(value.try_into()?)
}

pub(super) async fn wait_bytes(pipeline: &Pipeline, topic: &str, count: usize) -> anyhow::Result<Vec<topic::Bytes>> {
    wait_until(&format!("{count} records"), Duration::from_secs(60), async || {
        Ok(match topic::read_bytes(&pipeline.kafka, topic) {
            Ok(records) if records.len() >= count => Condition::Met(records),
            Ok(records) => Condition::NotYet(format!("{} records", records.len())),
            Err(error) => Condition::NotYet(error.to_string()),
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_reads_back_and_a_schema_that_the_registry_refuses_stops_the_task() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro").await?;
    let registry = Registry::start(pipeline.directory.path()).await?;
    registry.compatibility("BACKWARD").await?;
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'd', tags text[], at timestamptz, j jsonb);
             INSERT INTO t VALUES (1, 'é', '{a,NULL}', '2024-02-29 01:02:03Z', '{\"a\": 1}')",
        )
        .await?;
    let streamer = pipeline.streamer().await?;
    const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
    let changes = [
        ("snapshot.mode", "initial"),
        ("key.converter", AVRO),
        ("key.converter.schema.registry.url", registry.url()),
        ("value.converter", AVRO),
        ("value.converter.schema.registry.url", registry.url()),
        (
            "value.converter.value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
        ),
    ];
    let (status, answer) = pipeline.put(&streamer, &changes).await?;
    assert_eq!(status, 201, "{answer}");
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    wait_bytes(&pipeline, &pipeline.topic("t"), 1).await?;
    pipeline.run("DELETE FROM t; ALTER TABLE t ADD c int; INSERT INTO t (id, c) VALUES (2, 7)").await?;
    let records = wait_bytes(&pipeline, &pipeline.topic("t"), 4).await?;
    let value = async |index: usize| decoded(&registry, records[index].1.as_deref().context("no value")?).await;
    assert_eq!(decoded(&registry, records[0].0.as_deref().context("no key")?).await?, json!({ "id": 1 }));
    let row = json!({ "id": 1, "v": "é", "tags": ["a", null], "at": "2024-02-29T01:02:03.000000Z", "j": "{\"a\": 1}" });
    let first = value(0).await?;
    assert_eq!((&first["op"], &first["after"], &first["before"]), (&json!("r"), &row, &Value::Null));
    assert_eq!((&value(1).await?["op"], &records[2].1), (&json!("d"), &None));
    assert_eq!(value(3).await?["after"]["c"], json!(7));

    pipeline
        .run("ALTER TABLE t ALTER v DROP DEFAULT, ALTER v TYPE int USING 5; INSERT INTO t (id, v) VALUES (3, 5)")
        .await?;
    let trace = streamer.rest().wait_task(&pipeline.name, "FAILED").await?;
    let subject =
        format!("subject {0}.public.t-{0}.public.t.Envelope: the schema registry does not register", pipeline.name);
    assert!(trace.contains(&subject) && trace.contains("compatibility"), "{trace}");
    streamer.into_process().stop().await?;
    registry.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_certificates_is_entered_with_java_s_stores() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("avro_encrypted").await?;
    let directory = pipeline.directory.path();
    certificates(directory)?;
    stores(directory)?;
    let path = |name: &str| directory.join(name).display().to_string();
    let port = ports::free()?;
    let settings = [
        format!("http.ssl-port={port}"),
        "http.ssl.client-auth=required".to_owned(),
        format!("http.ssl.certificate.key-store-file={}", path("server.p12")),
        format!("http.ssl.certificate.key-store-password={STORE_PASSWORD}"),
        format!("http.ssl.certificate.trust-store-file={}", path("trust.p12")),
        format!("http.ssl.certificate.trust-store-password={STORE_PASSWORD}"),
    ];
    let registry = Registry::start_with(directory, &settings).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    let streamer = pipeline.streamer().await?;
    let url = format!("https://127.0.0.1:{port}/apis/ccompat/v7");
    let put = async |trusted: &str, shown: &str| {
        let stores = [("truststore", path(trusted)), ("keystore", path(shown))];
        let mut changes = vec![("snapshot.mode".to_owned(), "initial".to_owned())];
        for side in ["key", "value"] {
            changes.push((format!("{side}.converter"), "io.confluent.connect.avro.AvroConverter".to_owned()));
            changes.push((format!("{side}.converter.schema.registry.url"), url.clone()));
            for (store, path) in &stores {
                let setting = format!("{side}.converter.schema.registry.ssl.{store}");
                changes.push((format!("{setting}.location"), path.clone()));
                changes.push((format!("{setting}.password"), STORE_PASSWORD.to_owned()));
            }
        }
        let changes: Vec<(&str, &str)> = changes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        pipeline.put(&streamer, &changes).await
    };
    let (status, answer) = put("other.jks", "client.jks").await?;
    assert_eq!(status, 201, "{answer}");
    let log = || streamer.process().output();
    wait_until("the wrong authority to be told", Duration::from_secs(60), async || {
        Ok(if log().contains("UnknownIssuer") { Condition::Met(()) } else { Condition::NotYet(log()) })
    })
    .await?;
    let (status, answer) = put("trust.jks", "client.jks").await?;
    assert_eq!(status, 200, "{answer}");
    wait_bytes(&pipeline, &pipeline.topic("t"), 1).await?;
    assert!(!log().contains(STORE_PASSWORD));
    streamer.into_process().stop().await?;
    registry.into_process().stop().await
}
