//! Tables whose rows cannot be told from each other, compared as a whole.
//!
//! As a row is [confirmed](super::confirm) to differ, so is such a table: read in the source at *t1*, in the target behind the
//! barrier, and in the source again. It differs if the source came to the same both times, and the target did not. That does not see a
//! row that came and went in between; the table is read twice for it.

use super::pace::Pace;
use super::ranges::{Range, Ranges as _};
use super::rows::Sum;
use super::sides::Streamed;
use crate::error::SinkError;

/// How often it is read at most.
const ROUNDS: usize = 10;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whole {
    /// Both sides have the same rows.
    Equal,
    /// They have not.
    Differs,
    /// It is not known, and why.
    Open(String),
}

/// Compares a whole table; what the sides came to last comes with it.
///
/// # Errors
/// A database's.
pub(super) async fn compare(rows: &mut Streamed<'_>, pace: &mut Pace) -> Result<(Whole, Sum, Sum), SinkError> {
    let (all, mut differed) = (Range::default(), 0);
    let (mut source, mut target) = rows.sides.sums(&all).await?;
    pace.compared(source.count.max(target.count)).await;
    for _ in 0..ROUNDS {
        if source == target {
            return Ok((Whole::Equal, source, target));
        }
        if differed > 1 {
            return Ok((Whole::Differs, source, target));
        }
        if let Err(error) = rows.barrier.pass(rows.table).await {
            return Ok((Whole::Open(error.to_string()), source, target));
        }
        target = rows.sides.target.sum(&all).await?;
        let later = rows.sides.source.sum(&all).await?;
        pace.compared(later.count.saturating_add(target.count)).await;
        if target == source {
            return Ok((Whole::Equal, source, target));
        }
        differed = if later == source { differed + 1 } else { 0 };
        source = later;
    }
    Ok((Whole::Open("it changes all the time".to_owned()), source, target))
}
