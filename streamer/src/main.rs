//! The streamer: a Kafka Connect worker for PostgreSQL.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::allocator::share_one_arena;
use access::diagnosis::Finding;
use anyhow::Context as _;
use axum::Router;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use page::Events;
use streamer::config::rest_tls::RestTls;
use streamer::config::{WorkerConfig, application_properties};
use streamer::doctor::{self, Configured};
use streamer::error::TaskError;
use streamer::look;
use streamer::look::explain::Explain;
use streamer::look::replay::Replay;
use streamer::look::tail::Tail;
use streamer::worker::entrance::enter;
use streamer::worker::group::{Membership, Place};
use streamer::worker::herder::Herder;
use streamer::worker::log_levels::LogLevels;
use streamer::worker::page::Look;
use streamer::worker::rest::tls::TlsListener;
use streamer::worker::rest::{self, Api};
use streamer::worker::storage::configs::TargetState;
use streamer::worker::{ask, deploy};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trace::{Service, Tracer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, reload};

/// How long Kafka may be away at the start.
const KAFKA_DEADLINE: Duration = Duration::from_secs(60);

/// How long it is not said that this worker stands by: joining the group takes a moment.
const STANDBY_NOTICE: Duration = Duration::from_secs(5);

/// Whose spans ours are.
const TRACED: Service = Service {
    name: "headwater-streamer",
    version: env!("CARGO_PKG_VERSION"),
    dropped: streamer::metrics::names::SPANS_DROPPED,
};

/// PostgreSQL's changes to Kafka, in Debezium's records.
///
/// Without arguments it is configured by the environment variables that Debezium's connect image takes:
/// BOOTSTRAP_SERVERS, GROUP_ID, CONFIG_STORAGE_TOPIC, OFFSET_STORAGE_TOPIC, STATUS_STORAGE_TOPIC, KEY_CONVERTER,
/// VALUE_CONVERTER, and CONNECT_A_B for the worker property a.b. RUST_LOG sets the log's level, LOG_FORMAT=json its form.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    configuration: Configuration,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How it is configured.
#[derive(Args)]
struct Configuration {
    /// The worker's configuration, instead of the environment
    #[arg(long, value_name = "FILE.properties")]
    worker: Option<PathBuf>,
    /// Debezium Server's configuration: its one connector is run, without a group
    #[arg(long, value_name = "FILE", conflicts_with_all = ["worker", "connector"])]
    application_properties: Option<PathBuf>,
    /// A connector to create or update at the start; may be given more than once
    #[arg(long, value_name = "FILE.json|FILE.properties")]
    connector: Vec<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Look at everything that could be wrong, and say what mends it: configured as for a run, before one or while it goes on.
    /// Nothing is changed. Exit status 0 where there is no error, 1 where there is one
    Doctor {
        #[command(flatten)]
        configuration: Configuration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show changes on a terminal: of topics, of a database as they are committed, or of what waits in a slot. Nothing is consumed
    Tail(Box<Tail>),
    /// Show where an event came from and where it went: TOPIC/PARTITION/OFFSET, or an LSN; or what an error's code means
    Explain(Box<Explain>),
    /// Publish a table again, or some of its rows, through an incremental snapshot
    Replay(Box<Replay>),
    /// Ask the worker that runs here with this configuration how it is; exit status 0 only if every task runs that should
    Health(Ask),
    #[command(flatten)]
    Pages(shell::Pages),
}

/// Whom to ask how it is.
#[derive(Args)]
struct Ask {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    health: shell::Health,
}

fn main() -> ExitCode {
    share_one_arena();
    start()
}

#[tokio::main]
async fn start() -> ExitCode {
    let Arguments { configuration, command } = Arguments::parse();
    // What is asked for at a terminal says itself what there is to say.
    let looks = || start_logging("warn,rdkafka=off");
    let result = match command {
        None => {
            let levels = start_logging("info,rdkafka=off");
            Box::pin(run(&configuration, levels)).await.map(|()| true)
        }
        Some(Command::Doctor { configuration, json }) => return doctor::run(&configured(&configuration), json).await,
        Some(Command::Tail(tail)) => {
            looks();
            look::outcome(Box::pin(look::tail::run(&tail)).await).map(|()| true)
        }
        Some(Command::Explain(explain)) => {
            looks();
            look::outcome(Box::pin(look::explain::run(&explain)).await).map(|()| true)
        }
        Some(Command::Replay(replay)) => {
            looks();
            look::outcome(Box::pin(look::replay::run(&replay)).await).map(|()| true)
        }
        Some(Command::Health(asked)) => ask(&asked).await,
        Some(Command::Pages(pages)) => Ok(pages.write(Arguments::command())),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Without a backtrace, whatever the environment asks for: it is for a person who configures, not for one who debugs.
            eprintln!("streamer: {error:#}");
            if let Some(code) = error.chain().find_map(code) {
                eprintln!("streamer: `streamer explain {code}` says more");
            }
            ExitCode::FAILURE
        }
    }
}

/// The name that a failure has in the catalogue of errors.
fn code(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let finding = error.downcast_ref::<Finding>().map(|finding| finding.id);
    finding.or_else(|| error.downcast_ref::<TaskError>().and_then(TaskError::id))
}

fn configured(configuration: &Configuration) -> Configured<'_> {
    Configured {
        worker: configuration.worker.as_deref(),
        application_properties: configuration.application_properties.as_deref(),
        connectors: &configuration.connector,
    }
}

/// The worker's configuration, and the connector that it comes with.
fn worker(arguments: &Configuration) -> anyhow::Result<(WorkerConfig, Option<deploy::Connector>)> {
    Ok(match (&arguments.application_properties, &arguments.worker) {
        (Some(path), _) => {
            let application = application_properties::read(path, std::env::vars()).map_err(|error| error.finding())?;
            (application.worker, Some((application.name, application.connector)))
        }
        (None, Some(path)) => (WorkerConfig::from_file(path).map_err(|error| error.finding())?, None),
        (None, None) => (WorkerConfig::from_environment(std::env::vars()).map_err(|error| error.finding())?, None),
    })
}

async fn ask(asked: &Ask) -> anyhow::Result<bool> {
    ask::health(&worker(&asked.configuration)?.0, &asked.health).await
}

async fn run(arguments: &Configuration, levels: LogLevels) -> anyhow::Result<()> {
    let mut connectors = arguments.connector.iter().map(|path| deploy::read(path)).collect::<Result<Vec<_>, _>>()?;
    let (worker, connector) = worker(arguments)?;
    connectors.extend(connector);
    let worker = Arc::new(worker);
    let metrics = streamer::metrics::install().context("metrics could not be set up")?;
    let tracer = Tracer::from_environment(TRACED);
    let mut doors = Vec::new();
    for listener in &worker.listeners {
        let door = TcpListener::bind(listener.address).await;
        let why = || format!("the REST API cannot listen on {} (listeners)", listener.address);
        doors.push((door.with_context(why)?, listener.tls.clone()));
    }
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));

    let cluster = when_kafka_answers(&worker, || enter(&worker)).await?;
    let mut membership = match worker.is_standalone {
        true => Membership::alone(),
        false => when_kafka_answers(&worker, || Membership::join(&worker)).await?,
    };
    let (sender, active) = watch::channel(None);
    let api = Api {
        worker: worker.clone(),
        active,
        leader: membership.leader(),
        client: rest_client(&worker)?,
        levels,
        metrics,
        cluster_id: cluster.id.into(),
    };
    let events = Events::new(stop.clone());
    let mut look = Look::new(api.clone());
    tokio::spawn(events.clone().send(async move || look.look().await));
    let api = rest::router(api, events);
    let rest = doors.into_iter().map(|(door, tls)| tokio::spawn(serve(door, tls, api.clone(), stop.clone())));
    let rest: Vec<JoinHandle<io::Result<()>>> = rest.collect();
    let result = while_member(&worker, tracer.as_ref(), &mut membership, connectors, &sender, &stop).await;
    // Other requests get no answer from here on, and what runs is stopped before another worker may start it.
    stop.cancel();
    for door in rest {
        door.await.context("the REST API broke off")?.context("the REST API failed")?;
    }
    if let Some(herder) = sender.send_replace(None) {
        herder.shut_down().await;
    }
    membership.leave().await;
    if let Some(tracer) = tracer {
        tracer.shut_down().await;
    }
    result?;
    tracing::info!("stopped");
    Ok(())
}

/// Serves the REST API at a door until it is stopped.
async fn serve(door: TcpListener, tls: Option<RestTls>, api: Router, stop: CancellationToken) -> io::Result<()> {
    let stopped = stop.cancelled_owned();
    match tls {
        None => axum::serve(door, api).with_graceful_shutdown(stopped).await,
        Some(tls) => {
            let door = TlsListener::new(door, tls.server)?;
            axum::serve(door, api).with_graceful_shutdown(stopped).await
        }
    }
}

/// For requests that another worker answers, whose API is as this one's.
fn rest_client(worker: &WorkerConfig) -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder();
    let client = match &worker.advertised.tls {
        None => client,
        Some(tls) => client.use_preconfigured_tls(tls.client.clone()),
    };
    client.build().context("the client of the other workers' REST API could not be set up")
}

/// Runs the connectors whenever this worker is the active one, until it is stopped.
async fn while_member(
    worker: &Arc<WorkerConfig>,
    tracer: Option<&Tracer>,
    membership: &mut Membership,
    mut connectors: Vec<deploy::Connector>,
    herders: &watch::Sender<Option<Arc<Herder>>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut place = membership.place();
    loop {
        let wait = tokio::time::timeout(STANDBY_NOTICE, active(&mut place));
        let first = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            error = membership.failed() => return Err(error.into()),
            time = wait => time,
        };
        let time = match first {
            Ok(time) => time,
            Err(_) => {
                tracing::info!(group = %worker.group_id, "standing by: another streamer of the group is active");
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    error = membership.failed() => return Err(error.into()),
                    time = active(&mut place) => time,
                }
            }
        };
        let herder = Arc::new(when_kafka_answers(worker, || Herder::start(worker.clone(), tracer.cloned())).await?);
        herders.send_replace(Some(herder.clone()));
        for (name, config) in std::mem::take(&mut connectors) {
            herder
                .put(&name, config, false, TargetState::Started)
                .await
                .with_context(|| format!("connector {name} could not be deployed"))?;
        }
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            group = %worker.group_id,
            brokers = worker.bootstrap_servers(),
            rest = %worker.listeners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            "streamer is ready"
        );
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            error = membership.failed() => {
                herders.send_replace(None);
                herder.abandon().await;
                return Err(error.into());
            }
            () = lost(&mut place, time) => {
                herders.send_replace(None);
                tracing::warn!(
                    group = %worker.group_id,
                    "this worker has lost its place in the group: its tasks are broken off, so that the one that goes on is \
                     alone. What was not acknowledged comes again from the slot"
                );
                herder.abandon().await;
            }
        }
    }
}

/// Completes when this is the active member, with which time that is.
async fn active(place: &mut watch::Receiver<Place>) -> u64 {
    let is_active = place.wait_for(|place| matches!(place, Place::Active(_))).await.map(|place| *place);
    match is_active {
        Ok(Place::Active(time)) => time,
        // The membership is gone, which its own future says.
        Ok(Place::StandingBy) | Err(_) => std::future::pending().await,
    }
}

/// Completes when this is not the active member any more, be it that it has become so again.
async fn lost(place: &mut watch::Receiver<Place>, time: u64) {
    if place.wait_for(|place| *place != Place::Active(time)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn start_logging(default: &str) -> LogLevels {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&directives).unwrap_or_else(|_| EnvFilter::new(default));
    let (filter, handle) = reload::Layer::new(filter);
    let form = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let json = std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json");
    let form = if json { form.json().boxed() } else { form.boxed() };
    tracing_subscriber::registry().with(filter).with(form).init();
    LogLevels::new(directives, move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::warn!(%error, "the log's levels could not be changed");
        }
    })
}

/// Does something that needs Kafka, waiting for it at the start.
async fn when_kafka_answers<T, F>(worker: &Arc<WorkerConfig>, act: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, TaskError>>,
{
    let begun = Instant::now();
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error @ TaskError::Retry(_)) if begun.elapsed() < KAFKA_DEADLINE => {
                tracing::warn!(brokers = worker.bootstrap_servers(), code = error.id(), %error, "waiting for Kafka");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error @ TaskError::Stop(_)) => return Err(error.into()),
            Err(error) => {
                let servers = worker.bootstrap_servers();
                return Err(error).with_context(|| {
                    format!("the worker cannot start: Kafka at {servers} (bootstrap.servers) is not usable")
                });
            }
        }
    }
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
