//! What of a snapshot is in Kafka, as the offset keeps it (`headwater_snapshot_done`), so that an interrupted snapshot goes
//! on where it was.
//!
//! # Why going on loses nothing
//! The snapshot that was read dies with its session, so the rest is read in a newer one. The slot is the first start's, and
//! nothing of it is confirmed before the end: streaming brings every change since the first start.
//! - A row of the rest is read as of later. Streaming repeats what it shows; consumers that take the newest record of a key
//!   are right in the end. A row deleted in between is not read, and its delete comes.
//! - A table, or a range of its blocks, that is done was published as of the first snapshot, and its changes come.
//! - An update may move a row of the rest into blocks that are done. Its change comes, but without the TOASTed values it did
//!   not touch. So blocks that are done are read again for rows of transactions that the first snapshot may not show (`xmin`):
//!   those that moved are among them.
//! - A table that was written anew (VACUUM FULL, TRUNCATE, some ALTER TABLEs) has another file, and is read from its
//!   beginning.
//!
//! Debezium, not knowing this key, reads a snapshot that was not completed from zero.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The oldest transaction that the first snapshot may not show.
    pub xmin: u32,
    /// The tables that are done whole.
    pub tables: BTreeSet<String>,
    /// Those that are done in part.
    pub parts: BTreeMap<String, Part>,
}

/// The blocks of a table that are done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The table's file (`pg_relation_filenode`).
    pub file: u32,
    /// From each first block up to the second, which is not done; in order, with gaps between.
    pub ranges: Vec<(u64, u64)>,
}

impl Done {
    /// As stored; what cannot be read is nothing done.
    pub fn parse(stored: &str) -> Self {
        serde_json::from_str(stored).unwrap_or_default()
    }

    /// To be stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A range of blocks is done.
    pub fn range(&mut self, table: &str, file: u32, from: u64, to: u64) {
        let part = self.parts.entry(table.to_owned()).or_default();
        if part.file != file {
            *part = Part { file, ranges: Vec::new() };
        }
        part.ranges.push((from, to));
        part.ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(part.ranges.len());
        for (from, to) in part.ranges.drain(..) {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        part.ranges = merged;
    }

    /// A table is done whole.
    pub fn table(&mut self, table: &str) {
        self.parts.remove(table);
        self.tables.insert(table.to_owned());
    }

    /// The ranges of a table that are done, none when its file is another by now.
    pub fn ranges(&self, table: &str, file: u32) -> &[(u64, u64)] {
        self.parts.get(table).filter(|part| part.file == file).map_or(&[], |part| &part.ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_become_one() {
        let mut done = Done::default();
        for (from, to) in [(0, 10), (20, 30), (10, 20), (50, 60)] {
            done.range("a", 7, from, to);
        }
        assert_eq!(done.ranges("a", 7), [(0, 30), (50, 60)]);
        assert_eq!(Done::parse(&done.to_text()), done);
    }

    #[test]
    fn what_was_done_of_another_file_is_forgotten() {
        let mut done = Done::default();
        done.range("a", 7, 0, 10);
        assert_eq!(done.ranges("a", 8), []);
        done.range("a", 8, 10, 20);
        assert_eq!(done.ranges("a", 8), [(10, 20)]);
        done.table("a");
        assert!(done.parts.is_empty() && done.tables.contains("a"));
    }
}
