//! What a snapshot of the source has already: changes that are in a table's copy are none for the target any more.
//!
//! A table that was copied in the slot's own snapshot has none of the changes that come through the slot. One that was copied later
//! has those of all transactions that the later snapshot sees, and they come nevertheless.
//!
//! # Why none is lost or applied twice
//! A transaction's rows are in the copy if, and only if, the snapshot sees the transaction. So that is asked for each change: by the
//! number of its transaction, as the snapshot itself does. The number has 32 bits in a record, and comes again after four thousand
//! million transactions. Before that the position in the log tells: what the snapshot sees was written in front of the position that
//! was read behind the snapshot.

use std::str::FromStr;

use proto::lsn::Lsn;
use proto::xid::Xid;

/// In which transaction of the source a change was made, and where in its log that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The transaction.
    pub transaction: Xid,
    /// The position in the log.
    pub lsn: Lsn,
}

/// A snapshot, as `pg_current_snapshot` prints it, and a position in the log behind everything that it sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Every transaction before it had ended.
    xmin: u64,
    /// None from it on is seen.
    xmax: u64,
    /// Those between that were under way, in order.
    under_way: Vec<u64>,
    /// The position.
    seen_to: Lsn,
}

impl Snapshot {
    /// Of its text and the position; `None` for a text of another form.
    pub fn new(text: &str, seen_to: Lsn) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let mut number = || u64::from_str(parts.next()?).ok();
        let (xmin, xmax) = (number()?, number()?);
        let list = parts.next()?;
        let list: Result<Vec<u64>, _> =
            list.split(',').filter(|number| !number.is_empty()).map(u64::from_str).collect();
        let mut under_way = list.ok()?;
        under_way.sort_unstable();
        Some(Self { xmin, xmax, under_way, seen_to })
    }

    /// Whether it has a change.
    pub fn has(&self, written: Written) -> bool {
        if written.lsn > self.seen_to {
            return false;
        }
        // The record has the lower half of the number: of all that have it, the one that is the nearest to the snapshot.
        let distance = (written.transaction.as_u32()).wrapping_sub(self.xmax as u32).cast_signed();
        let transaction = self.xmax.wrapping_add_signed(i64::from(distance));
        transaction < self.xmin || (transaction < self.xmax && self.under_way.binary_search(&transaction).is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(snapshot: &str, transaction: u32, lsn: u64) -> bool {
        let written = Written { transaction: Xid::from(transaction), lsn: Lsn::from(lsn) };
        Snapshot::new(snapshot, Lsn::from(1000)).unwrap().has(written)
    }

    #[test]
    fn what_had_ended_is_seen_and_what_was_under_way_or_came_later_is_not() {
        let seen = |transaction| has("10:20:12,15", transaction, 500);
        for ended in [3, 9, 10, 11, 13, 19] {
            assert!(seen(ended), "{ended}");
        }
        for other in [12, 15, 20, 21] {
            assert!(!seen(other), "{other}");
        }
        assert!(has("10:10:", 9, 1000) && !has("10:10:", 10, 500));
    }

    #[test]
    fn what_is_behind_the_position_is_never_seen() {
        assert!(!has("10:20:", 11, 1001));
    }

    #[test]
    fn numbers_of_32_bits_are_those_nearest_to_the_snapshot() {
        let epoch = 5_u64 << 32;
        let snapshot = format!("{}:{}:{}", epoch - 3, epoch + 3, epoch + 1);
        for (transaction, is_seen) in
            [(u32::MAX - 5, true), (u32::MAX, true), (0, true), (1, false), (2, true), (3, false)]
        {
            assert_eq!(has(&snapshot, transaction, 500), is_seen, "{transaction}");
        }
    }

    #[test]
    fn another_text_is_no_snapshot() {
        for text in ["", "1", "1:2", "a:2:", "1:2:x"] {
            assert_eq!(Snapshot::new(text, Lsn::from(1)), None, "{text}");
        }
    }
}
