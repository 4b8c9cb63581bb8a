//! A broker that was frozen for so long that the controller gave it up meanwhile.

use std::time::Duration;

use anyhow::Context as _;
use stack::artifacts::Artifacts;
use stack::{kafka, ports, process};

use super::pipeline::Pipeline;

/// Until its next heartbeat such a broker names topics, and no broker, to whoever asks: librdkafka forgets all brokers then.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_frozen_and_given_up_is_found_again() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("fenced_broker").await?;
    let own = tempfile::Builder::new().prefix("headwater-fenced-broker-").tempdir()?;
    let settings = kafka::Settings {
        port: ports::lasting()?,
        // So that it is given up soon, and for a while.
        more: "broker.session.timeout.ms=12000\nbroker.heartbeat.interval.ms=10000\n".to_owned(),
        ..kafka::Settings::default()
    };
    let broker = kafka::Kafka::start_with(&Artifacts::fetch()?, own.path(), &settings).await?;
    pipeline.kafka = broker.bootstrap_servers();
    pipeline.run("CREATE TABLE t (id serial PRIMARY KEY, v text)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let insert = "INSERT INTO t (v) SELECT repeat('x', 100) FROM generate_series(1, 20000)";
    pipeline.run(insert).await?;
    pipeline.target_has("SELECT count(*) FROM t", "20000").await?;
    let id = broker.process().id().context("the broker has ended")?;
    process::signal(id, "STOP")?;
    pipeline.run(insert).await?;
    // Longer than the broker's session and the worker's, and than clients wait before they ask anew.
    tokio::time::sleep(Duration::from_secs(40)).await;
    process::signal(id, "CONT")?;
    pipeline.target_has("SELECT count(*) FROM t", "40000").await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
