//! What a worker and a connector can be told, beside what the other tests tell them.

use serde_json::json;
use stack::worker::Worker;
use stack::{ports, topic};

use super::pipeline::Pipeline;
use super::restarts::wait_records;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_stands_in_a_file_and_nowhere_else() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("secrets").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let file = pipeline.directory.path().join("secrets.properties");
    let connector = pipeline.connector(&[])?;
    let password = connector["database.password"].as_str().unwrap_or_default().to_owned();
    std::fs::write(&file, format!("password={password}\n"))?;
    let mut settings = pipeline.worker_settings()?;
    settings.more.extend([
        ("config.providers", "file".to_owned()),
        ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider".to_owned()),
        ("config.providers.file.param.allowed.paths", pipeline.directory.path().display().to_string()),
    ]);
    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;
    let reference = format!("${{file:{}:password}}", file.display());
    let (status, answer) = pipeline.put(&streamer, &[("database.password", &reference)]).await?;
    assert_eq!((status, &answer["config"]["database.password"]), (201, &json!(reference)), "{answer}");
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let (_, answer) = streamer.rest().get(&format!("/connectors/{}/tasks", pipeline.name)).await?;
    assert_eq!(answer[0]["config"]["database.password"], json!(reference));
    streamer.into_process().stop().await?;
    // Found in the config topic, it is looked up again.
    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_as_the_connector_asks_and_are_listed() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("created_topics").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await?;
    let streamer = pipeline.streamer().await?;
    let changes = [
        ("heartbeat.interval.ms", "0"),
        ("topic.creation.default.partitions", "3"),
        ("topic.creation.default.replication.factor", "1"),
        ("topic.creation.default.cleanup.policy", "compact"),
        ("topic.creation.groups", "one"),
        ("topic.creation.one.include", ".*\\.u"),
        ("topic.creation.one.partitions", "1"),
    ];
    pipeline.put(&streamer, &changes).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'created_topics'", "true").await?;
    pipeline.run("INSERT INTO t SELECT generate_series(1, 100); INSERT INTO u VALUES (1)").await?;
    wait_records(&pipeline, "u", 1).await?;
    let (t, u) = (pipeline.topic("t"), pipeline.topic("u"));
    assert_eq!((topic::partitions(&pipeline.kafka, &t)?, topic::partitions(&pipeline.kafka, &u)?), (3, 1));
    let path = format!("/connectors/{}/topics", pipeline.name);
    let (_, answer) = streamer.rest().get(&path).await?;
    assert_eq!(answer[&pipeline.name]["topics"], json!([t, u]));

    // Forgotten, a topic is noted again with its next record.
    let (status, _) = streamer.rest().put(&format!("{path}/reset"), &serde_json::Value::Null).await?;
    assert_eq!(status, 202);
    pipeline.run("INSERT INTO u VALUES (2)").await?;
    wait_records(&pipeline, "u", 2).await?;
    let (_, answer) = streamer.rest().get(&path).await?;
    assert_eq!(answer[&pipeline.name]["topics"], json!([u]));
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_server_s_file_runs_its_connector_and_goes_on_where_it_was() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("server").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    let port = ports::free()?;
    let mut text = format!(
        "debezium.sink.type=kafka\ndebezium.sink.kafka.producer.bootstrap.servers={}\n\
         debezium.sink.kafka.producer.key.serializer=org.apache.kafka.common.serialization.ByteArraySerializer\n\
         debezium.source.offset.storage=org.apache.kafka.connect.storage.KafkaOffsetBackingStore\n\
         debezium.source.offset.storage.topic=server-offsets\ndebezium.source.offset.storage.partitions=1\n\
         debezium.source.offset.storage.replication.factor=1\ndebezium.source.offset.flush.interval.ms=500\n\
         debezium.format.schemas.enable=false\nquarkus.http.host=127.0.0.1\nquarkus.http.port={port}\n\
         quarkus.log.level=INFO\n",
        pipeline.kafka
    );
    let connector = pipeline.connector(&[("snapshot.mode", "initial")])?;
    for (key, value) in connector.as_object().into_iter().flatten().filter(|(key, _)| !key.contains("converter")) {
        text += &format!("debezium.source.{key}={}\n", value.as_str().unwrap_or_default());
    }
    let file = pipeline.directory.path().join("application.properties");
    std::fs::write(&file, text)?;
    for id in [2, 3] {
        let streamer = Worker::server(pipeline.directory.path(), &file, port).await?;
        streamer.rest().wait_task("kafka", "RUNNING").await?;
        let (status, _) = streamer.rest().get("/health").await?;
        assert_eq!(status, 200);
        pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'server'", "true").await?;
        pipeline.run(&format!("INSERT INTO t VALUES ({id})")).await?;
        let records = wait_records(&pipeline, "t", id).await?;
        let ids: Vec<_> = records.iter().map(|record| record.value["after"]["id"].clone()).collect();
        assert_eq!(ids, (1..=id).map(|id| json!(id)).collect::<Vec<_>>(), "each once");
        streamer.into_process().stop().await?;
    }
    Ok(())
}
