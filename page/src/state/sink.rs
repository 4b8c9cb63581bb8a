//! What the sink says of itself.

use serde::Serialize;

use super::{About, Failure};
use crate::events::{Changes, hashed};

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Sink {
    /// The program.
    #[serde(flatten)]
    pub about: About,
    /// `run`, `jdbc` or `verify`.
    pub command: &'static str,
    /// How changes are applied: `transaction by transaction`, `table by table`. Known when it begins.
    pub mode: Option<&'static str>,
    /// The topics' prefix.
    pub prefix: Option<String>,
    /// The target's host, port and database.
    pub target: Option<String>,
    /// The worker's page.
    pub worker: Option<String>,
    /// The step it is at.
    pub step: String,
    /// Whether changes are applied.
    pub applies: bool,
    /// The steps so far, the last one under way.
    pub steps: Vec<Step>,
    /// What keeps all of it from going on.
    pub standing: Option<String>,
    /// The first copy, while it runs and behind it.
    pub copy: Option<Copy>,
    /// Its topics by name.
    pub topics: Vec<Topic>,
    /// The comparison of both databases, where this program makes it.
    pub verified: Option<Verified>,
    /// What went wrong last, the newest first.
    pub failures: Vec<Failure>,
}

/// A step of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is done.
    pub what: String,
    /// What came of it, when it is done.
    pub done: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
}

/// The first copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copy {
    /// Tables that are there.
    pub done: u64,
    /// How many there are.
    pub tables: u64,
    /// Rows that are there.
    pub rows: u64,
    /// Bytes that are there.
    pub bytes: u64,
    /// About how many there will be.
    pub total: u64,
    /// Bytes a second.
    pub rate: f64,
    /// How long it still takes.
    pub left: Option<u64>,
    /// Whether all is there.
    pub complete: bool,
}

/// A topic, as far as it is this sink's.
#[derive(Debug, Clone, Serialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Records applied.
    pub applied: u64,
    /// Records set aside.
    pub set_aside: u64,
    /// Why it stands still.
    pub error: Option<String>,
    /// From the source's commit to the target's, of the newest record.
    pub lag_seconds: Option<f64>,
    /// When that record was applied.
    pub applied_ms: Option<u64>,
    /// Its partitions that are this sink's.
    pub partitions: Vec<Partition>,
}

/// A partition of this sink's.
#[derive(Debug, Clone, Serialize)]
pub struct Partition {
    /// Its number.
    pub number: i32,
    /// The offset behind the last record that was applied.
    pub next: Option<i64>,
    /// The offset behind the last record that there is, where Kafka was asked.
    pub end: Option<i64>,
    /// Why it stands still.
    pub error: Option<String>,
}

/// A comparison of both databases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// How many there were.
    pub rounds: u64,
    /// When the last one ended.
    pub at_ms: u64,
    /// How long it took.
    pub seconds: f64,
    /// Rows compared by it.
    pub rows: u64,
    /// Its tables.
    pub tables: Vec<VerifiedTable>,
}

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedTable {
    /// Schema and name.
    pub name: String,
    /// Whether it is equal.
    pub equal: bool,
    /// Rows that differ and were not mended.
    pub left: u64,
    /// Rows of which it cannot be said.
    pub undecided: u64,
    /// Rows mended.
    pub mended: u64,
}

impl Changes for Sink {
    fn changes(&self) -> u64 {
        let topics: Vec<_> = self.topics.iter().map(|topic| (&topic.name, &topic.error, topic.set_aside)).collect();
        let copy = self.copy.as_ref().map(|copy| (copy.done, copy.complete));
        let verified = self.verified.as_ref().map(|verified| verified.rounds);
        let step = (&self.step, self.applies, self.steps.len());
        hashed((step, &self.standing, topics, copy, verified, &self.failures))
    }
}
