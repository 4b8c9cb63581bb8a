//! What exactly-once support costs: the same backlog and the same steady load, published with and without it in turn.
//!
//! # Layout
//! - `latency`: from a commit to who reads what is committed

mod latency;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio_postgres::Client;

use crate::artifacts::Artifacts;
use crate::kafka::Kafka;
use crate::postgres::{Postgres, Settings, connect};
use crate::worker::{self, Worker};
use crate::{ports, process, topic};

/// How much is measured.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rows of the backlog, in transactions of 1,000
    #[arg(long, default_value = "300000")]
    rows: usize,
    /// How often each is measured
    #[arg(long, default_value = "3")]
    rounds: usize,
    /// How long commits come at 100 a second, in seconds
    #[arg(long, default_value = "20")]
    seconds: u64,
}

/// One measurement.
struct Measured {
    rows_a_second: f64,
    cpu_seconds_a_million: f64,
    median: Duration,
    ninety_ninth: Duration,
}

/// Measures both in turn, and prints a table of them and of the medians' ratios.
///
/// # Errors
/// What could not be started or did not come.
pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let artifacts = Artifacts::fetch()?;
    let directory = tempfile::Builder::new().prefix("headwater-cost-").tempdir()?;
    process::make_readable(directory.path())?;
    let source = Settings { name: "postgres1", port: ports::free()?, wal_level: "logical", durable: false, hba: None };
    let (postgres, kafka) = tokio::try_join!(
        Postgres::start(&artifacts, directory.path(), &source),
        Kafka::start(&artifacts, directory.path(), ports::free()?),
    )?;
    println!("| exactly once | rows/s | CPU s per million rows | latency p50 | p99 |\n|---|---|---|---|---|");
    let mut measured: [Vec<Measured>; 2] = Default::default();
    for round in 0..arguments.rounds {
        for (number, setting) in ["disabled", "enabled"].into_iter().enumerate() {
            let bench = Bench::new(&postgres, &kafka, directory.path(), &format!("{setting}_{round}"), setting).await?;
            let found = bench.measure(arguments).await?;
            println!(
                "| {setting} | {:.0} | {:.1} | {:.1} ms | {:.1} ms |",
                found.rows_a_second,
                found.cpu_seconds_a_million,
                milliseconds(found.median),
                milliseconds(found.ninety_ninth)
            );
            measured[number].push(found);
        }
    }
    let ratio = |of: fn(&Measured) -> f64| median(&measured[1], of) / median(&measured[0], of);
    println!(
        "with it: {:.2} of the rows/s, {:.2} of the CPU, {:+.1} ms at p50, {:+.1} ms at p99 (medians of {} rounds)",
        ratio(|found| found.rows_a_second),
        ratio(|found| found.cpu_seconds_a_million),
        median(&measured[1], |found| milliseconds(found.median))
            - median(&measured[0], |found| milliseconds(found.median)),
        median(&measured[1], |found| milliseconds(found.ninety_ninth))
            - median(&measured[0], |found| milliseconds(found.ninety_ninth)),
        arguments.rounds
    );
    for process in [postgres.into_process(), kafka.into_process()] {
        process.stop().await?;
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(all: &[Measured], of: fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One database, one connector.
struct Bench {
    name: String,
    database: Client,
    url: String,
    directory: std::path::PathBuf,
    settings: worker::Settings,
}

impl Bench {
    async fn new(
        postgres: &Postgres,
        kafka: &Kafka,
        directory: &Path,
        name: &str,
        exactly_once: &str,
    ) -> anyhow::Result<Self> {
        let server = connect(&postgres.url("postgres")).await?;
        server.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        // Decoding goes as far as the WAL is flushed: without this a commit would wait for the server's walwriter.
        server.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = on")).await?;
        let url = postgres.url(name);
        let database = connect(&url).await?;
        database
            .batch_execute(
                "CREATE TABLE devices (id bigserial PRIMARY KEY, service_tag text NOT NULL, device_name text, \
                 device_type_id int, model text, ip_address text, health_status text, power_state text, slot_number int, \
                 temperature numeric(6,2), last_seen timestamptz DEFAULT now(), is_managed boolean DEFAULT true)",
            )
            .await?;
        let directory = directory.join(name);
        std::fs::create_dir(&directory)?;
        let settings = worker::Settings {
            bootstrap_servers: kafka.bootstrap_servers(),
            port: ports::free()?,
            group: name.to_owned(),
            more: vec![("exactly.once.source.support", exactly_once.to_owned())],
            environment: vec![],
        };
        Ok(Self { name: name.to_owned(), database, url, directory, settings })
    }

    async fn measure(&self, arguments: &Arguments) -> anyhow::Result<Measured> {
        let worker = Worker::streamer(&self.directory, &self.settings).await?;
        let (status, answer) =
            worker.rest().put(&format!("/connectors/{}/config", self.name), &self.connector()?).await?;
        ensure!(status == 201, "{status} {answer}");
        worker.rest().wait_task(&self.name, "RUNNING").await?;
        let rows = "INSERT INTO devices (service_tag, device_name, device_type_id, model, ip_address, health_status, \
                    power_state, slot_number, temperature) SELECT 'TAG' || i, 'device-' || i, i % 7, 'PowerEdge R750', \
                    '10.0.0.' || i % 250, 'OK', 'On', i % 42, i % 90 + 0.25 FROM generate_series(1, 1000) i";
        // A topic that is there and warm, as in operation.
        self.database.batch_execute(rows).await?;
        self.published(1000).await?;
        worker.into_process().stop().await?;
        for done in (0..arguments.rows).step_by(1000) {
            self.database.batch_execute(rows).await?;
            if done % 100_000 == 0 {
                eprintln!("{}: {done} of {} rows are written", self.name, arguments.rows);
            }
        }
        let worker = Worker::streamer(&self.directory, &self.settings).await?;
        let id = worker.process().id().context("the streamer has ended")?;
        // From the first record on: how long a start takes is not the question.
        self.published(1001).await?;
        let (begun, first, cpu) = (Instant::now(), self.end()?, process::cpu_seconds(id)?);
        self.published(arguments.rows + 1000).await?;
        let (seconds, published) = (begun.elapsed().as_secs_f64(), (arguments.rows + 1000 - first) as f64);
        let cpu = process::cpu_seconds(id)? - cpu;
        let mut latencies = latency::measure(
            &self.settings.bootstrap_servers,
            &self.topic(),
            &self.url,
            Duration::from_secs(arguments.seconds),
        )
        .await?;
        latencies.sort();
        let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default();
        worker.into_process().stop().await?;
        self.database.batch_execute(&format!("SELECT pg_drop_replication_slot('{}')", self.name)).await?;
        Ok(Measured {
            rows_a_second: published / seconds,
            cpu_seconds_a_million: cpu / published * 1e6,
            median: at(0.5),
            ninety_ninth: at(0.99),
        })
    }

    fn topic(&self) -> String {
        format!("{}.public.devices", self.name)
    }

    fn end(&self) -> anyhow::Result<usize> {
        tokio::task::block_in_place(|| topic::end(&self.settings.bootstrap_servers, &self.topic()))
    }

    /// Waits until so many records are in the topic.
    async fn published(&self, records: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.end().unwrap_or_default() < records {
            ensure!(begun.elapsed() < Duration::from_secs(300), "{records} records of {} do not come", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn connector(&self) -> anyhow::Result<serde_json::Value> {
        let port = self.url.rsplit_once('/').and_then(|(server, _)| server.rsplit_once(':')).context("no port")?.1;
        Ok(json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1", "database.port": port, "database.user": "postgres",
            "database.password": "postgres", "database.dbname": self.name, "topic.prefix": self.name,
            "plugin.name": "pgoutput", "slot.name": self.name, "publication.name": self.name, "snapshot.mode": "no_data",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        }))
    }
}
