//! The sink: Debezium envelopes from Kafka into a second PostgreSQL.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use access::allocator::share_one_arena;
use clap::{CommandFactory as _, Parser as _};
use sink::apply::replay;
use sink::config::{Arguments, Command};
use sink::error::SinkError;
use sink::metrics::health::Health;
use sink::metrics::page::About;
use sink::{bootstrap, doctor, jdbc, metrics, verify};
use tokio_util::sync::CancellationToken;
use trace::{Service, Tracer};

/// How long threads that wait for a server may go on at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Whose spans ours are.
const TRACED: Service =
    Service { name: "headwater-sink", version: env!("CARGO_PKG_VERSION"), dropped: metrics::names::SPANS_DROPPED };

fn main() -> ExitCode {
    share_one_arena();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sink: the system gives no threads: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(start());
    // A client that waits for Kafka to answer does not hold up the end for long. One that is in the middle of something is let end it: what
    // the process takes down with it, libraries in other threads would still use.
    runtime.shutdown_timeout(LAST_WORDS);
    code
}

async fn start() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Doctor(config) = &arguments.command {
        return doctor::run(&config.run, config.json).await;
    }
    start_logging();
    let result = match arguments.command {
        Command::Run(config) => {
            until_stopped(config.http_listen, About::run(&config), async |tracer, health, cancel| {
                bootstrap::run(&config, tracer, health, cancel).await
            })
            .await
        }
        Command::Doctor(_) => Ok(true),
        Command::Verify(config) => {
            let cancel = CancellationToken::new();
            if config.watch {
                tokio::spawn(stop_on_signal(cancel.clone()));
            }
            verify::run(&config, &cancel).await
        }
        Command::Jdbc(config) => {
            until_stopped(config.http_listen, About::jdbc(&config), async |tracer, health, cancel| {
                jdbc::run(&config, tracer, health, cancel).await
            })
            .await
        }
        Command::Replay(config) => replay::run(&config).await,
        Command::Explain(config) => {
            // Who closes the output, as `| head` does, has read enough.
            let _closed = writeln!(std::io::stdout(), "{}", config.page.trim_end());
            Ok(true)
        }
        Command::Health(config) => Ok(metrics::http::ask(&config).await),
        Command::Pages(pages) => Ok(pages.write(Arguments::command())),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sink: {error}");
            if let Some(code) = error.id() {
                eprintln!("sink: `sink explain {code}` says more");
            }
            ExitCode::from(2)
        }
    }
}

/// Runs what applies changes until it is asked to stop, and says meanwhile how it is.
async fn until_stopped(
    listen: SocketAddr,
    about: About,
    run: impl AsyncFnOnce(Option<&Tracer>, &Health, &CancellationToken) -> Result<(), SinkError>,
) -> Result<bool, SinkError> {
    let (health, cancel) = (Health::default(), CancellationToken::new());
    metrics::http::serve(listen, health.clone(), about).await?;
    let tracer = Tracer::from_environment(TRACED);
    tokio::spawn(stop_on_signal(cancel.clone()));
    let result = tokio::select! {
        result = run(tracer.as_ref(), &health, &cancel) => result,
        // Asked to stop before the copy was complete: the next start begins that step anew.
        () = stopped_early(&cancel, &health) => Ok(()),
    };
    if let Some(tracer) = tracer {
        tracer.shut_down().await;
    }
    result?;
    tracing::info!("stopped");
    Ok(true)
}

/// Completes when a stop is asked for before changes are applied; behind that the sequence itself ends cleanly.
async fn stopped_early(cancel: &CancellationToken, health: &Health) {
    cancel.cancelled().await;
    if health.applies() {
        std::future::pending::<()>().await;
    }
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

/// SIGTERM or SIGINT: every consumer finishes its batch.
async fn stop_on_signal(cancel: CancellationToken) {
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
    cancel.cancel();
}
