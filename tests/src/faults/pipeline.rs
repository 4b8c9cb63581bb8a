//! What is tested: our streamer and sink, or Debezium and its JDBC sink in one Connect worker.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::service::Service;
use super::system::NAME;
use super::workload;
use crate::artifacts::{self, Artifacts};
use crate::postgres;
use crate::worker::{self, Rest, Worker};

/// Who carries the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Carrier {
    /// Our streamer and our sink.
    Headwater,
    /// Debezium's connector and Debezium's JDBC sink, in one Connect worker.
    Debezium,
}

/// What is tested, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipeline {
    /// Who carries.
    pub carrier: Carrier,
    /// Whether the worker publishes records and position in one transaction (`exactly.once.source.support`).
    pub exactly_once: bool,
    /// Whether the sink applies transactions whole.
    pub whole: bool,
}

/// The name of Debezium's JDBC sink among the connectors.
const JDBC: &str = "faults-sink";

impl Pipeline {
    /// Whether the sink is a process of its own.
    pub fn has_sink(self) -> bool {
        self.carrier == Carrier::Headwater
    }

    /// What the two ask for before they start. Our sink copies the schema; the JDBC sink is given it. It cannot keep what a
    /// change leaves out of a TOASTed column either, so Debezium is spared that: the source sends rows whole.
    pub(super) async fn prepare(self, source: &Client, target: &str) -> anyhow::Result<()> {
        if self.carrier == Carrier::Debezium {
            source.batch_execute("ALTER TABLE documents REPLICA IDENTITY FULL").await?;
            postgres::connect(target).await?.batch_execute(workload::SCHEMA).await?;
        }
        Ok(())
    }

    /// The worker's properties; `consumer` is where a sink connector reads Kafka.
    pub(super) fn worker_properties(self, directory: &Path, consumer: &str) -> Vec<(&'static str, String)> {
        let support = if self.exactly_once { "enabled" } else { "disabled" };
        let mut properties = vec![
            ("exactly.once.source.support", support.to_owned()),
            ("offset.flush.interval.ms", "500".to_owned()),
            ("session.timeout.ms", "4000".to_owned()),
            ("heartbeat.interval.ms", "500".to_owned()),
        ];
        if self.carrier == Carrier::Debezium {
            properties.extend([
                ("consumer.bootstrap.servers", consumer.to_owned()),
                ("consumer.isolation.level", "read_committed".to_owned()),
                ("plugin.path", directory.join("plugins").display().to_string()),
            ]);
        }
        properties
    }

    pub(super) async fn start_worker(
        self,
        artifacts: &Artifacts,
        directory: &Path,
        settings: &worker::Settings,
    ) -> anyhow::Result<(Rest, Service)> {
        let again = settings.clone();
        Ok(match self.carrier {
            Carrier::Headwater => {
                let worker = Worker::streamer(directory, settings).await?;
                let rest = worker.rest().clone();
                (
                    rest,
                    Service::new("streamer", worker.into_process(), "TERM", move || Worker::streamer_command(&again)),
                )
            }
            Carrier::Debezium => {
                let plugins = directory.join("plugins");
                std::fs::create_dir(&plugins)?;
                std::os::unix::fs::symlink(
                    artifacts.debezium().join("debezium-connector-postgres"),
                    plugins.join("source"),
                )?;
                std::os::unix::fs::symlink(artifacts::jdbc_sink()?, plugins.join("sink"))?;
                let worker = Worker::debezium(artifacts, directory, settings).await?;
                let rest = worker.rest().clone();
                let (artifacts, directory) = (artifacts.clone(), directory.to_owned());
                let command = move || Worker::debezium_command(&artifacts, &directory, &again);
                (rest, Service::new("debezium", worker.into_process(), "TERM", command))
            }
        })
    }

    /// The source connector, which reaches the source at `port`.
    pub(super) fn connector(self, port: u16) -> Value {
        let is_debezium = self.carrier == Carrier::Debezium;
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "database.hostname": "127.0.0.1",
            "database.port": port.to_string(),
            "database.user": postgres::USER,
            "database.password": postgres::USER,
            "database.dbname": NAME,
            "topic.prefix": NAME,
            "plugin.name": "pgoutput",
            "slot.name": NAME,
            "publication.name": NAME,
            "publication.autocreate.mode": "all_tables",
            "schema.include.list": "public",
            "snapshot.mode": if is_debezium { "initial" } else { "no_data" },
            "skipped.operations": "none",
            "tombstones.on.delete": "true",
            "heartbeat.interval.ms": "2000",
            "status.update.interval.ms": "1000",
            "retriable.restart.connector.wait.ms": "2000",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": is_debezium.to_string(),
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": is_debezium.to_string(),
            "value.converter.replace.null.with.default": "false",
        });
        if self.whole {
            config["provide.transaction.metadata"] = "true".into();
        }
        if self.exactly_once {
            config["exactly.once.support"] = "required".into();
        }
        config
    }

    /// Puts both connectors; `target` is the port that the target is reached at.
    pub(super) async fn deploy(self, rest: &Rest, connector: &Value, target: u16) -> anyhow::Result<()> {
        let jdbc = json!({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": "1",
            "topics.regex": format!("{NAME}\\.public\\..*"),
            "connection.url": format!("jdbc:postgresql://127.0.0.1:{target}/{NAME}"),
            "connection.username": postgres::USER,
            "connection.password": postgres::USER,
            "connection.restart.on.errors": "true",
            "insert.mode": "upsert",
            "delete.enabled": "true",
            "truncate.enabled": "true",
            "primary.key.mode": "record_key",
            "schema.evolution": "basic",
            "collection.name.format": "${source.table}",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        });
        for (name, config) in [(NAME, connector), (JDBC, &jdbc)] {
            let (status, answer) = rest.put(&format!("/connectors/{name}/config"), config).await?;
            ensure!(status == 201, "connector {name} is refused: {answer}");
            rest.wait_task(name, "RUNNING").await?;
        }
        Ok(())
    }
}
