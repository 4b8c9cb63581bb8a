//! Ranges of keys, narrowed down to the rows that differ.
//!
//! A table is walked in the order of its key, in ranges that begin and end at keys of the source; the last one has no end, and the
//! first no beginning, so that rows which only the target has are in one of them, wherever they are. Of a range both sides say what
//! its rows come to. Where that is not the same, the range is cut into eight at keys of the side that has more rows in it, and each
//! part is asked for again, down to some hundred rows, whose keys and hashes are read. Eight, and not two: a differing range of
//! ten thousand rows is read once more and a little instead of twice, and with two rounds of questions instead of seven.
//!
//! Nothing here holds still. What differs because a change is on its way is found as well, and it is [`confirm`](super::confirm)
//! that tells it from what differs for good. Rows of the target that its own order puts elsewhere than the source's are found as
//! well: whatever a server's order is, each of its rows is within one of the ranges at least, for behind the last boundary that
//! it is above comes one that it is not.

use super::pace::Pace;
use super::rows::{Hashes, Key, Sum, differing};
use crate::error::SinkError;

/// Into how many parts a range is cut.
const PARTS: i64 = 8;

/// The rows above a key, up to another, which is of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// `None` for the beginning.
    pub(super) above: Option<Key>,
    /// `None` for the end.
    pub(super) up_to: Option<Key>,
}

impl Range {
    /// Cut at keys, which are in order.
    fn cut(self, keys: Vec<Key>) -> Vec<Self> {
        let mut parts = Vec::with_capacity(keys.len() + 1);
        let mut above = self.above;
        for key in keys {
            parts.push(Self { above, up_to: Some(key.clone()) });
            above = Some(key);
        }
        parts.push(Self { above, up_to: self.up_to });
        parts
    }
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The first database.
    Source,
    /// The second.
    Target,
}

/// A table on both sides.
pub(super) trait Ranges {
    /// What a range's rows come to, in the source and in the target.
    async fn sums(&self, range: &Range) -> Result<(Sum, Sum), SinkError>;

    /// Of the source's rows above a key the key of the last of so many, `None` where there are not so many.
    async fn end(&self, above: Option<&Key>, rows: i64) -> Result<Option<Key>, SinkError>;

    /// The key of every so many-th row of a range.
    async fn boundaries(&self, of: Side, range: &Range, every: i64) -> Result<Vec<Key>, SinkError>;

    /// A range's rows, in the source and in the target.
    async fn hashes(&self, range: &Range) -> Result<(Hashes, Hashes), SinkError>;
}

/// How large ranges are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Of the first ones, in rows of the source.
    pub(super) range: i64,
    /// Of those whose rows are read one by one.
    pub(super) small: i64,
}

/// A table on its way through.
pub(super) struct Walk<'a, R> {
    table: &'a R,
    sizes: Sizes,
    /// Where the next range begins.
    above: Option<Key>,
    is_done: bool,
    /// Ranges that differ or may, to be looked at closer.
    closer: Vec<Range>,
    /// What the source's rows came to until now.
    pub(super) source: Sum,
    /// What the target's did.
    pub(super) target: Sum,
}

impl<'a, R: Ranges> Walk<'a, R> {
    /// At the beginning.
    pub(super) fn new(table: &'a R, sizes: Sizes) -> Self {
        Self {
            table,
            sizes,
            above: None,
            is_done: false,
            closer: Vec::new(),
            source: Sum::default(),
            target: Sum::default(),
        }
    }

    /// Goes on until the whole table was compared, or about so many rows were found to differ; `None` when there is nothing left.
    ///
    /// # Errors
    /// A side's.
    pub(super) async fn next(&mut self, most: usize, pace: &mut Pace) -> Result<Option<Vec<Key>>, SinkError> {
        let mut keys = Vec::new();
        while keys.len() < most {
            match self.closer.pop() {
                Some(range) => {
                    let sums = self.table.sums(&range).await?;
                    pace.compared(sums.0.count.max(sums.1.count)).await;
                    self.look_closer(range, sums, &mut keys).await?;
                }
                None if self.is_done => return Ok((!keys.is_empty()).then_some(keys)),
                None => {
                    let end = self.table.end(self.above.as_ref(), self.sizes.range).await?;
                    let range = Range { above: self.above.take(), up_to: end.clone() };
                    (self.is_done, self.above) = (end.is_none(), end);
                    let sums = self.table.sums(&range).await?;
                    self.source += sums.0;
                    self.target += sums.1;
                    pace.compared(sums.0.count.max(sums.1.count)).await;
                    self.look_closer(range, sums, &mut keys).await?;
                }
            }
        }
        Ok(Some(keys))
    }

    /// Nothing where a range's rows come to the same; otherwise its keys that differ, or its parts for later.
    async fn look_closer(
        &mut self,
        range: Range,
        (source, target): (Sum, Sum),
        keys: &mut Vec<Key>,
    ) -> Result<(), SinkError> {
        if source == target {
            return Ok(());
        }
        let (of, rows) =
            if target.count > source.count { (Side::Target, target.count) } else { (Side::Source, source.count) };
        let boundaries = if rows <= self.sizes.small {
            Vec::new()
        } else {
            self.table.boundaries(of, &range, rows.unsigned_abs().div_ceil(PARTS.unsigned_abs()).cast_signed()).await?
        };
        if boundaries.is_empty() {
            let (source, target) = self.table.hashes(&range).await?;
            keys.extend(differing(source, target));
        } else {
            // The first is looked at first.
            self.closer.extend(range.cut(boundaries).into_iter().rev());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    use super::*;

    type Rows = BTreeMap<Key, u32>;

    /// Two tables in memory.
    #[derive(Default)]
    struct Memory {
        source: Rows,
        target: Rows,
        listed: Cell<usize>,
    }

    fn hash(key: &Key, value: u32) -> i64 {
        let mut hasher = DefaultHasher::new();
        (key, value).hash(&mut hasher);
        hasher.finish().cast_signed()
    }

    fn within<'a>(rows: &'a Rows, range: &'a Range) -> impl Iterator<Item = (&'a Key, u32)> {
        rows.iter()
            .filter(|(key, _)| range.above.as_ref().is_none_or(|above| *key > above))
            .filter(|(key, _)| range.up_to.as_ref().is_none_or(|up_to| *key <= up_to))
            .map(|(key, value)| (key, *value))
    }

    fn sum(rows: &Rows, range: &Range) -> Sum {
        within(rows, range).fold(Sum::default(), |mut sum, (key, value)| {
            sum += Sum { count: 1, hash: hash(key, value).into() };
            sum
        })
    }

    impl Ranges for Memory {
        async fn sums(&self, range: &Range) -> Result<(Sum, Sum), SinkError> {
            Ok((sum(&self.source, range), sum(&self.target, range)))
        }

        async fn end(&self, above: Option<&Key>, rows: i64) -> Result<Option<Key>, SinkError> {
            let range = Range { above: above.cloned(), up_to: None };
            let last = usize::try_from(rows - 1).unwrap();
            Ok(within(&self.source, &range).nth(last).map(|(key, _)| key.clone()))
        }

        async fn boundaries(&self, of: Side, range: &Range, every: i64) -> Result<Vec<Key>, SinkError> {
            let rows = if of == Side::Source { &self.source } else { &self.target };
            let every = usize::try_from(every).unwrap();
            Ok(within(rows, range).skip(every - 1).step_by(every).map(|(key, _)| key.clone()).collect())
        }

        async fn hashes(&self, range: &Range) -> Result<(Hashes, Hashes), SinkError> {
            let hashes =
                |rows| -> Hashes { within(rows, range).map(|(key, value)| (key.clone(), hash(key, value))).collect() };
            let (source, target) = (hashes(&self.source), hashes(&self.target));
            self.listed.set(self.listed.get() + source.len().max(target.len()));
            Ok((source, target))
        }
    }

    async fn found(memory: &Memory, sizes: Sizes, most: usize) -> (Vec<Key>, Sum, Sum) {
        let (mut walk, mut pace, mut all) = (Walk::new(memory, sizes), Pace::unbounded(), Vec::new());
        while let Some(keys) = walk.next(most, &mut pace).await.unwrap() {
            all.extend(keys);
        }
        (all, walk.source, walk.target)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn key(number: u32) -> Key {
        vec![format!("{:04}", number / 10), format!("{}", number % 10)]
    }

    #[test]
    fn of_a_large_table_only_what_is_near_a_difference_is_read_row_by_row() {
        let rows: Rows = (0..10_000).map(|number| (key(number), 0)).collect();
        let mut memory = Memory { source: rows.clone(), target: rows, ..Memory::default() };
        memory.target.insert(key(4711), 1);
        let (keys, source, target) = run(found(&memory, Sizes { range: 10_000, small: 200 }, 100));
        assert_eq!(keys, [key(4711)]);
        assert_eq!((source.count, target.count), (10_000, 10_000));
        assert!(memory.listed.get() <= 200, "{}", memory.listed.get());
    }

    #[test]
    fn a_table_that_only_the_target_has_rows_of_is_found_whole() {
        let memory = Memory { target: (0..5000).map(|number| (key(number), 0)).collect(), ..Memory::default() };
        let (mut keys, ..) = run(found(&memory, Sizes { range: 100, small: 10 }, 64));
        keys.sort();
        assert_eq!(keys, memory.target.into_keys().collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn exactly_the_rows_that_differ_are_found(
            source in btree_map(0..300_u32, 0..3_u32, 0..200),
            changed in btree_map(0..300_u32, 0..3_u32, 0..20),
            gone in btree_set(0..300_u32, 0..20),
            range in 1..50_i64, small in 1..20_i64, most in 1..30_usize,
        ) {
            let source: Rows = source.into_iter().map(|(number, value)| (key(number), value)).collect();
            let mut target = source.clone();
            target.extend(changed.into_iter().map(|(number, value)| (key(number), value)));
            target.retain(|key, _| !gone.iter().any(|number| *key == self::key(*number)));
            let differ: BTreeSet<Key> = source.keys().chain(target.keys())
                .filter(|key| source.get(*key) != target.get(*key)).cloned().collect();
            let memory = Memory { source, target, ..Memory::default() };
            let (keys, source, target) = run(found(&memory, Sizes { range, small }, most));
            prop_assert_eq!(keys.len(), differ.len());
            prop_assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), differ);
            prop_assert_eq!(source, sum(&memory.source, &Range::default()));
            prop_assert_eq!(target, sum(&memory.target, &Range::default()));
        }
    }
}
