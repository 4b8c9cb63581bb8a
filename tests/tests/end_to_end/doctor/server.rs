//! What is set up in the server itself.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use stack::wait::{Condition, wait_until};
use stack::worker::{Settings, Worker};

use super::super::own_server::{OwnServer, pause, resume};
use super::super::pipeline::Pipeline;
use super::{Doctor, connector_file, flat};

/// Sets a server up, and starts it anew.
async fn set_up(own: &mut OwnServer, settings: &[&str]) -> anyhow::Result<()> {
    for setting in settings {
        own.sql(&format!("ALTER SYSTEM SET {setting}")).await?;
    }
    own.stop().await?;
    own.start("server").await
}

struct Tried<'a> {
    pipeline: &'a Pipeline,
    settings: Settings,
    worker: Worker,
}

impl Tried<'_> {
    /// What `doctor` finds, and the task says while it is in a state.
    async fn finds(&self, own: &OwnServer, id: &str, state: &str) -> anyhow::Result<()> {
        let (pipeline, port) = (self.pipeline, own.port.to_string());
        let changes = [("database.port", port.as_str()), ("database.dbname", "postgres")];
        let file = connector_file(pipeline, &pipeline.name, &changes)?;
        let found = Doctor::streamer(&self.settings, &[file]).await?.finding(id)?;
        own.put(pipeline, &self.worker, &[]).await?;
        wait_until(&format!("{state} with {found:?}"), Duration::from_secs(40), async || {
            let (_, status) = self.worker.rest().get(&format!("/connectors/{}/status", pipeline.name)).await?;
            let task = &status["tasks"][0];
            let is_said = task["trace"].as_str().is_some_and(|trace| found.is_in(trace));
            let is_so = task["state"] == state && is_said;
            Ok(if is_so { Condition::Met(()) } else { Condition::NotYet(status.to_string()) })
        })
        .await
        .context(id.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_server_is_found_with_its_remedy_and_a_start_says_the_same() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("doctor_server").await?;
    let mut own = OwnServer::new(&pipeline.name)?;
    own.start("server").await?;
    own.sql("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let settings = pipeline.worker_settings()?;
    let worker = Worker::streamer(pipeline.directory.path(), &settings).await?;
    let tried = Tried { pipeline: &pipeline, settings, worker };

    set_up(&mut own, &["wal_level = replica"]).await?;
    tried.finds(&own, "wal-level", "FAILED").await?;
    set_up(&mut own, &["wal_level = logical", "max_wal_senders = 0"]).await?;
    tried.finds(&own, "wal-senders", "RESTARTING").await?;
    set_up(&mut own, &["max_wal_senders = 10", "max_replication_slots = 1", "max_slot_wal_keep_size = '16MB'"]).await?;
    own.sql("SELECT pg_create_logical_replication_slot('another', 'pgoutput')").await?;
    tried.finds(&own, "replication-slots", "RESTARTING").await?;

    // As soon as the other is gone it goes on by itself, until the server drops what its slot needs.
    own.sql("SELECT pg_drop_replication_slot('another')").await?;
    let (pipeline, worker) = (tried.pipeline, &tried.worker);
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    own.wait("SELECT active FROM pg_replication_slots").await?;
    pause(pipeline, worker).await?;
    own.wait("SELECT NOT active FROM pg_replication_slots").await?;
    for _ in 0..5 {
        own.sql("SELECT pg_switch_wal()").await?;
        own.sql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))").await?;
        own.sql("CHECKPOINT").await?;
    }
    own.wait("SELECT wal_status = 'lost' FROM pg_replication_slots").await?;
    resume(pipeline, worker).await?;
    tried.finds(&own, "slot-lost", "FAILED").await?;

    // Whom pg_hba.conf does not let in is told the line that lets them.
    own.sql("CREATE ROLE outsider LOGIN REPLICATION PASSWORD 'outsider'").await?;
    std::fs::write(own.directory().join("server/pg_hba.conf"), "host all postgres 127.0.0.1/32 scram-sha-256\n")?;
    own.sql("SELECT pg_reload_conf()").await?;
    let port = own.port.to_string();
    let changes = [
        ("database.port", port.as_str()),
        ("database.dbname", "postgres"),
        ("database.user", "outsider"),
        ("database.password", "outsider"),
    ];
    let file = connector_file(pipeline, "outsider", &changes)?;
    let found = wait_until("pg_hba.conf to be read", Duration::from_secs(20), async || {
        let doctor = Doctor::streamer(&tried.settings, std::slice::from_ref(&file)).await?;
        Ok(doctor.finding("hba-refused").map_or_else(|error| Condition::NotYet(error.to_string()), Condition::Met))
    })
    .await?;
    ensure!(found.remedy.contains("postgres outsider ADDRESS/32 scram-sha-256"), "{found:?}");
    let (status, answer) = pipeline.put(worker, &changes).await?;
    ensure!(status == 400 && flat(answer["message"].as_str().unwrap_or_default()).contains(&found.message), "{answer}");
    ensure!(found.is_in(&worker.process().output()), "{found:?}");
    tried.worker.into_process().stop().await
}
