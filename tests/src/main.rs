//! The command line to the native stack.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use stack::artifacts::Artifacts;
use stack::bench;
use stack::demo::{self, Pipeline, Ports};
use stack::faults;
use stack::kafka::Kafka;
use stack::memory;
use stack::parity;
use stack::ports;
use stack::postgres::{Postgres, Settings, USER};
use stack::process;
use stack::random;
use stack::worker::{self, Worker};
use tokio::signal::unix::{SignalKind, signal};

/// The real services as native processes: PostgreSQL twice, Kafka, the worker, the sink.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Download what the stack runs
    Fetch,
    /// Print the folder of psql, pg_dump and pg_restore
    PgBin,
    /// Start everything on the demo's ports, up to the sink's WRITER COMPLETE, and leave it running
    Demo {
        /// What stands between PostgreSQL and Kafka
        #[arg(long, env = "PIPELINE", default_value = "streamer")]
        pipeline: Pipeline,
        /// Where data, logs and process ids go
        #[arg(long, default_value = "/var/tmp/headwater-stack")]
        directory: PathBuf,
        #[command(flatten)]
        ports: Ports,
    },
    /// Stop what `demo` left running and remove its data
    Down {
        /// Where `demo` put them
        #[arg(long, default_value = "/var/tmp/headwater-stack")]
        directory: PathBuf,
    },
    /// Start PostgreSQL twice and Kafka on free ports, run a command that finds them in TEST_POSTGRES1, TEST_POSTGRES2,
    /// TEST_KAFKA and TEST_PG_BIN, and stop them behind it
    Run {
        /// A worker to start too; its REST API is in TEST_REST
        #[arg(long)]
        worker: Option<Pipeline>,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Run the parity scenarios on services of their own, and compare the records with Debezium's
    Parity(parity::Arguments),
    /// Measure how much memory the streamer and the sink take where much passes through them
    Memory(memory::Arguments),
    /// Run random tables, rows and operations through Debezium and the streamer side by side, and compare the records
    Random(random::Arguments),
    /// Break things at random while the source is written to, and look whether anything was lost, came twice or out of order
    Faults(faults::Arguments),
    /// Measure how fast it all is beside Debezium and beside PostgreSQL itself, and write docs/benchmarks.md
    Bench(bench::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match carry_out(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Fetch => {
            Artifacts::fetch()?;
        }
        Command::PgBin => println!("{}", Artifacts::fetch()?.postgres_client().display()),
        Command::Demo { pipeline, directory, ports } => demo::start(&directory, pipeline, ports).await?,
        Command::Down { directory } => demo::stop(&directory).await?,
        Command::Run { worker, command } => return run(worker, &command).await,
        Command::Parity(arguments) => return Ok(code(parity::run(&arguments).await?)),
        Command::Memory(arguments) => return Ok(code(memory::run(&arguments).await?)),
        Command::Bench(arguments) => bench::run(&arguments).await?,
        Command::Random(arguments) => return Ok(code(random::run(&arguments).await?)),
        Command::Faults(arguments) => return Ok(code(faults::run(&arguments).await?)),
    }
    Ok(ExitCode::SUCCESS)
}

fn code(is_equal: bool) -> ExitCode {
    if is_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(worker: Option<Pipeline>, command: &[String]) -> anyhow::Result<ExitCode> {
    let artifacts = Artifacts::fetch()?;
    let directory = tempfile::Builder::new().prefix("headwater-stack-").tempdir()?;
    process::make_readable(directory.path())?;
    let settings = |name, port| Settings { name, port, wal_level: "logical", durable: false, hba: None };
    let (source, target) = (settings("postgres1", ports::free()?), settings("postgres2", ports::free()?));
    let (postgres1, postgres2, kafka) = tokio::try_join!(
        Postgres::start(&artifacts, directory.path(), &source),
        Postgres::start(&artifacts, directory.path(), &target),
        Kafka::start(&artifacts, directory.path(), ports::free()?),
    )?;
    let settings = worker::Settings {
        bootstrap_servers: kafka.bootstrap_servers(),
        port: ports::free()?,
        group: "tests".to_owned(),
        more: vec![("offset.flush.interval.ms", "1000".to_owned())],
        environment: vec![],
    };
    let worker = match worker {
        Some(Pipeline::Streamer) => Some(Worker::streamer(directory.path(), &settings).await?),
        Some(Pipeline::Debezium) => Some(Worker::debezium(&artifacts, directory.path(), &settings).await?),
        None => None,
    };
    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("TEST_POSTGRES1", postgres1.url(USER))
        .env("TEST_POSTGRES2", postgres2.url(USER))
        .env("TEST_KAFKA", kafka.bootstrap_servers())
        .env("TEST_PG_BIN", artifacts.postgres_client())
        .env("TEST_REST", worker.as_ref().map_or_else(String::new, |worker| worker.rest().url().to_owned()))
        .env("TEST_BIN", std::env::current_exe()?.parent().context("no directory")?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.clone())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = terminate.recv() => anyhow::bail!("terminated"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    };
    if let Some(worker) = worker {
        worker.into_process().stop().await?;
    }
    // Nothing of them is kept: a clean end behind hundreds of tests took minutes. This one leaves no shared memory behind.
    for mut server in [postgres1.into_process(), postgres2.into_process()] {
        if let Some(id) = server.id() {
            process::signal(id, "QUIT")?;
        }
        server.ended(Duration::from_secs(30)).await?;
    }
    kafka.into_process().kill();
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
