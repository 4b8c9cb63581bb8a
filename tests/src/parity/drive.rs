//! Runs a scenario: cleans up, puts the connector, takes the steps, and waits for the records.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};

use super::collector::Collector;
use super::lane::Lane;
use super::record::{Record, reduce};
use super::scenario::{Config, Scenario, change};
use super::side::Side;

/// What ends a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// That many records and a moment's silence, or a long silence.
    Records(usize),
    /// Silence alone: nobody knows how many there are to be.
    Silence,
    /// At least that many records, on each side as many as on the other.
    Level(usize),
}

/// How long no record comes before all have come.
const SILENCE: Duration = Duration::from_millis(1500);
/// How long when nobody knows how many there are to be.
const SILENCE_OF_UNKNOWN: Duration = Duration::from_secs(4);
/// How long before those that are missing are given up.
const GIVEN_UP: Duration = Duration::from_secs(10);
const DEADLINE: f64 = 60.0;

/// One side in a run.
struct Run<'a> {
    side: &'a Side,
    config: Config,
    collector: Collector,
    is_running: bool,
}

/// Runs a scenario on some sides of a lane at once; gives the records of each, reduced.
///
/// # Errors
/// What went wrong before all records came.
pub(crate) async fn run(
    lane: &Lane,
    sides: &[&Side],
    scenario: &Scenario,
    until: Until,
) -> anyhow::Result<Vec<Vec<Record>>> {
    lane.clean().await?;
    let setup = scenario.folder.join("setup.sql");
    if setup.is_file() {
        lane.psql(&setup).await?;
    }
    let deadline = Instant::now() + Duration::from_secs_f64(scenario.meta.deadline.unwrap_or(DEADLINE));
    let mut runs = Vec::new();
    for side in sides {
        runs.push(Run {
            side,
            config: scenario.config(lane.base()),
            collector: Collector::start(&side.bootstrap_servers, &scenario.meta, &scenario.patterns)?,
            is_running: false,
        });
    }
    let mut drive = Drive { lane, scenario, connector: connector_name(scenario)?, runs, deadline };
    let taken = drive.take(until).await;
    for run in &mut drive.runs {
        let slot = slot(run);
        drive.lane.delete_connector(run.side, &drive.connector, &slot).await?;
    }
    taken?;
    let reduced = |run: Run<'_>| reduce(run.collector.finish()?, &scenario.meta, &scenario.patterns);
    drive.runs.into_iter().map(reduced).collect()
}

/// A name that no offset was stored under yet.
pub(crate) fn connector_name(scenario: &Scenario) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(format!("parity-{}-{now}", scenario.name))
}

fn slot(run: &Run<'_>) -> String {
    let config = run.side.own(run.config.clone());
    config.get("slot.name").and_then(|slot| slot.as_str()).unwrap_or("debezium").to_owned()
}

struct Drive<'a> {
    lane: &'a Lane,
    scenario: &'a Scenario,
    connector: String,
    runs: Vec<Run<'a>>,
    deadline: Instant,
}

impl Drive<'_> {
    async fn take(&mut self, until: Until) -> anyhow::Result<()> {
        self.start().await?;
        for step in &self.scenario.steps {
            ensure!(Instant::now() < self.deadline, "the time is over before the last step");
            for run in &mut self.runs {
                change(&mut run.config, &step.config);
            }
            if let Some(file) = &step.sql {
                self.lane.psql(&self.scenario.folder.join(file)).await?;
            }
            for run in &self.runs {
                run.side.signal(&run.side.own(run.config.clone()), step).await?;
            }
            tokio::time::sleep(Duration::from_secs_f64(step.sleep)).await;
            if step.stop || step.restart {
                self.stop().await?;
            }
            if step.start || step.restart {
                self.start().await?;
            }
            if step.wait_streaming {
                self.wait_streaming().await?;
            }
            self.wait_records(step.wait_records).await?;
        }
        self.wait_end(until).await
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        for number in 0..self.runs.len() {
            let Some(run) = self.runs.get_mut(number) else { continue };
            let (status, answer) = run.side.put(&self.connector, &run.side.own(run.config.clone())).await?;
            if !matches!(status, 200 | 201) {
                bail!("{} answers {status} to the configuration: {answer}", run.side.name);
            }
            run.is_running = true;
            run.side.wait_running(&self.connector, self.deadline).await?;
        }
        if self.scenario.meta.streaming.unwrap_or(true) {
            self.wait_streaming().await?;
        }
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        for run in &mut self.runs {
            let slot = slot(run);
            self.lane.delete_connector(run.side, &self.connector, &slot).await?;
            run.is_running = false;
        }
        Ok(())
    }

    async fn wait_streaming(&self) -> anyhow::Result<()> {
        for run in &self.runs {
            let slot = slot(run);
            let waited = self.lane.wait_streaming(run.side, &self.connector, &slot, self.deadline);
            waited.await.with_context(|| run.side.name)?;
        }
        Ok(())
    }

    async fn wait_records(&self, count: usize) -> anyhow::Result<()> {
        while let Some(behind) = self.runs.iter().find(|run| run.collector.count() < count) {
            let (name, has) = (behind.side.name, behind.collector.count());
            ensure!(Instant::now() < self.deadline, "{name}: {has} of the {count} records that a step waits for");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn wait_end(&self, until: Until) -> anyhow::Result<()> {
        let end_of_steps = Instant::now();
        let own = Duration::from_secs_f64(self.scenario.meta.idle);
        loop {
            let counts: Vec<usize> = self.runs.iter().map(|run| run.collector.count()).collect();
            let last = self.runs.iter().map(|run| run.collector.last()).max().unwrap_or(end_of_steps);
            let silence = last.max(end_of_steps).elapsed();
            let is_level = counts.iter().min() == counts.iter().max();
            let has = |count: usize| counts.iter().all(|one| *one >= count);
            let (is_enough, needed) = match until {
                Until::Records(count) => (has(count), SILENCE),
                Until::Level(count) => (has(count) && is_level, SILENCE),
                Until::Silence => (true, SILENCE_OF_UNKNOWN),
            };
            if is_enough && silence >= needed.max(own) || silence >= GIVEN_UP.max(own) {
                break;
            }
            if Instant::now() > self.deadline {
                ensure!(!matches!(until, Until::Silence), "records keep coming");
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for run in self.runs.iter().filter(|run| run.is_running) {
            run.side.check(&self.connector).await?;
        }
        Ok(())
    }
}
