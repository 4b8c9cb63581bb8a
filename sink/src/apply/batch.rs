//! A batch of records, applied.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::failpoint;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Transaction};

use super::ledger::{self, Next, Place};
use super::{fence, statements};
use crate::error::SinkError;
use crate::parse::record::{self, Change, Row, TableChange};
use crate::parse::value::{self, Cell};
use crate::plan::reduce::{Key, Stage, Step, reduce};
use crate::plan::table::TargetTable;
use crate::postgres::{Database, identifier};

/// A record as it came.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its `__debezium.newkey` header.
    pub new_key: Option<Vec<u8>>,
}

impl Record {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }

    /// What tells this record from any other at the same offset of a topic of the same name: FNV-1a over timestamp, key and
    /// value.
    pub fn mark(&self) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        take(&self.timestamp.unwrap_or_default().to_be_bytes());
        for part in [&self.key, &self.value] {
            let part = part.as_deref().unwrap_or_default();
            take(&part.len().to_be_bytes());
            take(part);
        }
        hash.cast_signed()
    }
}

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
    client: Client,
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
    tables: HashMap<(String, String), Arc<TargetTable>>,
}

impl PartitionState {
    /// Nothing is known yet.
    pub fn new((topic, partition): Place) -> Self {
        Self { topic, partition, next: None, is_one_of_several: false, refused: None, tables: HashMap::new() }
    }

    /// The same with nothing known of the tables: what was known may be why a batch failed.
    #[must_use]
    pub fn afresh(self) -> Self {
        Self { tables: HashMap::new(), next: None, ..self }
    }
}

/// How long a record that is refused for a missing row, or for a constraint, waits for the changes of other partitions.
const OTHERS_TIME: Duration = Duration::from_secs(30);

/// A record with what it asks for.
struct Planned<'a> {
    record: &'a Record,
    work: Work,
}

enum Work {
    Nothing,
    Step(Arc<TargetTable>, Step),
    SetAside(String),
}

/// Why steps were not carried out.
enum StepError {
    /// The server's answer.
    Server(tokio_postgres::Error),
    /// A change of a row that is not there, and that does not bring the whole row.
    MissingRow,
}

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        StepError::Server(error)
    }
}

impl Applier {
    /// Opens a session in which foreign keys and triggers do not act: tables come at their own speeds, and what triggers
    /// did in the source comes as changes.
    ///
    /// # Errors
    /// Stop when the role may not set `session_replication_role`.
    pub async fn connect(target: &Database) -> Result<Self, SinkError> {
        let client = target.connect("batch").await?;
        client.batch_execute("SET session_replication_role = replica").await.map_err(|error| {
            SinkError::from(error).while_doing(&format!(
                "user {0} may not set session_replication_role in the target, which foreign keys between tables need: \
                 GRANT SET ON PARAMETER session_replication_role TO {0}, or use a superuser",
                identifier(target.user())
            ))
        })?;
        Ok(Self { client })
    }

    /// Where reading of partitions goes on.
    ///
    /// # Errors
    /// The server's.
    pub async fn offsets(&self, places: &[Place]) -> Result<HashMap<Place, Next>, SinkError> {
        ledger::offsets(&self.client, places).await
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
        let mut outcome = Applied::default();
        let mut planned = Vec::with_capacity(records.len());
        for record in &records {
            let work = self.plan(topic, record, &mut outcome).await?;
            planned.push(Planned { record, work });
        }
        let PartitionState { topic, partition, next: known, is_one_of_several, refused, .. } = topic;
        let mut transaction = self.client.transaction().await?;
        fence::take(&transaction, topic, *partition, gives_way).await?;
        if ledger::lock_offset(&transaction, topic, *partition).await? != *known {
            return Err(SinkError::retry(format!(
                "somebody changed the stored offset of partition {partition} of topic {topic} (headwater.offsets in the target). \
                 Nothing of the batch at hand was applied; reading goes on from what is stored now"
            )));
        }
        if let Err(error) = together(&mut transaction, &planned).await {
            tracing::debug!(%topic, reason = %reason(&error), "applying a batch record by record");
            retryable(error)?;
            let refused = is_one_of_several.then_some(&mut *refused);
            let taken = one_by_one(&mut transaction, &mut planned, refused).await?;
            outcome.waits = planned.get(taken).map(|planned| planned.record.offset);
            planned.truncate(taken);
        }
        outcome.applied = planned.len() as u64;
        for Planned { record, work } in &planned {
            if let Work::SetAside(reason) = work {
                set_aside(&transaction, topic, record, reason).await?;
                outcome.set_aside += 1;
            }
        }
        outcome.applied -= outcome.set_aside;
        let last = planned.last().map(|planned| planned.record);
        let next = last.map(|last| Next { offset: last.offset + 1, last_record: Some(last.mark()) });
        if let Some(next) = next {
            ledger::put_offset(&transaction, topic, *partition, next).await?;
        }
        failpoint::reached("batch-not-committed");
        transaction.commit().await?;
        failpoint::reached("batch-committed");
        *known = next.or(*known);
        if outcome.waits.is_none() {
            *refused = None;
        }
        Ok(outcome)
    }

    async fn plan(
        &self,
        topic: &mut PartitionState,
        record: &Record,
        outcome: &mut Applied,
    ) -> Result<Work, SinkError> {
        let change = record::read(record.key.as_deref(), record.value.as_deref(), record.new_key.as_deref());
        let (table, step) = match change {
            Ok(Change::Nothing) => return Ok(Work::Nothing),
            Err(unreadable) => return Ok(Work::SetAside(unreadable.to_string())),
            Ok(Change::Truncate { .. }) if topic.is_one_of_several => {
                return Ok(Work::SetAside(
                    "a truncate of a table whose topic has several partitions: which rows of the other partitions are older \
                     than it cannot be told. Remove the rows that the source does not have, as `sink verify` finds them; give \
                     the topic of a table that is truncated one partition"
                        .to_owned(),
                ));
            }
            Ok(Change::Truncate { schema, table }) => (self.table(topic, &schema, &table).await?, Ok(Step::Truncate)),
            Ok(Change::Upsert(change)) => {
                let table = self.table_of(topic, &change, outcome).await?;
                let step = upsert(&table, &change.row)?;
                (table, step)
            }
            Ok(Change::Delete(change)) => {
                let table = self.table_of(topic, &change, outcome).await?;
                let step = key(&table, &change.row).map(|key| Step::Delete { key });
                (table, step)
            }
            Ok(Change::Rename { old, new_key }) => {
                let table = self.table_of(topic, &old, outcome).await?;
                let step = key(&table, &old.row).and_then(|old| Ok(Step::Rename { old, new: key(&table, &new_key)? }));
                (table, step)
            }
        };
        Ok(match step {
            Ok(step) => Work::Step(table, step),
            Err(reason) => Work::SetAside(reason),
        })
    }

    async fn table_of(
        &self,
        topic: &mut PartitionState,
        change: &TableChange,
        outcome: &mut Applied,
    ) -> Result<Arc<TargetTable>, SinkError> {
        outcome.newest_ts_ms = outcome.newest_ts_ms.max(Some(change.ts_ms));
        self.table(topic, &change.schema, &change.table).await
    }

    async fn table(&self, topic: &mut PartitionState, schema: &str, name: &str) -> Result<Arc<TargetTable>, SinkError> {
        let known = (schema.to_owned(), name.to_owned());
        if let Some(table) = topic.tables.get(&known) {
            return Ok(table.clone());
        }
        let table = TargetTable::describe(&self.client, schema, name).await?.ok_or_else(|| {
            SinkError::stop(format!(
                "table {schema}.{name} is not in the target. Its changes wait in topic {}; create the table there as it is \
                 in the source, and they are applied",
                topic.topic
            ))
        })?;
        if table.key.is_empty() {
            return Err(SinkError::stop(format!(
                "table {schema}.{name} has no primary key in the target, and an upsert cannot find its rows. Its changes wait \
                 in topic {}; ALTER TABLE {} ADD PRIMARY KEY (…), in source and target",
                topic.topic,
                table.sql_name()
            )));
        }
        let table = Arc::new(table);
        topic.tables.insert(known, table.clone());
        Ok(table)
    }
}

/// The step of a new row state; the inner error is the record's, the outer one the table's.
fn upsert(table: &TargetTable, row: &Row) -> Result<Result<Step, String>, SinkError> {
    let (mut columns, mut cells) = (Vec::with_capacity(row.len()), Vec::with_capacity(row.len()));
    for (name, value) in row {
        let Some(index) = table.columns.iter().position(|column| column.name == *name) else {
            return Err(SinkError::stop(format!(
                "table {}.{} has no column {name} in the target, and changes bring it. They wait in Kafka; add the column \
                 there as it is in the source, and they are applied",
                table.schema, table.name
            )));
        };
        let Some(column) = table.columns.get(index) else { continue };
        match value::cell(value, &column.column_type) {
            Ok(cell) => {
                columns.push(index);
                cells.push(cell);
            }
            Err(unreadable) => return Ok(Err(format!("column {name}: {unreadable}"))),
        }
    }
    Ok(key(table, row).map(|key| Step::Upsert { key, columns, cells }))
}

/// A row's key, as far as `row` has it.
fn key(table: &TargetTable, row: &Row) -> Result<Key, String> {
    let part = |index: &usize| {
        let column = table.columns.get(*index)?;
        match value::cell(row.get(&column.name)?, &column.column_type) {
            Ok(Cell::Value(text)) => text,
            _ => None,
        }
    };
    let key: Option<Key> = table.key.iter().map(part).collect();
    key.filter(|key| !key.is_empty())
        .ok_or_else(|| format!("it does not bring the primary key of {}.{}", table.schema, table.name))
}

/// All of them, reduced, or none.
async fn together(transaction: &mut Transaction<'_>, planned: &[Planned<'_>]) -> Result<(), StepError> {
    // A topic has one table, but two names can come to one topic when they differ in characters that Kafka refuses.
    let mut runs: Vec<(Arc<TargetTable>, Vec<Step>)> = Vec::new();
    for planned in planned {
        let Work::Step(table, step) = &planned.work else { continue };
        match runs.last_mut() {
            Some((last, steps)) if Arc::ptr_eq(last, table) => steps.push(step.clone()),
            _ => runs.push((table.clone(), vec![step.clone()])),
        }
    }
    let savepoint = transaction.savepoint("batch").await?;
    for (table, steps) in runs {
        for stage in reduce(steps) {
            carry_out(&savepoint, &table, stage).await?;
        }
    }
    savepoint.commit().await?;
    Ok(())
}

/// Each by itself, in order; what the target does not take is marked to be set aside. Where the topic has other partitions, whose
/// changes may have to come first, there is a place for since when that is waited for. How many were applied: what stands before a
/// record that waits is committed, for two partitions may wait for each other.
async fn one_by_one(
    transaction: &mut Transaction<'_>,
    planned: &mut [Planned<'_>],
    mut refused: Option<&mut Option<Instant>>,
) -> Result<usize, SinkError> {
    for (index, planned) in planned.iter_mut().enumerate() {
        let Work::Step(table, step) = &planned.work else { continue };
        let savepoint = transaction.savepoint("record").await?;
        let mut result = Ok(());
        for stage in reduce(vec![step.clone()]) {
            result = carry_out(&savepoint, table, stage).await;
            if result.is_err() {
                break;
            }
        }
        match result {
            Ok(()) => savepoint.commit().await?,
            Err(error) => {
                savepoint.rollback().await?;
                if let Some(refused) = refused.as_deref_mut().filter(|_| is_order_s(&error))
                    && refused.get_or_insert_with(Instant::now).elapsed() < OTHERS_TIME
                {
                    if index > 0 {
                        // It is the first to wait from here on.
                        *refused = Some(Instant::now());
                    }
                    return Ok(index);
                }
                let reason = reason(&error);
                retryable(error)?;
                planned.work = Work::SetAside(reason);
            }
        }
    }
    Ok(planned.len())
}

/// Lets pass what is the record's fault: the type does not take its value (class 22), a constraint does not (class 23), its
/// row is missing. Everything else is the target's.
fn retryable(error: StepError) -> Result<(), SinkError> {
    match error {
        StepError::MissingRow => Ok(()),
        StepError::Server(error) => {
            let is_record_s = error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23")));
            if is_record_s { Ok(()) } else { Err(error.into()) }
        }
    }
}

/// Whether changes in another order may have been taken.
fn is_order_s(error: &StepError) -> bool {
    match error {
        StepError::MissingRow => true,
        StepError::Server(error) => error.code().is_some_and(|code| code.code().starts_with("23")),
    }
}

fn reason(error: &StepError) -> String {
    match error {
        StepError::MissingRow => "the row is not in the target, and the change does not bring all of it".to_owned(),
        StepError::Server(error) => match error.as_db_error() {
            // Messages of class 22 quote the value, but this stays in the table beside the record itself.
            Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
            None => error.to_string(),
        },
    }
}

async fn carry_out(transaction: &Transaction<'_>, table: &TargetTable, stage: Stage) -> Result<(), StepError> {
    match stage.first {
        Some(Step::Truncate) => {
            // The tables that refer to this one are truncated by their own records, or keep their rows as in the source.
            transaction.batch_execute(&format!("DELETE FROM {}", table.sql_name())).await?;
        }
        Some(Step::Rename { old, new }) => {
            let key: Vec<Vec<Option<String>>> =
                new.into_iter().chain(old.clone()).map(|text| vec![Some(text)]).collect();
            execute(transaction, &statements::rename(table), &key).await?;
            // Still there only if a row with the new key was.
            let old: Vec<Vec<Option<String>>> = old.into_iter().map(|text| vec![Some(text)]).collect();
            execute(transaction, &statements::delete(table), &old).await?;
        }
        _ => {}
    }
    if !stage.deletes.is_empty() {
        let columns: Vec<Vec<Option<String>>> = (0..table.key.len())
            .map(|position| stage.deletes.iter().map(|key| key.get(position).cloned()).collect())
            .collect();
        execute(transaction, &statements::delete(table), &columns).await?;
    }
    for (columns, rows, whole) in by_columns(stage.upserts) {
        let count = rows.first().map_or(0, Vec::len);
        if whole {
            execute(transaction, &statements::upsert(table, &columns), &rows).await?;
        } else if execute(transaction, &statements::update(table, &columns), &rows).await? != count as u64 {
            return Err(StepError::MissingRow);
        }
    }
    Ok(())
}

async fn execute(
    transaction: &Transaction<'_>,
    sql: &str,
    columns: &[Vec<Option<String>>],
) -> Result<u64, tokio_postgres::Error> {
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    transaction.execute(sql, &parameters).await
}

/// Columns, their values one array a column, and whether the rows are whole.
type ColumnArrays = (Vec<usize>, Vec<Vec<Option<String>>>, bool);

/// Rows with the same sent columns, together.
fn by_columns(rows: Vec<(Vec<usize>, Vec<Cell>)>) -> Vec<ColumnArrays> {
    let mut groups: Vec<ColumnArrays> = Vec::new();
    for (columns, cells) in rows {
        let whole = !cells.contains(&Cell::Unchanged);
        let sent: Vec<(usize, Option<String>)> = columns
            .into_iter()
            .zip(cells)
            .filter_map(|(column, cell)| match cell {
                Cell::Value(text) => Some((column, text)),
                Cell::Unchanged => None,
            })
            .collect();
        let (columns, texts): (Vec<usize>, Vec<Option<String>>) = sent.into_iter().unzip();
        let position = groups.iter().position(|(known, _, known_whole)| *known == columns && *known_whole == whole);
        let arrays = match position.and_then(|position| groups.get_mut(position)) {
            Some((_, arrays, _)) => arrays,
            None => {
                groups.push((columns.clone(), vec![Vec::new(); columns.len()], whole));
                match groups.last_mut() {
                    Some((_, arrays, _)) => arrays,
                    None => continue,
                }
            }
        };
        for (array, text) in arrays.iter_mut().zip(texts) {
            array.push(text);
        }
    }
    groups
}

async fn set_aside(
    transaction: &Transaction<'_>,
    topic: &str,
    record: &Record,
    reason: &str,
) -> Result<(), tokio_postgres::Error> {
    tracing::warn!(
        topic,
        partition = record.partition,
        offset = record.offset,
        "record set aside in headwater.set_aside, with the reason"
    );
    transaction
        .execute(
            "INSERT INTO headwater.set_aside (topic, partition, record_offset, key, value, reason)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[&topic, &record.partition, &record.offset, &record.key, &record.value, &reason],
        )
        .await?;
    Ok(())
}
