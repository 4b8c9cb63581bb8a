//! Properties whose effect is not in the records.

use serde_json::json;
use stack::worker::Worker;

use super::pipeline::Pipeline;
use super::restarts::wait_records;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_processed_is_passed_over_and_counted_under_the_connector_s_tags() -> anyhow::Result<()>
{
    let pipeline = Pipeline::new("passed_over").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, n numeric(8,2), v text)").await?;
    let streamer = pipeline.streamer().await?;
    let changes = [
        ("event.converting.failure.handling.mode", "fail"),
        ("event.processing.failure.handling.mode", "warn"),
        ("decimal.handling.mode", "precise"),
        ("custom.metric.tags", "team=payments, k8s.zone=a"),
    ];
    pipeline.put(&streamer, &changes).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'passed_over'", "true").await?;
    pipeline
        .run("INSERT INTO t VALUES (1, 1, 'a'); INSERT INTO t VALUES (2, 'NaN', 'row-value'); INSERT INTO t VALUES (3, 3, 'c')")
        .await?;
    let records = wait_records(&pipeline, "t", 2).await?;
    let ids: Vec<_> = records.iter().map(|record| record.value["after"]["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(3)]);
    let metrics = streamer.rest().text("/metrics").await?;
    let counted =
        "headwater_streamer_events_skipped_total{connector=\"passed_over\",team=\"payments\",k8s_zone=\"a\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    let log = streamer.process().output();
    assert!(log.contains("a change cannot be processed and is lost") && log.contains("public.t"), "{log}");
    assert!(!log.contains("row-value"), "{log}");
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_the_whole_queue_goes_alone() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("large_row").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let streamer = pipeline.streamer().await?;
    pipeline.put(&streamer, &[("max.queue.size.in.bytes", "10000")]).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'large_row'", "true").await?;
    pipeline
        .run(
            "INSERT INTO t SELECT n, repeat('a', 300) FROM generate_series(1, 100) n; \
             INSERT INTO t VALUES (101, repeat('b', 200000)); \
             INSERT INTO t SELECT n, repeat('c', 300) FROM generate_series(102, 200) n",
        )
        .await?;
    let records = wait_records(&pipeline, "t", 200).await?;
    let ids: Vec<_> = records.iter().map(|record| record.value["after"]["id"].clone()).collect();
    assert_eq!(ids, (1..=200).map(|id| json!(id)).collect::<Vec<_>>(), "each once and in order");
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_s_properties_reach_every_session() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("driver").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY, d timestamptz); CREATE SCHEMA s; CREATE TABLE s.beats (n int)")
        .await?;
    let streamer = pipeline.streamer().await?;
    let refused = [("driver.socketFactory", "com.google.cloud.sql.postgres.SocketFactory")];
    let (status, answer) = pipeline.put(&streamer, &refused).await?;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("driver.socketFactory")), "{answer}");
    let changes = [
        ("driver.ApplicationName", "mine"),
        ("driver.options", "-c DateStyle=German -c statement_timeout=7s"),
        ("driver.currentSchema", "s, public"),
        ("driver.connectTimeout", "20"),
        ("driver.tcpKeepAlive", "true"),
        ("driver.prepareThreshold", "0"),
        ("heartbeat.interval.ms", "200"),
        ("heartbeat.action.query", "INSERT INTO beats VALUES (1)"),
    ];
    let (status, answer) = pipeline.put(&streamer, &changes).await?;
    assert_eq!(status, 201, "{answer}");
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let sessions = "SELECT count(*) > 1 FROM pg_stat_activity WHERE datname = 'driver' AND application_name = 'mine'";
    pipeline.source_has(sessions, "true").await?;
    pipeline.source_has("SELECT count(*) > 0 FROM s.beats", "true").await?;
    // The session's own settings count before the user's: values are read as they are printed under them.
    pipeline.run("INSERT INTO t VALUES (1, '2020-02-03 04:05:06+00')").await?;
    let records = wait_records(&pipeline, "t", 1).await?;
    assert_eq!(records[0].value["after"]["d"], json!("2020-02-03T04:05:06.000000Z"));
    let log = streamer.process().output();
    assert!(log.contains("driver.prepareThreshold has no effect here"), "{log}");
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_moved_stops_a_connector_that_trusts_its_position() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("trust_offset").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)").await?;
    let mut settings = pipeline.worker_settings()?;
    settings.more.push(("offset.flush.interval.ms", "100".to_owned()));
    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;
    let changes = [
        ("offset.mismatch.strategy", "trust_offset"),
        ("table.include.list", "public.t"),
        ("status.update.interval.ms", "200"),
        ("heartbeat.interval.ms", "0"),
    ];
    pipeline.put(&streamer, &changes).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'trust_offset'", "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    // What is not captured moves the slot, and the stored position before it.
    let source = pipeline.source().await?;
    source.batch_execute("INSERT INTO other SELECT generate_series(1, 1000)").await?;
    let end: String = source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
    let confirmed =
        format!("SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'trust_offset'");
    pipeline.source_has(&confirmed, "true").await?;
    streamer.into_process().stop().await?;

    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;
    streamer.into_process().stop().await?;

    // Written to the log's file when this returns: a slot is not moved further.
    pipeline.run("SET synchronous_commit = on; INSERT INTO t VALUES (3)").await?;
    pipeline.run("SELECT pg_replication_slot_advance('trust_offset', pg_current_wal_lsn())").await?;
    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;
    streamer.rest().wait_task(&pipeline.name, "FAILED").await?;
    let (_, status) = streamer.rest().get(&format!("/connectors/{}/status", pipeline.name)).await?;
    let trace = status["tasks"][0]["trace"].as_str().unwrap_or_default();
    assert!(trace.contains("made anew or moved by somebody else"), "{trace}");
    streamer.into_process().stop().await
}
