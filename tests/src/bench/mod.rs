//! How fast the streamer and the sink are, beside Debezium and beside what PostgreSQL itself can do, on the real services.
//!
//! Every work is one run: the systems take their turns on the same rows, round after round, and what counts are the ratios of
//! their medians. What was found is kept in `docs/benchmarks/results.json`, and the page and its pictures are made of it.
//!
//! # Layout
//! - `machine`: what it runs on
//! - `stage`: the services
//! - `table`: the rows
//! - `carrier`: the streamer and Debezium, and what they are told
//! - `bare`: readers of the slot that do nothing with it
//! - `ends`: what Kafka has
//! - `watched`: processors and memory of a process
//! - `drain`: a backlog of changes into Kafka
//! - `slots`: a backlog through several slots
//! - `snapshot`: the rows that are there into Kafka
//! - `latency`: from a commit to who reads its record
//! - `apply`: a topic into the second PostgreSQL
//! - `through`: from a commit to the commit in the second PostgreSQL
//! - `result`: what was measured, and its medians
//! - `report`: the page; `plot`: its pictures

mod apply;
mod bare;
mod carrier;
mod drain;
mod ends;
mod latency;
mod machine;
mod plot;
mod report;
mod result;
mod slots;
mod snapshot;
mod stage;
mod table;
mod through;
mod watched;

use std::path::{Path, PathBuf};
use std::time::Instant;

use self::machine::Machine;
use self::result::Results;
use self::stage::Stage;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Work {
    /// A backlog, JSON without schemas
    Drain,
    /// The same, schemas in every record
    Schemas,
    /// The same, Avro
    Avro,
    /// A backlog of a table with 60 columns
    Wide,
    /// A backlog of large JSON documents
    Documents,
    /// A backlog of updates that leave a large value alone
    Toast,
    /// A backlog of pgbench's transactions
    Pgbench,
    /// A backlog of changes in 1,000 tables
    Tables,
    /// A backlog through the transform that most use
    Transform,
    /// A backlog in several tables, through one slot and through two
    Slots,
    /// 100 commits a second
    Latency,
    /// The rows that are there
    Snapshot,
    /// A topic into the second PostgreSQL
    Apply,
    /// The same from several partitions, by several sinks
    Spread,
    /// From the first PostgreSQL to the second
    Through,
}

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Only these; all of them unless given
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// How often each system takes its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Rows of a backlog
    #[arg(long, default_value_t = 300_000)]
    rows: usize,
    /// How long commits come at 100 a second, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Without Debezium, for who works on the streamer
    #[arg(long)]
    alone: bool,
    /// What the streamer's connector is told beside the common, KEY=VALUE, for who tries things
    #[arg(long)]
    with: Vec<String>,
    /// Where the page goes, and beside it the folder of its pictures
    #[arg(long, default_value = "docs/benchmarks.md")]
    page: PathBuf,
    /// Measure nothing: make the page of what was found before
    #[arg(long)]
    page_only: bool,
}

/// Measures, and writes the page after every work.
///
/// # Errors
/// What could not be started or did not come.
pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut results = Results::load(&arguments.page)?;
    if arguments.page_only {
        return report::write(&arguments.page, &results);
    }
    let all = <Work as clap::ValueEnum>::value_variants();
    for work in all.iter().filter(|one| arguments.only.is_empty() || arguments.only.contains(one)) {
        let begun = Instant::now();
        let measured = measure(*work, arguments).await?;
        println!("{}", report::table(&measured));
        eprintln!("{work:?}: {} s", begun.elapsed().as_secs());
        results.put(measured, Machine::look()?);
        write(&arguments.page, &results)?;
    }
    Ok(())
}

async fn measure(work: Work, arguments: &Arguments) -> anyhow::Result<result::Measured> {
    if work == Work::Spread {
        return apply::spread(arguments).await;
    }
    let stage = Stage::start(work == Work::Through).await?;
    let measured = match work {
        Work::Slots => slots::run(&stage, arguments).await,
        Work::Latency => latency::run(&stage, arguments).await,
        Work::Snapshot => snapshot::run(&stage, arguments).await,
        Work::Apply => apply::run(&stage, arguments).await,
        Work::Through => through::run(&stage, arguments).await,
        backlog => drain::run(&stage, backlog, arguments).await,
    };
    match measured {
        Ok(measured) => stage.stop().await.map(|()| measured),
        Err(error) => Err(error.context(format!("the logs are in {}", stage.keep().display()))),
    }
}

fn write(page: &Path, results: &Results) -> anyhow::Result<()> {
    results.save(page)?;
    report::write(page, results)
}
