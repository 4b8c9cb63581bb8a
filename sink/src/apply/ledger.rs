//! The sink's own tables in the target, schema `headwater`.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::{Client, Row, Transaction};

use super::owner;
use crate::error::SinkError;

/// The schema's name; it is left out of copies and comparisons.
pub const SCHEMA: &str = "headwater";

/// Creates the tables that are not there.
///
/// # Errors
/// Stop when the role may not.
pub async fn create(client: &Client) -> Result<(), SinkError> {
    client
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS headwater;
             CREATE TABLE IF NOT EXISTS headwater.copies (
                 topic_prefix text PRIMARY KEY,
                 slot text NOT NULL,
                 state text NOT NULL CHECK (state IN ('copying', 'copied', 'complete')),
                 changed_at timestamptz NOT NULL DEFAULT now());
             CREATE TABLE IF NOT EXISTS headwater.offsets (
                 topic text, partition int, next_offset bigint NOT NULL,
                 changed_at timestamptz NOT NULL DEFAULT now(),
                 last_offset bigint, last_record bigint,
                 PRIMARY KEY (topic, partition));
             -- Of a sink that knew no marks. Not asked for without need: it would wait for a frozen sink's batch.
             DO $$ BEGIN
                 IF NOT EXISTS (SELECT FROM pg_attribute
                                WHERE attrelid = 'headwater.offsets'::regclass AND attname = 'last_record') THEN
                     ALTER TABLE headwater.offsets ADD COLUMN last_offset bigint, ADD COLUMN last_record bigint;
                 END IF;
             END $$;
             CREATE TABLE IF NOT EXISTS headwater.set_aside (
                 topic text, partition int, record_offset bigint,
                 key bytea, value bytea, reason text NOT NULL,
                 set_aside_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (topic, partition, record_offset));
             {};",
            owner::TABLE
        ))
        .await
        .map_err(|error| SinkError::from(error).while_doing("creating the sink's schema headwater in the target"))
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
    /// The [mark](super::batch::Record::mark) of that record, where it was applied by a sink that knows marks.
    pub last_record: Option<i64>,
}

/// The mark counts only where it is of the record before the offset: whoever sets an offset by hand need not know it.
const SELECT: &str = "SELECT partition, next_offset, CASE WHEN last_offset = next_offset - 1 THEN last_record END";

fn next(row: &Row) -> (i32, Next) {
    (row.get(0), Next { offset: row.get(1), last_record: row.get(2) })
}

/// Where reading goes on, of every partition of some topics that something is stored for.
///
/// # Errors
/// The server's.
pub async fn offsets(client: &Client, topics: &[String]) -> Result<HashMap<String, BTreeMap<i32, Next>>, SinkError> {
    let mut all: HashMap<String, BTreeMap<i32, Next>> = HashMap::new();
    let sql = format!("{SELECT}, topic FROM headwater.offsets WHERE topic = ANY ($1)");
    for row in client.query(&sql, &[&topics]).await? {
        let (partition, next) = next(&row);
        all.entry(row.get(3)).or_default().insert(partition, next);
    }
    Ok(all)
}

/// The same of one topic, locked for this transaction: nobody changes them until it ends.
///
/// # Errors
/// The server's.
pub async fn lock_offsets(
    transaction: &Transaction<'_>,
    topic: &str,
) -> Result<BTreeMap<i32, Next>, tokio_postgres::Error> {
    let sql = format!("{SELECT} FROM headwater.offsets WHERE topic = $1 ORDER BY partition FOR UPDATE");
    Ok(transaction.query(&sql, &[&topic]).await?.iter().map(next).collect())
}

/// Stores where reading goes on.
///
/// # Errors
/// The server's.
pub async fn put_offsets(
    transaction: &Transaction<'_>,
    topic: &str,
    next: &BTreeMap<i32, Next>,
) -> Result<(), tokio_postgres::Error> {
    let partitions: Vec<i32> = next.keys().copied().collect();
    let (offsets, marks): (Vec<i64>, Vec<Option<i64>>) =
        next.values().map(|next| (next.offset, next.last_record)).unzip();
    transaction
        .execute(
            "INSERT INTO headwater.offsets (topic, partition, next_offset, last_offset, last_record)
             SELECT $1, partition, next, next - 1, mark FROM unnest($2::int[], $3::bigint[], $4::bigint[])
                 AS v (partition, next, mark)
             ON CONFLICT (topic, partition) DO UPDATE SET
                 next_offset = EXCLUDED.next_offset, last_offset = EXCLUDED.last_offset,
                 last_record = EXCLUDED.last_record, changed_at = now()",
            &[&topic, &partitions, &offsets, &marks],
        )
        .await?;
    Ok(())
}
