//! Who carries changes from PostgreSQL to Kafka, and what both are told.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Arguments;
use super::result::Part;
use super::stage::{DATABASE, Stage};
use super::watched::Watched;
use crate::kafka::Jvm;
use crate::ports;
use crate::worker::{Settings, Worker};

/// A system with its settings.
#[derive(Debug, Clone)]
pub(super) struct Carrier {
    /// Its name on the page.
    pub(super) name: String,
    pub(super) part: Part,
    /// What the worker is told beside the common.
    worker: Vec<(&'static str, String)>,
    /// What the connector is told beside the common.
    connector: Vec<(String, String)>,
}

impl Carrier {
    /// Ours.
    pub(super) fn streamer() -> Self {
        Self { name: "streamer".to_owned(), part: Part::Ours, worker: vec![], connector: vec![] }
    }

    /// Ours, with what [`Arguments`] has for it.
    pub(super) fn streamer_with(arguments: &Arguments) -> Self {
        let pairs = arguments.with.iter().filter_map(|pair| pair.split_once('='));
        pairs.fold(Self::streamer(), |carrier, (key, value)| carrier.connector(key, value))
    }

    /// Debezium, in a Kafka Connect worker.
    pub(super) fn debezium() -> Self {
        Self { name: "Debezium".to_owned(), part: Part::Debezium, worker: vec![], connector: vec![] }
    }

    /// The same with another name.
    pub(super) fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// With a setting of the worker's.
    pub(super) fn worker(mut self, key: &'static str, value: &str) -> Self {
        self.worker.push((key, value.to_owned()));
        self
    }

    /// With a setting of the connector's.
    pub(super) fn connector(mut self, key: &str, value: &str) -> Self {
        self.connector.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it under a name of its own, which is its topics' prefix and its slot's name.
    ///
    /// # Errors
    /// It does not come up, or refuses its connector.
    pub(super) async fn start(&self, stage: &Stage, name: &str) -> anyhow::Result<Carrying> {
        let carrying = self.start_idle(stage, name).await?;
        let path = format!("/connectors/{name}/config");
        let (status, answer) = carrying.worker.rest().put(&path, &self.config(stage, name)).await?;
        ensure!(status == 201, "connector {name}: {status} {answer}");
        Ok(carrying)
    }

    /// Starts its worker, without a connector.
    ///
    /// # Errors
    /// It does not come up.
    pub(super) async fn start_idle(&self, stage: &Stage, name: &str) -> anyhow::Result<Carrying> {
        let folder = stage.folder(name)?;
        let settings = Settings {
            bootstrap_servers: stage.bootstrap_servers(),
            port: ports::free()?,
            group: name.to_owned(),
            more: self.worker.clone(),
            environment: vec![],
        };
        let worker = match self.part {
            Part::Debezium => debezium(stage, &folder, &settings).await?,
            _ => Worker::streamer(&folder, &settings).await?,
        };
        Ok(Carrying { name: name.to_owned(), worker })
    }

    /// What its connector is told.
    pub(super) fn config(&self, stage: &Stage, name: &str) -> Value {
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1", "database.port": stage.source_port().to_string(), "database.user": "postgres",
            "database.password": "postgres", "database.dbname": DATABASE, "topic.prefix": name,
            "plugin.name": "pgoutput", "slot.name": name, "publication.name": DATABASE,
            "publication.autocreate.mode": "disabled", "snapshot.mode": "no_data",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
            // Connect's producers are not idempotent unless they are told; ours always is.
            "producer.override.enable.idempotence": "true",
        });
        for (key, value) in &self.connector {
            config[key] = Value::String(value.clone());
        }
        config
    }
}

async fn debezium(stage: &Stage, folder: &Path, settings: &Settings) -> anyhow::Result<Worker> {
    let command = Worker::debezium_command_on(&stage.artifacts, folder, settings, Jvm::AsShipped, 2048)?;
    Worker::start("debezium", command, folder, settings.port).await
}

/// A system that runs.
pub(super) struct Carrying {
    name: String,
    worker: Worker,
}

impl Carrying {
    /// Its topics' prefix and its slot's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Watches its process from now on.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn watched(&self) -> anyhow::Result<Watched> {
        Watched::begin(self.worker.process().id().context("the worker has ended")?)
    }

    /// Waits until its task runs.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn wait_running(&self) -> anyhow::Result<()> {
        self.worker.rest().wait_task(&self.name, "RUNNING").await.map(drop)
    }

    /// The REST API's URL.
    pub(super) fn url(&self) -> String {
        self.worker.rest().url().to_owned()
    }

    /// Ends it as one does who starts it again: it goes on where it was.
    ///
    /// # Errors
    /// It does not end.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.worker.into_process().stop().await
    }

    /// Ends it, and drops its slots.
    ///
    /// # Errors
    /// It does not end.
    pub(super) async fn stop(self, source: &Client) -> anyhow::Result<()> {
        let worker = self.worker.into_process();
        if let Some(id) = worker.id() {
            // Nothing of it is kept.
            crate::process::signal(id, "KILL")?;
        }
        worker.kill();
        drop_slots(source, &self.name).await
    }
}

/// Drops the slots whose names begin with a carrier's, also when somebody still holds one.
///
/// # Errors
/// The server's.
pub(super) async fn drop_slots(source: &Client, name: &str) -> anyhow::Result<()> {
    let held = "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots
                WHERE starts_with(slot_name, $1) AND active_pid IS NOT NULL";
    source.execute(held, &[&name]).await?;
    source
        .execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE starts_with(slot_name, $1)",
            &[&name],
        )
        .await?;
    Ok(())
}
