//! The services of one work: PostgreSQL twice, Kafka.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio_postgres::Client;

use crate::artifacts::Artifacts;
use crate::kafka::{self, Jvm, Kafka};
use crate::postgres::{self, Postgres, Settings};
use crate::{ports, process};

/// Everybody in without a password: the bare reader knows no other way, and how one enters is not the question.
const OPEN_DOORS: &str = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";

/// The name of the database, and of its publication.
pub(super) const DATABASE: &str = "bench";

/// Running services.
pub(super) struct Stage {
    pub(super) artifacts: Artifacts,
    directory: tempfile::TempDir,
    source: Server,
    target: Server,
    kafka: Kafka,
}

/// A PostgreSQL.
struct Server {
    postgres: Postgres,
    port: u16,
}

impl Stage {
    /// Starts them; `has_times` says whether the servers keep the time of every commit.
    ///
    /// # Errors
    /// They do not come up.
    pub(super) async fn start(has_times: bool) -> anyhow::Result<Self> {
        let artifacts = Artifacts::fetch()?;
        let directory = tempfile::Builder::new().prefix("headwater-bench-").tempdir()?;
        process::make_readable(directory.path())?;
        let broker = kafka::Settings {
            jvm: Jvm::AsShipped,
            port: ports::free()?,
            limits: kafka::Limits { heap: 1024, ..kafka::Limits::default() },
            // Rounds of several gigabytes each.
            more: "log.segment.delete.delay.ms=1000\nlog.retention.check.interval.ms=1000\n".to_owned(),
            ..kafka::Settings::default()
        };
        let (source, target, kafka) = tokio::try_join!(
            Server::start(&artifacts, directory.path(), "postgres1", has_times),
            Server::start(&artifacts, directory.path(), "postgres2", has_times),
            Kafka::start_with(&artifacts, directory.path(), &broker),
        )?;
        Ok(Self { artifacts, directory, source, target, kafka })
    }

    /// A session to the source.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn source(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.source_url()).await
    }

    /// A session to the target.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn target(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.target_url()).await
    }

    /// The source's URL.
    pub(super) fn source_url(&self) -> String {
        self.source.postgres.url(DATABASE)
    }

    /// The target's URL.
    pub(super) fn target_url(&self) -> String {
        self.target.postgres.url(DATABASE)
    }

    /// The source's port.
    pub(super) fn source_port(&self) -> u16 {
        self.source.port
    }

    /// The target's port.
    pub(super) fn target_port(&self) -> u16 {
        self.target.port
    }

    /// Where Kafka is.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    /// The broker's process.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn broker(&self) -> anyhow::Result<u32> {
        self.kafka.process().id().context("Kafka has ended")
    }

    /// Where the broker keeps its topics.
    pub(super) fn kafka_log(&self) -> PathBuf {
        self.directory.path().join("kafka/log")
    }

    /// A folder for one system's round.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.directory.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Leaves logs and data where they are.
    pub(super) fn keep(self) -> PathBuf {
        self.directory.keep()
    }

    /// Ends them.
    ///
    /// # Errors
    /// They do not end.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.kafka.into_process().kill();
        for server in [self.source, self.target] {
            server.postgres.into_process().stop().await?;
        }
        Ok(())
    }
}

impl Server {
    async fn start(
        artifacts: &Artifacts,
        directory: &std::path::Path,
        name: &str,
        has_times: bool,
    ) -> anyhow::Result<Self> {
        let (port, doors) = (ports::free()?, directory.join(format!("{name}.hba")));
        std::fs::write(&doors, OPEN_DOORS)?;
        let settings = Settings { name, port, wal_level: "logical", durable: false, hba: Some(&doors) };
        let mut postgres = Postgres::start(artifacts, directory, &settings).await?;
        let server = postgres::connect(&postgres.url("postgres")).await?;
        // A backlog stays; a commit is decoded at once, and not when the server's walwriter comes by.
        for setting in ["max_wal_size = '8GB'", "synchronous_commit = on", "shared_buffers = '512MB'"] {
            server.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await?;
        }
        if has_times {
            server.batch_execute("ALTER SYSTEM SET track_commit_timestamp = on").await?;
        }
        server.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        postgres.into_process().stop().await?;
        postgres = Postgres::start(artifacts, directory, &settings).await?;
        Ok(Self { postgres, port })
    }
}
