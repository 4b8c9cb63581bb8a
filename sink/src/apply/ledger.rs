//! The sink's own tables in the target, schema `headwater`.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Transaction};

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
                 PRIMARY KEY (topic, partition));
             CREATE TABLE IF NOT EXISTS headwater.set_aside (
                 topic text, partition int, record_offset bigint,
                 key bytea, value bytea, reason text NOT NULL,
                 set_aside_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (topic, partition, record_offset));",
        )
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

/// The next offset of every partition of a topic that one is stored for.
///
/// # Errors
/// The server's.
pub async fn offsets(client: &Client, topic: &str) -> Result<BTreeMap<i32, i64>, SinkError> {
    let rows = client.query("SELECT partition, next_offset FROM headwater.offsets WHERE topic = $1", &[&topic]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Locks the stored offsets of a topic for this transaction: of two sinks the second waits, and then sees what the first
/// applied.
///
/// # Errors
/// The server's.
pub async fn lock_offsets(
    transaction: &Transaction<'_>,
    topic: &str,
) -> Result<BTreeMap<i32, i64>, tokio_postgres::Error> {
    let sql = "SELECT partition, next_offset FROM headwater.offsets WHERE topic = $1 ORDER BY partition FOR UPDATE";
    let rows = transaction.query(sql, &[&topic]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Stores where reading goes on. An offset only goes forward.
///
/// # Errors
/// The server's.
pub async fn put_offsets(
    transaction: &Transaction<'_>,
    topic: &str,
    next: &BTreeMap<i32, i64>,
) -> Result<(), tokio_postgres::Error> {
    let (partitions, offsets): (Vec<i32>, Vec<i64>) = next.iter().map(|(partition, next)| (*partition, *next)).unzip();
    transaction
        .execute(
            "INSERT INTO headwater.offsets AS o (topic, partition, next_offset)
             SELECT $1, * FROM unnest($2::int[], $3::bigint[])
             ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, changed_at = now()
             WHERE o.next_offset < EXCLUDED.next_offset",
            &[&topic, &partitions, &offsets],
        )
        .await?;
    Ok(())
}
