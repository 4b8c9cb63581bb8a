//! The `source.snapshot` marker of a snapshot's records.
//!
//! A record's marker depends on whether another follows, in its table and in the whole snapshot. So one record is always
//! held back: it is released when the next arrives, or when the snapshot ends and it turns out to be the last.

use proto::envelope::SnapshotMarker;

/// Decides markers for a stream of rows of which each says its table.
#[derive(Debug)]
pub struct Markers<R> {
    held: Option<Held<R>>,
}

#[derive(Debug)]
struct Held<R> {
    row: R,
    table: usize,
    first_in_table: bool,
}

impl<R> Default for Markers<R> {
    fn default() -> Self {
        Self { held: None }
    }
}

impl<R> Markers<R> {
    /// Takes the next row of table number `table`; gives the row before it with its marker.
    pub fn push(&mut self, table: usize, row: R) -> Option<(R, SnapshotMarker)> {
        let first_in_table = self.held.as_ref().is_none_or(|held| held.table != table);
        let released = self.held.replace(Held { row, table, first_in_table });
        released.map(|held| {
            let last_in_table = held.table != table;
            let marker = Self::marker(&held, last_in_table);
            (held.row, marker)
        })
    }

    /// The table of the row that is held back.
    pub fn held_table(&self) -> Option<usize> {
        self.held.as_ref().map(|held| held.table)
    }

    /// The last row of the snapshot, if there was any row.
    pub fn finish(self) -> Option<(R, SnapshotMarker)> {
        self.held.map(|held| (held.row, SnapshotMarker::Last))
    }

    /// The highest wins: last, first, last in its table, first in its table, any other.
    fn marker(held: &Held<R>, last_in_table: bool) -> SnapshotMarker {
        match (held.first_in_table, last_in_table) {
            // Only table number 0 has a `first`: if it is empty, nobody gets it.
            (true, _) if held.table == 0 => SnapshotMarker::First,
            (_, true) => SnapshotMarker::LastInDataCollection,
            (true, false) => SnapshotMarker::FirstInDataCollection,
            (false, false) => SnapshotMarker::True,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markers(rows: &[usize]) -> Vec<SnapshotMarker> {
        let mut markers = Markers::default();
        let mut seen: Vec<SnapshotMarker> =
            rows.iter().filter_map(|table| markers.push(*table, ())).map(|(_, marker)| marker).collect();
        seen.extend(markers.finish().map(|(_, marker)| marker));
        seen
    }

    #[test]
    fn rows_of_two_tables_are_marked_at_their_ends() {
        use SnapshotMarker::{First, FirstInDataCollection, Last, LastInDataCollection, True};
        assert_eq!(
            markers(&[0, 0, 0, 1, 1, 1]),
            [First, True, LastInDataCollection, FirstInDataCollection, True, Last]
        );
    }

    #[test]
    fn a_one_row_first_table_is_first_and_a_one_row_other_table_is_last_in_its_table() {
        use SnapshotMarker::{First, Last, LastInDataCollection};
        assert_eq!(markers(&[0, 1, 2]), [First, LastInDataCollection, Last]);
    }

    #[test]
    fn nobody_is_first_when_the_first_table_is_empty() {
        use SnapshotMarker::{FirstInDataCollection, Last};
        assert_eq!(markers(&[1, 1]), [FirstInDataCollection, Last]);
    }

    #[test]
    fn an_only_row_is_last_and_no_row_has_no_marker() {
        assert_eq!(markers(&[0]), [SnapshotMarker::Last]);
        assert!(markers(&[]).is_empty());
    }
}
