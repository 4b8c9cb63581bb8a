//! A JDBC sink connector's configuration, run by Debezium's connector and by ours.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stack::artifacts::{self, Artifacts};
use stack::process::Process;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Settings, Worker, program};
use stack::{ports, postgres};
use tokio_postgres::Client;

use crate::pipeline::Pipeline;

/// The records of these tables, applied twice: into the target's database of the test's name by ours, and into another by Debezium's.
pub(super) struct Both {
    pub(super) pipeline: Pipeline,
    streamer: Worker,
    pub(super) theirs: Option<Worker>,
    pub(super) ours: Option<Process>,
    pub(super) connector: Value,
}

const WITH_SCHEMAS: [(&str, &str); 4] = [
    ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("key.converter.schemas.enable", "true"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter.schemas.enable", "true"),
];

/// A table as it is: columns, and the primary key.
pub(super) const TABLES: &str = "
    SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM (
        SELECT format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid)) AS line
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype = 'p'
    ) AS lines";

impl Both {
    /// Starts the source's connector with `source` over it, whose tables and first rows are there already.
    pub(super) async fn start(
        pipeline: Pipeline,
        source: &[(&str, &str)],
        sink: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let streamer = pipeline.streamer().await?;
        let mut settings = vec![("snapshot.mode", "initial")];
        settings.extend(WITH_SCHEMAS.iter().chain(source));
        let (status, answer) = pipeline.put(&streamer, &settings).await?;
        ensure!(status == 201, "{status} {answer}");
        let mut connector = json!({
            "name": pipeline.name, "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1",
            "topics.regex": format!("{}\\.public\\..*", pipeline.name), "connection.username": "postgres",
            "connection.password": "postgres", "insert.mode": "upsert", "delete.enabled": "true", "truncate.enabled": "true",
            "primary.key.mode": "record_key", "schema.evolution": "basic", "collection.name.format": "${source.table}",
            "consumer.override.metadata.max.age.ms": "1000",
        });
        for (key, value) in WITH_SCHEMAS.iter().chain(sink) {
            connector[*key] = json!(value);
        }
        Ok(Self { pipeline, streamer, theirs: None, ours: None, connector })
    }

    pub(super) fn url(&self, database: &str) -> anyhow::Result<String> {
        let url = self.pipeline.target_url();
        let server =
            url.rsplit_once('@').and_then(|(_, place)| place.split_once('/')).context("no server in the URL")?.0;
        Ok(format!("jdbc:postgresql://{server}/{database}"))
    }

    pub(super) fn their_database(&self) -> String {
        format!("{}_theirs", self.pipeline.name)
    }

    pub(super) async fn their_target(&self) -> anyhow::Result<Client> {
        postgres::connect(
            &self
                .pipeline
                .target_url()
                .replace(&format!("/{}", self.pipeline.name), &format!("/{}", self.their_database())),
        )
        .await
    }

    /// Starts Kafka Connect with Debezium's connector.
    pub(super) async fn start_theirs(&mut self) -> anyhow::Result<()> {
        self.start_theirs_with("").await
    }

    /// The same into a database with tables.
    pub(super) async fn start_theirs_with(&mut self, tables: &str) -> anyhow::Result<()> {
        let target = self.pipeline.target().await?;
        target.batch_execute(&format!("CREATE DATABASE {}", self.their_database())).await?;
        self.their_target().await?.batch_execute(tables).await?;
        let url = self.url(&self.their_database())?;
        // Under a name of its own: of one name they share out the partitions.
        self.theirs = Some(self.connect(&self.their_database(), &url).await?);
        Ok(())
    }

    /// Kafka Connect with the connector under a name, into a database.
    pub(super) async fn connect(&self, name: &str, url: &str) -> anyhow::Result<Worker> {
        let folder = self.pipeline.directory.path().join("connect");
        std::fs::create_dir_all(&folder)?;
        let plugins = artifacts::jdbc_sink()?.parent().context("the JDBC sink is in no folder")?.display().to_string();
        let settings = Settings {
            bootstrap_servers: self.pipeline.kafka.clone(),
            port: ports::free()?,
            group: format!("{}-connect", self.pipeline.name),
            more: vec![("plugin.path", plugins), ("offset.flush.interval.ms", "500".to_owned())],
            environment: vec![],
        };
        let command = Worker::debezium_command(&Artifacts::fetch()?, &folder, &settings)?;
        let worker = Worker::start("connect", command, &folder, settings.port).await?;
        let mut connector = self.connector.clone();
        connector["connection.url"] = json!(url);
        connector["name"] = json!(name);
        let path = format!("/connectors/{name}/config");
        let (status, answer) = worker.rest().put(&path, &connector).await?;
        ensure!(status == 201 || status == 200, "{status} {answer}");
        worker.rest().wait_task(name, "RUNNING").await?;
        Ok(worker)
    }

    /// Starts our sink; where it is asked how it is.
    pub(super) fn start_ours(&mut self) -> anyhow::Result<Rest> {
        let (process, port) = self.sink_process(&self.url(&self.pipeline.name)?)?;
        self.ours = Some(process);
        Ok(Rest::new(port))
    }

    fn sink_process(&self, url: &str) -> anyhow::Result<(Process, u16)> {
        let (command, port) = self.command(url)?;
        Ok((Process::start("sink", command, &self.pipeline.directory.path().join("sink.log"), "TERM")?, port))
    }

    fn command(&self, url: &str) -> anyhow::Result<(Command, u16)> {
        let (file, port) = (self.file(url)?, ports::free()?);
        let mut command = Command::new(program("sink")?);
        command
            .arg("jdbc")
            .arg("--connector")
            .arg(file)
            .args(["--bootstrap-servers", &self.pipeline.kafka])
            .args(["--http-listen", &format!("127.0.0.1:{port}")]);
        Ok((command, port))
    }

    pub(super) fn file(&self, url: &str) -> anyhow::Result<PathBuf> {
        let mut connector = self.connector.clone();
        connector["connection.url"] = json!(url);
        let file = self.pipeline.directory.path().join("sink.json");
        std::fs::write(&file, json!({ "name": self.pipeline.name, "config": connector }).to_string())?;
        Ok(file)
    }

    /// Waits until a query gives the same in both databases, and `expected`, as text.
    pub(super) async fn both_have(&self, query: &str, expected: &str) -> anyhow::Result<()> {
        self.ours_has(query, expected).await?;
        let found = has(&self.their_target().await?, query, expected).await;
        match &self.theirs {
            Some(theirs) if found.is_err() => {
                let (_, status) = theirs.rest().get(&format!("/connectors/{}/status", self.their_database())).await?;
                found.with_context(|| format!("Debezium's: {status:#}"))
            }
            _ => found,
        }
    }

    /// Waits until a query gives this in our sink's database.
    pub(super) async fn ours_has(&self, query: &str, expected: &str) -> anyhow::Result<()> {
        let log = || self.ours.as_ref().map(Process::output).unwrap_or_default();
        has(&self.pipeline.target().await?, query, expected).await.with_context(log)
    }

    /// Waits until a query gives in ours what it gives in theirs.
    pub(super) async fn same(&self, query: &str) -> anyhow::Result<()> {
        let (ours, theirs) = (self.pipeline.target().await?, self.their_target().await?);
        wait_until("both databases to be the same", Duration::from_secs(60), async || {
            let is: Option<String> = ours.query_one(query, &[]).await?.get(0);
            let wanted: Option<String> = theirs.query_one(query, &[]).await?.get(0);
            let (is, wanted) = (is.unwrap_or_default(), wanted.unwrap_or_default());
            let differing = |one: &str, other: &str| {
                one.lines().filter(|line| !other.lines().any(|same| same == *line)).collect::<Vec<_>>().join("\n  ")
            };
            Ok(match is == wanted {
                true => Condition::Met(()),
                false => Condition::NotYet(format!(
                    "{query}\ntheirs\n  {}\nours\n  {}",
                    differing(&wanted, &is),
                    differing(&is, &wanted)
                )),
            })
        })
        .await
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Some(ours) = self.ours {
            ours.stop().await?;
        }
        if let Some(theirs) = self.theirs {
            theirs.into_process().stop().await?;
        }
        self.streamer.into_process().stop().await
    }
}

async fn has(client: &Client, query: &str, expected: &str) -> anyhow::Result<()> {
    let sql = format!("SELECT (({query})::text)");
    wait_until(&format!("`{query}` to be {expected}"), Duration::from_secs(60), async || {
        // The table may not be there yet.
        let found: String = match client.query_one(&sql, &[]).await {
            Ok(row) => row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".to_owned()),
            Err(error) => error.to_string(),
        };
        Ok(if found == expected { Condition::Met(()) } else { Condition::NotYet(found) })
    })
    .await
}

/// Waits until a sink says this of itself.
pub(super) async fn says(sink: &Rest, text: &str) -> anyhow::Result<()> {
    wait_until(&format!("/health to say `{text}`"), Duration::from_secs(60), async || {
        // It may not listen yet.
        let said = sink.get("/health").await.map_or_else(|error| error.to_string(), |(_, health)| health.to_string());
        Ok(if said.contains(text) { Condition::Met(()) } else { Condition::NotYet(said) })
    })
    .await
}

pub(super) fn rows(table: &str) -> String {
    format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM {table} AS t")
}
