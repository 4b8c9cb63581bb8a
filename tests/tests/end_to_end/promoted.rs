//! Another server at the address: a promoted standby, a restored backup, somebody else's.

use std::time::Duration;

use stack::postgres::{self, Postgres};
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;

use super::own_server::{OwnServer, ids, restart, stored, wait_trace, wait_true};
use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// A primary with a table, and its standby elsewhere; a connector whose row 1 is in Kafka.
async fn primary_and_standby(
    pipeline: &Pipeline,
    worker: &Worker,
    changes: &[(&str, &str)],
) -> anyhow::Result<(OwnServer, Postgres)> {
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("primary").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let standby = own.standby("standby").await?;
    own.put(pipeline, worker, changes).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT active FROM pg_replication_slots WHERE slot_type = 'logical'").await?;
    own.sql("INSERT INTO t VALUES (1)").await?;
    wait_records(pipeline, "t", 1).await?;
    Ok((own, standby))
}

/// Waits until the standby has all of the primary's log.
async fn caught_up(own: &OwnServer, standby: &str) -> anyhow::Result<()> {
    let end = own.ask("SELECT pg_current_wal_insert_lsn()").await?;
    wait_true(standby, &format!("SELECT pg_last_wal_replay_lsn() >= '{end}'")).await
}

/// The standby takes the dead primary's address.
async fn takes_over(own: &mut OwnServer, standby: Postgres) -> anyhow::Result<()> {
    own.kill();
    standby.into_process().stop().await?;
    own.start("standby").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_goes_on_with_its_failover_slot_and_another_server_is_refused() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("promoted").await?;
    let worker = pipeline.streamer().await?;
    let (mut own, standby) = primary_and_standby(&pipeline, &worker, &[("slot.failover", "true")]).await?;
    let copy = standby.url("postgres");
    own.wait("SELECT failover FROM pg_replication_slots WHERE slot_name = 'promoted'").await?;
    wait_true(&copy, "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = 'promoted'").await?;
    own.sql("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;
    caught_up(&own, &copy).await?;

    // It is promoted only at the primary's address.
    takes_over(&mut own, standby).await?;
    wait_trace(&pipeline, &worker, "RESTARTING", "standby").await?;
    own.sql("SELECT pg_promote()").await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.sql("INSERT INTO t VALUES (3)").await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [1, 2, 3].into());
    wait_until("the new timeline to be stored", Duration::from_secs(30), async || {
        let offset = stored(&pipeline, &worker).await?;
        let is_stored = offset["headwater_timeline"] == 2;
        Ok(if is_stored { Condition::Met(()) } else { Condition::NotYet(offset.to_string()) })
    })
    .await?;

    // The old primary comes back at its address.
    own.stop().await?;
    own.start("primary").await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(trace.contains("of timeline 2") && trace.contains("which is on timeline 1"), "{trace}");

    // A server that has nothing to do with it.
    own.stop().await?;
    own.start("another").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    own.sql("SELECT pg_create_logical_replication_slot('promoted', 'pgoutput')").await?;
    restart(&pipeline, &worker).await?;
    wait_trace(&pipeline, &worker, "FAILED", "is another one than the stored position").await?;
    own.wait("SELECT count(*) = 0 FROM pg_publication").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_promoted_without_the_slot_fails_the_task_and_makes_no_new_one() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("promoted_without").await?;
    let worker = pipeline.streamer().await?;
    let (mut own, standby) = primary_and_standby(&pipeline, &worker, &[]).await?;
    let copy = standby.url("postgres");
    caught_up(&own, &copy).await?;
    own.kill();
    postgres::connect(&copy).await?.batch_execute("SELECT pg_promote()").await?;
    postgres::connect(&copy).await?.batch_execute("INSERT INTO t VALUES (2)").await?;
    takes_over(&mut own, standby).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in ["slot promoted_without does not exist", "a standby was promoted", "slot.failover=true"] {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    own.wait("SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_type = 'logical'").await?;
    // Told to, it reads the tables anew.
    own.put(&pipeline, &worker, &[("snapshot.mode", "when_needed")]).await?;
    assert_eq!(ids(&wait_records(&pipeline, "t", 3).await?), [1, 2].into());
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_promoted_before_it_had_what_is_in_kafka_fails_the_task() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("promoted_early").await?;
    let worker = pipeline.streamer().await?;
    let (mut own, standby) = primary_and_standby(&pipeline, &worker, &[("slot.failover", "true")]).await?;
    let synced = "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = 'promoted_early'";
    wait_true(&standby.url("postgres"), synced).await?;
    // The standby is away while row 2 comes; nothing made the primary wait for it (synchronized_standby_slots).
    standby.into_process().stop().await?;
    own.sql("INSERT INTO t VALUES (2)").await?;
    wait_records(&pipeline, "t", 2).await?;
    own.kill();
    own.start("standby").await?;
    own.sql("SELECT pg_promote()").await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    for part in ["changes up to", "are in Kafka that it does not have", "snapshot.mode=initial"] {
        assert!(trace.contains(part), "{part}: {trace}");
    }
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_an_older_backup_fails_the_task() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("restored").await?;
    let worker = pipeline.streamer().await?;
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("server").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    own.put(&pipeline, &worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT active FROM pg_replication_slots").await?;
    own.sql("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    own.stop().await?;
    own.copy("server", "backup")?;
    own.start("server").await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.sql("INSERT INTO t SELECT generate_series(2, 1000)").await?;
    wait_records(&pipeline, "t", 1000).await?;
    own.stop().await?;
    own.start("backup").await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(trace.contains("it was restored from a backup") && trace.contains("snapshot.mode=initial"), "{trace}");
    worker.into_process().stop().await
}
