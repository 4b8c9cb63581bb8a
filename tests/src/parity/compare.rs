//! What is expected against what came: topic, partition, order inside a partition, key, value, headers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::json::{Difference, differences};
use super::normal::{Normal, PARTS};
use super::record::Record;
use super::relations::relate;
use super::scenario::Patterns;

/// How two sides stand to each other.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Records that are expected.
    pub(crate) expected: usize,
    /// Records that came.
    pub(crate) got: usize,
    /// Records that mean the same.
    pub(crate) semantic: usize,
    /// Records whose bytes are the same.
    pub(crate) byte: usize,
    /// What differs.
    pub(crate) mismatches: Vec<Mismatch>,
}

/// A record that is not the same on both sides.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Topic, partition and number.
    pub(crate) place: String,
    /// What differs in it.
    pub(crate) fields: Vec<Difference>,
}

impl Comparison {
    /// Whether all records mean the same.
    pub(crate) fn is_semantic(&self) -> bool {
        self.semantic == self.expected && self.semantic == self.got
    }

    /// Whether all bytes are the same.
    pub(crate) fn is_exact(&self) -> bool {
        self.byte == self.expected && self.byte == self.got
    }
}

/// A partition's records, the expected first.
type BothSides<'a> = [Vec<(&'a Record, Normal)>; 2];

/// Compares. `exactly` is for two connectors on one database, whose positions must be the same too.
///
/// # Errors
/// A pattern of the scenario's cannot be applied.
pub(crate) fn compare(
    expected: &[Record],
    got: &[Record],
    patterns: &Patterns,
    exactly: bool,
) -> anyhow::Result<Comparison> {
    let mut result = Comparison { expected: expected.len(), got: got.len(), ..Comparison::default() };
    let mut partitions: BTreeMap<(&str, i32), BothSides<'_>> = BTreeMap::new();
    for (side, records) in [expected, got].into_iter().enumerate() {
        for (record, relation) in records.iter().zip(relate(records, exactly)) {
            let sides = partitions.entry((&record.topic, record.partition)).or_default();
            if let Some(records) = sides.get_mut(side) {
                records.push((record, Normal::of(record, relation, patterns)?));
            }
        }
    }
    for ((topic, partition), [expected, got]) in &partitions {
        let bytes = |side: &[(&Record, Normal)]| -> Vec<String> {
            side.iter().map(|(_, normal)| normal.bytes().to_owned()).collect()
        };
        for (one, other) in pair(&bytes(expected), &bytes(got)) {
            let place = |number: usize| format!("{topic}[{partition}] #{number}");
            let (one, other) =
                (one.and_then(|n| Some((n, expected.get(n)?))), other.and_then(|n| Some((n, got.get(n)?))));
            match (one, other) {
                (Some((number, (_, one))), Some((_, (_, other)))) => {
                    result.count(place(number), one, other);
                }
                (Some((number, (record, _))), None) => {
                    result.mismatches.push(Mismatch { place: place(number), fields: vec![missing(record)?] });
                }
                (None, Some((number, (record, _)))) => {
                    let difference = missing(record)?;
                    let extra = Difference { got: difference.expected, expected: None, ..difference };
                    result.mismatches.push(Mismatch { place: place(number), fields: vec![extra] });
                }
                (None, None) => {}
            }
        }
    }
    Ok(result)
}

impl Comparison {
    fn count(&mut self, place: String, expected: &Normal, got: &Normal) {
        let mut fields = Vec::new();
        match (expected, got) {
            (Normal::Whole { parts: expected, .. }, Normal::Whole { parts: got, .. }) => {
                for (name, (expected, got)) in PARTS.iter().zip(expected.iter().zip(got)) {
                    differences(name, expected, got, &mut fields);
                }
            }
            _ if expected.meaning() != got.meaning() => {
                let text = |side: &Normal| Some(side.meaning().to_owned());
                fields.push(Difference { path: "hash".to_owned(), expected: text(expected), got: text(got) });
            }
            _ => {}
        }
        if fields.is_empty() {
            self.semantic += 1;
            if expected.bytes() == got.bytes() {
                self.byte += 1;
                return;
            }
            fields.push(first_difference(expected.bytes(), got.bytes()));
        }
        self.mismatches.push(Mismatch { place, fields });
    }
}

impl Normal {
    fn bytes(&self) -> &str {
        match self {
            Self::Whole { bytes, .. } | Self::Hashes { bytes, .. } => bytes,
        }
    }

    fn meaning(&self) -> &str {
        match self {
            Self::Whole { .. } => "",
            Self::Hashes { meaning, .. } => meaning,
        }
    }
}

/// Which record belongs to which: one after the other when there are as many on both sides, else as few apart as can be.
fn pair(expected: &[String], got: &[String]) -> Vec<(Option<usize>, Option<usize>)> {
    const ALIGNED: usize = 4000;
    let in_order = |one: std::ops::Range<usize>, other: std::ops::Range<usize>| {
        let length = one.len().max(other.len());
        let item = |range: &std::ops::Range<usize>, number: usize| range.clone().nth(number);
        (0..length).map(|number| (item(&one, number), item(&other, number))).collect::<Vec<_>>()
    };
    if expected.len() == got.len() || expected.len() + got.len() > ALIGNED {
        return in_order(0..expected.len(), 0..got.len());
    }
    let operations = capture_diff_slices(Algorithm::Myers, expected, got);
    operations.iter().flat_map(|operation: &DiffOp| in_order(operation.old_range(), operation.new_range())).collect()
}

fn missing(record: &Record) -> anyhow::Result<Difference> {
    Ok(Difference { path: "record".to_owned(), expected: Some(serde_json::to_string(record)?), got: None })
}

/// Where two texts that mean the same part.
fn first_difference(expected: &str, got: &str) -> Difference {
    let at = expected.chars().zip(got.chars()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| {
        let from = at.saturating_sub(40);
        Some(text.chars().skip(from).take(at - from + 80).collect())
    };
    Difference { path: "bytes".to_owned(), expected: around(expected), got: around(got) }
}

/// Both sides of each difference, field by field.
pub(crate) fn describe(mismatches: &[Mismatch], sides: [&str; 2], most: usize) -> String {
    const FIELDS: usize = 12;
    let width = sides.iter().map(|side| side.len()).max().unwrap_or_default();
    let mut text = String::new();
    let mut line = |depth: usize, content: &str| {
        // Writing to a text does not fail.
        let _written = writeln!(text, "{:depth$}{content}", "");
    };
    for Mismatch { place, fields } in mismatches.iter().take(most) {
        line(5, place);
        for Difference { path, expected, got } in fields.iter().take(FIELDS) {
            line(7, path);
            for (side, value) in sides.iter().zip([expected, got]) {
                line(9, &format!("{side:width$}  {}", value.as_deref().map_or("(nothing)".to_owned(), shorten)));
            }
        }
        if fields.len() > FIELDS {
            line(7, &format!("… {} more fields", fields.len() - FIELDS));
        }
    }
    if mismatches.len() > most {
        line(5, &format!("… {} more records", mismatches.len() - most));
    }
    text
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 300;
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    format!("{}… ({length} characters)", text.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
