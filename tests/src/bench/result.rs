//! What was measured, and its medians.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Work;
use super::machine::Machine;

/// What one system did in one round; what does not apply is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    /// Rows a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<f64>,
    /// Seconds of a processor for a million rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<f64>,
    /// The same of the server's processes that work for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_cpu: Option<f64>,
    /// The same of the broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) broker_cpu: Option<f64>,
    /// The most that was resident, in megabytes of 2^20 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peak_mb: Option<f64>,
    /// What a row takes in Kafka's log, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<f64>,
    /// How much of one core it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) core: Option<f64>,
    /// Of a latency, in milliseconds: the 50th, 90th, 99th and 99.9th percentile, and the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency: Option<[f64; 5]>,
}

/// Which part a system has in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// What nothing can be faster than.
    Ceiling,
    /// The simple way to do nothing with the rows.
    Bare,
    /// Ours.
    Ours,
    /// Debezium.
    Debezium,
}

/// A system's rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) part: Part,
    pub(super) rounds: Vec<Round>,
}

impl System {
    /// The median of one figure over the rounds.
    pub(super) fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values = self.sorted(of);
        values.get(values.len() / 2).copied()
    }

    /// Its smallest and largest.
    pub(super) fn range(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<(f64, f64)> {
        let values = self.sorted(of);
        Some((*values.first()?, *values.last()?))
    }

    fn sorted(&self, of: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// One work, done by several systems in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Its place on the page.
    pub(super) place: usize,
    /// Its name on the page.
    pub(super) title: String,
    /// What is done, in a sentence.
    pub(super) about: String,
    pub(super) systems: Vec<System>,
}

impl Measured {
    /// Nothing is measured yet.
    pub(super) fn new(work: Work, title: &str, about: String) -> Self {
        Self { place: work as usize, title: title.to_owned(), about, systems: Vec::new() }
    }

    /// Keeps a system's round.
    pub(super) fn push(&mut self, name: &str, part: Part, round: Round) {
        match self.systems.iter_mut().find(|system| system.name == name) {
            Some(system) => system.rounds.push(round),
            None => self.systems.push(System { name: name.to_owned(), part, rounds: vec![round] }),
        }
    }

    /// The first system with this part.
    pub(super) fn of(&self, part: Part) -> Option<&System> {
        self.systems.iter().find(|system| system.part == part)
    }
}

/// Everything that was measured, by title.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) machine: Option<Machine>,
    pub(super) works: BTreeMap<String, Measured>,
}

impl Results {
    /// What was found before, nothing where there is no such file.
    ///
    /// # Errors
    /// The file is not of this form.
    pub(super) fn load(page: &Path) -> anyhow::Result<Self> {
        let file = file(page);
        match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| file.display().to_string()),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Puts a work in place of what was found of it before.
    pub(super) fn put(&mut self, measured: Measured, machine: Machine) {
        self.machine = Some(machine);
        self.works.insert(measured.title.clone(), measured);
    }

    /// Keeps it beside the page.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn save(&self, page: &Path) -> anyhow::Result<()> {
        let file = file(page);
        std::fs::create_dir_all(folder(page))?;
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n").with_context(|| file.display().to_string())
    }

    /// The works in their order on the page.
    pub(super) fn in_order(&self) -> Vec<&Measured> {
        let mut works: Vec<&Measured> = self.works.values().collect();
        works.sort_by_key(|measured| measured.place);
        works
    }
}

/// The folder of the page's pictures: the page's name without its ending.
pub(super) fn folder(page: &Path) -> PathBuf {
    page.with_extension("")
}

fn file(page: &Path) -> PathBuf {
    folder(page).join("results.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_over_the_rounds_that_have_the_figure() {
        let round = |rows| Round { rows, ..Round::default() };
        let rounds = vec![round(Some(3.0)), round(None), round(Some(1.0)), round(Some(2.0))];
        let system = System { name: "s".to_owned(), part: Part::Ours, rounds };
        assert_eq!(system.median(|round| round.rows), Some(2.0));
        assert_eq!(system.range(|round| round.rows), Some((1.0, 3.0)));
        assert_eq!(system.median(|round| round.cpu), None);
    }
}
