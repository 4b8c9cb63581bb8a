//! One test's own pipeline on the shared services.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use stack::artifacts::Artifacts;
use stack::sink::{self, Sink};
use stack::wait::{Condition, wait_until};
use stack::worker::{self, Worker, program};
use stack::{demo, ports, postgres};
use tokio_postgres::Client;

/// Where a test's databases, topics and files are. Its name is the databases', the topic prefix, the slot, the publication
/// and the worker's group.
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) kafka: String,
    postgres1: String,
    postgres2: String,
}

fn environment(name: &str) -> anyhow::Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: run scripts/test.sh, or `stack run -- cargo test …`"))
}

fn compose() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose")
}

impl Pipeline {
    /// Creates an empty database on both servers.
    pub(crate) async fn new(name: &str) -> anyhow::Result<Self> {
        let pipeline = Self {
            name: name.to_owned(),
            directory: tempfile::Builder::new().prefix(&format!("headwater-{name}-")).tempdir()?,
            kafka: environment("TEST_KAFKA")?,
            postgres1: environment("TEST_POSTGRES1")?,
            postgres2: environment("TEST_POSTGRES2")?,
        };
        for server in [&pipeline.postgres1, &pipeline.postgres2] {
            postgres::connect(server).await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        }
        Ok(pipeline)
    }

    /// Creates both databases, the source with the inventory of the demo in it.
    pub(crate) async fn with_inventory(name: &str) -> anyhow::Result<Self> {
        let pipeline = Self::new(name).await?;
        let source = pipeline.source().await?;
        for script in demo::seed(&compose())? {
            postgres::run_script(&source, &script).await?;
        }
        Ok(pipeline)
    }

    /// The source's URL.
    pub(crate) fn source_url(&self) -> String {
        self.database(&self.postgres1)
    }

    /// The target's URL.
    pub(crate) fn target_url(&self) -> String {
        self.database(&self.postgres2)
    }

    fn database(&self, server: &str) -> String {
        server.rsplit_once('/').map_or_else(String::new, |(server, _)| format!("{server}/{}", self.name))
    }

    /// A session to the source.
    pub(crate) async fn source(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.source_url()).await
    }

    /// A session to the target.
    pub(crate) async fn target(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.target_url()).await
    }

    /// Runs SQL on the source.
    pub(crate) async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.source().await?.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    pub(crate) fn worker_settings(&self) -> anyhow::Result<worker::Settings> {
        Ok(worker::Settings {
            bootstrap_servers: self.kafka.clone(),
            port: ports::free()?,
            group: self.name.clone(),
            // Short, so that positions are stored and slots confirmed within a test's time.
            more: vec![("offset.flush.interval.ms", "500".to_owned())],
            environment: vec![],
        })
    }

    /// Starts our streamer.
    pub(crate) async fn streamer(&self) -> anyhow::Result<Worker> {
        Worker::streamer(self.directory.path(), &self.worker_settings()?).await
    }

    /// Starts Kafka Connect with Debezium, on the same group and topics.
    pub(crate) async fn debezium(&self) -> anyhow::Result<Worker> {
        Worker::debezium(&Artifacts::fetch()?, self.directory.path(), &self.worker_settings()?).await
    }

    /// The demo's connector, on this test's database, with `changes` over it.
    pub(crate) fn connector(&self, changes: &[(&str, &str)]) -> anyhow::Result<Value> {
        let text = std::fs::read_to_string(compose().join("pipeline/connector.json"))?;
        let mut config = serde_json::from_str::<Value>(&text)?["config"].take();
        let port = self.postgres1.rsplit_once('/').and_then(|(server, _)| server.rsplit_once(':'));
        let port = port.context("TEST_POSTGRES1 has no port")?.1;
        for (key, value) in [
            ("database.hostname", "127.0.0.1"),
            ("database.port", port),
            ("database.dbname", &self.name),
            ("topic.prefix", &self.name),
            ("slot.name", &self.name),
            ("publication.name", &self.name),
        ]
        .iter()
        .chain(changes)
        {
            config[*key] = json!(value);
        }
        Ok(config)
    }

    /// Puts the connector under this test's name.
    pub(crate) async fn put(&self, worker: &Worker, changes: &[(&str, &str)]) -> anyhow::Result<(u16, Value)> {
        worker.rest().put(&format!("/connectors/{}/config", self.name), &self.connector(changes)?).await
    }

    /// Starts the sink, which deploys the connector to `worker`.
    pub(crate) fn sink(&self, worker: &Worker) -> anyhow::Result<(Sink, u16)> {
        self.sink_with(worker, |_| {})
    }

    /// Starts the sink with other settings; its HTTP port too.
    pub(crate) fn sink_with(
        &self,
        worker: &Worker,
        change: impl FnOnce(&mut sink::Settings),
    ) -> anyhow::Result<(Sink, u16)> {
        self.sink_in(self.directory.path(), worker, change)
    }

    /// The same with its log in another directory: one that runs beside another.
    pub(crate) fn sink_in(
        &self,
        directory: &Path,
        worker: &Worker,
        change: impl FnOnce(&mut sink::Settings),
    ) -> anyhow::Result<(Sink, u16)> {
        self.sink_at(directory, worker.rest().url(), change)
    }

    /// The same beside a worker whose REST API is there.
    pub(crate) fn sink_at(
        &self,
        directory: &Path,
        url: &str,
        change: impl FnOnce(&mut sink::Settings),
    ) -> anyhow::Result<(Sink, u16)> {
        let mut settings = self.sink_settings(url)?;
        change(&mut settings);
        Ok((Sink::start(directory, &settings)?, settings.port))
    }

    /// What a sink of this test is started with.
    pub(crate) fn sink_settings(&self, url: &str) -> anyhow::Result<sink::Settings> {
        let file = self.directory.path().join("connector.json");
        std::fs::write(&file, json!({ "name": self.name, "config": self.connector(&[])? }).to_string())?;
        Ok(sink::Settings {
            source: self.source_url(),
            target: self.target_url(),
            bootstrap_servers: self.kafka.clone(),
            connect_url: url.to_owned(),
            topic_prefix: self.name.clone(),
            connector: Some(file),
            test_rows: None,
            port: ports::free()?,
            pg_bin: environment("TEST_PG_BIN")?.into(),
            environment: vec![],
        })
    }

    /// The topic of a table.
    pub(crate) fn topic(&self, table: &str) -> String {
        format!("{}.public.{table}", self.name)
    }

    /// Waits until `sink verify` finds all tables equal.
    pub(crate) async fn equal(&self) -> anyhow::Result<()> {
        // Once, waiting inside: what the user would run.
        let mut verify = Command::new(program("sink")?);
        verify.arg("verify").args(["--wait", "60", "--source", &self.source_url(), "--target", &self.target_url()]);
        let output = tokio::task::spawn_blocking(move || verify.output()).await??;
        if !output.status.success() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            bail!("source and target differ:\n{}{}", text(&output.stdout), text(&output.stderr));
        }
        Ok(())
    }

    /// Waits until a query on the target gives `expected`, as text.
    pub(crate) async fn target_has(&self, query: &str, expected: &str) -> anyhow::Result<()> {
        has(&self.target().await?, query, expected).await
    }

    /// Waits until a query on the source gives `expected`, as text.
    pub(crate) async fn source_has(&self, query: &str, expected: &str) -> anyhow::Result<()> {
        has(&self.source().await?, query, expected).await
    }
}

async fn has(client: &Client, query: &str, expected: &str) -> anyhow::Result<()> {
    let sql = format!("SELECT (({query})::text)");
    wait_until(&format!("`{query}` to be {expected}"), Duration::from_secs(60), async || {
        let found: Option<String> = client.query_one(&sql, &[]).await?.get(0);
        let found = found.unwrap_or_else(|| "NULL".to_owned());
        Ok(if found == expected { Condition::Met(()) } else { Condition::NotYet(found) })
    })
    .await
}
