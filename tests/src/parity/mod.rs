//! The parity suite: scenarios in the streamer and in Debezium, and their records compared.
//!
//! - *golden*: the streamer against the records that Debezium wrote once, kept in the repository;
//! - *live*: Debezium and the streamer side by side on one database, with slots and topics of their own;
//! - *record*: Debezium alone, its records become the goldens;
//! - *reference*: Debezium alone against the goldens, which says what it does differently on each run.
//!
//! # Layout
//! - `scenario`: a scenario's folder; `record`: what is in it of records
//! - `lane`, `side`, `collector`: where it runs; `drive`, `bad`: how
//! - `normal`, `relations`, `json`, `compare`: what is compared
//! - `deliberate`: what may differ
//!
//! tests/parity/README.md describes the folders and what is compared.

mod bad;
mod collector;
mod compare;
mod deliberate;
mod drive;
mod json;
mod lane;
mod normal;
mod record;
mod relations;
mod scenario;
mod side;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use tokio::task::JoinSet;

use self::compare::{Comparison, describe};
use self::deliberate::Deliberate;
use self::drive::Until;
use self::lane::Lane;
use self::record::Record;
use self::scenario::Scenario;
use crate::artifacts::Artifacts;
use crate::demo::Pipeline;

/// How the suite is run.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Scenarios by number, name, or a pattern of the name; several with commas
    #[arg(long)]
    only: Vec<String>,
    /// What is compared with what
    #[arg(long, value_enum, default_value_t = Mode::Golden)]
    mode: Mode,
    /// Short for --mode live
    #[arg(long, conflicts_with = "mode")]
    live: bool,
    /// Short for --mode record
    #[arg(long, conflicts_with_all = ["mode", "live"])]
    record: bool,
    /// How many scenarios run at once, each on services of its own
    #[arg(long)]
    lanes: Option<usize>,
    /// Leave out the bad configurations
    #[arg(long)]
    no_bad: bool,
    /// Where the scenarios are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/parity/scenarios"))]
    scenarios: PathBuf,
    /// Where the bad configurations are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/parity/scenarios-bad"))]
    bad: PathBuf,
    /// Keep what came in this folder, by scenario and side
    #[arg(long)]
    save: Option<PathBuf>,
    /// How many records that differ are shown of a scenario
    #[arg(long, default_value_t = 5)]
    max_diffs: usize,
}

impl Arguments {
    /// All scenarios of a folder, live.
    pub(crate) fn live(scenarios: &Path, lanes: usize) -> Self {
        Self {
            only: Vec::new(),
            mode: Mode::Live,
            live: true,
            record: false,
            lanes: Some(lanes),
            no_bad: true,
            scenarios: scenarios.to_owned(),
            bad: PathBuf::new(),
            save: None,
            max_diffs: 5,
        }
    }
}

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The streamer with Debezium's records in the repository
    Golden,
    /// The streamer with Debezium, side by side
    Live,
    /// Nothing: Debezium's records become the goldens
    Record,
    /// Debezium with its records in the repository
    Reference,
}

impl Mode {
    /// The workers of a lane, the reference first.
    fn pipelines(self) -> &'static [Pipeline] {
        match self {
            Self::Golden => &[Pipeline::Streamer],
            Self::Live => &[Pipeline::Debezium, Pipeline::Streamer],
            Self::Record | Self::Reference => &[Pipeline::Debezium],
        }
    }

    /// Scenarios mostly wait; Java does not.
    fn lanes(self) -> usize {
        match self {
            Self::Golden => 4,
            Self::Live | Self::Record | Self::Reference => 2,
        }
    }

    /// What both sides of a difference are called.
    fn sides(self) -> [&'static str; 2] {
        match self {
            Self::Golden => ["golden", "streamer"],
            Self::Live => ["Debezium", "streamer"],
            Self::Record | Self::Reference => ["golden", "Debezium"],
        }
    }
}

#[derive(Debug, Clone)]
enum Task {
    Scenario(Scenario),
    Bad(Scenario),
}

/// What came of a task.
struct Outcome {
    task: Task,
    seconds: f32,
    result: anyhow::Result<Comparison>,
}

/// Sums over the scenarios.
#[derive(Debug, Default)]
struct Tally {
    scenarios: usize,
    semantic: usize,
    exact: usize,
    deliberate: usize,
    records: usize,
    records_exact: usize,
    bad: usize,
    bad_outcome: usize,
    bad_text: usize,
    failed: Vec<String>,
}

/// Runs the suite; whether all is as it should be.
///
/// # Errors
/// The services do not start, or a scenario's folder is not as it should be.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mode = match (arguments.live, arguments.record) {
        (true, _) => Mode::Live,
        (_, true) => Mode::Record,
        _ => arguments.mode,
    };
    let mut tasks: VecDeque<Task> =
        Scenario::pick(&arguments.scenarios, &arguments.only)?.into_iter().map(Task::Scenario).collect();
    if !arguments.no_bad {
        tasks.extend(Scenario::pick(&arguments.bad, &arguments.only)?.into_iter().map(Task::Bad));
    }
    anyhow::ensure!(!tasks.is_empty(), "no scenario is called {}", arguments.only.join(" or "));
    let list = arguments.scenarios.parent().unwrap_or(Path::new(".")).join("deliberate.json");
    let deliberate = Deliberate::read(&list)?;

    let lanes = arguments.lanes.unwrap_or(mode.lanes()).clamp(1, tasks.len());
    let suite = Arc::new(Suite { mode, tasks: Mutex::new(tasks), save: arguments.save.clone() });
    let artifacts = Artifacts::fetch()?;
    let (outcomes, mut finished) = tokio::sync::mpsc::channel(16);
    let mut running = JoinSet::new();
    for _ in 0..lanes {
        let (suite, artifacts, outcomes) = (Arc::clone(&suite), artifacts.clone(), outcomes.clone());
        // A thread for each: async closures that borrow are not Send.
        let runtime = tokio::runtime::Handle::current();
        running.spawn_blocking(move || runtime.block_on(suite.work_through(&artifacts, outcomes)));
    }
    drop(outcomes);
    let mut tally = Tally::default();
    while let Some(outcome) = finished.recv().await {
        print!("{}", tally.add(&outcome, &deliberate, mode, arguments.max_diffs));
    }
    while let Some(lane) = running.join_next().await {
        lane??;
    }
    if mode == Mode::Record {
        return Ok(tally.failed.is_empty());
    }
    Ok(tally.print())
}

struct Suite {
    mode: Mode,
    tasks: Mutex<VecDeque<Task>>,
    save: Option<PathBuf>,
}

impl Suite {
    /// One lane: starts its services, and takes tasks until there are none.
    async fn work_through(
        &self,
        artifacts: &Artifacts,
        outcomes: tokio::sync::mpsc::Sender<Outcome>,
    ) -> anyhow::Result<()> {
        let directory = tempfile::Builder::new().prefix("headwater-parity-").tempdir()?;
        crate::process::make_readable(directory.path())?;
        let lane = Lane::start(artifacts, directory.path(), self.mode.pipelines()).await?;
        while let Some(task) = self.next() {
            let begun = Instant::now();
            let result = match &task {
                Task::Scenario(scenario) => self.compare(&lane, scenario).await,
                Task::Bad(scenario) => self.compare_bad(&lane, scenario).await,
            };
            outcomes.send(Outcome { task, seconds: begun.elapsed().as_secs_f32(), result }).await?;
        }
        lane.stop().await
    }

    fn next(&self) -> Option<Task> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn compare(&self, lane: &Lane, scenario: &Scenario) -> anyhow::Result<Comparison> {
        let sides: Vec<_> = lane.sides.iter().collect();
        let golden = scenario.golden()?;
        let awaited = golden.as_deref().map(|golden| scenario.awaited(golden)).transpose()?;
        let (expected, got) = match self.mode {
            Mode::Record => {
                let records = only(drive::run(lane, &sides, scenario, Until::Silence).await?)?;
                scenario::write(&scenario.folder.join("golden.jsonl"), &records)?;
                return Ok(Comparison { expected: records.len(), ..Comparison::default() });
            }
            Mode::Golden | Mode::Reference => {
                let golden = golden.with_context(|| format!("{} has no golden.jsonl", scenario.folder.display()))?;
                let until = Until::Records(awaited.unwrap_or_default());
                (golden, only(drive::run(lane, &sides, scenario, until).await?)?)
            }
            Mode::Live => live(lane, scenario, awaited).await?,
        };
        if let Some(folder) = &self.save {
            let folder = folder.join(&scenario.name);
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            for (side, records) in self.mode.sides().iter().zip([&expected, &got]) {
                scenario::write(&folder.join(format!("{side}.jsonl")), records)?;
            }
        }
        let exactly = self.mode == Mode::Live && !scenario.writes_to_the_source();
        compare::compare(&expected, &got, &scenario.patterns, exactly)
    }

    async fn compare_bad(&self, lane: &Lane, scenario: &Scenario) -> anyhow::Result<Comparison> {
        let file = scenario.folder.join("golden.json");
        let mut outcomes = Vec::new();
        for side in &lane.sides {
            outcomes.push(bad::run(lane, side, scenario).await?);
        }
        let got = outcomes.pop().context("a lane has a side")?;
        if self.mode == Mode::Record {
            bad::write(&file, &got)?;
            return Ok(Comparison { expected: 1, ..Comparison::default() });
        }
        let golden = || scenario::json(&file)?.with_context(|| format!("{} is not there", file.display()));
        let expected = outcomes.pop().map_or_else(golden, Ok)?;
        Ok(bad::compare(&expected, &got))
    }
}

/// Side by side, unless each would see what the other writes to the database.
async fn live(lane: &Lane, scenario: &Scenario, awaited: Option<usize>) -> anyhow::Result<(Vec<Record>, Vec<Record>)> {
    let mut records = Vec::new();
    if scenario.writes_to_the_source() {
        let mut until = awaited.map_or(Until::Silence, Until::Records);
        for side in &lane.sides {
            let own = only(drive::run(lane, &[side], scenario, until).await?)?;
            until = Until::Records(scenario.awaited(&own)?);
            records.push(own);
        }
    } else {
        let sides: Vec<_> = lane.sides.iter().collect();
        records = drive::run(lane, &sides, scenario, Until::Level(awaited.unwrap_or_default())).await?;
    }
    let streamer = records.pop().context("a lane has two sides")?;
    Ok((only(records)?, streamer))
}

fn only(mut records: Vec<Vec<Record>>) -> anyhow::Result<Vec<Record>> {
    records.pop().context("a lane has a side")
}

impl Tally {
    /// Counts an outcome, and describes it.
    fn add(&mut self, outcome: &Outcome, deliberate: &Deliberate, mode: Mode, most: usize) -> String {
        let (scenario, name, is_bad) = match &outcome.task {
            Task::Scenario(scenario) => (scenario, scenario.name.clone(), false),
            Task::Bad(scenario) => (scenario, format!("bad/{}", scenario.name), true),
        };
        let nothing = Comparison::default();
        let comparison = outcome.result.as_ref().unwrap_or(&nothing);
        let Comparison { expected, got, semantic, byte, mismatches } = comparison;
        let is_compared = outcome.result.is_ok() && mode != Mode::Record;
        let (is_semantic, is_exact) = (is_compared && comparison.is_semantic(), is_compared && comparison.is_exact());
        let why = deliberate.covers(&scenario.name, mismatches).filter(|_| is_compared);
        if is_bad {
            self.bad += 1;
            self.bad_outcome += usize::from(is_semantic);
            self.bad_text += usize::from(is_exact);
        } else {
            self.scenarios += 1;
            self.semantic += usize::from(is_semantic);
            self.exact += usize::from(is_exact);
            self.deliberate += usize::from(why.is_some());
            self.records_exact += byte;
            let golden = || scenario.golden().ok().flatten().map_or(0, |golden| golden.len());
            self.records += if outcome.result.is_ok() { *expected } else { golden() };
        }
        let verdict = match &outcome.result {
            Ok(_) if mode == Mode::Record => "rec ",
            Ok(_) if is_exact => "ok  ",
            Ok(_) if why.is_some() => "OWN ",
            Ok(_) if is_semantic => "SEM ",
            _ => "FAIL",
        };
        if outcome.result.is_err() || is_compared && !is_exact && why.is_none() {
            self.failed.push(name.clone());
        }
        let seconds = outcome.seconds;
        let mut text = format!(
            "{verdict} {name:44} expected {expected} got {got} semantic {semantic} byte {byte}  {seconds:.1}s\n"
        );
        match &outcome.result {
            Err(error) => text.push_str(&format!("     {error:#}\n")),
            Ok(_) if why.is_some() => text.push_str(&format!("     on purpose: {}\n", why.unwrap_or_default())),
            Ok(_) => text.push_str(&describe(mismatches, mode.sides(), most)),
        }
        text
    }

    /// Prints the sums; whether all is as it should be.
    fn print(&self) -> bool {
        let Self { scenarios, semantic, exact, deliberate, records, records_exact, bad, bad_outcome, bad_text, failed } =
            self;
        if !failed.is_empty() {
            println!("not equal: {}", failed.join(" "));
        }
        if *bad > 0 {
            println!("bad configurations: {bad_outcome}/{bad} same outcome, {bad_text}/{bad} same text");
        }
        if *deliberate > 0 {
            println!("different on purpose: {deliberate}");
        }
        println!(
            "parity: {semantic}/{scenarios} scenarios semantic, {exact}/{scenarios} byte-exact, {records_exact}/{records} records"
        );
        failed.is_empty()
    }
}
