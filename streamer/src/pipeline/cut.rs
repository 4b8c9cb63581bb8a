//! Where pipelines end because others go on behind them.

use std::sync::OnceLock;

use proto::lsn::Lsn;
use proto::pgoutput::Message;

use crate::source::wal::WalEvent;

/// A place in the log, once it is known. Of what begins to be sent at it, a slot is sent exactly the transactions whose commit
/// record is there or behind it (`SnapBuildXactNeedsSkip`); the others are for those who end there.
#[derive(Debug, Default)]
pub struct Cut {
    at: OnceLock<Lsn>,
}

impl Cut {
    /// It is here.
    pub(super) fn set(&self, at: Lsn) {
        // Once for each cut.
        let _already_set = self.at.set(at);
    }

    /// Where it is.
    pub fn at(&self) -> Option<Lsn> {
        self.at.get().copied()
    }

    /// Whether an event that stands between two transactions shows that everything before the cut was sent.
    pub fn is_reached_by(&self, event: &WalEvent) -> bool {
        let Some(at) = self.at() else { return false };
        match event {
            WalEvent::Message(_, Message::Begin(begin)) => begin.final_lsn >= at,
            WalEvent::Message(_, Message::LogicalMessage(message)) => !message.transactional && message.lsn >= at,
            WalEvent::Keepalive(lsn) => *lsn >= at,
            WalEvent::Message(..) | WalEvent::Large(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::pgoutput::Begin;
    use proto::xid::Xid;

    use super::*;

    #[test]
    fn a_transaction_that_commits_at_the_cut_is_of_those_behind_it() {
        let begin = |lsn| {
            let begin = Begin { final_lsn: Lsn::from(lsn), commit_time_us: 0, xid: Xid::from(7) };
            WalEvent::Message(Lsn::from(lsn + 8), Message::Begin(begin))
        };
        let cut = Cut::default();
        assert!(!cut.is_reached_by(&begin(100)), "nobody knows where it is");
        cut.set(Lsn::from(100));
        assert!(!cut.is_reached_by(&begin(99)) && cut.is_reached_by(&begin(100)));
        assert!(!cut.is_reached_by(&WalEvent::Keepalive(Lsn::from(99))));
        assert!(cut.is_reached_by(&WalEvent::Keepalive(Lsn::from(100))));
    }
}
