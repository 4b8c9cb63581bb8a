//! Transactions of the source, applied in the order of their commits.
//!
//! A transaction of the target is one of the source's or several that follow each other, whole: whoever reads the target sees a
//! state that the source had. One that is too large to be held is applied in parts, with nothing committed before the last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join;
use proto::failpoint;
use proto::lsn::Lsn;

use super::batch::{Applier, STAGE_BYTES, WITHOUT_COPIES, one_by_one, together};
use super::fence;
use super::ledger::{self, Next, Place};
use super::planner::Planner;
use super::session::Session;
use super::tables::Tables;
use super::traces::Applying;
use super::write::StageError;
use crate::assemble::chunk::Chunk;
use crate::error::SinkError;
use crate::parse::handling::Handling;

/// What is known of a target into which transactions are applied.
#[derive(Debug)]
pub struct Ordered {
    at: Standing,
    /// Where reading goes on, and the source's last commit, behind the open transaction.
    behind: HashMap<Place, Next>,
    commit: Option<Lsn>,
    /// What of traced transactions is in the open transaction.
    applying: Applying,
    without_copies: u32,
    tables: Tables,
}

/// Where a target stands.
#[derive(Debug)]
struct Standing {
    /// The transactions' topic, whose lock is that of all partitions together.
    topic: String,
    /// Where reading goes on, as it is stored.
    stored: HashMap<Place, Next>,
    /// Whether a transaction goes on in the next chunk.
    is_open: bool,
}

/// What a chunk came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// Of each topic, how many records were applied, or had nothing to apply, and how many were set aside.
    pub of_topics: BTreeMap<Arc<str>, (u64, u64)>,
    /// When the newest change was committed in the source, in milliseconds since 1970.
    pub newest_ts_ms: Option<i64>,
    /// Where reading goes on in Kafka behind what is committed with it.
    pub committed: Vec<(Place, i64)>,
}

impl Ordered {
    /// Where this is stored; nothing is known of the tables.
    pub fn new(topic: &str, stored: HashMap<Place, Next>, handling: Arc<Handling>) -> Self {
        Self {
            at: Standing { topic: topic.to_owned(), stored, is_open: false },
            behind: HashMap::new(),
            commit: None,
            applying: Applying::default(),
            without_copies: 0,
            tables: Tables::of_envelopes(handling),
        }
    }

    /// Something is stored of more partitions.
    pub fn know(&mut self, stored: HashMap<Place, Next>) {
        self.at.stored.extend(stored);
    }
}

impl Standing {
    /// Begins to apply a chunk: a transaction, or the next part of the one that is open.
    async fn begin(&self, session: &mut Session, chunk: &Chunk) -> Result<(), SinkError> {
        match self.is_open {
            true => session.set_savepoint().await?,
            false => fence::begin(session, &self.topic, 0, false).await?,
        }
        let places: Vec<&Place> = chunk.behind.iter().map(|(place, _)| place).collect();
        let found = ledger::lock_offsets(session, &places).await?;
        match places.iter().find(|place| found.get(**place) != self.stored.get(**place)) {
            None => Ok(()),
            Some((topic, partition)) => Err(SinkError::retry(format!(
                "somebody changed the stored offset of partition {partition} of topic {topic} (headwater.offsets in the target). \
                 Nothing of what is at hand was applied; reading goes on from what is stored now"
            ))),
        }
    }

    /// Undoes what was applied of the chunk at hand, and begins it anew.
    async fn begin_again(&self, session: &mut Session, chunk: &Chunk) -> Result<(), SinkError> {
        if self.is_open {
            return Ok(session.roll_back_to_savepoint().await?);
        }
        session.roll_back().await?;
        self.begin(session, chunk).await
    }
}

impl Applier {
    /// Applies a chunk, and commits it with the offsets behind it unless a transaction goes on in the next.
    ///
    /// # Errors
    /// Retry when the target went away, or somebody else changed a stored offset; stop when a table or column is missing there, or
    /// may not be written. Nothing of the open transaction is applied then, and the session is to be dropped.
    pub async fn apply_chunk(&mut self, target: &mut Ordered, chunk: &Chunk) -> Result<Applied, SinkError> {
        let (session, evolution) = (&mut self.session, &self.evolution);
        if self.traces.is_some() {
            target.applying.take_in(&chunk.records, SystemTime::now());
        }
        target.tables.begin();
        let copies = target.without_copies == 0;
        target.without_copies = target.without_copies.saturating_sub(1);
        let mut planner = Planner::new(&chunk.records, false);
        // The target is asked while the first stage is made.
        let (at, tables) = (&target.at, &mut target.tables);
        let (begun, first) = join(at.begin(session, chunk), async { planner.next(tables, STAGE_BYTES) }).await;
        begun?;
        let mut result = together(session, evolution, &mut planner, &mut target.tables, first?, copies).await?;
        if result.as_ref().is_err_and(StageError::is_copy_s) && session.has_broken_a_copy() {
            target.without_copies = WITHOUT_COPIES;
            target.at.begin_again(session, chunk).await?;
            target.tables.rolled_back();
            planner = Planner::new(&chunk.records, false);
            let first = planner.next(&mut target.tables, STAGE_BYTES)?;
            result = together(session, evolution, &mut planner, &mut target.tables, first, false).await?;
        }
        if let Err(error) = result {
            tracing::debug!(reason = %error.reason(), "applying a chunk record by record");
            error.of_record()?;
            target.at.begin_again(session, chunk).await?;
            target.tables.rolled_back();
            planner = Planner::new(&chunk.records, false);
            one_by_one(session, evolution, &mut planner, &mut target.tables, None).await?;
        }
        self.refused.set_aside(session, &planner.set_aside).await?;
        let mut applied = Applied { newest_ts_ms: planner.newest_ts_ms, ..Applied::default() };
        for record in &chunk.records {
            applied.of_topics.entry(record.topic.clone()).or_default().0 += 1;
        }
        for (record, _) in &planner.set_aside {
            let (applied, set_aside) = applied.of_topics.entry(record.topic.clone()).or_default();
            (*applied, *set_aside) = (applied.saturating_sub(1), *set_aside + 1);
        }
        target.behind.extend(chunk.behind.iter().cloned());
        target.commit = chunk.commit.or(target.commit);
        failpoint::reached("batch-not-committed");
        if chunk.is_open {
            if target.at.is_open {
                session.release_savepoint().await?;
            }
            target.at.is_open = true;
            return Ok(applied);
        }
        ledger::commit_with_offsets(session, &target.behind, &target.at.topic, target.commit).await?;
        failpoint::reached("batch-committed");
        target.at.is_open = false;
        if let Some(traces) = &self.traces {
            traces.committed(std::mem::take(&mut target.applying));
        }
        applied.committed = target.behind.iter().map(|(place, next)| (place.clone(), next.offset)).collect();
        target.at.stored.extend(target.behind.drain());
        Ok(applied)
    }
}
