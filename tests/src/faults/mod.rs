//! Breaks things at random, from a seed, while the source is written to, and looks afterwards whether anything was lost, came
//! twice, or out of order.
//!
//! # Layout
//! - [`pipeline`]: what is tested: streamer and sink, or Debezium with its JDBC sink
//! - [`system`]: all processes of it, and a [`proxy`] between every two
//! - [`service`]: a process, started again when it ends
//! - [`disk`]: Kafka's disk, which can be full
//! - [`workload`]: what is written meanwhile
//! - [`readers`]: who reads the target meanwhile
//! - [`fault`], `take_over`, `hands`: what breaks
//! - [`check`]: whether all is where it should be
//! - [`report`]: what is printed
//!
//! A run has rounds: some faults under load, then the load stops, everything is mended, the rest arrives, and all is compared.

pub mod check;
pub mod disk;
pub mod fault;
mod hands;
pub mod pipeline;
pub mod proxy;
pub mod readers;
pub mod report;
pub mod service;
pub mod system;
mod take_over;
pub mod workload;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use fastrand::Rng;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::process;
use check::Check;
use disk::Disk;
use fault::{Fault, KINDS};
use pipeline::{Carrier, Pipeline};
use readers::Reader;
use report::Report;
use system::System;
use workload::Workload;

/// How long the pipeline may take to carry what was written when a fault was over.
const RECOVERY: Duration = Duration::from_secs(180);
/// How long a task may be FAILED before it is started again, as Strimzi's `autoRestart` does for Connect's users.
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// `stack faults`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// How many faults
    #[arg(long, default_value_t = 12)]
    faults: usize,
    /// Where the choice of faults begins; any, and printed, when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// After how many faults everything is compared
    #[arg(long, default_value_t = 20)]
    round: usize,
    /// How many users write at once, about eight transactions a second each
    #[arg(long, default_value_t = 3)]
    users: u64,
    /// What is tested
    #[arg(long, default_value = "headwater")]
    pipeline: Carrier,
    /// Without exactly.once.source.support: what comes twice is counted, and is no failure
    #[arg(long)]
    at_least_once: bool,
    /// Table by table: the sink applies no whole transactions, and halves that readers see are counted, and are no failure
    #[arg(long)]
    by_table: bool,
    /// These kinds of faults alone, such as `restart,kill`
    #[arg(long, value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(KINDS))]
    only: Vec<String>,
    /// Keep data and logs of a run in which all went well
    #[arg(long)]
    keep: bool,
}

/// Runs it; whether nothing was lost, nothing came twice, nothing out of order, and nothing leaked.
///
/// # Errors
/// What could not be started or asked; what did not recover.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let pipeline = Pipeline {
        carrier: arguments.pipeline,
        exactly_once: !arguments.at_least_once,
        whole: !arguments.by_table && arguments.pipeline == Carrier::Headwater,
    };
    let directory = tempfile::Builder::new().prefix("headwater-faults-").tempdir()?;
    process::make_readable(directory.path())?;
    let mut report = Report::new(seed, pipeline);
    let result = carry_out(arguments, seed, pipeline, directory.path(), &mut report).await;
    print!("\n{report}");
    let is_right = matches!(result, Ok(true));
    if !is_right || arguments.keep {
        println!("\ndata and logs are in {}", directory.keep().display());
    }
    result
}

async fn carry_out(
    arguments: &Arguments,
    seed: u64,
    pipeline: Pipeline,
    directory: &Path,
    report: &mut Report,
) -> anyhow::Result<bool> {
    let kinds: Vec<&'static str> = KINDS
        .into_iter()
        .filter(|kind| arguments.only.is_empty() || arguments.only.iter().any(|only| only == kind))
        .filter(|kind| *kind != "take-over" || pipeline.has_sink())
        .collect();
    let disk = Disk::mount(&directory.join("kafka"))?;
    println!("seed {seed}: {}, {} faults", report.pipeline(), arguments.faults);
    if disk.is_none() && kinds.contains(&"disk-full") {
        println!("without root there is no disk for Kafka that could be full: that fault is left out");
    }
    let kinds: Vec<&'static str> = kinds.into_iter().filter(|kind| *kind != "disk-full" || disk.is_some()).collect();
    let begun = Instant::now();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let system = tokio::select! {
        system = System::start(directory, pipeline, disk) => Arc::new(system?),
        _ = terminate.recv() => bail!("terminated"),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    println!("all runs after {} s", begun.elapsed().as_secs());
    let (_tended, restarted) = tend(&system);
    let reader = Reader::begin(&system.target_url);
    let broken = rounds(arguments, seed, &kinds, &system, report);
    let result = tokio::select! {
        result = broken => result,
        _ = terminate.recv() => Err(anyhow!("terminated")),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    (report.looks, report.halves) = reader.found();
    drop(reader);
    report.restarted_by_hand = restarted.load(Ordering::SeqCst);
    report.stubborn = system.services().iter().map(|service| service.stubborn.load(Ordering::SeqCst)).sum();
    if !matches!(result, Ok(true)) || arguments.keep {
        system.disk.as_ref().map_or(Ok(()), Disk::keep)?;
    }
    system.mend()?;
    system.stop().await?;
    let is_right = result.with_context(|| format!("seed {seed}, fault {}", report.faults()))?;
    Ok(is_right && report.restarted_by_hand == 0 && (report.halves == 0 || !pipeline.whole))
}

async fn rounds(
    arguments: &Arguments,
    seed: u64,
    kinds: &[&'static str],
    system: &Arc<System>,
    report: &mut Report,
) -> anyhow::Result<bool> {
    let (mut random, mut check) = (Rng::with_seed(seed), Check::default());
    report.usage(system);
    let mut is_right = true;
    while report.faults() < arguments.faults {
        let load_seed = seed.wrapping_add(report.faults() as u64);
        let workload = Workload::begin(&system.source_url, &system.target_url, arguments.users, load_seed);
        let until = (report.faults() + arguments.round).min(arguments.faults);
        while report.faults() < until {
            pause(&mut random).await;
            let faults = Fault::one_or_two(&mut random, arguments.pipeline, kinds);
            let waits = random.u8(..10) < 7;
            report.begin(&faults, arguments.faults);
            let broken = faults.iter().map(|fault| fault.carry_out(system));
            for result in futures_util::future::join_all(broken).await {
                result?;
            }
            let recovered = if waits { Some(recover(system).await?) } else { None };
            report.done(recovered);
        }
        report.transactions += workload.stop().await.context("the workload")?;
        system.mend()?;
        let settling = Instant::now();
        let found = check.settled(system).await?;
        is_right &= found.is_right(system.pipeline.exactly_once);
        report.usage(system);
        report.found(found, settling.elapsed());
        // Ours has to be right every time. Of the other all losses are counted.
        if !is_right && system.pipeline.carrier == Carrier::Headwater {
            break;
        }
    }
    Ok(is_right && report.leaks().is_empty())
}

async fn pause(random: &mut Rng) {
    tokio::time::sleep(Duration::from_millis(random.u64(300..2500))).await;
}

/// Waits until what the source has now is in the target.
async fn recover(system: &System) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let newest = "SELECT coalesce(max(id), 0) FROM transfers";
    let ask = async |client: anyhow::Result<tokio_postgres::Client>| -> Option<i64> {
        Some(client.ok()?.query_one(newest, &[]).await.ok()?.get(0))
    };
    let mut wanted = None;
    loop {
        wanted = match wanted {
            Some(wanted) => Some(wanted),
            None => ask(system.source().await).await,
        };
        if wanted.is_some() && ask(system.target().await).await >= wanted {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > RECOVERY {
            bail!("no recovery within {} s: {}", RECOVERY.as_secs(), system.standing().await);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What stands in for an orchestrator: starts processes again that end, and tasks that FAILED; of these the number is given.
fn tend(system: &Arc<System>) -> (DropGuard, Arc<AtomicUsize>) {
    let (stop, restarted) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let guard = stop.clone().drop_guard();
    let (processes, stopped) = (system.clone(), stop.clone());
    tokio::spawn(async move {
        while !stopped.is_cancelled() {
            for service in processes.services() {
                if let Err(error) = service.tend() {
                    eprintln!("{error:#}");
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let (tasks, count) = (system.clone(), restarted.clone());
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            tokio::time::sleep(FAILED_PAUSE).await;
            let failed = tasks.restart_failed().await;
            if failed > 0 {
                println!("    FAILED and started again: {}", tasks.standing().await);
            }
            count.fetch_add(failed, Ordering::SeqCst);
        }
    });
    (guard, restarted)
}
