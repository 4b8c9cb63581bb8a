//! One transaction at a time applies records of a partition.
//!
//! Who reads a partition, Kafka's group says; what counts is the offset in the target, which a transaction compares under this
//! lock. It is an advisory one: there is something to lock before the partition's first offset is stored, and PostgreSQL says
//! which session has it. So the one to whom the group gave a partition can end the transaction of the one that had it, whose
//! locks would stand in the way for as long as it is frozen.

use std::time::{Duration, Instant};

use super::session::Session;
use crate::error::SinkError;

/// How long another session may take to end its batch of a partition that is ours now.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);

/// The lock, tried; and how long the transaction waits for locks of tables and rows from then on.
const TRY: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('headwater ' || $1, $2::int::bigint)),
    set_config('lock_timeout', CASE WHEN $3 THEN '2s' ELSE current_setting('lock_timeout') END, true)";

/// Ends who has it. `pg_locks` shows the number's halves.
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended('headwater ' || $1, $2::int::bigint)";

/// Begins a transaction that has the partition's lock until it ends; another session that has it for long is ended. With
/// `gives_way` the transaction fails when a table or row that it needs stays locked, instead of waiting.
///
/// # Errors
/// Retry when the target went away; stop when the role may not end the other session.
pub(super) async fn begin(
    session: &mut Session,
    topic: &str,
    partition: i32,
    gives_way: bool,
) -> Result<(), SinkError> {
    let begun = Instant::now();
    let mut tried = session.begin_with(TRY, &[&topic, &partition, &gives_way]).await?;
    while !tried.get::<_, bool>(0) {
        if begun.elapsed() >= PATIENCE {
            let ended = session.query(END, &[&topic, &partition]).await.map_err(|error| {
                SinkError::from(error).while_doing(&format!(
                    "the sink that had partition {partition} of topic {topic} before has fallen silent in the middle of a batch, and \
                     its session to the target cannot be ended: end it with pg_terminate_backend, or run all sinks of the prefix \
                     under the same role"
                ))
            })?;
            if !ended.is_empty() {
                tracing::warn!(topic, partition, "ended the open transaction of a sink that had this partition before");
            }
        }
        tokio::time::sleep(LOOK).await;
        tried = session.query_one(TRY, &[&topic, &partition, &gives_way]).await?;
    }
    Ok(())
}
