//! The services of one measurement, with limits that let large records pass.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::resident::Resident;
use crate::artifacts::Artifacts;
use crate::kafka::{self, Kafka};
use crate::postgres::{self, Postgres, Settings, USER};
use crate::sink::{self, Sink};
use crate::wait::{Condition, wait_until};
use crate::worker::{self, Worker};
use crate::{ports, process};

/// The connector's name, topic prefix and slot.
const NAME: &str = "memory";

/// PostgreSQL twice, Kafka, the streamer, and the sink once it is asked for.
pub(super) struct Stage {
    artifacts: Artifacts,
    directory: tempfile::TempDir,
    postgres1: Postgres,
    postgres2: Postgres,
    pub(super) kafka: Kafka,
    worker: Worker,
    sink: Option<Sink>,
}

impl Stage {
    /// Starts them.
    pub(super) async fn start(exactly_once: bool) -> anyhow::Result<Self> {
        let artifacts = Artifacts::fetch()?;
        let directory = tempfile::Builder::new().prefix("headwater-memory-").tempdir()?;
        process::make_readable(directory.path())?;
        let settings = |name, port| Settings { name, port, wal_level: "logical", durable: false, hba: None };
        let (source, target) = (settings("postgres1", ports::free()?), settings("postgres2", ports::free()?));
        let limits = kafka::Limits { heap: 1536, message: 400 << 20 };
        // Requests may be larger than the largest message.
        let more = "socket.request.max.bytes=440000000\n".to_owned();
        let large = kafka::Settings { port: ports::free()?, limits, more, ..kafka::Settings::default() };
        let (postgres1, postgres2, kafka) = tokio::try_join!(
            Postgres::start(&artifacts, directory.path(), &source),
            Postgres::start(&artifacts, directory.path(), &target),
            Kafka::start_with(&artifacts, directory.path(), &large),
        )?;
        let mut more = vec![];
        if exactly_once {
            more.push(("exactly.once.source.support", "enabled".to_owned()));
        }
        let settings = worker::Settings {
            bootstrap_servers: kafka.bootstrap_servers(),
            port: ports::free()?,
            group: NAME.to_owned(),
            more,
            environment: vec![],
        };
        let worker = Worker::streamer(directory.path(), &settings).await?;
        Ok(Self { artifacts, directory, postgres1, postgres2, kafka, worker, sink: None })
    }

    /// A session to the source.
    pub(super) async fn source(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.postgres1.url(USER)).await
    }

    /// A session to the target.
    pub(super) async fn target(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.postgres2.url(USER)).await
    }

    fn connector(&self, changes: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = self.postgres1.url(USER);
        let port = url.rsplit_once('/').and_then(|(server, _)| server.rsplit_once(':')).context("no port")?.1;
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1",
            "database.port": port,
            "database.user": USER,
            "database.password": USER,
            "database.dbname": USER,
            "topic.prefix": NAME,
            "plugin.name": "pgoutput",
            "slot.name": NAME,
            "publication.name": NAME,
            "snapshot.mode": "no_data",
            "skipped.operations": "none",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "value.converter.replace.null.with.default": "false",
        });
        for (key, value) in changes {
            config[*key] = json!(value);
        }
        Ok(config)
    }

    /// Puts the connector, and waits until its task is in a state; gives its trace.
    pub(super) async fn put(&self, changes: &[(&str, &str)], state: &str) -> anyhow::Result<String> {
        let (status, answer) =
            self.worker.rest().put(&format!("/connectors/{NAME}/config"), &self.connector(changes)?).await?;
        if !matches!(status, 200 | 201) {
            bail!("the connector was not taken: {answer}");
        }
        self.worker.rest().wait_task(NAME, state).await
    }

    /// Waits for the task's state.
    pub(super) async fn task(&self, state: &str) -> anyhow::Result<String> {
        self.worker.rest().wait_task(NAME, state).await
    }

    /// Starts the sink, which deploys the connector, and waits until it applies changes.
    pub(super) async fn sink(&mut self, changes: &[(&str, &str)]) -> anyhow::Result<()> {
        let connector = self.directory.path().join("connector.json");
        std::fs::write(&connector, json!({ "name": NAME, "config": self.connector(changes)? }).to_string())?;
        let mut sink = Sink::start(
            self.directory.path(),
            &sink::Settings {
                source: self.postgres1.url(USER),
                target: self.postgres2.url(USER),
                bootstrap_servers: self.kafka.bootstrap_servers(),
                connect_url: self.worker.rest().url().to_owned(),
                topic_prefix: NAME.to_owned(),
                connector: Some(connector),
                test_rows: None,
                port: ports::free()?,
                pg_bin: self.artifacts.postgres_client(),
                environment: vec![],
            },
        )?;
        sink.wait_complete(1, |_| {}).await?;
        self.sink = Some(sink);
        Ok(())
    }

    /// The streamer's process.
    pub(super) fn streamer_id(&self) -> u32 {
        self.worker.process().id().unwrap_or_default()
    }

    /// How the streamer is.
    pub(super) fn streamer(&self) -> anyhow::Result<Resident> {
        Resident::of(self.streamer_id()).with_context(|| self.worker.process().output())
    }

    /// How the sink is, if there is one.
    pub(super) fn sink_resident(&mut self) -> anyhow::Result<Option<Resident>> {
        let Some(sink) = &mut self.sink else { return Ok(None) };
        let id = sink.process().id().unwrap_or_default();
        Resident::of(id).map(Some).with_context(|| sink.process().output())
    }

    /// Waits, for as long as it moves, until a query on the target gives a number; says how far it is now and then.
    pub(super) async fn target_counts(&self, query: &str, expected: i64) -> anyhow::Result<()> {
        let client = self.target().await?;
        let (mut last, mut moved) = (-1, Instant::now());
        wait_until(&format!("`{query}` to be {expected}"), Duration::from_secs(7200), async || {
            let found: i64 = client.query_one(query, &[]).await?.get(0);
            if found != last {
                (last, moved) = (found, Instant::now());
            }
            if moved.elapsed() > Duration::from_secs(300) {
                bail!("`{query}` stands at {found} of {expected} for five minutes");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(if found == expected { Condition::Met(()) } else { Condition::NotYet(found.to_string()) })
        })
        .await
    }

    /// Ends all of it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Some(sink) = self.sink {
            sink.into_process().kill();
        }
        self.worker.into_process().kill();
        self.kafka.into_process().kill();
        for process in [self.postgres1.into_process(), self.postgres2.into_process()] {
            process.stop().await?;
        }
        Ok(())
    }

    /// The logs, for a person to look at.
    pub(super) fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}
