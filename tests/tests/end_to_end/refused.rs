//! Records that the target does not take: set aside and replayed, or waited for.

use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{Headers as _, Message as _};
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, program};

use super::pipeline::Pipeline;

async fn prepared(name: &str) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(name).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)").await?;
    Ok(pipeline)
}

/// Runs `sink replay`; whether nothing was left, and what it said.
async fn replay(pipeline: &Pipeline) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(program("sink")?);
    command.arg("replay").env("SINK_TARGET", pipeline.target_url());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// The headers of a topic's first record.
async fn first_headers(pipeline: &Pipeline, topic: &str) -> anyhow::Result<Vec<(String, String)>> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.kafka)
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[topic])?;
    let message = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await??;
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Ok(headers.map(|header| (header.key.to_owned(), text(header.value))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_is_in_the_topic_of_dead_letters_and_is_replayed_by_a_command() -> anyhow::Result<()> {
    let pipeline = prepared("dead_letters").await?;
    let letters = "dead_letters.refused".to_owned();
    topic::create(&pipeline.kafka, &letters, 1).await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline
        .sink_with(&worker, |settings| settings.environment.push(("SINK_DEAD_LETTER_TOPIC", letters.clone())))?;
    sink.wait_complete(1, |_| {}).await?;
    let target = pipeline.target().await?;
    target.batch_execute("ALTER TABLE t ADD CONSTRAINT small CHECK (v < 10)").await?;
    pipeline.run("INSERT INTO t VALUES (1, 1), (2, 99), (3, 3), (4, 98); UPDATE t SET v = 97 WHERE id = 4").await?;
    pipeline.target_has("SELECT string_agg(id::text, ',' ORDER BY id) FROM t", "1,3").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "3").await?;
    let headers = first_headers(&pipeline, &letters).await?;
    let says = |key: &str| headers.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(says("__connect.errors.topic"), Some(pipeline.topic("t").as_str()), "{headers:?}");
    assert_eq!(says("__connect.errors.offset"), Some("1"));
    assert!(says("__connect.errors.exception.message").is_some_and(|why| why.contains("small")), "{headers:?}");
    assert_eq!(topic::end(&pipeline.kafka, &letters)?, 3);

    let (is_all, said) = replay(&pipeline).await?;
    assert!(!is_all && said.contains("0 applied, 3 refused again"), "{said}");
    target.batch_execute("ALTER TABLE t DROP CONSTRAINT small").await?;
    let (is_all, said) = replay(&pipeline).await?;
    assert!(is_all && said.contains("3 applied, 0 refused again"), "{said}");
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_set_aside_waits_until_the_target_takes_it() -> anyhow::Result<()> {
    let pipeline = prepared("held_up").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, port) =
        pipeline.sink_with(&worker, |settings| settings.environment.push(("SINK_ON_REFUSED", "stop".to_owned())))?;
    sink.wait_complete(1, |_| {}).await?;
    let target = pipeline.target().await?;
    target.batch_execute("ALTER TABLE t ADD CONSTRAINT small CHECK (v < 10)").await?;
    pipeline.run("INSERT INTO t VALUES (1, 1), (2, 99); INSERT INTO t VALUES (3, 3)").await?;
    let topic = pipeline.topic("t");
    wait_until("the sink to say what it waits for", Duration::from_secs(60), async || {
        let (status, health) = Rest::new(port).get("/health").await?;
        let error = health["topics"][&topic]["error"].as_str().unwrap_or_default();
        let told = status == 503 && error.contains("the record at offset 1") && error.contains("small");
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    target.batch_execute("ALTER TABLE t DROP CONSTRAINT small").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
