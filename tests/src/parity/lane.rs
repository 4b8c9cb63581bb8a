//! Where scenarios run, one after the other: a PostgreSQL, and for each side a Kafka and a worker.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio_postgres::Client;

use super::scenario::Config;
use super::side::Side;
use crate::artifacts::Artifacts;
use crate::postgres::{self, Postgres, Settings, USER};
use crate::wait::{Condition, wait_until};
use crate::{demo, ports};

/// The database of every scenario: its name is in the records.
const DATABASE: &str = "parity";

/// A place for one scenario at a time.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The workers, the reference first.
    pub(crate) sides: Vec<Side>,
    postgres: Postgres,
    port: u16,
    admin: Client,
    psql: PathBuf,
}

impl Lane {
    /// Starts everything in `directory`, a worker for each of `pipelines`.
    ///
    /// # Errors
    /// What does not come up.
    pub(crate) async fn start(
        artifacts: &Artifacts,
        directory: &Path,
        pipelines: &[demo::Pipeline],
    ) -> anyhow::Result<Self> {
        let port = ports::free()?;
        let settings = Settings { name: "postgres", port, wal_level: "logical", durable: false, hba: None };
        let postgres = Postgres::start(artifacts, directory, &settings).await?;
        let admin = postgres::connect(&postgres.url(USER)).await?;
        let mut sides: Vec<Side> = Vec::new();
        for pipeline in pipelines {
            let slot = if sides.is_empty() { "" } else { "_beside" };
            sides.push(Side::start(artifacts, directory, *pipeline, slot).await?);
        }
        Ok(Self { sides, postgres, port, admin, psql: artifacts.postgres_client().join("psql") })
    }

    /// The configuration that every scenario changes.
    pub(crate) fn base(&self) -> Config {
        let converter = "org.apache.kafka.connect.json.JsonConverter";
        [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("tasks.max", "1"),
            ("plugin.name", "pgoutput"),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &self.port.to_string()),
            ("database.user", USER),
            ("database.password", USER),
            ("database.dbname", DATABASE),
            ("topic.prefix", "srv"),
            ("slot.name", "parity_slot"),
            ("publication.name", "parity_pub"),
            ("key.converter", converter),
            ("value.converter", converter),
            ("key.converter.schemas.enable", "false"),
            ("value.converter.schemas.enable", "false"),
            ("poll.interval.ms", "50"),
        ]
        .into_iter()
        .map(|(property, value)| (property.to_owned(), json!(value)))
        .collect()
    }

    /// Runs a file in the database, statement by statement.
    ///
    /// # Errors
    /// What psql says.
    pub(crate) async fn psql(&self, file: &Path) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::new(&self.psql);
        command
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &postgres::url(self.port, DATABASE), "-f"])
            .arg(file)
            .env("PGTZ", "UTC")
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGOPTIONS", "-c client_min_messages=warning -c bytea_output=hex")
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(120), command.output());
        let output = output.await.with_context(|| format!("psql {} takes too long", file.display()))??;
        if !output.status.success() {
            bail!("psql {}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// An empty database, no slots, no connectors, no topics.
    ///
    /// # Errors
    /// What of it failed.
    pub(crate) async fn clean(&self) -> anyhow::Result<()> {
        for side in &self.sides {
            side.delete_connectors().await?;
        }
        self.roll_back_prepared().await?;
        self.drop_slots().await?;
        for statement in [
            "DROP DATABASE IF EXISTS parity WITH (FORCE)",
            "DROP ROLE IF EXISTS parity_norepl",
            "CREATE DATABASE parity TEMPLATE template0 ENCODING 'UTF8'",
            "ALTER DATABASE parity SET timezone = 'UTC'",
            "ALTER DATABASE parity SET lc_monetary = 'C'",
        ] {
            self.admin.execute(statement, &[]).await.context(statement)?;
        }
        for side in &self.sides {
            side.delete_topics().await?;
        }
        Ok(())
    }

    async fn roll_back_prepared(&self) -> anyhow::Result<()> {
        let prepared = "SELECT 'ROLLBACK PREPARED ' || quote_literal(gid) FROM pg_prepared_xacts WHERE database = $1";
        for row in self.admin.query(prepared, &[&DATABASE]).await? {
            let client = postgres::connect(&self.postgres.url(DATABASE)).await?;
            client.batch_execute(row.get(0)).await?;
        }
        Ok(())
    }

    async fn drop_slots(&self) -> anyhow::Result<()> {
        let drop = "SELECT pg_terminate_backend(active_pid), pg_drop_replication_slot(slot_name)
                    FROM pg_replication_slots WHERE database = $1";
        wait_until("the slots to be dropped", Duration::from_secs(20), async || {
            Ok(match self.admin.query(drop, &[&DATABASE]).await {
                Ok(_) => Condition::Met(()),
                // A session ends in its own time.
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await
    }

    /// Waits until a side's connector streams from its slot.
    ///
    /// # Errors
    /// Its task fails, or it takes too long.
    pub(crate) async fn wait_streaming(
        &self,
        side: &Side,
        connector: &str,
        slot: &str,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        let streaming = "SELECT count(*) FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid
                         WHERE slot_name = $1 AND state IN ('streaming', 'catchup')";
        let mut seen = 0;
        wait_until("the slot to stream", deadline - Instant::now(), async || {
            let count: i64 = self.admin.query_one(streaming, &[&slot]).await?.get(0);
            seen = if count > 0 { seen + 1 } else { 0 };
            // A session that was refused goes away again.
            if seen >= 3 {
                return Ok(Condition::Met(()));
            }
            if count == 0 {
                side.check(connector).await?;
            }
            Ok(Condition::NotYet(format!("slot {slot} has no session")))
        })
        .await
    }

    /// Deletes a side's connector and waits until its session has ended.
    ///
    /// # Errors
    /// It does not go.
    pub(crate) async fn delete_connector(&self, side: &Side, connector: &str, slot: &str) -> anyhow::Result<()> {
        side.delete(connector).await?;
        let active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active";
        wait_until("the connector's session to end", Duration::from_secs(30), async || {
            let count: i64 = self.admin.query_one(active, &[&slot]).await?.get(0);
            Ok(if count == 0 { Condition::Met(()) } else { Condition::NotYet(format!("slot {slot} is active")) })
        })
        .await
    }
    /// Ends everything.
    ///
    /// # Errors
    /// What does not end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        for side in self.sides {
            side.stop().await?;
        }
        self.postgres.into_process().stop().await
    }
}
