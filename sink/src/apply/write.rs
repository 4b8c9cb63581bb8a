//! A stage into the target.

use std::collections::BTreeMap;
use std::error::Error as StdError;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio_postgres::Error;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::session::Session;
use super::statements;
use crate::error::SinkError;
use crate::plan::rows::{Cell, Rows};
use crate::plan::stage::{First, Group, Stage};
use crate::plan::table::{TargetTable, Writes};

/// From so many rows on a COPY is worth its second answer.
const WORTH_A_COPY: usize = 20;

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
    /// The server's code.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            StageError::Server(error) => error.code().map(tokio_postgres::error::SqlState::code),
            StageError::MissingRow => None,
        }
    }

    /// Whether rows that a COPY did not bring in may come in as upserts: they are there already (class 23) or their values are not
    /// taken (22), or the table is none for COPY (0A, 42).
    pub(super) fn is_copy_s(&self) -> bool {
        let StageError::Server(error) = self else { return false };
        error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23" | "0A" | "42")))
    }

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

/// Carries out a stage. With `copies`, many new rows at once are copied in, which costs the server a quarter of an upsert.
///
/// # Errors
/// The server's, or that a row is missing.
pub(super) async fn write(session: &mut Session, mut stage: Stage, copies: bool) -> Result<(), StageError> {
    let reduced = stage.reduce();
    let Stage { table, first, rows, .. } = stage;
    match first {
        Some(First::Truncate) => {
            // The tables that refer to this one are truncated by their own records, or keep their rows as in the source.
            session.batch_execute(&format!("DELETE FROM {}", table.sql_name())).await?;
        }
        Some(First::Rename { old, new }) => {
            let (old, new) = ([old], [new]);
            let old = Column::all(&rows, &old, &table.key);
            let both = [Column::all(&rows, &new, &table.key), old.clone()].concat();
            execute(session, &statements::rename(&table), &both).await?;
            // Still there only if a row with the new key was.
            execute(session, &statements::delete(&table), &old).await?;
        }
        None => {}
    }
    if !reduced.deletes.is_empty() && !table.key.is_empty() {
        let key = Column::all(&rows, &reduced.deletes, &table.key);
        execute(session, &statements::delete(&table), &key).await?;
    }
    for group in &reduced.upserts {
        let columns = Column::all(&rows, &group.rows, &group.columns);
        if copies && group.is_new && group.is_whole && group.rows.len() >= WORTH_A_COPY {
            session.copy(&statements::copy(&table, &group.columns), lines(&rows, group)).await?;
        } else if table.writes == Writes::Insert {
            execute(session, &statements::upsert(&table, &group.columns), &columns).await?;
        } else if table.writes == Writes::Update {
            // A row that is not there is none of what is written.
            execute(session, &statements::update(&table, &group.columns), &columns).await?;
        } else if group.is_whole {
            if let Some(replace) = statements::replace(&table, &group.columns) {
                execute(session, &replace, &columns).await?;
            }
            execute(session, &statements::upsert(&table, &group.columns), &columns).await?;
        } else {
            let update = statements::update(&table, &group.columns);
            if execute(session, &update, &columns).await? != group.rows.len() as u64 {
                return Err(StageError::MissingRow);
            }
        }
    }
    if table.key.is_empty() {
        // Behind the inserts: a row that came and went in the same stage is there now.
        remove_whole(session, &table, &rows, &reduced.deletes).await?;
    }
    Ok(())
}

/// Removes rows that are told by all that is in them.
async fn remove_whole(
    session: &mut Session,
    table: &TargetTable,
    rows: &Rows,
    deletes: &[usize],
) -> Result<(), StageError> {
    let mut by_columns: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for row in deletes {
        let cells = rows.row(*row);
        let is_said = |column: &usize| matches!(cells.get(*column), Some(Cell::Null | Cell::Text(..)));
        by_columns.entry((0..cells.len()).filter(is_said).collect()).or_default().push(*row);
    }
    for (columns, gone) in by_columns {
        let sql = statements::delete_whole(table, &columns);
        if execute(session, &sql, &Column::all(rows, &gone, &columns)).await? != gone.len() as u64 {
            return Err(StageError::MissingRow);
        }
    }
    Ok(())
}

async fn execute(session: &mut Session, sql: &str, columns: &[Column<'_>]) -> Result<u64, Error> {
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
    session.execute(sql, &parameters).await
}

/// Rows in the text format of COPY (the manual's chapter on COPY, "Text Format").
fn lines(rows: &Rows, group: &Group) -> Bytes {
    let mut out = BytesMut::new();
    for row in &group.rows {
        for (position, column) in group.columns.iter().enumerate() {
            if position > 0 {
                out.put_u8(b'\t');
            }
            let Some(text) = rows.text(*row, *column) else {
                out.put_slice(b"\\N");
                continue;
            };
            let mut rest = text.as_bytes();
            while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r')) {
                let (plain, special) = rest.split_at(at);
                out.put_slice(plain);
                out.put_slice(match special.first() {
                    Some(b'\t') => b"\\t",
                    Some(b'\n') => b"\\n",
                    Some(b'\r') => b"\\r",
                    _ => b"\\\\",
                });
                rest = special.get(1..).unwrap_or_default();
            }
            out.put_slice(rest);
        }
        out.put_u8(b'\n');
    }
    out.freeze()
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
