//! How much memory the programs take where much passes through them, as the operating system sees it.
//!
//! # Layout
//! - [`resident`]: what the operating system says of a process
//! - `stage`: the services of one measurement
//! - `situations`: what is done to them

pub mod resident;
mod situations;
mod stage;

use std::time::Instant;

use self::resident::Resident;
use self::stage::Stage;

/// The most that may be resident, in megabytes of 2^20 bytes.
pub const STREAMER_MB: u64 = 128;
/// The same of the sink.
pub const SINK_MB: u64 = 256;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Situation {
    /// One transaction of many rows, into the target
    Transaction,
    /// The same into Kafka, without a sink
    Published,
    /// Rows with a large value, into the target
    Value,
    /// A row that is larger than Kafka takes
    Refused,
    /// Many tables: their snapshot by the connector
    Snapshot,
    /// Many tables: a change of each, into the target
    Tables,
    /// The broker is frozen while the source writes
    SlowKafka,
    /// A table of the target is locked while the source writes
    SlowTarget,
}

/// How large it is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Only these; all of them unless given
    #[arg(long, value_delimiter = ',')]
    only: Vec<Situation>,
    /// Publish in transactions (exactly.once.source.support)
    #[arg(long)]
    exactly_once: bool,
    /// Rows in the one transaction
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Megabytes in the one value
    #[arg(long, default_value_t = 200)]
    value: u64,
    /// Tables
    #[arg(long, default_value_t = 5_000)]
    tables: u64,
}

/// A process's memory in a situation.
struct Finding {
    situation: Situation,
    process: &'static str,
    resident: Resident,
    limit_mb: u64,
}

/// Measures, and prints a table; whether all stayed within their limits.
///
/// # Errors
/// The services do not start, or what was written does not arrive.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let all = <Situation as clap::ValueEnum>::value_variants();
    let (mut findings, mut all_arrived) = (Vec::new(), true);
    for situation in all.iter().filter(|one| arguments.only.is_empty() || arguments.only.contains(one)) {
        let begun = Instant::now();
        let mut stage = Stage::start(arguments.exactly_once).await?;
        let happened = situations::happen(*situation, arguments, &mut stage).await;
        let streamer = stage.streamer();
        let sink = stage.sink_resident();
        if let Err(error) = happened {
            println!("{situation:?}: {error:#}\nthe logs are in {}", stage.keep().display());
            all_arrived = false;
            continue;
        }
        println!("{situation:?}: {} s", begun.elapsed().as_secs());
        let mut found = |process, resident, limit_mb| {
            findings.push(Finding { situation: *situation, process, resident, limit_mb });
        };
        found("streamer", streamer?, STREAMER_MB);
        if let Some(sink) = sink? {
            found("sink", sink, SINK_MB);
        }
        for finding in findings.iter().filter(|finding| finding.situation == *situation) {
            print(finding);
        }
        stage.stop().await?;
    }
    println!("\nexactly once: {}", arguments.exactly_once);
    findings.iter().for_each(print);
    Ok(all_arrived && findings.iter().all(|finding| finding.resident.peak_mb() <= finding.limit_mb))
}

fn print(finding: &Finding) {
    let Finding { situation, process, resident, limit_mb } = finding;
    let verdict = if resident.peak_mb() <= *limit_mb { "within" } else { "OVER" };
    println!(
        "{:<12} {process:<8} peak {:>5} MB ({verdict} {limit_mb}), at the end {:>5} MB, {:>5} threads, {:>6} descriptors",
        format!("{situation:?}"),
        resident.peak_mb(),
        resident.now_kb.div_ceil(1024),
        resident.threads,
        resident.descriptors,
    );
}
