//! What came of comparing.

use std::time::Duration;

use super::candidate::Difference;
use super::rows::{Key, Kind, Sum};
use super::tables::Table;
use super::whole::Whole;

/// A table that was compared.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// Its schema.
    pub(super) schema: String,
    /// Its name.
    pub(super) name: String,
    /// The columns of its key.
    pub(super) key: Vec<String>,
    /// What the source's rows came to, range by range.
    pub(super) source: Sum,
    /// What the target's did; `None` when it lacks the table, or a column of it.
    pub(super) target: Option<Sum>,
    /// How many rows differ, or did until they were mended, in the order of [`Kind::ALL`].
    pub(super) kinds: [usize; 3],
    /// How many of these were mended.
    pub(super) mended: usize,
    /// How many seemed to differ because their changes were on their way.
    pub(super) arrived: usize,
    /// Of how many it is not known.
    pub(super) open: usize,
    /// Why not, where it is not because they change all the time.
    pub(super) why: Option<String>,
    /// Why rows were not mended.
    pub(super) fault: Option<String>,
    /// The first rows that differ.
    pub(super) rows: Vec<(Kind, Key)>,
    /// What came of a table whose rows cannot be told from each other.
    pub(super) whole: Option<Whole>,
    /// How long it took.
    pub(super) took: Duration,
}

impl Outcome {
    /// Nothing is known yet.
    pub(super) fn new(table: &Table) -> Self {
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
            key: table.key.clone(),
            source: Sum::default(),
            target: None,
            kinds: [0; 3],
            mended: 0,
            arrived: 0,
            open: 0,
            why: None,
            fault: None,
            rows: Vec::new(),
            whole: None,
            took: Duration::ZERO,
        }
    }

    /// A row differs; the first so many are kept.
    pub(super) fn found(&mut self, difference: &Difference, most: usize) {
        let kinds = Kind::ALL.iter().zip(&mut self.kinds);
        kinds.filter(|(kind, _)| **kind == difference.kind).for_each(|(_, count)| *count += 1);
        if self.rows.len() < most {
            self.rows.push((difference.kind, difference.key.clone()));
        }
    }

    /// `schema.table`.
    pub(super) fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// How many rows differ of each kind, or did.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Kind, usize)> {
        Kind::ALL.into_iter().zip(self.kinds)
    }

    /// How many rows differ still.
    pub(super) fn left(&self) -> usize {
        self.kinds.iter().sum::<usize>().saturating_sub(self.mended)
    }

    /// Whether both sides have the same rows, but for what is on its way.
    pub(super) fn is_equal(&self) -> bool {
        let is_whole = self.whole.as_ref().is_none_or(|whole| *whole == Whole::Equal);
        self.target.is_some() && is_whole && self.left() == 0 && self.open == 0
    }
}

/// All tables, compared once.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// Each of them.
    pub(super) tables: Vec<Outcome>,
    /// Whether it was known where the stream is.
    pub(super) is_exact: bool,
    /// How many rows were compared.
    pub(super) rows: u64,
    /// How long it took.
    pub(super) took: Duration,
}

impl Round {
    /// How many tables are equal.
    pub(super) fn equal(&self) -> usize {
        self.tables.iter().filter(|table| table.is_equal()).count()
    }

    /// Whether all are; no tables at all are nothing to be sure of.
    pub(super) fn is_equal(&self) -> bool {
        !self.tables.is_empty() && self.equal() == self.tables.len()
    }
}
