//! A batch of records, applied.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join;
use proto::failpoint;
use proto::lsn::Lsn;

use super::ledger::{self, Next, Place};
use super::planner::{Planned, Planner};
use super::refused::Refused;
use super::session::Session;
use super::tables::Tables;
use super::traces::{Applying, Traces};
use super::write::{StageError, write};
use super::{fence, lacking};
use crate::consume::Reading;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::postgres::{Database, identifier};

/// How large a stage becomes, as [`Stage::size`](crate::plan::stage::Stage::size) counts: one is made while the target carries
/// out another, and statements of some hundred rows are hardly slower than larger ones.
pub(super) const STAGE_BYTES: usize = 256 << 10;

/// What a batch came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Records that were applied or had nothing to apply.
    pub applied: u64,
    /// Records that were set aside.
    pub set_aside: u64,
    /// The offset of the record that the batch ended before, because it waits for changes of other partitions.
    pub waits: Option<i64>,
    /// When the newest change was committed in the source, in milliseconds since 1970.
    pub newest_ts_ms: Option<i64>,
}

/// A session that applies records.
pub struct Applier {
    pub(super) session: Session,
    pub(super) refused: Refused,
    pub(super) evolution: Evolution,
    pub(super) traces: Option<Traces>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").finish_non_exhaustive()
    }
}

/// What is known of a topic's partition in the target.
#[derive(Debug)]
pub struct PartitionState {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where it is.
    pub next: Option<Next>,
    /// Whether the topic has other partitions: their changes come in no order with those of this one.
    pub is_one_of_several: bool,
    /// Since when the target refuses a record for what the changes of another partition may mend.
    pub refused: Option<Instant>,
    /// How many batches are applied without copying new rows in, because the target did not take it.
    without_copies: u32,
    tables: Tables,
    reading: Reading,
    /// By what name the target knows the topic.
    ledger_name: String,
}

impl PartitionState {
    /// Nothing is known yet.
    pub fn new((topic, partition): Place, reading: &Reading) -> Self {
        Self {
            tables: Tables::new(&topic, reading),
            reading: reading.clone(),
            ledger_name: reading.ledger_name(&topic),
            topic,
            partition,
            next: None,
            is_one_of_several: false,
            refused: None,
            without_copies: 0,
        }
    }

    /// The same with nothing known of the tables: what was known may be why a batch failed.
    #[must_use]
    pub fn afresh(self) -> Self {
        Self { tables: Tables::new(&self.topic, &self.reading), next: None, ..self }
    }
}

/// How long a record that is refused for a missing row, or for a constraint, waits for the changes of other partitions.
const OTHERS_TIME: Duration = Duration::from_secs(30);

/// So many batches are applied as upserts behind one whose new rows were there already: where records come once more, the next
/// ones' rows are as well.
pub(super) const WITHOUT_COPIES: u32 = 30;

impl Applier {
    /// Opens a session in which foreign keys and triggers do not act: tables come at their own speeds, and what triggers
    /// did in the source comes as changes. `refused` is what is done with records that the target does not take.
    ///
    /// # Errors
    /// Stop when the role may not set `session_replication_role`.
    pub async fn connect(target: &Database, refused: &Refused, evolution: &Evolution) -> Result<Self, SinkError> {
        let client = target.connect("batch").await?;
        client.batch_execute("SET session_replication_role = replica").await.map_err(|error| {
            SinkError::from(error).while_doing(&format!(
                "user {0} may not set session_replication_role in the target, which foreign keys between tables need: \
                 GRANT SET ON PARAMETER session_replication_role TO {0}, or use a superuser",
                identifier(target.user())
            ))
        })?;
        Ok(Self { session: Session::new(client), refused: refused.clone(), evolution: evolution.clone(), traces: None })
    }

    /// Opens a session in which everything acts as for any other user.
    ///
    /// # Errors
    /// The server's.
    pub async fn connect_plainly(target: &Database, refused: &Refused) -> Result<Self, SinkError> {
        let client = target.connect("batch").await?;
        Ok(Self { session: Session::new(client), refused: refused.clone(), evolution: Evolution::none(), traces: None })
    }

    /// The same, making spans of what it applies where there is something that makes them.
    #[must_use]
    pub fn traced(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// Where reading of partitions goes on.
    ///
    /// # Errors
    /// The server's.
    pub async fn offsets(&mut self, places: &[Place]) -> Result<HashMap<Place, Next>, SinkError> {
        ledger::offsets(self.session.client().await?, places).await
    }

    /// The last commit of the source that was applied, where transactions are.
    ///
    /// # Errors
    /// The server's.
    pub async fn last_commit(&mut self, topic: &str) -> Result<Option<Lsn>, SinkError> {
        ledger::last_commit(self.session.client().await?, topic).await
    }

    /// Applies records of a partition, in their order, and stores the offset behind them, in one transaction. With `gives_way`
    /// it does not wait long for what others have locked.
    ///
    /// # Errors
    /// Retry when the target went away, or somebody else changed the stored offset; stop when a table or column is missing
    /// there, or may not be written. Nothing of the batch is applied then.
    pub async fn apply(
        &mut self,
        topic: &mut PartitionState,
        records: Vec<Record>,
        gives_way: bool,
    ) -> Result<Applied, SinkError> {
        let PartitionState {
            topic,
            ledger_name,
            partition,
            next: known,
            is_one_of_several,
            refused,
            without_copies,
            tables,
            ..
        } = topic;
        let (session, evolution) = (&mut self.session, &self.evolution);
        let since = self.traces.as_ref().map(|_| SystemTime::now());
        tables.begin();
        let mut planner = Planner::new(&records, *is_one_of_several);
        // The target is asked while the first stage is made.
        let beginning = begin(session, ledger_name, *partition, *known, gives_way);
        let (begun, first) = join(beginning, async { planner.next(tables, STAGE_BYTES) }).await;
        begun?;
        let copies = *without_copies == 0;
        *without_copies = without_copies.saturating_sub(1);
        let mut result = together(session, evolution, &mut planner, tables, first?, copies).await?;
        if result.as_ref().is_err_and(StageError::is_copy_s) && session.has_broken_a_copy() {
            *without_copies = WITHOUT_COPIES;
            session.roll_back().await?;
            begin(session, ledger_name, *partition, *known, gives_way).await?;
            tables.rolled_back();
            planner = Planner::new(&records, *is_one_of_several);
            let first = planner.next(tables, STAGE_BYTES)?;
            result = together(session, evolution, &mut planner, tables, first, false).await?;
        }
        let mut taken = records.as_slice();
        let mut waits = None;
        if let Err(error) = result {
            tracing::debug!(%topic, reason = %error.reason(), "applying a batch record by record");
            error.of_record()?;
            session.roll_back().await?;
            begin(session, ledger_name, *partition, *known, gives_way).await?;
            tables.rolled_back();
            planner = Planner::new(&records, *is_one_of_several);
            let refused = is_one_of_several.then_some(&mut *refused);
            waits = one_by_one(session, evolution, &mut planner, tables, refused).await?;
            taken = waits.and_then(|waits| records.get(..waits)).unwrap_or(taken);
        }
        self.refused.set_aside(session, &planner.set_aside).await?;
        failpoint::reached("batch-not-committed");
        let next = taken.last().map(|last| Next { offset: last.offset + 1, last_record: Some(last.mark()) });
        match next {
            Some(next) => ledger::commit_with_offset(session, ledger_name, *partition, next).await?,
            None => session.roll_back().await?,
        }
        failpoint::reached("batch-committed");
        *known = next.or(*known);
        if let Some((traces, since)) = self.traces.as_ref().zip(since) {
            let mut applying = Applying::default();
            applying.take_in(taken, since);
            traces.committed(applying);
        }
        if waits.is_none() {
            *refused = None;
        }
        let set_aside = planner.set_aside.len();
        Ok(Applied {
            applied: (taken.len() - set_aside) as u64,
            set_aside: set_aside as u64,
            waits: waits.and_then(|waits| records.get(waits)).map(|record| record.offset),
            newest_ts_ms: planner.newest_ts_ms,
        })
    }
}

/// Begins a transaction in which nobody else applies the partition.
async fn begin(
    session: &mut Session,
    topic: &str,
    partition: i32,
    known: Option<Next>,
    gives_way: bool,
) -> Result<(), SinkError> {
    fence::begin(session, topic, partition, gives_way).await?;
    if ledger::lock_offset(session, topic, partition).await? != known {
        return Err(SinkError::retry(format!(
            "somebody changed the stored offset of partition {partition} of topic {topic} (headwater.offsets in the target). \
             Nothing of the batch at hand was applied; reading goes on from what is stored now"
        )));
    }
    Ok(())
}

/// All of them, or none: on an error the transaction is to be rolled back. While the target carries out one stage, the next is
/// made.
pub(super) async fn together(
    session: &mut Session,
    evolution: &Evolution,
    planner: &mut Planner<'_>,
    tables: &mut Tables,
    mut next: Planned,
    copies: bool,
) -> Result<Result<(), StageError>, SinkError> {
    loop {
        next = match next {
            Planned::Nothing => return Ok(session.end_copy().await.map_err(StageError::from)),
            Planned::Unknown(schema, table) => {
                if let Err(error) = session.end_copy().await {
                    return Ok(Err(error.into()));
                }
                lacking::table(session, evolution, tables, planner.topic(), (&schema, &table)).await?;
                planner.next(tables, STAGE_BYTES)?
            }
            Planned::Lacks(table, column) => {
                if let Err(error) = session.end_copy().await {
                    return Ok(Err(error.into()));
                }
                lacking::column(session, evolution, tables, &table, &column).await?;
                planner.next(tables, STAGE_BYTES)?
            }
            Planned::Definition(told) => {
                if let Err(error) = session.end_copy().await {
                    return Ok(Err(error.into()));
                }
                lacking::definition(session, evolution, tables, &told).await?;
                planner.next(tables, STAGE_BYTES)?
            }
            Planned::Stage(stage) => {
                let making = async { planner.next(tables, STAGE_BYTES) };
                let (written, next) = join(write(session, stage, copies), making).await;
                if let Err(error) = written {
                    return Ok(Err(error));
                }
                next?
            }
        }
    }
}

/// Each by itself, in order; what the target does not take is set aside. Where the topic has other partitions, whose changes may
/// have to come first, there is a place for since when that is waited for. Which of the records waits: what stands before it is
/// committed, for two partitions may wait for each other.
pub(super) async fn one_by_one(
    session: &mut Session,
    evolution: &Evolution,
    planner: &mut Planner<'_>,
    tables: &mut Tables,
    mut refused: Option<&mut Option<Instant>>,
) -> Result<Option<usize>, SinkError> {
    loop {
        let stage = match planner.next(tables, 0)? {
            Planned::Nothing => return Ok(None),
            Planned::Unknown(schema, table) => {
                lacking::table(session, evolution, tables, planner.topic(), (&schema, &table)).await?;
                continue;
            }
            Planned::Lacks(table, column) => {
                lacking::column(session, evolution, tables, &table, &column).await?;
                continue;
            }
            Planned::Definition(told) => {
                lacking::definition(session, evolution, tables, &told).await?;
                continue;
            }
            Planned::Stage(stage) => stage,
        };
        let table = stage.table.clone();
        session.batch_execute("SAVEPOINT record").await?;
        let Err(error) = write(session, stage, false).await else {
            session.batch_execute("RELEASE record").await?;
            continue;
        };
        session.batch_execute("ROLLBACK TO record; RELEASE record").await?;
        if let Some(refused) = refused.as_deref_mut().filter(|_| error.is_order_s())
            && refused.get_or_insert_with(Instant::now).elapsed() < OTHERS_TIME
        {
            let waits = planner.last();
            if waits > 0 {
                // It is the first to wait from here on.
                *refused = Some(Instant::now());
            }
            return Ok(Some(waits));
        }
        lacking::refused(session, evolution, tables, &table, &error).await?;
        let reason = error.reason();
        error.of_record()?;
        planner.set_last_aside(reason);
    }
}
