//! What is carried out together, reduced to the last state of every row.

use std::collections::HashMap;
use std::sync::Arc;

use super::rows::{Cell, Rows};
use super::table::{TargetTable, Writes};

/// Steps of a table that came in order. They give the same rows when only the last state of each is written.
#[derive(Debug)]
pub struct Stage {
    /// The table.
    pub table: Arc<TargetTable>,
    /// Done first, alone.
    pub first: Option<First>,
    /// The rows that the steps are about.
    pub rows: Rows,
    steps: Vec<Step>,
}

/// What is done before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The table is emptied.
    Truncate,
    /// A row gets another key.
    Rename {
        /// The row with the old key.
        old: usize,
        /// The row with the new one.
        new: usize,
    },
}

/// One thing to do to a row, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is there now, and was not before.
    Insert(usize),
    /// It is like this now.
    Upsert(usize),
    /// The row with its key is gone.
    Delete(usize),
}

/// What is left of a stage: every key at most once, deletes before upserts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reduced {
    /// The rows whose keys are removed.
    pub deletes: Vec<usize>,
    /// The rows that are written.
    pub upserts: Vec<Group>,
}

/// Rows with the same sent columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Those columns.
    pub columns: Vec<usize>,
    /// Whether they are all that there is of a row: of a TOASTed value that the change did not touch nothing is sent.
    pub is_whole: bool,
    /// Whether they are new: none was there before, unless they are written once more.
    pub is_new: bool,
    /// The rows.
    pub rows: Vec<usize>,
}

/// The last state of a row.
enum State {
    Deleted(usize),
    Written { row: usize, was: Was },
}

/// What a written row was before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Was {
    NotThere,
    Deleted,
    Anything,
}

impl Stage {
    /// Nothing to do yet.
    pub fn new(table: Arc<TargetTable>) -> Self {
        Self { first: None, rows: Rows::new(table.columns.len()), steps: Vec::new(), table }
    }

    /// Whether a step can come behind those that are there. Where rows are not told from each other, what is removed and what is
    /// written come in stages of their own.
    pub fn takes(&self, step: Step) -> bool {
        let removes = |step: &Step| matches!(step, Step::Delete(_));
        self.table.writes != Writes::Insert || self.steps.last().is_none_or(|last| removes(last) == removes(&step))
    }

    /// Adds the next step.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Everything before a truncate is gone anyway.
    pub fn truncate(&mut self) {
        *self = Self { first: Some(First::Truncate), ..Self::new(self.table.clone()) };
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.steps.is_empty()
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.rows.size() + size_of_val(self.steps.as_slice())
    }

    /// Leaves of every row its last state. Where rows have no key, none is told from its like: all that were inserted are written, and
    /// all that were deleted are removed, each as often as it was. So it is where each row is a new one.
    pub fn reduce(&mut self) -> Reduced {
        if self.table.key.is_empty() || self.table.writes == Writes::Insert {
            let mut reduced = Reduced::default();
            for step in &self.steps {
                match *step {
                    Step::Insert(row) | Step::Upsert(row) => self.group(row, true, &mut reduced.upserts),
                    Step::Delete(row) => reduced.deletes.push(row),
                }
            }
            return reduced;
        }
        let states = self.last_states();
        let mut reduced = Reduced::default();
        for state in states {
            match state {
                State::Deleted(row) => reduced.deletes.push(row),
                State::Written { row, was } => {
                    if was == Was::Deleted {
                        // A new row under an old key: columns that it does not bring must not survive from the old one.
                        reduced.deletes.push(row);
                    }
                    self.group(row, was == Was::NotThere, &mut reduced.upserts);
                }
            }
        }
        reduced
    }

    /// In the order in which their keys came first.
    fn last_states(&mut self) -> Vec<State> {
        // By key; most are of one column.
        let mut places: HashMap<(&str, Vec<&str>), usize> = HashMap::with_capacity(self.steps.len());
        let mut states: Vec<State> = Vec::with_capacity(self.steps.len());
        let mut completed = Vec::new();
        for step in &self.steps {
            let (Step::Insert(row) | Step::Upsert(row) | Step::Delete(row)) = *step;
            let mut texts = self.table.key.iter().map(|column| self.rows.text(row, *column).unwrap_or_default());
            let key = (texts.next().unwrap_or_default(), texts.collect());
            let place = *places.entry(key).or_insert(states.len());
            let state = match (step, states.get(place)) {
                (Step::Delete(_), _) => State::Deleted(row),
                (Step::Insert(_), None) => State::Written { row, was: Was::NotThere },
                (Step::Upsert(_), None) => State::Written { row, was: Was::Anything },
                (_, Some(State::Deleted(_))) => State::Written { row, was: Was::Deleted },
                (_, Some(State::Written { row: earlier, was })) => {
                    // What this change left out, the one before may have brought.
                    completed.push((row, *earlier));
                    State::Written { row, was: *was }
                }
            };
            match states.get_mut(place) {
                Some(known) => *known = state,
                None => states.push(state),
            }
        }
        drop(places);
        for (row, earlier) in completed {
            self.rows.complete(row, earlier);
        }
        states
    }

    fn group(&self, row: usize, is_new: bool, groups: &mut Vec<Group>) {
        let cells = self.rows.row(row);
        let is_sent = |column: &usize| matches!(cells.get(*column), Some(Cell::Null | Cell::Text(..)));
        let is_whole = !cells.contains(&Cell::Unchanged);
        let sent = cells.iter().filter(|cell| matches!(cell, Cell::Null | Cell::Text(..))).count();
        let fits = |group: &&mut Group| {
            (group.is_whole, group.is_new) == (is_whole, is_new)
                && group.columns.len() == sent
                && group.columns.iter().all(is_sent)
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.rows.push(row),
            None => {
                let columns = (0..cells.len()).filter(is_sent).collect();
                groups.push(Group { columns, is_whole, is_new, rows: vec![row] });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> Stage {
        Stage::new(Arc::new(TargetTable::of_texts(["id", "value"])))
    }

    fn row(stage: &mut Stage, id: &str, value: Result<&str, Cell>) -> usize {
        let added = stage.rows.add(|row| {
            for (column, value) in [Ok(id), value].into_iter().enumerate() {
                let from = row.texts.len();
                row.texts.push_str(value.unwrap_or_default());
                row.set(column, value.map_or_else(|cell| cell, |_| Cell::Text(from, row.texts.len())));
            }
            Ok::<_, ()>(())
        });
        added.unwrap()
    }

    fn upsert(stage: &mut Stage, id: &str, value: Result<&str, Cell>) -> usize {
        let row = row(stage, id, value);
        stage.push(Step::Upsert(row));
        row
    }

    fn delete(stage: &mut Stage, id: &str) -> usize {
        let row = row(stage, id, Err(Cell::Absent));
        stage.push(Step::Delete(row));
        row
    }

    fn whole(rows: Vec<usize>) -> Group {
        Group { columns: vec![0, 1], is_whole: true, is_new: false, rows }
    }

    #[test]
    fn only_the_last_state_of_a_row_is_written() {
        let mut stage = stage();
        upsert(&mut stage, "1", Ok("a"));
        let (second, last) = (upsert(&mut stage, "2", Ok("x")), upsert(&mut stage, "1", Ok("b")));
        assert_eq!(stage.reduce(), Reduced { deletes: vec![], upserts: vec![whole(vec![last, second])] });
    }

    #[test]
    fn what_toast_left_out_is_taken_from_the_change_before() {
        let mut stage = stage();
        upsert(&mut stage, "1", Ok("long"));
        upsert(&mut stage, "1", Err(Cell::Unchanged));
        let last = upsert(&mut stage, "1", Err(Cell::Unchanged));
        assert_eq!(stage.reduce().upserts, [whole(vec![last])]);
        assert_eq!(stage.rows.text(last, 1), Some("long"));
    }

    #[test]
    fn what_no_change_brought_is_not_sent() {
        let mut stage = stage();
        let only = upsert(&mut stage, "1", Err(Cell::Unchanged));
        assert_eq!(
            stage.reduce().upserts,
            [Group { columns: vec![0], is_whole: false, is_new: false, rows: vec![only] }]
        );
    }

    #[test]
    fn a_row_that_was_deleted_and_written_again_is_both() {
        let mut stage = stage();
        delete(&mut stage, "1");
        let row = upsert(&mut stage, "1", Ok("new"));
        assert_eq!(stage.reduce(), Reduced { deletes: vec![row], upserts: vec![whole(vec![row])] });
        let gone = delete(&mut stage, "1");
        assert_eq!(stage.reduce(), Reduced { deletes: vec![gone], upserts: vec![] });
    }

    #[test]
    fn a_row_is_new_where_nothing_but_changes_of_it_followed_its_insert() {
        let mut stage = stage();
        let mut insert = |id: &str| {
            let row = row(&mut stage, id, Ok("new"));
            stage.push(Step::Insert(row));
            row
        };
        let first = insert("1");
        insert("2");
        insert("3");
        let changed = upsert(&mut stage, "2", Ok("newer"));
        let gone = delete(&mut stage, "3");
        delete(&mut stage, "4");
        let again = row(&mut stage, "4", Ok("new"));
        stage.push(Step::Insert(again));
        let old = upsert(&mut stage, "5", Ok("old"));
        let Reduced { deletes, upserts } = stage.reduce();
        assert_eq!(deletes, [gone, again], "an insert that comes once more may have been applied");
        assert_eq!(upserts, [Group { is_new: true, ..whole(vec![first, changed]) }, whole(vec![again, old])]);
    }

    #[test]
    fn without_a_key_every_row_counts() {
        let mut stage = stage();
        let table = TargetTable { key: Vec::new(), ..(*stage.table).clone() };
        stage.table = Arc::new(table);
        let mut insert = || {
            let row = row(&mut stage, "1", Ok("a"));
            stage.push(Step::Insert(row));
            row
        };
        let inserted = vec![insert(), insert()];
        let gone = delete(&mut stage, "1");
        let new = Group { is_new: true, ..whole(inserted) };
        assert_eq!(stage.reduce(), Reduced { deletes: vec![gone], upserts: vec![new] });
    }

    #[test]
    fn a_truncate_makes_everything_before_it_needless() {
        let mut stage = stage();
        upsert(&mut stage, "1", Ok("a"));
        stage.truncate();
        let row = upsert(&mut stage, "2", Ok("b"));
        assert_eq!(stage.first, Some(First::Truncate));
        assert_eq!(stage.reduce(), Reduced { deletes: vec![], upserts: vec![whole(vec![row])] });
    }
}
