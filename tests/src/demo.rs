//! All services on the demo's ports, left running.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::artifacts::Artifacts;
use crate::kafka::Kafka;
use crate::postgres::{self, Postgres};
use crate::sink::{self, Sink};
use crate::worker::{self, Worker};
use crate::{ports, process};

/// What stands between PostgreSQL and Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pipeline {
    /// Our streamer.
    Streamer,
    /// Kafka Connect with Debezium.
    Debezium,
}

/// The demo's ports: those of the compose files, unless somebody has a second one beside the first.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Ports {
    /// postgres1's port
    #[arg(long, env = "POSTGRES1_PORT", default_value_t = 5433)]
    pub postgres1_port: u16,
    /// postgres2's port
    #[arg(long, env = "POSTGRES2_PORT", default_value_t = 5434)]
    pub postgres2_port: u16,
    /// Kafka's port
    #[arg(long, env = "KAFKA_PORT", default_value_t = 29093)]
    pub kafka_port: u16,
    /// The port of the worker's REST API
    #[arg(long, env = "WORKER_PORT", default_value_t = 8083)]
    pub worker_port: u16,
    /// The sink's port
    #[arg(long, env = "SINK_PORT", default_value_t = 8084)]
    pub sink_port: u16,
}

const DATABASE: &str = "omedb";

/// The services in the order they are stopped in.
const SERVICES: [&str; 6] = ["sink", "streamer", "debezium", "kafka", "postgres2", "postgres1"];

/// Starts everything and returns when the sink says `WRITER COMPLETE`. Data, logs and process ids are in `directory`.
///
/// # Errors
/// What did not come up; what did is stopped again.
pub async fn start(directory: &Path, pipeline: Pipeline, ports: Ports) -> anyhow::Result<()> {
    let artifacts = Artifacts::fetch()?;
    if directory.exists() {
        stop(directory).await?;
    }
    let Ports { postgres1_port, postgres2_port, kafka_port, worker_port, sink_port } = ports;
    for (port, what_for) in [
        (postgres1_port, "postgres1"),
        (postgres2_port, "postgres2"),
        (kafka_port, "Kafka"),
        (worker_port, "the worker's REST API"),
        (sink_port, "the sink"),
    ] {
        ports::require_free(port, what_for)?;
    }
    std::fs::create_dir_all(directory)?;
    let directory = &directory.canonicalize()?;
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose").canonicalize()?;

    println!(
        "starting postgres1 (port {postgres1_port}), postgres2 (port {postgres2_port}) and Kafka (port {kafka_port}) …"
    );
    let hba = compose.join("reader/pg_hba.conf");
    let source = postgres::Settings {
        name: "postgres1",
        port: postgres1_port,
        wal_level: "logical",
        durable: true,
        hba: Some(&hba),
    };
    let target =
        postgres::Settings { name: "postgres2", port: postgres2_port, wal_level: "replica", durable: true, hba: None };
    let (postgres1, postgres2, kafka) = tokio::try_join!(
        start_source(&artifacts, directory, &source, &compose),
        start_target(&artifacts, directory, &target),
        Kafka::start(&artifacts, directory, kafka_port),
    )?;

    let settings = worker::Settings {
        bootstrap_servers: kafka.bootstrap_servers(),
        port: worker_port,
        group: "headwater".to_owned(),
        more: vec![],
        environment: vec![],
    };
    let worker = match pipeline {
        Pipeline::Streamer => {
            println!("starting streamer (port {worker_port}) …");
            Worker::streamer(directory, &settings).await?
        }
        Pipeline::Debezium => {
            println!("starting Kafka Connect with Debezium (port {worker_port}) …");
            Worker::debezium(&artifacts, directory, &settings).await?
        }
    };

    println!("starting the sink (port {sink_port}) …");
    let mut sink = Sink::start(
        directory,
        &sink::Settings {
            source: postgres1.url(DATABASE),
            target: postgres2.url(DATABASE),
            bootstrap_servers: kafka.bootstrap_servers(),
            connect_url: worker.rest().url().to_owned(),
            topic_prefix: "ome".to_owned(),
            connector: Some(native_connector(&compose, directory, postgres1_port)?),
            test_rows: Some(compose.join("writer/test-rows.sql")),
            port: sink_port,
            pg_bin: artifacts.postgres_client(),
            environment: vec![],
        },
    )?;
    sink.wait_complete(1, |new| print!("{new}")).await?;

    let processes = [
        postgres1.into_process(),
        postgres2.into_process(),
        kafka.into_process(),
        worker.into_process(),
        sink.into_process(),
    ];
    for process in processes {
        process.leave_running(directory)?;
    }
    say_what_next(directory, &ports);
    Ok(())
}

/// Stops what [`start`] left running and removes its data.
///
/// # Errors
/// Something does not end.
pub async fn stop(directory: &Path) -> anyhow::Result<()> {
    for service in SERVICES {
        if process::stop_left_running(directory, service).await? {
            println!("stopped {service}");
        }
    }
    if directory.exists() {
        std::fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    Ok(())
}

async fn start_source(
    artifacts: &Artifacts,
    directory: &Path,
    settings: &postgres::Settings<'_>,
    compose: &Path,
) -> anyhow::Result<Postgres> {
    let server = start_target(artifacts, directory, settings).await?;
    let client = postgres::connect(&server.url(DATABASE)).await?;
    for script in seed(compose)? {
        postgres::run_script(&client, &script).await?;
    }
    Ok(server)
}

/// The seed's scripts in their order.
///
/// # Errors
/// The folder cannot be read.
pub fn seed(compose: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = compose.join("reader/init");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    scripts.sort();
    Ok(scripts)
}

async fn start_target(
    artifacts: &Artifacts,
    directory: &Path,
    settings: &postgres::Settings<'_>,
) -> anyhow::Result<Postgres> {
    let server = Postgres::start(artifacts, directory, settings).await?;
    let client = postgres::connect(&server.url(postgres::USER)).await?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
    Ok(server)
}

/// The compose files' connector, with the address that postgres1 has here.
fn native_connector(compose: &Path, directory: &Path, postgres1_port: u16) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(compose.join("pipeline/connector.json")).context("connector.json")?;
    let mut connector: serde_json::Value = serde_json::from_str(&text).context("connector.json")?;
    if let Some(config) = connector.get_mut("config") {
        config["database.hostname"] = "127.0.0.1".into();
        config["database.port"] = postgres1_port.to_string().into();
    }
    let file = directory.join("connector.json");
    std::fs::write(&file, serde_json::to_string_pretty(&connector)?)?;
    Ok(file)
}

fn say_what_next(directory: &Path, ports: &Ports) {
    println!(
        "
Everything runs. Try it:

  a live insert     scripts/psql.sh postgres1 -c \"INSERT INTO devices(service_tag,device_name,device_type_id,model,ip_address,health_status) VALUES('MYTEST','test.local',1,'PowerEdge R750','10.99.1.1','OK')\"
  and here it is    scripts/psql.sh postgres2 -c \"SELECT * FROM devices WHERE service_tag = 'MYTEST'\"
  compare all       scripts/verify.sh
  the pages         http://localhost:{worker_port} (the streamer), http://localhost:{sink_port} (the sink)
  the connector     curl http://localhost:{worker_port}/connectors/ome-connector/status
  the sink          curl http://localhost:{sink_port}/health
  logs and data     {directory}
  stop everything   scripts/stop-all.sh

Redpanda Console comes with the containers only: with docker or podman running, start-all.sh serves it on http://localhost:8080",
        directory = directory.display(),
        worker_port = ports.worker_port,
        sink_port = ports.sink_port,
    );
}
