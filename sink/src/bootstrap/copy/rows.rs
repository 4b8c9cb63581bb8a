//! The rows of the snapshot, several tables at once.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use futures_util::{SinkExt as _, TryStreamExt as _};
use proto::failpoint;
use tokio_postgres::Client;

use super::progress::Progress;
use super::snapshot::in_snapshot;
use crate::apply::copied::{Later, Ledger};
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::whole::Name;
use crate::plan::table::qualified;
use crate::postgres::identifier;

/// How much is handed on at once.
const PIECE: usize = 128 << 10;

/// How often a table is begun again whose sessions ended.
const ATTEMPTS: u32 = 5;

/// How long before that the first time; each time that much longer.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// A table with rows of its own; of one with partitions, each partition.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that are not generated.
    columns: Vec<String>,
    /// How large it is on the disk, without indexes.
    pub(super) bytes: u64,
    /// The table at the top, of a partition: under its name changes come where the publication says so.
    pub(super) root: Option<Name>,
}

/// What was copied.
#[derive(Debug, Default, Clone, Copy)]
pub struct Copied {
    /// How many rows.
    pub rows: u64,
    /// How many bytes as COPY's text.
    pub bytes: u64,
}

/// Those of these tables that have rows of their own, the largest first.
///
/// # Errors
/// The server's.
pub async fn tables(client: &Client, names: &[Name]) -> Result<Vec<Table>, SinkError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        names.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).unzip();
    let rows = client
        .query(
            // A size is another at each time that it is asked for, while others write: nothing is grouped by it.
            "SELECT n.nspname::text, c.relname::text, coalesce(pg_table_size(c.oid), 0),
                    ARRAY(SELECT a.attname::text FROM pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                          ORDER BY a.attnum),
                    (SELECT ARRAY[rn.nspname::text, r.relname::text] FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace
                     WHERE c.relispartition AND r.oid = pg_partition_root(c.oid))
             FROM unnest($1::text[], $2::text[]) AS asked (schema, name)
             JOIN pg_namespace n ON n.nspname = asked.schema
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind = 'r'
             ORDER BY 3 DESC, 1, 2",
            &[&schemas, &names],
        )
        .await?;
    let table = |row: &tokio_postgres::Row| Table {
        schema: row.get(0),
        name: row.get(1),
        bytes: u64::try_from(row.get::<_, i64>(2)).unwrap_or_default(),
        columns: row.get(3),
        root: row.get::<_, Option<Vec<String>>>(4).and_then(|root| <[String; 2]>::try_from(root).ok()).map(Name::from),
    };
    Ok(rows.iter().map(table).collect())
}

/// Copies them all. Each comes whole or not at all, with the word that it is there, and one whose sessions end is begun again. `later` is
/// what the snapshot sees where it is not the slot's own.
///
/// # Errors
/// What a table met with again and again.
pub async fn copy(
    config: &RunConfig,
    snapshot: &str,
    later: Option<&Later>,
    tables: Vec<Table>,
    progress: &Progress<'_>,
) -> Result<Copied, SinkError> {
    let waiting = Mutex::new(VecDeque::from(tables));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = async || {
        let (mut all, mut sessions) = (Copied::default(), None);
        while let Some(table) = next() {
            let mut attempt = 1;
            let copied = loop {
                match one(config, (snapshot, later), &mut sessions, &table, progress).await {
                    Ok(copied) => break copied,
                    Err(error) => {
                        sessions = None;
                        if !error.is_retry() || attempt == ATTEMPTS {
                            let what = format!("copying table {}", qualified(&table.schema, &table.name));
                            return Err(error.while_doing(&what));
                        }
                        tracing::warn!(
                            "table {}.{} is copied again from its beginning: {error}",
                            table.schema,
                            table.name
                        );
                        // A server that starts again has its time.
                        tokio::time::sleep(FIRST_PAUSE * attempt).await;
                        attempt += 1;
                    }
                }
            };
            progress.has(&table, copied);
            failpoint::reached("table-copied");
            (all.rows, all.bytes) = (all.rows + copied.rows, all.bytes + copied.bytes);
        }
        Ok(all)
    };
    let all = try_join_all((0..config.copy_jobs).map(|_| worker())).await?;
    Ok(all
        .into_iter()
        .fold(Copied::default(), |sum, one| Copied { rows: sum.rows + one.rows, bytes: sum.bytes + one.bytes }))
}

/// One table, in one statement on each side.
async fn one(
    config: &RunConfig,
    (snapshot, later): (&str, Option<&Later>),
    sessions: &mut Option<(Client, Client)>,
    table: &Table,
    progress: &Progress<'_>,
) -> Result<Copied, SinkError> {
    let (source, target) = match sessions.take() {
        Some(both) => sessions.insert(both),
        None => sessions.insert((in_snapshot(&config.source, snapshot).await?, config.target.connect("copy").await?)),
    };
    target.batch_execute("BEGIN").await?;
    let ledger = Ledger { target, prefix: &config.topic_prefix };
    if ledger.is_filled(&table.schema, &table.name).await? {
        // The session that copied it ended before it was told that all is well.
        target.batch_execute("ROLLBACK").await?;
        return Ok(Copied::default());
    }
    let (name, columns) = (qualified(&table.schema, &table.name), names(&table.columns));
    // Of a table without columns there is only how many rows it has, which COPY's text says by empty lines.
    let out = source.copy_out(&format!("COPY {name} {columns} TO STDOUT")).await?;
    let into = target.copy_in::<_, Bytes>(&format!("COPY {name} {columns} FROM STDIN")).await?;
    let (mut out, mut into) = (pin!(out), pin!(into));
    let (mut piece, mut bytes) = (BytesMut::with_capacity(PIECE), 0);
    while let Some(row) = out.try_next().await? {
        piece.extend_from_slice(&row);
        if piece.len() >= PIECE {
            let length = piece.len() as u64;
            into.send(piece.split().freeze()).await?;
            bytes += length;
            progress.advance(length);
        }
    }
    bytes += piece.len() as u64;
    progress.advance(piece.len() as u64);
    if !piece.is_empty() {
        into.send(piece.freeze()).await?;
    }
    let rows = into.finish().await?;
    ledger.fill(&table.schema, &table.name, table.root.as_ref(), later).await?;
    target.batch_execute("COMMIT").await?;
    Ok(Copied { rows, bytes })
}

fn names(columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) }
}
