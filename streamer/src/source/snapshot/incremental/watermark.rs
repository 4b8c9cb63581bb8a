//! What marks a chunk's window: rows of the signal table, or with `read.only` where the log ends.

use proto::lsn::Lsn;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::config::{Signals, Watermarking};
use crate::emit::now_ns;
use crate::error::TaskError;
use crate::signal::action::{CLOSE_WINDOW, OPEN_WINDOW};
use crate::source::session::query_error;
use crate::source::table_name::TableName;

/// The rows that mark the window of one chunk (`SignalBasedIncrementalSnapshotChangeEventSource`).
#[derive(Debug)]
pub(super) struct Watermarks {
    /// What their ids begin with.
    pub(super) chunk_id: String,
    table: String,
    closing: Watermarking,
    opened_at: String,
}

impl Watermarks {
    /// Those of a new chunk; `None` where nothing is written into the database.
    pub(super) fn of_chunk(signals: &Signals) -> Option<Self> {
        let (schema, name) = signals.table.clone().filter(|_| !signals.read_only)?;
        Some(Self {
            chunk_id: Uuid::new_v4().to_string(),
            table: TableName { schema, name }.quoted(),
            closing: signals.watermarking,
            opened_at: now(),
        })
    }

    /// Writes the row that opens the window.
    ///
    /// # Errors
    /// As [`query_error`].
    pub(super) async fn open(&self, client: &Client) -> Result<(), TaskError> {
        let data = format!("{{\"openWindowTimestamp\": \"{}\"}}", self.opened_at);
        self.insert(client, "open", OPEN_WINDOW, &data).await
    }

    /// Writes the row that closes it, or deletes the one that opened it.
    ///
    /// # Errors
    /// As [`query_error`].
    pub(super) async fn close(&self, client: &Client) -> Result<(), TaskError> {
        match self.closing {
            Watermarking::InsertInsert => {
                let data = format!(
                    "{{\"openWindowTimestamp\": \"{}\", \"closeWindowTimestamp\": \"{}\"}}",
                    self.opened_at,
                    now()
                );
                self.insert(client, "close", CLOSE_WINDOW, &data).await
            }
            Watermarking::InsertDelete => {
                let sql = format!("DELETE FROM {} WHERE id = $1", self.table);
                let deleted = client.execute(&sql, &[&format!("{}-open", self.chunk_id)]).await;
                deleted.map(|_| ()).map_err(|error| query_error("closing a window in the signal table", error))
            }
        }
    }

    async fn insert(&self, client: &Client, which: &str, kind: &str, data: &str) -> Result<(), TaskError> {
        let sql = format!("INSERT INTO {} VALUES ($1, $2, $3)", self.table);
        let inserted = client.execute(&sql, &[&format!("{}-{which}", self.chunk_id), &kind, &data]).await;
        inserted.map(|_| ()).map_err(|error| query_error("marking a window in the signal table", error))
    }
}

/// Where the server's log ends.
///
/// # Errors
/// As [`query_error`].
pub(super) async fn log_end(client: &Client) -> Result<Lsn, TaskError> {
    let row = client
        .query_one(
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text",
            &[],
        )
        .await
        .map_err(|error| query_error("reading where the log ends", error))?;
    Ok(row.get::<_, &str>(0).parse().unwrap_or(Lsn::ZERO))
}

/// The time as Java's `Instant` writes it.
fn now() -> String {
    let ns = now_ns();
    let (seconds, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = proto::types::datetime::civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}
