//! A slot, a publication or a password that is not what it was.

use std::time::Duration;

use serde_json::json;
use stack::process;
use stack::wait::{Condition, wait_until};

use super::own_server::{OwnServer, ids, pause, restart, resume, stored, wait_trace};
use super::pipeline::Pipeline;
use super::restarts::wait_records;

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_made_anew_while_the_connector_was_paused_fails_the_task_and_one_that_was_idle_does_not()
-> anyhow::Result<()> {
    let pipeline = Pipeline::new("made_anew").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)").await?;
    let worker = pipeline.streamer().await?;
    let changes = [("status.update.interval.ms", "200"), ("table.include.list", "public.t")];
    pipeline.put(&worker, &changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'made_anew'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;

    // The slot moves with what is not captured, the position of the last record does not.
    pipeline.run("INSERT INTO other SELECT generate_series(1, 1000)").await?;
    let source = pipeline.source().await?;
    let end: String = source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
    pipeline.source_has(&format!("SELECT confirmed_flush_lsn >= '{end}' FROM {slot}"), "true").await?;
    pause(&pipeline, &worker).await?;
    let offset = stored(&pipeline, &worker).await?;
    assert!(offset["lsn_commit"].as_u64() < offset["headwater_confirmed"].as_u64(), "{offset}");
    resume(&pipeline, &worker).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;

    pause(&pipeline, &worker).await?;
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "false").await?;
    pipeline.run("SELECT pg_drop_replication_slot('made_anew'); INSERT INTO t VALUES (3)").await?;
    pipeline.run("SELECT pg_create_logical_replication_slot('made_anew', 'pgoutput')").await?;
    resume(&pipeline, &worker).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in ["slot made_anew is at", "dropped and made anew", "snapshot.mode=initial", "trust_slot"] {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    // Told to, it goes on without the row between.
    pipeline.put(&worker, &[changes[0], changes[1], ("offset.mismatch.strategy", "trust_slot")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (4)").await?;
    let records = wait_records(&pipeline, "t", 3).await?;
    assert_eq!(records.last().map(|record| &record.key), Some(&json!({ "id": 4 })));
    worker.into_process().stop().await
}

/// How far the slot is confirmed is stored in a Kafka transaction, also where nothing was published.
#[tokio::test(flavor = "multi_thread")]
async fn with_exactly_once_an_idle_slot_goes_on_and_one_made_anew_fails_the_task() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("anew_once").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)").await?;
    let mut settings = pipeline.worker_settings()?;
    settings.more.push(("exactly.once.source.support", "enabled".to_owned()));
    let worker = stack::worker::Worker::streamer(pipeline.directory.path(), &settings).await?;
    let changes =
        [("status.update.interval.ms", "200"), ("table.include.list", "public.t"), ("heartbeat.interval.ms", "0")];
    pipeline.put(&worker, &changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'anew_once'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    pipeline.run("INSERT INTO other SELECT generate_series(1, 1000)").await?;
    let source = pipeline.source().await?;
    let end: String = source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
    pipeline.source_has(&format!("SELECT confirmed_flush_lsn >= '{end}' FROM {slot}"), "true").await?;
    pause(&pipeline, &worker).await?;
    let offset = stored(&pipeline, &worker).await?;
    assert!(offset["lsn_commit"].as_u64() < offset["headwater_confirmed"].as_u64(), "{offset}");
    resume(&pipeline, &worker).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    // A transaction's end is a record too.
    wait_records(&pipeline, "t", 3).await?;

    pause(&pipeline, &worker).await?;
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "false").await?;
    pipeline.run("SELECT pg_drop_replication_slot('anew_once'); INSERT INTO t VALUES (3)").await?;
    pipeline.run("SELECT pg_create_logical_replication_slot('anew_once', 'pgoutput')").await?;
    resume(&pipeline, &worker).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(trace.contains("dropped and made anew"), "{trace}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_when_needed_a_slot_made_anew_reads_the_tables_anew() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("anew_when_needed").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("snapshot.mode", "when_needed")]).await?;
    wait_records(&pipeline, "t", 1).await?;
    let slot = "pg_replication_slots WHERE slot_name = 'anew_when_needed'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;
    pause(&pipeline, &worker).await?;
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "false").await?;
    pipeline.run("SELECT pg_drop_replication_slot('anew_when_needed'); INSERT INTO t VALUES (3)").await?;
    pipeline.run("SELECT pg_create_logical_replication_slot('anew_when_needed', 'pgoutput')").await?;
    resume(&pipeline, &worker).await?;
    let records = wait_records(&pipeline, "t", 5).await?;
    assert_eq!(records.iter().map(stack::topic::Record::op).collect::<String>(), "rcrrr");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_lost_its_wal_fails_the_task_and_with_when_needed_reads_the_tables_anew() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("wal_lost").await?;
    let worker = pipeline.streamer().await?;
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("server").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    own.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'").await?;
    own.sql("SELECT pg_reload_conf()").await?;
    own.put(&pipeline, &worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT active FROM pg_replication_slots").await?;
    own.sql("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    pause(&pipeline, &worker).await?;
    own.wait("SELECT NOT active FROM pg_replication_slots").await?;
    own.sql("INSERT INTO t VALUES (2)").await?;
    for _ in 0..5 {
        own.sql("SELECT pg_switch_wal()").await?;
        own.sql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))").await?;
        own.sql("CHECKPOINT").await?;
    }
    own.wait("SELECT wal_status = 'lost' FROM pg_replication_slots").await?;
    resume(&pipeline, &worker).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in ["slot wal_lost has lost WAL", "wal_removed", "max_slot_wal_keep_size", "snapshot.mode=initial"] {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    own.put(&pipeline, &worker, &[("snapshot.mode", "when_needed")]).await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [1, 2].into());
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT wal_status <> 'lost' AND active FROM pg_replication_slots").await?;
    worker.into_process().stop().await
}

/// The process on the server outlives the streamer: it does not look at its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_a_dead_session_holds_is_waited_for() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("held").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let changes = [("slot.max.retries", "2"), ("slot.retry.delay.ms", "200")];
    pipeline.put(&worker, &changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'held'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    let source = pipeline.source().await?;
    let holder: i32 = source.query_one(&format!("SELECT active_pid FROM {slot}"), &[]).await?.get(0);
    process::signal(holder.unsigned_abs(), "STOP")?;
    worker.into_process().kill();
    pipeline.run("INSERT INTO t VALUES (2)").await?;

    let worker = pipeline.streamer().await?;
    let told = wait_trace(&pipeline, &worker, "RESTARTING", &format!("is active for PID {holder}")).await;
    process::signal(holder.unsigned_abs(), "CONT")?;
    told?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 2).await?), [1, 2].into());
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_dropped_fails_the_task_at_the_first_change_without_it() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("unpublished").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("retriable.restart.connector.wait.ms", "1000")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'unpublished'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;

    pipeline.run("DROP PUBLICATION unpublished").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    let told = ["publication \"unpublished\" does not exist", "Nothing was skipped", "snapshot.mode=initial"];
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in told {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    // A start makes the publication anew, and the change from before it cannot be decoded still.
    restart(&pipeline, &worker).await?;
    pipeline.source_has("SELECT count(*) FROM pg_publication", "1").await?;
    wait_trace(&pipeline, &worker, "FAILED", told[0]).await?;
    assert_eq!(wait_records(&pipeline, "t", 1).await?.len(), 1);

    // What the trace says to do.
    let rest = worker.rest();
    rest.put(&format!("/connectors/{}/stop", pipeline.name), &serde_json::Value::Null).await?;
    let offsets = format!("/connectors/{}/offsets", pipeline.name);
    wait_until("the offsets to be deleted", Duration::from_secs(30), async || {
        let (status, answer) = rest.request(reqwest::Method::DELETE, &offsets, None).await?;
        Ok(if status == 200 { Condition::Met(()) } else { Condition::NotYet(answer.to_string()) })
    })
    .await?;
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "false").await?;
    pipeline.run("SELECT pg_drop_replication_slot('unpublished')").await?;
    pipeline.put(&worker, &[("snapshot.mode", "initial")]).await?;
    resume(&pipeline, &worker).await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [1, 2].into());
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_taken_out_of_the_publication_is_told_in_the_log_when_the_connector_starts() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("taken_out").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("publication.autocreate.mode", "filtered")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'taken_out'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)").await?;
    wait_records(&pipeline, "u", 1).await?;
    pause(&pipeline, &worker).await?;
    pipeline.run("ALTER PUBLICATION taken_out DROP TABLE u").await?;
    pipeline.run("INSERT INTO u VALUES (2)").await?;

    // Who publishes what may be somebody else's business: it is only told.
    pipeline.put(&worker, &[("publication.autocreate.mode", "disabled")]).await?;
    resume(&pipeline, &worker).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let log = worker.process().output();
    assert!(log.contains("does not publish") && log.contains("public.u"), "{log}");
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;

    // With filtered it is the connector's, and what came in between is missing.
    pipeline.put(&worker, &[("publication.autocreate.mode", "filtered")]).await?;
    let published = "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'taken_out'";
    pipeline.source_has(published, "2").await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO u VALUES (3)").await?;
    assert_eq!(ids(&wait_records(&pipeline, "u", 2).await?), [1, 3].into());
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_fails_the_task_and_the_new_one_goes_on_with_a_restart() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("rotated").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE rotated SUPERUSER LOGIN PASSWORD 'pw-before'")
        .await?;
    let file = pipeline.directory.path().join("secrets.properties");
    std::fs::write(&file, "password=pw-before\n")?;
    let mut settings = pipeline.worker_settings()?;
    settings.more.extend([
        ("config.providers", "file".to_owned()),
        ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider".to_owned()),
    ]);
    let worker = stack::worker::Worker::streamer(pipeline.directory.path(), &settings).await?;
    let password = format!("${{file:{}:password}}", file.display());
    pipeline.put(&worker, &[("database.user", "rotated"), ("database.password", &password)]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let slot = "pg_replication_slots WHERE slot_name = 'rotated'";
    pipeline.source_has(&format!("SELECT active FROM {slot}"), "true").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;

    // A session that is open stays.
    pipeline.run("ALTER ROLE rotated PASSWORD 'pw-behind'; INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'").await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in ["password authentication failed for user \"rotated\"", "Nothing is lost", "restart it"] {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    pipeline.run("INSERT INTO t VALUES (3)").await?;
    std::fs::write(&file, "password=pw-behind\n")?;
    restart(&pipeline, &worker).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [1, 2, 3].into());
    let log = worker.process().output();
    assert!(!log.contains("pw-before") && !log.contains("pw-behind"), "{log}");
    worker.into_process().stop().await
}
