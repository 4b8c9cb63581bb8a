//! The last state of every row of a batch.

use std::collections::HashMap;

use crate::parse::value::Cell;

/// A row's key: its texts in the key's order.
pub type Key = Vec<String>;

/// One thing to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a row: a cell for each of the columns at these indexes of the table.
    Upsert {
        /// The row's key.
        key: Key,
        /// Which columns.
        columns: Vec<usize>,
        /// Their cells.
        cells: Vec<Cell>,
    },
    /// Remove a row.
    Delete {
        /// The row's key.
        key: Key,
    },
    /// Give a row another key.
    Rename {
        /// The old key.
        old: Key,
        /// The new one.
        new: Key,
    },
    /// Empty the table.
    Truncate,
}

/// Steps that may be carried out together: every key at most once, deletes before upserts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Done first, alone.
    pub first: Option<Step>,
    /// Keys of rows to remove.
    pub deletes: Vec<Key>,
    /// Rows to write, with their columns.
    pub upserts: Vec<(Vec<usize>, Vec<Cell>)>,
}

/// Puts steps that came in order into as few stages as give the same rows.
pub fn reduce(steps: Vec<Step>) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut current = Building::default();
    for step in steps {
        match step {
            Step::Truncate => {
                // What was written before is gone anyway.
                stages.clear();
                current = Building { first: Some(Step::Truncate), ..Building::default() };
            }
            Step::Rename { .. } => {
                stages.extend(current.finish());
                current = Building { first: Some(step), ..Building::default() };
            }
            Step::Delete { key } => current.put(key, State::Deleted),
            Step::Upsert { key, columns, cells } => current.upsert(key, columns, cells),
        }
    }
    stages.extend(current.finish());
    stages
}

#[derive(Debug, Default)]
struct Building {
    first: Option<Step>,
    order: Vec<Key>,
    states: HashMap<Key, State>,
}

#[derive(Debug)]
enum State {
    Deleted,
    Written { columns: Vec<usize>, cells: Vec<Cell>, replaces: bool },
}

impl Building {
    fn put(&mut self, key: Key, state: State) {
        if self.states.insert(key.clone(), state).is_none() {
            self.order.push(key);
        }
    }

    fn upsert(&mut self, key: Key, columns: Vec<usize>, mut cells: Vec<Cell>) {
        let mut replaces = false;
        match self.states.get(&key) {
            // What this change left out, the one before may have brought.
            Some(State::Written { columns: known, cells: before, replaces: replaced }) => {
                replaces = *replaced;
                for (column, cell) in columns.iter().zip(&mut cells) {
                    if *cell == Cell::Unchanged
                        && let Some(position) = known.iter().position(|other| other == column)
                        && let Some(earlier) = before.get(position)
                    {
                        *cell = earlier.clone();
                    }
                }
            }
            Some(State::Deleted) => replaces = true,
            None => {}
        }
        self.put(key, State::Written { columns, cells, replaces });
    }

    fn finish(mut self) -> Option<Stage> {
        let mut stage = Stage { first: self.first, ..Stage::default() };
        for key in self.order {
            match self.states.remove(&key) {
                Some(State::Deleted) => stage.deletes.push(key),
                Some(State::Written { columns, cells, replaces }) => {
                    if replaces {
                        // A new row under an old key: columns that it does not bring must not survive from the old one.
                        stage.deletes.push(key);
                    }
                    stage.upserts.push((columns, cells));
                }
                None => {}
            }
        }
        let is_empty = stage.first.is_none() && stage.deletes.is_empty() && stage.upserts.is_empty();
        (!is_empty).then_some(stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        vec![text.to_owned()]
    }

    fn value(text: &str) -> Cell {
        Cell::Value(Some(text.to_owned()))
    }

    fn upsert(id: &str, other: Cell) -> Step {
        Step::Upsert { key: key(id), columns: vec![0, 1], cells: vec![value(id), other] }
    }

    #[test]
    fn only_the_last_state_of_a_row_is_written() {
        let stages = reduce(vec![upsert("1", value("a")), upsert("2", value("x")), upsert("1", value("b"))]);
        let expected = vec![(vec![0, 1], vec![value("1"), value("b")]), (vec![0, 1], vec![value("2"), value("x")])];
        assert_eq!(stages, [Stage { upserts: expected, ..Stage::default() }]);
    }

    #[test]
    fn what_toast_left_out_is_taken_from_the_change_before() {
        let stages = reduce(vec![upsert("1", value("long")), upsert("1", Cell::Unchanged)]);
        assert_eq!(stages[0].upserts, [(vec![0, 1], vec![value("1"), value("long")])]);
    }

    #[test]
    fn a_row_that_was_deleted_and_written_again_is_both() {
        let stages = reduce(vec![Step::Delete { key: key("1") }, upsert("1", value("new"))]);
        assert_eq!((stages[0].deletes.len(), stages[0].upserts.len()), (1, 1));
        let stages = reduce(vec![upsert("1", value("new")), Step::Delete { key: key("1") }]);
        assert_eq!((stages[0].deletes.len(), stages[0].upserts.len()), (1, 0));
    }

    #[test]
    fn a_truncate_makes_everything_before_it_needless() {
        let stages = reduce(vec![upsert("1", value("a")), Step::Truncate, upsert("2", value("b"))]);
        let expected = Stage {
            first: Some(Step::Truncate),
            deletes: vec![],
            upserts: vec![(vec![0, 1], vec![value("2"), value("b")])],
        };
        assert_eq!(stages, [expected]);
    }

    #[test]
    fn a_rename_stands_between_what_came_before_and_after() {
        let rename = Step::Rename { old: key("1"), new: key("2") };
        let stages = reduce(vec![upsert("1", value("a")), rename.clone(), upsert("2", Cell::Unchanged)]);
        assert_eq!(stages.len(), 2);
        assert_eq!(stages[1].first, Some(rename));
    }
}
