//! The source's sequences, whose values come in no change.
//!
//! A sequence of the target that is behind gives a number again as soon as somebody writes there. So the target's are
//! brought forward to the source's, never back, every few seconds and at the end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ledger::SCHEMA;
use crate::config::RunConfig;
use crate::error::SinkError;

/// How often.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long it may take: nobody waits longer for it at the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Those of which a number was given, as far as the role may see them.
const LAST_VALUES: &str = "SELECT schemaname::text, sequencename::text, last_value FROM pg_sequences
    WHERE last_value IS NOT NULL AND schemaname NOT IN ('pg_catalog', 'information_schema', $1)";

/// Those that are there and behind.
const FORWARD: &str = "SELECT count(setval(format('%I.%I', t.schemaname, t.sequencename)::regclass, s.last))
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS s (schema, name, last)
    JOIN pg_sequences t ON t.schemaname = s.schema AND t.sequencename = s.name
    WHERE t.last_value IS NULL OR CASE WHEN t.increment_by > 0 THEN t.last_value < s.last ELSE t.last_value > s.last END";

/// Keeps them until cancelled. What cannot be done now is done the next time.
pub async fn keep(config: &RunConfig, cancel: &CancellationToken) {
    let mut complained = false;
    loop {
        let done = tokio::time::timeout(PATIENCE, bring_forward(config)).await;
        match done.unwrap_or_else(|_| Err(SinkError::retry("source or target does not answer"))) {
            Ok(0) => complained = false,
            Ok(count) => {
                tracing::debug!(count, "sequences brought forward");
                complained = false;
            }
            // Said once, for a server that is away says so in other places too.
            Err(error) if !std::mem::replace(&mut complained, true) => {
                tracing::warn!("the target's sequences stay behind the source's for now: {error}");
            }
            Err(_) => {}
        }
        if cancel.is_cancelled() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// Brings forward those that are behind; how many they were.
///
/// # Errors
/// The servers'.
pub async fn bring_forward(config: &RunConfig) -> Result<i64, SinkError> {
    let source = config.source.connect("sequences").await?;
    let rows = source.query(LAST_VALUES, &[&SCHEMA]).await?;
    let schemas: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let names: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    let values: Vec<i64> = rows.iter().map(|row| row.get(2)).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let target = config.target.connect("sequences").await?;
    Ok(target.query_one(FORWARD, &[&schemas, &names, &values]).await?.get(0))
}
