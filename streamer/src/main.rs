//! The streamer: a Kafka Connect worker for PostgreSQL.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use streamer::config::WorkerConfig;
use streamer::error::TaskError;
use streamer::worker::deploy;
use streamer::worker::herder::Herder;
use streamer::worker::rest::{self, Api};
use streamer::worker::storage::configs::TargetState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long Kafka may be away at the start.
const KAFKA_DEADLINE: Duration = Duration::from_secs(60);

/// PostgreSQL's changes to Kafka, in Debezium's records.
///
/// Without arguments it is configured by the environment variables that Debezium's connect image takes:
/// BOOTSTRAP_SERVERS, GROUP_ID, CONFIG_STORAGE_TOPIC, OFFSET_STORAGE_TOPIC, STATUS_STORAGE_TOPIC, KEY_CONVERTER,
/// VALUE_CONVERTER, and CONNECT_A_B for the worker property a.b. RUST_LOG sets the log's level, LOG_FORMAT=json its form.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The worker's configuration, instead of the environment
    #[arg(long, value_name = "FILE.properties")]
    worker: Option<PathBuf>,
    /// A connector to create or update at the start; may be given more than once
    #[arg(long, value_name = "FILE.json|FILE.properties")]
    connector: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace, whatever the environment asks for: it is for a person who configures, not for one who debugs.
            eprintln!("streamer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let worker = Arc::new(match &arguments.worker {
        Some(path) => WorkerConfig::from_file(path)?,
        None => WorkerConfig::from_environment(std::env::vars())?,
    });
    let connectors = arguments.connector.iter().map(|path| deploy::read(path)).collect::<Result<Vec<_>, _>>()?;
    let metrics = streamer::metrics::install().context("metrics could not be set up")?;
    let listener = TcpListener::bind(worker.listen)
        .await
        .with_context(|| format!("the REST API cannot listen on {} (listeners)", worker.listen))?;

    let herder = Arc::new(start_herder(&worker).await?);
    let cluster_id = cluster_id(&worker);
    for (name, config) in connectors {
        herder
            .put(&name, config, false, TargetState::Started)
            .await
            .with_context(|| format!("connector {name} could not be deployed"))?;
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        group = %worker.group_id,
        brokers = worker.bootstrap_servers(),
        rest = %worker.listen,
        "streamer is ready"
    );
    let api = Api { herder: herder.clone(), metrics, cluster_id: cluster_id.into() };
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    axum::serve(listener, rest::router(api))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("the REST API failed")?;
    herder.shut_down().await;
    tracing::info!("stopped");
    Ok(())
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rdkafka=off"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().init();
    } else {
        log.init();
    }
}

/// Opens the worker's topics, waiting for Kafka.
async fn start_herder(worker: &Arc<WorkerConfig>) -> anyhow::Result<Herder> {
    let begun = Instant::now();
    loop {
        match Herder::start(worker.clone()).await {
            Ok(herder) => return Ok(herder),
            Err(error @ TaskError::Retry(_)) if begun.elapsed() < KAFKA_DEADLINE => {
                tracing::warn!(brokers = worker.bootstrap_servers(), %error, "waiting for Kafka");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                let servers = worker.bootstrap_servers();
                return Err(error).with_context(|| {
                    format!("the worker cannot start: Kafka at {servers} (bootstrap.servers) is not usable. Nothing was read, nothing is lost")
                });
            }
        }
    }
}

/// The Kafka cluster's id, empty when it does not say.
fn cluster_id(worker: &WorkerConfig) -> String {
    let client: Result<BaseConsumer, _> = worker.kafka_client().create();
    client
        .ok()
        .and_then(|client| tokio::task::block_in_place(|| client.client().fetch_cluster_id(Duration::from_secs(5))))
        .unwrap_or_default()
}

/// SIGTERM or SIGINT: tasks end cleanly, positions are stored.
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::error!("SIGTERM cannot be handled; a stop will not be clean");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}
