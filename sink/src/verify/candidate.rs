//! Rows that may differ, and what is found out about them.

use std::time::{Duration, Instant};

use super::rows::{Image, Key, Kind};
use crate::error::SinkError;

/// How often candidates are looked at in a row, and for how long.
const LOOKS: usize = 80;
const LOOKING: Duration = Duration::from_secs(2);

/// A table's rows on both sides.
pub(super) trait Rows {
    /// The source's rows with some keys, in the order of the keys.
    async fn source(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError>;

    /// The target's.
    async fn target(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError>;

    /// Returns when what was committed in the source before is in the target.
    async fn barrier(&mut self) -> Result<(), SinkError>;

    /// Waits between two looks, of which the last took so long.
    async fn pause(&self, looked: Duration);
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Its key.
    pub(super) key: Key,
    /// How.
    pub(super) kind: Kind,
    /// The version of the source that the target should have.
    pub(super) source: Option<Image>,
    /// The version that it has.
    pub(super) target: Option<Image>,
}

/// What became of candidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// Those that differ.
    pub(super) differences: Vec<Difference>,
    /// How many do not: their changes were on their way.
    pub(super) arrived: usize,
    /// Those of which it is not known.
    pub(super) open: Vec<Key>,
    /// Why not, where it is not because they change all the time.
    pub(super) why: Option<String>,
}

/// A row that may differ.
pub(super) struct Candidate {
    /// Its key.
    pub(super) key: Key,
    /// The hashes of the states that the source was seen to have.
    seen: Vec<Option<i64>>,
    /// What the source had last.
    pub(super) source: Option<Image>,
    /// What the target had last.
    pub(super) target: Option<Image>,
}

impl Candidate {
    /// The source was seen to have this.
    pub(super) fn sees(&mut self, source: Option<Image>) {
        let state = source.map(|image| image.hash);
        if !self.seen.contains(&state) {
            self.seen.push(state);
        }
    }

    /// Whether the target has what the source has or had.
    pub(super) fn has_arrived(&self) -> bool {
        self.seen.contains(&self.target.map(|image| image.hash))
    }

    /// How it differs.
    pub(super) fn difference(&self) -> Difference {
        let Self { key, source, target, .. } = self;
        Difference { key: key.clone(), kind: Kind::of(*source, *target), source: *source, target: *target }
    }
}

/// Reads source and target, and leaves out those that have arrived.
///
/// # Errors
/// A database's.
pub(super) async fn look(rows: &impl Rows, left: &mut Vec<Candidate>, found: &mut Confirmed) -> Result<(), SinkError> {
    read_source(rows, left).await?;
    let mut readings = rows.target(&keys_of(left)).await?.into_iter();
    left.retain_mut(|candidate| {
        candidate.target = readings.next().flatten();
        let has_arrived = candidate.has_arrived();
        found.arrived += usize::from(has_arrived);
        !has_arrived
    });
    Ok(())
}

/// Looks again and again, for as long as changes mostly take.
///
/// # Errors
/// A database's.
pub(super) async fn keep_looking(
    rows: &impl Rows,
    left: &mut Vec<Candidate>,
    found: &mut Confirmed,
) -> Result<(), SinkError> {
    let begun = Instant::now();
    for _ in 0..LOOKS {
        if left.is_empty() || begun.elapsed() > LOOKING {
            break;
        }
        let looks = Instant::now();
        look(rows, left, found).await?;
        rows.pause(looks.elapsed()).await;
    }
    Ok(())
}

/// Reads the source.
///
/// # Errors
/// The database's.
pub(super) async fn read_source(rows: &impl Rows, left: &mut [Candidate]) -> Result<(), SinkError> {
    let readings = rows.source(&keys_of(left)).await?;
    for (candidate, source) in left.iter_mut().zip(readings) {
        candidate.source = source;
        candidate.sees(source);
    }
    Ok(())
}

/// Of which nothing is known.
pub(super) fn candidates(keys: Vec<Key>) -> Vec<Candidate> {
    keys.into_iter().map(|key| Candidate { key, seen: Vec::new(), source: None, target: None }).collect()
}

/// Their keys.
pub(super) fn keys_of(candidates: &[Candidate]) -> Vec<Key> {
    candidates.iter().map(|candidate| candidate.key.clone()).collect()
}
