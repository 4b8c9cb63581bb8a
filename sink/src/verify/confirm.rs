//! Which of the rows that were found to differ do.
//!
//! Both databases are read while they are written to, at different moments, and changes are on their way from one to the other. So a
//! row that was found is a candidate, and is looked at again:
//!
//! 1. It is read in the source, at *t1*.
//! 2. The [barrier](super::barrier): everything that was committed before *t1* is in the target.
//! 3. It is read in the target, at *t3*.
//! 4. It is read in the source once more, at *t4*.
//!
//! **It does not differ** if the target at *t3* has any of the states that the source was seen to have, until then or at *t4*. If the
//! source has it still, they are equal. If not, the source was changed behind that state, and this change is on its way. This
//! needs no barrier, and so most candidates are gone when they were looked at for a moment. The others are looked at like that behind
//! each barrier as well, for rows that change all the time: each look has a chance to meet a state of the source that the target
//! shows.
//!
//! **It does differ** if the target at *t3* has not the state that the source had at *t1*, and one of these holds:
//!
//! - The source has at *t4* the version of the row that it had at *t1* (there is one: `xmin` tells versions apart, also where one has
//!   the same values as an earlier one). Then this has been its state all the time between. Were the target right, it would show
//!   a state that the source had at or behind *t1*, for by *t3* everything before *t1* was applied, and that can only be this one.
//! - The target had at *t0*, before *t1*, the version of the row that it has at *t3*. Were the target right, it would show at *t3*
//!   either the source's state of *t1*, which it does not, or one that was committed behind *t1*, and so was written into the
//!   target behind *t0*, as another version.
//!
//! Rows that neither has a version of are not there on both sides, and equal. So the second rule is the one for rows that only the target
//! has, and both hold where a row comes and goes under the same key. **Otherwise** it is looked at again, from *t1* on; what
//! stays open in the end is not called equal.
//!
//! Nothing here waits for a lock, or keeps anybody from writing. There is no snapshot that both sides have in common.
//!
//! One thing the log does not say: a source that waits for a synchronous standby shows a commit to others only when that has
//! answered, while its change is on its way already. As long as a commit waits there, the target's newer row is called different,
//! and that is what is then to be seen on both.
//!
//! Where it is not known how far the stream is, rows are [settled](super::settle) instead.

use super::candidate::{Candidate, Confirmed, Rows, candidates, keep_looking, keys_of, read_source};
use super::rows::Key;
use crate::error::SinkError;

/// How often a candidate goes through the barrier.
const ROUNDS: usize = 10;

/// Looks which of some rows differ.
///
/// # Errors
/// A database's. One of the barrier is given as the reason why rows are left open.
pub(super) async fn confirm(rows: &mut impl Rows, keys: Vec<Key>) -> Result<Confirmed, SinkError> {
    let (mut found, mut left) = (Confirmed::default(), candidates(keys));
    keep_looking(rows, &mut left, &mut found).await?;
    for _ in 0..ROUNDS {
        if left.is_empty() {
            break;
        }
        read_source(rows, &mut left).await?;
        if let Err(error) = rows.barrier().await {
            found.why = Some(error.to_string());
            break;
        }
        decide(rows, &mut left, &mut found).await?;
        keep_looking(rows, &mut left, &mut found).await?;
    }
    found.open = left.into_iter().map(|candidate| candidate.key).collect();
    Ok(found)
}

/// What is behind the barrier: *t3* and *t4*.
async fn decide(rows: &impl Rows, left: &mut Vec<Candidate>, found: &mut Confirmed) -> Result<(), SinkError> {
    let keys = keys_of(left);
    let at_t3 = rows.target(&keys).await?;
    let at_t4 = rows.source(&keys).await?;
    let mut readings = at_t3.into_iter().zip(at_t4);
    left.retain_mut(|candidate| {
        let Some((at_t3, at_t4)) = readings.next() else { return true };
        let at_t0 = std::mem::replace(&mut candidate.target, at_t3);
        candidate.sees(at_t4);
        if candidate.has_arrived() {
            found.arrived += 1;
            return false;
        }
        let is_the_source_s = candidate.source.is_some() && candidate.source == at_t4;
        let is_the_target_s = at_t3.is_some() && at_t0 == at_t3;
        if is_the_source_s || is_the_target_s {
            found.differences.push(candidate.difference());
            return false;
        }
        true
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::verify::rows::{Image, Kind};

    /// A row of the source with all that was ever committed of it, and the target behind it. Whatever is asked takes its time, in
    /// which the next step of the script happens.
    struct World {
        /// The states of the row; where it was not there, `None`.
        source: Vec<Option<i64>>,
        /// How many of them the target has applied.
        applied: usize,
        target: Option<Image>,
        writes: i64,
        script: Vec<Step>,
        /// Whether steps happen; from the first barrier on they do.
        moves: bool,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Commit(Vec<Option<i64>>),
        /// The target applies so many changes, of which it writes the last.
        Apply(usize),
    }

    impl World {
        fn new(source: Vec<Option<i64>>, script: Vec<Step>) -> Self {
            let mut world = Self { source, applied: 0, target: None, writes: 0, script, moves: true };
            world.apply(1);
            world
        }

        fn apply(&mut self, changes: usize) {
            let applied = (self.applied + changes).min(self.source.len());
            if applied > self.applied {
                self.applied = applied;
                self.write(self.source[applied - 1]);
            }
        }

        fn write(&mut self, state: Option<i64>) {
            self.writes += 1;
            self.target = state.map(|hash| Image { hash, version: self.writes });
        }

        fn step(&mut self) {
            if !self.moves {
                return;
            }
            match self.script.pop() {
                Some(Step::Commit(states)) => self.source.extend(states),
                Some(Step::Apply(changes)) => self.apply(changes),
                None => {}
            }
        }
    }

    impl Rows for RefCell<World> {
        async fn source(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
            let mut world = self.borrow_mut();
            world.step();
            let version = i64::try_from(world.source.len()).unwrap();
            let image = world.source.last().copied().flatten().map(|hash| Image { hash, version });
            Ok(keys.iter().map(|_| image).collect())
        }

        async fn target(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
            let mut world = self.borrow_mut();
            world.step();
            Ok(keys.iter().map(|_| world.target).collect())
        }

        async fn barrier(&mut self) -> Result<(), SinkError> {
            let mut world = self.borrow_mut();
            world.moves = true;
            let committed = world.source.len();
            world.step();
            world.step();
            let missing = committed.saturating_sub(world.applied);
            world.apply(missing);
            Ok(())
        }

        async fn pause(&self, _: Duration) {}
    }

    fn run<T>(future: impl Future<Output = Result<T, SinkError>>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future).unwrap()
    }

    fn key() -> Vec<Key> {
        vec![vec!["1".to_owned()]]
    }

    /// Few states, so that the row often has one that it had before.
    fn state() -> impl Strategy<Value = Option<i64>> {
        proptest::option::of(0..2_i64)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![proptest::collection::vec(state(), 1..3).prop_map(Step::Commit), (1..4_usize).prop_map(Step::Apply),]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_row_that_is_only_behind_is_never_called_different(
            source in proptest::collection::vec(state(), 1..4),
            script in proptest::collection::vec(step(), 0..40),
            moves: bool,
        ) {
            let world = World { moves, ..World::new(source, script) };
            let found = run(confirm(&mut RefCell::new(world), key()));
            prop_assert_eq!(&found.differences, &[]);
            prop_assert_eq!(found.arrived + found.open.len(), 1);
        }

        #[test]
        fn a_row_that_was_changed_in_the_target_by_hand_is_found(
            source in proptest::collection::vec(state(), 1..4),
            corrupted in state(),
            script in proptest::collection::vec((1..4_usize).prop_map(Step::Apply), 0..10),
        ) {
            let mut world = World::new(source, script);
            world.apply(10);
            world.write(corrupted);
            let right = world.source.last().copied().flatten();
            let found = run(confirm(&mut RefCell::new(world), key()));
            let kinds: Vec<Kind> = found.differences.iter().map(|difference| difference.kind).collect();
            let expected = match (right, corrupted) {
                (right, corrupted) if right == corrupted => vec![],
                (Some(_), None) => vec![Kind::Missing],
                (None, _) => vec![Kind::Extra],
                (Some(_), Some(_)) => vec![Kind::Different],
            };
            prop_assert_eq!(kinds, expected);
        }
    }

    #[test]
    fn what_the_stream_does_not_bring_is_left_open_with_the_reason() {
        struct Stuck;

        impl Rows for Stuck {
            async fn source(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
                Ok(keys.iter().map(|_| Some(Image { hash: 1, version: 1 })).collect())
            }

            async fn target(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
                Ok(keys.iter().map(|_| None).collect())
            }

            async fn barrier(&mut self) -> Result<(), SinkError> {
                Err(SinkError::retry("no sink runs"))
            }

            async fn pause(&self, _: Duration) {}
        }

        let found = run(confirm(&mut Stuck, key()));
        assert_eq!((found.open, found.why), (key(), Some("no sink runs".to_owned())));
    }
}
