//! A PostgreSQL that one test stops, kills, freezes, copies and replaces.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use stack::artifacts::Artifacts;
use stack::postgres::{self, Postgres};
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use stack::{ports, process};

use super::pipeline::Pipeline;

/// A directory for clusters, and the address that the one that runs has.
pub(crate) struct OwnServer {
    directory: tempfile::TempDir,
    pub(crate) port: u16,
    running: Option<Postgres>,
}

impl OwnServer {
    /// Nothing runs yet.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&format!("headwater-{name}-")).tempdir()?;
        process::make_readable(directory.path())?;
        Ok(Self { directory, port: ports::free()?, running: None })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn settings<'a>(&self, name: &'a str, port: u16) -> postgres::Settings<'a> {
        postgres::Settings { name, port, wal_level: "logical", durable: false, hba: None }
    }

    /// Starts the cluster of this name at the address, made if it is not there.
    pub(crate) async fn start(&mut self, name: &str) -> anyhow::Result<()> {
        let settings = self.settings(name, self.port);
        self.running = Some(Postgres::start(&Artifacts::fetch()?, self.directory(), &settings).await?);
        Ok(())
    }

    /// Starts a standby of what runs at the address, elsewhere.
    pub(crate) async fn standby(&self, name: &str) -> anyhow::Result<Postgres> {
        self.sql("SELECT pg_create_physical_replication_slot('standby')").await?;
        let settings = self.settings(name, ports::free()?);
        Postgres::standby(&Artifacts::fetch()?, self.directory(), &settings, &self.url(), "standby").await
    }

    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(server) => server.into_process().stop().await,
            None => Ok(()),
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.running.take() {
            server.into_process().kill();
        }
    }

    /// The server's first process.
    pub(crate) fn take(&mut self) -> anyhow::Result<process::Process> {
        self.running.take().map(Postgres::into_process).context("it does not run")
    }

    /// A copy of a cluster that is stopped.
    pub(crate) fn copy(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let (from, to) = (self.directory().join(from), self.directory().join(to));
        ensure!(Command::new("cp").arg("-a").args([&from, &to]).status()?.success(), "the cluster was not copied");
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        postgres::url(self.port, "postgres")
    }

    pub(crate) async fn sql(&self, sql: &str) -> anyhow::Result<()> {
        postgres::connect(&self.url()).await?.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// One value, as text.
    pub(crate) async fn ask(&self, query: &str) -> anyhow::Result<String> {
        let row = postgres::connect(&self.url()).await?.query_one(&format!("SELECT ({query})::text"), &[]).await;
        Ok(row.with_context(|| query.to_owned())?.get::<_, Option<String>>(0).unwrap_or_default())
    }

    /// Waits until a query of one boolean gives true.
    pub(crate) async fn wait(&self, query: &str) -> anyhow::Result<()> {
        wait_true(&self.url(), query).await
    }

    /// Puts the connector onto this server.
    pub(crate) async fn put(
        &self,
        pipeline: &Pipeline,
        worker: &Worker,
        changes: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let port = self.port.to_string();
        let mut all = vec![("database.port", port.as_str()), ("database.dbname", "postgres")];
        // Short, so that the slot is confirmed, and a server that is back is found, within a test's time.
        all.extend([("status.update.interval.ms", "200"), ("retriable.restart.connector.wait.ms", "1000")]);
        all.extend(changes);
        let (status, answer) = pipeline.put(worker, &all).await?;
        ensure!(status < 300, "{answer}");
        Ok(())
    }
}

/// Waits until a query of one boolean gives true.
pub(crate) async fn wait_true(url: &str, query: &str) -> anyhow::Result<()> {
    wait_until(query, Duration::from_secs(90), async || {
        let found: Option<bool> = postgres::connect(url).await?.query_opt(query, &[]).await?.and_then(|row| row.get(0));
        Ok(if found == Some(true) { Condition::Met(()) } else { Condition::NotYet(format!("{found:?}")) })
    })
    .await
}

pub(crate) async fn pause(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<()> {
    worker.rest().put(&format!("/connectors/{}/pause", pipeline.name), &Value::Null).await?;
    worker.rest().wait_task(&pipeline.name, "PAUSED").await.map(drop)
}

pub(crate) async fn resume(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<()> {
    worker.rest().put(&format!("/connectors/{}/resume", pipeline.name), &Value::Null).await.map(drop)
}

pub(crate) async fn restart(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<()> {
    let restart = format!("/connectors/{}/restart?includeTasks=true", pipeline.name);
    worker.rest().request(reqwest::Method::POST, &restart, None).await.map(drop)
}

/// The stored position.
pub(crate) async fn stored(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<Value> {
    let (_, mut offsets) = worker.rest().get(&format!("/connectors/{}/offsets", pipeline.name)).await?;
    Ok(offsets.pointer_mut("/offsets/0/offset").map(Value::take).unwrap_or_default())
}

/// Waits until the task is in a state with `part` in its trace.
pub(crate) async fn wait_trace(pipeline: &Pipeline, worker: &Worker, state: &str, part: &str) -> anyhow::Result<()> {
    wait_until(&format!("{state} with {part}"), Duration::from_secs(60), async || {
        let (_, status) = worker.rest().get(&format!("/connectors/{}/status", pipeline.name)).await?;
        let task = &status["tasks"][0];
        let is_told = task["trace"].as_str().is_some_and(|trace| trace.contains(part));
        Ok(if is_told && task["state"] == state { Condition::Met(()) } else { Condition::NotYet(status.to_string()) })
    })
    .await
}

/// The ids that are in a table's topic.
pub(crate) fn ids(records: &[stack::topic::Record]) -> std::collections::BTreeSet<i64> {
    records.iter().filter_map(|record| record.key["id"].as_i64()).collect()
}
