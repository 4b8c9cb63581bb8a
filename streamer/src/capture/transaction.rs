//! Where in the stream we are.

use proto::lsn::Lsn;
use proto::pgoutput::{Begin, Commit};
use proto::position::{Offset, Partial};
use proto::xid::Xid;

use crate::error::TaskError;
use crate::position::{Checkpoint, Published, Resume};

/// Follows Begin, changes and Commit; knows what to skip after a restart and what to store.
#[derive(Debug)]
pub struct Progress {
    last_commit: Option<Lsn>,
    resume: Option<Resume>,
    /// The offset of the last transaction that was published whole.
    whole: Offset,
    open: Option<Transaction>,
}

/// The transaction whose changes are arriving.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Its id; every row's `source.txId`.
    pub xid: Xid,
    /// When it committed, in Unix microseconds; every row's `source.ts_us`.
    pub commit_time_us: i64,
    /// Changes seen so far, those of tables that are not captured included: a filter that is changed between two starts
    /// must not change what an ordinal means.
    ordinal: u64,
    /// Its first changes that were published before the restart.
    published_before: Published,
    /// How many of its first changes are enqueued with all their records.
    published: u64,
    last_row: Option<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    lsn: Lsn,
    message_type: &'static str,
}

impl Progress {
    /// Begins where `resume` says.
    pub fn new(resume: Resume) -> Self {
        Self { last_commit: resume.last_commit, whole: resume.whole.clone(), resume: Some(resume), open: None }
    }

    /// The end of the last transaction that was read whole: the first half of every row's `source.sequence`.
    pub fn last_commit(&self) -> Option<Lsn> {
        self.last_commit
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
        self.open = Some(Transaction {
            xid: begin.xid,
            commit_time_us: begin.commit_time_us,
            ordinal: 0,
            published_before,
            published: 0,
            last_row: None,
        });
    }

    /// A change arrives: `None` when it was published before the restart.
    ///
    /// # Errors
    /// Retry when it stands outside of a transaction, which the protocol excludes.
    pub fn change(&mut self, lsn: Lsn) -> Result<Option<&Transaction>, TaskError> {
        let transaction = self
            .open
            .as_mut()
            .ok_or_else(|| TaskError::retry("the stream brought a row change outside of a transaction"))?;
        transaction.ordinal += 1;
        let is_new = !transaction.published_before.includes(transaction.ordinal, lsn);
        Ok(is_new.then_some(transaction))
    }

    /// The change's records are all enqueued; gives a checkpoint now and then, so that a crash inside a transaction of
    /// millions of rows does not begin it anew.
    pub fn published(&mut self, lsn: Lsn, message_type: &'static str) -> Option<Checkpoint> {
        const CHANGES_BETWEEN_CHECKPOINTS: u64 = 256;
        // What was published in part is behind us; its transaction id may come again one day.
        self.resume = None;
        let transaction = self.open.as_mut()?;
        transaction.last_row = Some(Row { lsn, message_type });
        transaction.published = transaction.ordinal;
        if transaction.ordinal.is_multiple_of(CHANGES_BETWEEN_CHECKPOINTS) { self.inside() } else { None }
    }

    /// Where a stop now would leave a transaction that is published in part; `None` between transactions, and before the
    /// first new change of one.
    pub fn inside(&self) -> Option<Checkpoint> {
        let transaction = self.open.as_ref().filter(|transaction| transaction.published > 0)?;
        let partial = Partial { tx_id: transaction.xid, ordinal: transaction.published };
        Some(Checkpoint { flush: None, offset: Some(Offset { partial: Some(partial), ..self.whole.clone() }) })
    }

    /// The transaction is complete: everything up to its end may be forgotten once its records are acknowledged.
    pub fn commit(&mut self, commit: &Commit) -> Checkpoint {
        let transaction = self.open.take();
        self.last_commit = Some(commit.end_lsn);
        // A transaction that brought no record changes nothing that a restart needs to know.
        let offset = transaction.and_then(|transaction| transaction.offset(self.last_commit));
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
