//! A stored offset, Debezium's or ours, into where to start and what to skip.

use proto::lsn::Lsn;
use proto::position::{Offset, Partial};
use proto::xid::Xid;

/// Where streaming goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// Start streaming behind this; `Lsn::ZERO` is the slot's own confirmed position.
    pub start: Lsn,
    /// The end of the last transaction that was published whole, if any was.
    pub last_commit: Option<Lsn>,
    /// The transaction published in part.
    partial: Option<Partial>,
    /// The transaction of the last record, and what its own position tells.
    last_row: Option<(Xid, Published)>,
    /// The offset of the last transaction that was published whole, or of where everything began.
    pub whole: Offset,
}

impl Resume {
    /// From the stored offset. It never lies ahead of what was published: the server does not clamp a start position that
    /// is too far ahead, it skips.
    ///
    /// Debezium's offset says how far it got inside a transaction only by an LSN, which many rows can share. The first of them
    /// was published if the offset is a row's. The others are published again: they may come twice, none is lost.
    pub fn from_offset(offset: &Offset) -> Self {
        let is_of_a_row = matches!(offset.message_type.as_deref(), Some("INSERT" | "UPDATE"));
        let up_to = |lsn| if is_of_a_row { Published::UpTo(lsn) } else { Published::Before(lsn) };
        Self {
            start: offset.lsn_commit.or(offset.lsn).unwrap_or(Lsn::ZERO),
            last_commit: offset.lsn_commit,
            partial: offset.partial,
            last_row: offset.tx_id.zip(offset.lsn_proc.map(up_to)),
            whole: Offset { partial: None, anchor: None, ..offset.clone() },
        }
    }

    /// From a slot's own position, with nothing published before.
    pub fn from_slot(position: Lsn) -> Self {
        Self { start: position, whole: Offset { lsn: Some(position), ..Offset::default() }, ..Self::default() }
    }

    /// Which of the first changes of transaction `xid` were published already.
    pub fn published_of(&self, xid: Xid) -> Published {
        if let Some(partial) = self.partial.filter(|partial| partial.tx_id == xid) {
            return Published::Changes(partial.ordinal);
        }
        match self.last_row {
            Some((last, published)) if last == xid => published,
            _ => Published::Changes(0),
        }
    }
}

/// The first changes of a transaction, as far as they were published before a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// So many.
    Changes(u64),
    /// All with a smaller LSN: rows of one transaction come in the order of their LSNs.
    Before(Lsn),
    /// Those, and the first of this LSN.
    UpTo(Lsn),
}

impl Published {
    /// Whether the change with this ordinal, counted from 1, and this LSN is one of them. `is_first` says whether it is the
    /// first of its LSN, `is_one_record` whether a change of its kind makes a single record: of several (a delete and its
    /// tombstone, a change of the key) the first alone may have been published.
    pub fn includes(self, ordinal: u64, lsn: Lsn, is_first: bool, is_one_record: bool) -> bool {
        match self {
            Published::Changes(count) => ordinal <= count,
            Published::Before(end) => lsn < end,
            Published::UpTo(last) => lsn < last || lsn == last && is_first && is_one_record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_inside_a_transaction_goes_on_behind_its_ordinal() {
        let offset = Offset {
            lsn_commit: Some(Lsn::from(100)),
            lsn: Some(Lsn::from(180)),
            tx_id: Some(Xid::from(6)),
            partial: Some(Partial { tx_id: Xid::from(7), ordinal: 512 }),
            ..Offset::default()
        };
        let resume = Resume::from_offset(&offset);
        assert_eq!(resume.start, Lsn::from(100), "the transaction is asked for whole");
        let published = resume.published_of(Xid::from(7));
        assert!(published.includes(512, Lsn::from(180), false, true));
        assert!(!published.includes(513, Lsn::from(180), false, true));
        let another = resume.published_of(Xid::from(8));
        assert!(!another.includes(1, Lsn::from(150), true, true), "another transaction has nothing to skip");
    }

    #[test]
    fn an_offset_of_debezium_reads_the_other_rows_of_its_last_lsn_again() {
        let offset = |message_type: &str| Offset {
            lsn_proc: Some(Lsn::from(180)),
            lsn_commit: Some(Lsn::from(100)),
            lsn: Some(Lsn::from(180)),
            tx_id: Some(Xid::from(7)),
            message_type: Some(message_type.to_owned()),
            ..Offset::default()
        };
        let resume = Resume::from_offset(&offset("INSERT"));
        assert_eq!(resume.start, Lsn::from(100));
        let published = resume.published_of(Xid::from(7));
        assert!(published.includes(1, Lsn::from(179), true, false));
        assert!(published.includes(2, Lsn::from(180), true, true), "the first of its LSN");
        assert!(!published.includes(3, Lsn::from(180), false, true), "another of its LSN");
        assert!(!published.includes(2, Lsn::from(180), true, false), "a key change, perhaps published in part");
        let begun = Resume::from_offset(&offset("BEGIN")).published_of(Xid::from(7));
        assert!(!begun.includes(1, Lsn::from(180), true, true), "no row of that LSN yet");
    }

    #[test]
    fn a_snapshot_without_a_commit_goes_on_from_its_own_position() {
        let offset = Offset { lsn: Some(Lsn::from(50)), ..Offset::default() };
        assert_eq!(Resume::from_offset(&offset).start, Lsn::from(50));
    }
}
