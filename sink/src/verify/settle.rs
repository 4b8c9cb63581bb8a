//! Which of the rows that were found to differ do, where it is not known how far the stream is.
//!
//! A row differs that has not changed on either side for some time while it was not the same. That is right as long as changes take less
//! than that time from the source to the target. Otherwise it is as when they are [confirmed](super::confirm): what the target has, and
//! the source had, is on its way.

use std::time::{Duration, Instant};

use super::candidate::{Confirmed, Rows, candidates, keys_of, read_source};
use super::rows::Key;
use crate::error::SinkError;

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// After how many times the time to settle rows are left open that do not.
const TIMES: u32 = 4;

/// Looks which of some rows differ for so long without a change on either side.
///
/// # Errors
/// A database's.
pub(super) async fn settle(rows: &impl Rows, keys: Vec<Key>, time: Duration) -> Result<Confirmed, SinkError> {
    let (mut found, mut left, begun) = (Confirmed::default(), candidates(keys), Instant::now());
    // Since when each of them has been as it is.
    let mut since = vec![begun; left.len()];
    loop {
        let looks = Instant::now();
        let before: Vec<_> = left.iter().map(|candidate| (candidate.source, candidate.target)).collect();
        read_source(rows, &mut left).await?;
        let now = rows.target(&keys_of(&left)).await?;
        let mut readings = before.into_iter().zip(now).zip(std::mem::take(&mut since));
        left.retain_mut(|candidate| {
            let Some(((before, target), unchanged)) = readings.next() else { return false };
            candidate.target = target;
            if candidate.has_arrived() {
                found.arrived += 1;
                return false;
            }
            let unchanged = if before == (candidate.source, target) { unchanged } else { Instant::now() };
            if unchanged.elapsed() >= time {
                found.differences.push(candidate.difference());
                return false;
            }
            since.push(unchanged);
            true
        });
        if left.is_empty() || begun.elapsed() > time * TIMES {
            break;
        }
        // Many rows are a load, beside which those that are awaited have to arrive.
        tokio::time::sleep(LOOK.max(looks.elapsed() * 2)).await;
    }
    found.open = left.into_iter().map(|candidate| candidate.key).collect();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::verify::rows::{Image, Kind};

    /// What the source and the target have at each look, the last of them for ever.
    struct Looks {
        source: RefCell<Vec<i64>>,
        target: RefCell<Vec<i64>>,
    }

    fn next(looks: &RefCell<Vec<i64>>) -> Image {
        let mut looks = looks.borrow_mut();
        let hash = if looks.len() > 1 { looks.remove(0) } else { looks[0] };
        Image { hash, version: hash }
    }

    impl Rows for Looks {
        async fn source(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
            Ok(keys.iter().map(|_| Some(next(&self.source))).collect())
        }

        async fn target(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
            Ok(keys.iter().map(|_| Some(next(&self.target))).collect())
        }

        async fn barrier(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        async fn pause(&self, _: Duration) {}
    }

    async fn settled(source: &[i64], target: &[i64]) -> Confirmed {
        let looks = Looks { source: source.to_vec().into(), target: target.to_vec().into() };
        settle(&looks, vec![vec!["1".to_owned()]], Duration::from_millis(150)).await.unwrap()
    }

    #[tokio::test]
    async fn a_row_differs_that_stays_as_it_is() {
        let found = settled(&[1], &[2]).await;
        assert_eq!(found.differences.iter().map(|difference| difference.kind).collect::<Vec<_>>(), [Kind::Different]);
    }

    #[tokio::test]
    async fn a_row_does_not_differ_that_has_what_the_source_had() {
        let found = settled(&[1, 2, 3], &[0, 0, 2]).await;
        assert_eq!((found.arrived, found.differences), (1, vec![]));
    }

    #[tokio::test]
    async fn a_row_that_never_stays_as_it_is_is_left_open() {
        let (source, target): (Vec<i64>, Vec<i64>) = ((1..100).collect(), (101..200).collect());
        let found = settled(&source, &target).await;
        assert_eq!((found.open.len(), found.arrived, found.differences), (1, 0, vec![]));
    }
}
