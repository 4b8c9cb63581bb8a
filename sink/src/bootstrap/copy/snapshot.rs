//! A snapshot of the source that several sessions see, beside the slot's own.

use tokio_postgres::Client;

use crate::apply::copied::Later;
use crate::error::SinkError;
use crate::postgres::{Database, literal};

/// A copy may take longer than sessions are let live that seem to do nothing, or one thing for long.
const NO_TIMEOUTS: &str = "SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')";

/// A snapshot that was taken now. Dropping this ends the session that exported it, and with it the snapshot.
#[derive(Debug)]
pub struct LaterSnapshot {
    /// The snapshot's name.
    pub name: String,
    /// What it sees.
    pub later: Later,
    session: Client,
}

impl LaterSnapshot {
    /// Takes one.
    ///
    /// # Errors
    /// The server's.
    pub async fn take(source: &Database) -> Result<Self, SinkError> {
        let session = source.connect("snapshot").await?;
        session.query(NO_TIMEOUTS, &[]).await?;
        session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let row = session.query_one("SELECT pg_export_snapshot(), pg_current_snapshot()::text", &[]).await?;
        // Behind the snapshot: whatever it sees stands before this in the log.
        let seen_to: String = session.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        let seen_to = seen_to
            .parse()
            .map_err(|_| SinkError::stop("server-refused", "the source's position in its log is not a position"))?;
        Ok(Self { name: row.get(0), later: Later { snapshot: row.get(1), seen_to }, session })
    }

    /// The session that sees it.
    pub fn session(&self) -> &Client {
        &self.session
    }
}

/// A session of the source that sees what a snapshot has.
///
/// # Errors
/// The server's; stop when the snapshot is gone.
pub(super) async fn in_snapshot(source: &Database, snapshot: &str) -> Result<Client, SinkError> {
    let client = source.connect("copy").await?;
    client.query(NO_TIMEOUTS, &[]).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    client.batch_execute(&format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot))).await.map_err(|error| {
        match SinkError::from(error) {
            SinkError::Stop { text: reason, .. } => SinkError::stop("snapshot-gone", format!(
                "the source's snapshot that is being copied is gone, for the session that held it ended ({reason}). Start again: the \
                 tables that are there whole stay, and the others are copied in a new snapshot"
            )),
            retry => retry,
        }
    })?;
    Ok(client)
}
