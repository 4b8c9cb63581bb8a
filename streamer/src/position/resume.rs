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
    /// The transaction of the last record, and that record's LSN.
    last_row: Option<(Xid, Lsn)>,
    /// The offset of the last transaction that was published whole, or of where everything began.
    pub whole: Offset,
}

impl Resume {
    /// From the stored offset. It never lies ahead of what was published: the server does not clamp a start position that
    /// is too far ahead, it skips.
    ///
    /// Debezium's offset says how far it got inside a transaction only by an LSN, which many rows can share. So the rows of
    /// that very LSN are published again: they may come twice, none is lost.
    pub fn from_offset(offset: &Offset) -> Self {
        Self {
            start: offset.lsn_commit.or(offset.lsn).unwrap_or(Lsn::ZERO),
            last_commit: offset.lsn_commit,
            partial: offset.partial,
            last_row: offset.tx_id.zip(offset.lsn_proc),
            whole: Offset { partial: None, ..offset.clone() },
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
            Some((last, lsn)) if last == xid => Published::Before(lsn),
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
}

impl Published {
    /// Whether the change with this ordinal, counted from 1, and this LSN is one of them.
    pub fn includes(self, ordinal: u64, lsn: Lsn) -> bool {
        match self {
            Published::Changes(count) => ordinal <= count,
            Published::Before(end) => lsn < end,
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
        assert!(published.includes(512, Lsn::from(180)) && !published.includes(513, Lsn::from(180)));
        let another = resume.published_of(Xid::from(8));
        assert!(!another.includes(1, Lsn::from(150)), "another transaction has nothing to skip");
    }

    #[test]
    fn an_offset_of_debezium_reads_the_rows_of_its_last_lsn_again() {
        let offset = Offset {
            lsn_proc: Some(Lsn::from(180)),
            lsn_commit: Some(Lsn::from(100)),
            lsn: Some(Lsn::from(180)),
            tx_id: Some(Xid::from(7)),
            ..Offset::default()
        };
        let resume = Resume::from_offset(&offset);
        assert_eq!(resume.start, Lsn::from(100));
        let published = resume.published_of(Xid::from(7));
        assert!(published.includes(1, Lsn::from(179)) && !published.includes(2, Lsn::from(180)));
    }

    #[test]
    fn a_snapshot_without_a_commit_goes_on_from_its_own_position() {
        let offset = Offset { lsn: Some(Lsn::from(50)), ..Offset::default() };
        assert_eq!(Resume::from_offset(&offset).start, Lsn::from(50));
    }
}
