//! Rows that differ, written as the source has them.
//!
//! The sink writes the same rows meanwhile, and must neither be overwritten with something older nor be held up for long. So some
//! hundred rows at a time are mended in one transaction of the target:
//!
//! 1. It locks the table against other writers (`SHARE ROW EXCLUSIVE`; readers do not notice). A row's own lock would do for rows that
//!    are there; one that is missing has nothing to lock, and another session could write it at the same time. The lock is
//!    the first one that the transaction takes, so that it cannot be part of a deadlock, and waits for it no longer than a batch
//!    of the sink waits for a lock.
//! 2. It reads the rows in the target, and *then* in the source. Those are left out that are not, on both sides, the versions
//!    that were [confirmed](super::confirm) to differ. They are confirmed anew.
//! 3. It writes the others, and commits.
//!
//! # Why nothing older is written over something newer
//!
//! Take a row that is written, with the version *S* of the source.
//!
//! - *What the sink applied before the lock* is not newer than *S*: it was committed in the source before, and so before the source was
//!   read.
//! - *What it applies behind the lock* comes in the order of the source. Were there changes between what was applied and *S* still
//!   to come, they would bring the row back for a moment, and the last of them would make it *S* again; but *S* is the version of *t1*, and
//!   the barrier stood behind it, so there are none. Without the barrier (`--settle`) there may be.
//! - *What is newer than S* was committed behind the reading of the source, so it was not applied before the lock, and is behind it.
//!
//! A row that the source does not have has no version. It may have come and gone since it was confirmed; these changes are to come, begin
//! with the whole row and end without it, as it is.
//!
//! Sessions act as the sink's: foreign keys and triggers do nothing. What was mended is confirmed once more, and is called mended
//! only when it is equal.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::candidate::Difference;
use super::rows::Key;
use super::side::{TableSide, Whole, by_column, refusal};
use super::sides::Sides;
use super::tables::Table;
use crate::apply::statements;
use crate::error::SinkError;
use crate::parse::handling::Handling;
use crate::plan::table::{TargetColumn, TargetTable};
use crate::postgres::{Database, identifier};

/// How many rows a transaction mends: they are in memory, and the sink waits for them.
const ROWS: usize = 200;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'";

/// A session that mends.
pub(super) struct Repair {
    client: Client,
}

/// What is known of the table that is mended.
struct Plan<'a> {
    table: TargetTable,
    /// Indexes into its columns: those that the source has as well.
    columns: Vec<usize>,
    /// Their names.
    names: Vec<&'a str>,
    /// Where the columns of its key are in a [`Key`].
    key: Vec<usize>,
}

impl Repair {
    /// Opens it.
    ///
    /// # Errors
    /// Stop when the role may not do what the sink's may.
    pub(super) async fn connect(target: &Database) -> Result<Self, SinkError> {
        let client = target.connect("repair").await?;
        client.batch_execute("SET session_replication_role = replica").await.map_err(|error| {
            SinkError::from(error).while_doing(&format!(
                "user {0} may not set session_replication_role in the target, without which triggers and foreign keys would act on \
                 what is mended: GRANT SET ON PARAMETER session_replication_role TO {0}, or use the sink's role",
                identifier(target.user())
            ))
        })?;
        Ok(Self { client })
    }

    /// Mends those of the differences that are still what they were. With `anew`, rows are removed before they are written: what a key
    /// looks like changes only so.
    ///
    /// # Errors
    /// The server's last one: what it is about is as it was, and the rest is mended. Stop when the target's table is not one that rows
    /// can be mended in.
    pub(super) async fn mend(
        &self,
        table: &Table,
        sides: Sides<'_>,
        differences: &[Difference],
        anew: bool,
    ) -> Result<(), SinkError> {
        let plan = self.plan(table).await?;
        let (mut mended, mut fault) = (0, None);
        for some in differences.chunks(ROWS) {
            let together = self.transaction(&plan, sides, some, anew).await;
            // What the target does not take of some rows, it may be for one of them.
            let one_by_one = together.as_ref().is_err_and(|error| !error.is_retry() && some.len() > 1);
            let results = if one_by_one {
                let mut results = Vec::with_capacity(some.len());
                for one in some.chunks(1) {
                    results.push(self.transaction(&plan, sides, one, anew).await);
                }
                results
            } else {
                vec![together]
            };
            for result in results {
                match result {
                    Ok(rows) => mended += rows,
                    Err(error) => fault = Some(error),
                }
            }
        }
        if mended > 0 {
            tracing::info!(table = table.title(), rows = mended, "written as the source has them");
        }
        fault.map_or(Ok(()), |error| Err(error.while_doing(&format!("mending table {}", table.title()))))
    }

    async fn plan<'a>(&self, table: &'a Table) -> Result<Plan<'a>, SinkError> {
        let refused =
            |why: &str| SinkError::stop("repair-impossible", format!("table {} is not mended: {why}", table.title()));
        let described = TargetTable::describe(&self.client, &table.schema, &table.name, &Handling::default()).await?;
        let target = described.ok_or_else(|| refused("it is not in the target"))?;
        let name = |index: &usize| target.columns.get(*index).map(|column| column.name.as_str());
        let key: Vec<usize> = target
            .key
            .iter()
            .filter_map(|index| table.key.iter().position(|column| Some(column.as_str()) == name(index)))
            .collect();
        if key.len() != table.key.len() || key.len() != target.key.len() {
            return Err(refused("its primary key in the target is not the source's key, and rows are written by it"));
        }
        let shared = |(index, column): (usize, &TargetColumn)| {
            table.columns.iter().find(|name| **name == column.name).map(|name| (index, name.as_str()))
        };
        let (columns, names) = target.columns.iter().enumerate().filter_map(shared).unzip();
        Ok(Plan { columns, names, key, table: target })
    }

    /// Mends rows, all that are as they were confirmed, or none; how many these are.
    async fn transaction(
        &self,
        plan: &Plan<'_>,
        sides: Sides<'_>,
        differences: &[Difference],
        anew: bool,
    ) -> Result<usize, SinkError> {
        let mended = self.lock_and_mend(plan, sides, differences, anew).await;
        if mended.is_err() {
            // Its failure says nothing that the first one does not.
            _ = self.client.batch_execute("ROLLBACK").await;
        }
        mended
    }

    async fn lock_and_mend(
        &self,
        plan: &Plan<'_>,
        sides: Sides<'_>,
        differences: &[Difference],
        anew: bool,
    ) -> Result<usize, SinkError> {
        let lock = format!("{BEGIN}; LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", plan.table.sql_name());
        self.client.batch_execute(&lock).await?;
        let keys: Vec<Key> = differences.iter().map(|difference| difference.key.clone()).collect();
        let target = TableSide { client: &self.client, ..sides.target };
        let in_target = target.images(&keys).await?;
        // Behind the lock: nothing that the sink has applied is newer.
        let in_source = sides.source.whole(&keys, &plan.names).await?;
        let (mut gone, mut rows, mut rows_keys) = (Vec::new(), Vec::new(), Vec::new());
        for ((difference, in_target), in_source) in differences.iter().zip(in_target).zip(in_source) {
            let is_as_confirmed =
                difference.target == in_target && difference.source == in_source.as_ref().map(|row| row.image);
            match in_source {
                _ if !is_as_confirmed => {}
                Some(row) => {
                    rows.push(row);
                    rows_keys.push(difference.key.clone());
                }
                None => gone.push(difference.key.clone()),
            }
        }
        let mended = gone.len() + rows.len();
        self.remove(plan, &gone).await?;
        self.write(plan, &rows, &rows_keys, anew).await?;
        self.client.batch_execute("COMMIT").await?;
        Ok(mended)
    }

    /// Writes rows. Where a unique constraint beside the key is in the way, because rows have each other's values, they are removed
    /// first.
    async fn write(&self, plan: &Plan<'_>, rows: &[Whole], keys: &[Key], anew: bool) -> Result<(), SinkError> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = |row: usize, column: usize| rows.get(row).and_then(|row| row.texts.get(column)?.as_deref());
        let arrays: Vec<Vec<Option<&str>>> =
            (0..plan.columns.len()).map(|column| (0..rows.len()).map(|row| text(row, column)).collect()).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|texts| texts as _).collect();
        let upsert = statements::upsert(&plan.table, &plan.columns);
        if anew {
            self.remove(plan, keys).await?;
        }
        self.client.batch_execute("SAVEPOINT before").await?;
        match self.client.execute(&upsert, &parameters).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.client.batch_execute("ROLLBACK TO before").await?;
                self.remove(plan, keys).await?;
                self.client.execute(&upsert, &parameters).await.map_err(refusal)?;
            }
            written => {
                written.map_err(refusal)?;
            }
        }
        Ok(())
    }

    async fn remove(&self, plan: &Plan<'_>, keys: &[Key]) -> Result<(), SinkError> {
        if keys.is_empty() {
            return Ok(());
        }
        let arrays = by_column(keys, plan.key.len());
        let ordered: Vec<&(dyn ToSql + Sync)> =
            plan.key.iter().filter_map(|at| arrays.get(*at)).map(|texts| texts as _).collect();
        self.client.execute(&statements::delete(&plan.table), &ordered).await.map_err(refusal)?;
        Ok(())
    }
}
