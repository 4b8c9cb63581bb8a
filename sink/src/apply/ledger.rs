//! The sink's own tables in the target, schema `headwater`.

use std::collections::HashMap;

use proto::lsn::Lsn;
use tokio_postgres::types::PgLsn;
use tokio_postgres::{Client, Row};

use super::session::Session;
use crate::error::SinkError;

/// The schema's name; it is left out of copies and comparisons.
pub const SCHEMA: &str = "headwater";

/// Creates the tables that are not there.
///
/// # Errors
/// Stop when the role may not.
pub async fn create(client: &Client) -> Result<(), SinkError> {
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS headwater;
             CREATE TABLE IF NOT EXISTS headwater.copies (
                 topic_prefix text PRIMARY KEY,
                 slot text NOT NULL,
                 state text NOT NULL CHECK (state IN ('copying', 'copied', 'complete')),
                 changed_at timestamptz NOT NULL DEFAULT now());
             CREATE TABLE IF NOT EXISTS headwater.offsets (
                 topic text, partition int, next_offset bigint NOT NULL,
                 changed_at timestamptz NOT NULL DEFAULT now(),
                 last_offset bigint, last_record bigint, last_commit pg_lsn,
                 PRIMARY KEY (topic, partition));
             -- Of a sink that knew neither. Not asked for without need: it would wait for a frozen sink's batch.
             DO $$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_attribute
                                WHERE attrelid = 'headwater.offsets'::regclass AND attname = 'last_commit') THEN
                     ALTER TABLE headwater.offsets ADD COLUMN IF NOT EXISTS last_offset bigint,
                         ADD COLUMN IF NOT EXISTS last_record bigint, ADD COLUMN last_commit pg_lsn;
                 END IF;
             END $$;
             CREATE TABLE IF NOT EXISTS headwater.set_aside (
                 topic text, partition int, record_offset bigint,
                 key bytea, value bytea, reason text NOT NULL, new_key bytea,
                 set_aside_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (topic, partition, record_offset));
             DO $$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_attribute
                                WHERE attrelid = 'headwater.set_aside'::regclass AND attname = 'new_key') THEN
                     ALTER TABLE headwater.set_aside ADD COLUMN new_key bytea;
                 END IF;
             END $$;
             CREATE TABLE IF NOT EXISTS headwater.target (one bool PRIMARY KEY DEFAULT true CHECK (one), id text NOT NULL);
             INSERT INTO headwater.target (id) VALUES (md5(random()::text || clock_timestamp()::text)) ON CONFLICT DO NOTHING;",
        )
        .await
        .map_err(|error| SinkError::from(error).while_doing("creating the sink's schema headwater in the target"))
}

/// By what this target is told from any other.
///
/// # Errors
/// The server's.
pub async fn target_id(client: &Client) -> Result<String, SinkError> {
    Ok(client.query_one("SELECT id FROM headwater.target", &[]).await?.get(0))
}

/// How far the first copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyState {
    /// It was begun.
    Copying,
    /// The rows are there.
    Copied,
    /// The connector has run: from here on only offsets count.
    Complete,
}

impl CopyState {
    const fn as_str(self) -> &'static str {
        match self {
            CopyState::Copying => "copying",
            CopyState::Copied => "copied",
            CopyState::Complete => "complete",
        }
    }
}

/// The state of the copy for a topic prefix, `None` when none was begun.
///
/// # Errors
/// The server's.
pub async fn copy_state(client: &Client, topic_prefix: &str) -> Result<Option<CopyState>, SinkError> {
    let row = client.query_opt("SELECT state FROM headwater.copies WHERE topic_prefix = $1", &[&topic_prefix]).await?;
    Ok(row.map(|row| match row.get::<_, &str>(0) {
        "complete" => CopyState::Complete,
        "copied" => CopyState::Copied,
        _ => CopyState::Copying,
    }))
}

/// Stores the state of the copy.
///
/// # Errors
/// The server's.
pub async fn put_copy_state(
    client: &Client,
    topic_prefix: &str,
    slot: &str,
    state: CopyState,
) -> Result<(), SinkError> {
    client
        .execute(
            "INSERT INTO headwater.copies (topic_prefix, slot, state) VALUES ($1, $2, $3)
             ON CONFLICT (topic_prefix) DO UPDATE SET slot = $2, state = $3, changed_at = now()",
            &[&topic_prefix, &slot, &state.as_str()],
        )
        .await?;
    Ok(())
}

/// Where reading of a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The offset behind the last record that was applied.
    pub offset: i64,
    /// The [mark](crate::consume::record::Record::mark) of that record, where it was applied by a sink that knows marks.
    pub last_record: Option<i64>,
}

/// The mark counts only where it is of the record before the offset: whoever sets an offset by hand need not know it.
const SELECT: &str = "SELECT next_offset, CASE WHEN last_offset = next_offset - 1 THEN last_record END";

fn next(row: &Row) -> Next {
    Next { offset: row.get(0), last_record: row.get(1) }
}

/// A partition of a topic.
pub type Place = (String, i32);

/// Where reading goes on, of those partitions that something is stored for.
///
/// # Errors
/// The server's.
pub async fn offsets(client: &Client, places: &[Place]) -> Result<HashMap<Place, Next>, SinkError> {
    let (topics, partitions): (Vec<&str>, Vec<i32>) = places.iter().map(|(topic, at)| (topic.as_str(), *at)).unzip();
    let sql = format!(
        "{SELECT}, topic, partition FROM headwater.offsets
         JOIN unnest($1::text[], $2::int[]) AS asked (topic, partition) USING (topic, partition)"
    );
    let rows = client.query(&sql, &[&topics, &partitions]).await?;
    Ok(rows.iter().map(|row| ((row.get(2), row.get(3)), next(row))).collect())
}

/// The same of one partition, locked for this transaction: nobody changes it until it ends.
///
/// # Errors
/// The server's.
pub(super) async fn lock_offset(
    session: &mut Session,
    topic: &str,
    partition: i32,
) -> Result<Option<Next>, tokio_postgres::Error> {
    let sql = format!("{SELECT} FROM headwater.offsets WHERE topic = $1 AND partition = $2 FOR UPDATE");
    Ok(session.query(&sql, &[&topic, &partition]).await?.first().map(next))
}

/// Commits the transaction with where reading goes on.
///
/// # Errors
/// The server's; nothing of the transaction stays then.
pub(super) async fn commit_with_offset(
    session: &mut Session,
    topic: &str,
    partition: i32,
    next: Next,
) -> Result<(), tokio_postgres::Error> {
    session
        .commit_with(
            "INSERT INTO headwater.offsets (topic, partition, next_offset, last_offset, last_record)
             VALUES ($1, $2, $3::bigint, $3 - 1, $4)
             ON CONFLICT (topic, partition) DO UPDATE SET
                 next_offset = EXCLUDED.next_offset, last_offset = EXCLUDED.last_offset,
                 last_record = EXCLUDED.last_record, changed_at = now()",
            &[&topic, &partition, &next.offset, &next.last_record],
        )
        .await
}

/// The last commit of the source that was applied, by the row of the transactions' topic; `None` where none was.
///
/// # Errors
/// The server's.
pub async fn last_commit(client: &Client, topic: &str) -> Result<Option<Lsn>, SinkError> {
    let sql = "SELECT last_commit FROM headwater.offsets WHERE topic = $1 AND partition = 0";
    let row = client.query_opt(sql, &[&topic]).await?;
    Ok(row.and_then(|row| row.get::<_, Option<PgLsn>>(0)).map(|lsn| Lsn::from(u64::from(lsn))))
}

/// Where reading of some partitions goes on, locked for this transaction: nobody changes it until it ends.
///
/// # Errors
/// The server's.
pub(super) async fn lock_offsets(
    session: &mut Session,
    places: &[&Place],
) -> Result<HashMap<Place, Next>, tokio_postgres::Error> {
    let (topics, partitions): (Vec<&str>, Vec<i32>) = places.iter().map(|place| (place.0.as_str(), place.1)).unzip();
    let sql = format!(
        "{SELECT}, topic, partition FROM headwater.offsets
         JOIN unnest($1::text[], $2::int[]) AS asked (topic, partition) USING (topic, partition)
         ORDER BY topic, partition FOR UPDATE OF offsets"
    );
    let rows = session.query(&sql, &[&topics, &partitions]).await?;
    Ok(rows.iter().map(|row| ((row.get(2), row.get(3)), next(row))).collect())
}

/// Commits the transaction with where reading goes on in each partition, and the last commit of the source that is in it, which
/// stands in the row of `topic`.
///
/// # Errors
/// The server's; nothing of the transaction stays then.
pub(super) async fn commit_with_offsets(
    session: &mut Session,
    nexts: &HashMap<Place, Next>,
    topic: &str,
    commit: Option<Lsn>,
) -> Result<(), tokio_postgres::Error> {
    let (topics, partitions): (Vec<&str>, Vec<i32>) = nexts.keys().map(|place| (place.0.as_str(), place.1)).unzip();
    let (offsets, records): (Vec<i64>, Vec<Option<i64>>) =
        nexts.values().map(|next| (next.offset, next.last_record)).unzip();
    let commit = commit.map(|lsn| PgLsn::from(lsn.as_u64()));
    session
        .commit_with(
            "INSERT INTO headwater.offsets (topic, partition, next_offset, last_offset, last_record, last_commit)
             SELECT topic, partition, next, next - 1, record, CASE WHEN topic = $5 THEN $6::pg_lsn END
             FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS read (topic, partition, next, record)
             ON CONFLICT (topic, partition) DO UPDATE SET
                 next_offset = EXCLUDED.next_offset, last_offset = EXCLUDED.last_offset,
                 last_record = EXCLUDED.last_record, changed_at = now(),
                 last_commit = coalesce(EXCLUDED.last_commit, offsets.last_commit)",
            &[&topics, &partitions, &offsets, &records, &topic, &commit],
        )
        .await
}

/// Forgets where reading of topics goes on.
///
/// # Errors
/// The server's.
pub async fn forget(client: &Client, topics: &[String]) -> Result<(), SinkError> {
    client.execute("DELETE FROM headwater.offsets WHERE topic = ANY ($1)", &[&topics]).await?;
    Ok(())
}
