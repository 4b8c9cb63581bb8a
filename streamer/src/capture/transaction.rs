//! Where in the stream we are.

use proto::envelope::SnapshotMarker;
use proto::lsn::Lsn;
use proto::pgoutput::{Begin, Commit};
use proto::position::{Offset, Partial, TransactionOffset};
use proto::xid::Xid;

use crate::emit::RowOrigin;
use crate::error::TaskError;
use crate::position::{Checkpoint, Published, Resume};

/// Follows Begin, changes and Commit; knows what to skip after a restart and what to store.
#[derive(Debug)]
pub struct Progress {
    last_commit: Option<Lsn>,
    resume: Option<Resume>,
    /// The offset of the last transaction that was published whole.
    whole: Offset,
    /// When the last transaction committed that the stream brought, in Unix microseconds.
    time_us: i64,
    open: Option<Transaction>,
}

/// A change on its way.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Where it comes from.
    pub origin: RowOrigin,
    /// Whether it was published before the restart.
    pub was_published: bool,
    /// Whether some of its transaction was.
    pub was_begun: bool,
}

/// The transaction whose changes are arriving.
#[derive(Debug, Clone)]
struct Transaction {
    xid: Xid,
    commit_time_us: i64,
    /// Changes seen so far, those of tables that are not captured included: a filter that is changed between two starts
    /// must not change what an ordinal means.
    ordinal: u64,
    /// Its first changes that were published before the restart.
    published_before: Published,
    /// How many of its first changes are enqueued with all their records.
    published: u64,
    last_row: Option<Row>,
    /// The LSN of the change before.
    lsn_before: Option<Lsn>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    lsn: Lsn,
    message_type: &'static str,
}

impl Progress {
    /// Begins where `resume` says.
    pub fn new(resume: Resume) -> Self {
        Self {
            last_commit: resume.last_commit,
            whole: resume.whole.clone(),
            time_us: resume.whole.ts_usec.unwrap_or_else(now_us),
            resume: Some(resume),
            open: None,
        }
    }

    /// The transaction that is under way.
    pub fn transaction(&self) -> Option<Xid> {
        self.open.as_ref().map(|transaction| transaction.xid)
    }

    /// The offset of the last transaction that was published whole, or of where everything began.
    pub fn whole(&self) -> &Offset {
        &self.whole
    }

    /// Whether the stream stands between two transactions.
    pub fn is_between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// A transaction begins.
    pub fn begin(&mut self, begin: &Begin) {
        let nothing = Published::Changes(0);
        let published_before = self.resume.as_ref().map_or(nothing, |resume| resume.published_of(begin.xid));
        if published_before != nothing {
            tracing::info!(xid = %begin.xid, ?published_before, "going on inside a transaction that was published in part");
        }
        self.time_us = begin.commit_time_us;
        self.open = Some(Transaction {
            xid: begin.xid,
            commit_time_us: begin.commit_time_us,
            ordinal: 0,
            published_before,
            published: 0,
            last_row: None,
            lsn_before: None,
        });
    }

    /// A change arrives. `is_one_record` says whether it can only make a single record.
    ///
    /// # Errors
    /// Retry when it stands outside of a transaction, which the protocol excludes.
    pub fn change(&mut self, lsn: Lsn, is_one_record: bool) -> Result<Change, TaskError> {
        let last_commit_lsn = self.last_commit;
        let transaction = self
            .open
            .as_mut()
            .ok_or_else(|| TaskError::retry("the stream brought a row change outside of a transaction"))?;
        transaction.ordinal += 1;
        let is_first = transaction.lsn_before.replace(lsn) != Some(lsn);
        Ok(Change {
            origin: RowOrigin {
                ts_us: transaction.commit_time_us,
                snapshot: SnapshotMarker::False,
                last_commit_lsn,
                lsn: Some(lsn),
                tx_id: Some(transaction.xid),
            },
            was_published: transaction.published_before.includes(transaction.ordinal, lsn, is_first, is_one_record),
            was_begun: transaction.published_before != Published::Changes(0),
        })
    }

    /// A message arrives that belongs to no transaction. To Debezium it is a commit of its own, at its end, without a time:
    /// it has that of the transaction before it (`PostgresStreamingChangeEventSource.processReplicationMessages`).
    pub fn message(&mut self, lsn: Lsn) -> RowOrigin {
        self.last_commit = Some(lsn);
        RowOrigin {
            ts_us: self.time_us,
            snapshot: SnapshotMarker::False,
            last_commit_lsn: Some(lsn),
            lsn: Some(lsn),
            tx_id: None,
        }
    }

    /// Where a restart goes on behind a message that belongs to no transaction and was published; the server sends no message
    /// again that begins before where the stream starts.
    pub fn behind_message(&mut self, lsn: Lsn) -> Option<Checkpoint> {
        // The protocol lets none stand inside a transaction; there, the transaction's own checkpoints count.
        if self.open.is_some() {
            return None;
        }
        self.whole = Offset {
            lsn_proc: Some(lsn),
            lsn_commit: Some(lsn),
            lsn: Some(lsn),
            ts_usec: Some(self.time_us),
            message_type: Some("MESSAGE".to_owned()),
            ..Offset::default()
        };
        Some(Checkpoint { flush: Some(lsn), offset: Some(self.whole.clone()) })
    }

    /// The change's records are all enqueued; gives whether it is time for a checkpoint, as it is now and then, so that a crash
    /// inside a transaction of millions of rows does not begin it anew.
    pub fn published(&mut self, lsn: Lsn, message_type: &'static str) -> bool {
        const CHANGES_BETWEEN_CHECKPOINTS: u64 = 256;
        // What was published in part is behind us; its transaction id may come again one day.
        self.resume = None;
        let Some(transaction) = self.open.as_mut() else { return false };
        transaction.last_row = Some(Row { lsn, message_type });
        transaction.published = transaction.ordinal;
        transaction.ordinal.is_multiple_of(CHANGES_BETWEEN_CHECKPOINTS)
    }

    /// Where a stop now would leave a transaction that is published in part; `None` between transactions, and before the
    /// first new change of one. `events` are those of the transaction so far.
    pub fn inside(&self, events: Option<TransactionOffset>) -> Option<Checkpoint> {
        let transaction = self.open.as_ref().filter(|transaction| transaction.published > 0)?;
        let partial = Partial { tx_id: transaction.xid, ordinal: transaction.published };
        Some(Checkpoint {
            flush: None,
            offset: Some(Offset { partial: Some(partial), transaction: events, ..self.whole.clone() }),
        })
    }

    /// The transaction under way is none of ours.
    pub fn leave_out(&mut self) {
        self.open = None;
    }

    /// Where a restart goes on when there was nothing to publish up to here.
    pub fn quiet(&mut self, lsn: Lsn) -> Checkpoint {
        self.whole.lsn_commit = Some(lsn);
        Checkpoint { flush: Some(lsn), offset: Some(self.whole.clone()) }
    }

    /// The transaction is complete: everything up to its end may be forgotten once its records are acknowledged.
    pub fn commit(&mut self, commit: &Commit, events: Option<TransactionOffset>) -> Checkpoint {
        let transaction = self.open.take();
        self.last_commit = Some(commit.end_lsn);
        // A transaction that brought no record changes nothing that a restart needs to know.
        let offset = transaction.and_then(|transaction| transaction.offset(self.last_commit));
        let offset = offset.map(|offset| Offset { transaction: events, ..offset });
        if let Some(offset) = &offset {
            self.whole = offset.clone();
        }
        Checkpoint { flush: Some(commit.end_lsn), offset }
    }
}

impl Transaction {
    /// Debezium's offset. Its `lsn_proc` is the last *row*'s LSN also behind a commit: the next transaction's first row can
    /// have the very LSN at which this commit ended, and Debezium, going on from here, would take it for processed.
    fn offset(&self, last_commit: Option<Lsn>) -> Option<Offset> {
        let row = self.last_row?;
        Some(Offset {
            lsn_proc: Some(row.lsn),
            lsn_commit: last_commit,
            lsn: Some(row.lsn),
            tx_id: Some(self.xid),
            ts_usec: Some(self.commit_time_us),
            message_type: Some(row.message_type.to_owned()),
            ..Offset::default()
        })
    }
}

fn now_us() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}
