//! A stage into the target.

use std::collections::HashMap;
use std::error::Error as StdError;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Statement, Transaction};

use super::statements;
use crate::error::SinkError;
use crate::plan::rows::Rows;
use crate::plan::stage::{First, Stage};

/// Why a stage was not carried out.
pub(super) enum StageError {
    /// The server's answer.
    Server(Error),
    /// A change of a row that is not there, and that does not bring the whole row.
    MissingRow,
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        StageError::Server(error)
    }
}

impl StageError {
    /// Lets pass what is the record's fault: the type does not take its value (class 22), a constraint does not (class 23), its
    /// row is missing.
    ///
    /// # Errors
    /// Everything else, which is the target's.
    pub(super) fn of_record(self) -> Result<(), SinkError> {
        match self {
            StageError::MissingRow => Ok(()),
            StageError::Server(error) => {
                let is_record_s = error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23")));
                if is_record_s { Ok(()) } else { Err(error.into()) }
            }
        }
    }

    /// Whether changes in another order may have been taken.
    pub(super) fn is_order_s(&self) -> bool {
        match self {
            StageError::MissingRow => true,
            StageError::Server(error) => error.code().is_some_and(|code| code.code().starts_with("23")),
        }
    }

    /// In words.
    pub(super) fn reason(&self) -> String {
        match self {
            StageError::MissingRow => {
                "the row is not in the target, and the change does not bring all of it".to_owned()
            }
            StageError::Server(error) => match error.as_db_error() {
                // Messages of class 22 quote the value, but this stays in the table beside the record itself.
                Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
                None => error.to_string(),
            },
        }
    }
}

/// A session's statements as the server knows them, by their SQL.
#[derive(Default)]
pub(super) struct Prepared {
    by_sql: HashMap<String, Statement>,
}

impl Prepared {
    /// How many a session keeps: its share of the tables, which may be many thousands, changes.
    const MOST: usize = 64;

    async fn get(&mut self, transaction: &Transaction<'_>, sql: String) -> Result<Statement, Error> {
        if let Some(statement) = self.by_sql.get(&sql) {
            return Ok(statement.clone());
        }
        let statement = transaction.prepare(&sql).await?;
        if self.by_sql.len() >= Self::MOST {
            self.by_sql.clear();
        }
        self.by_sql.insert(sql, statement.clone());
        Ok(statement)
    }
}

/// Carries out a stage.
///
/// # Errors
/// The server's, or that a row is missing.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    prepared: &mut Prepared,
    mut stage: Stage,
) -> Result<(), StageError> {
    let reduced = stage.reduce();
    let Stage { table, first, rows, .. } = stage;
    match first {
        Some(First::Truncate) => {
            // The tables that refer to this one are truncated by their own records, or keep their rows as in the source.
            transaction.batch_execute(&format!("DELETE FROM {}", table.sql_name())).await?;
        }
        Some(First::Rename { old, new }) => {
            let (old, new) = ([old], [new]);
            let old = Column::all(&rows, &old, &table.key);
            let both = [Column::all(&rows, &new, &table.key), old.clone()].concat();
            execute(transaction, prepared, statements::rename(&table), &both).await?;
            // Still there only if a row with the new key was.
            execute(transaction, prepared, statements::delete(&table), &old).await?;
        }
        None => {}
    }
    if !reduced.deletes.is_empty() {
        let key = Column::all(&rows, &reduced.deletes, &table.key);
        execute(transaction, prepared, statements::delete(&table), &key).await?;
    }
    for group in &reduced.upserts {
        let columns = Column::all(&rows, &group.rows, &group.columns);
        if group.is_whole {
            execute(transaction, prepared, statements::upsert(&table, &group.columns), &columns).await?;
        } else {
            let update = statements::update(&table, &group.columns);
            if execute(transaction, prepared, update, &columns).await? != group.rows.len() as u64 {
                return Err(StageError::MissingRow);
            }
        }
    }
    Ok(())
}

async fn execute(
    transaction: &Transaction<'_>,
    prepared: &mut Prepared,
    sql: String,
    columns: &[Column<'_>],
) -> Result<u64, Error> {
    let statement = prepared.get(transaction, sql).await?;
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    transaction.execute(&statement, &parameters).await
}

/// A column of some rows, as an array of texts.
#[derive(Debug, Clone, Copy)]
struct Column<'a> {
    rows: &'a Rows,
    at: &'a [usize],
    column: usize,
}

impl<'a> Column<'a> {
    fn all(rows: &'a Rows, at: &'a [usize], columns: &[usize]) -> Vec<Self> {
        columns.iter().map(|column| Self { rows, at, column: *column }).collect()
    }
}

impl ToSql for Column<'_> {
    /// The array's binary form (`array_recv`), written from where the texts are.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        const DIMENSIONS: i32 = 1;
        const MAY_HAVE_NULLS: i32 = 1;
        const FIRST: i32 = 1;
        out.put_i32(DIMENSIONS);
        out.put_i32(MAY_HAVE_NULLS);
        out.put_u32(Type::TEXT.oid());
        out.put_i32(i32::try_from(self.at.len())?);
        out.put_i32(FIRST);
        for row in self.at {
            match self.rows.text(*row, self.column) {
                Some(text) => {
                    out.put_i32(i32::try_from(text.len())?);
                    out.put_slice(text.as_bytes());
                }
                None => out.put_i32(-1),
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(column_type: &Type) -> bool {
        *column_type == Type::TEXT_ARRAY
    }

    to_sql_checked!();
}
