//! What the server says of its processes that work for us (`pg_stat_activity`, `pg_stat_replication`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::lsn::Lsn;
use tokio_postgres::Client;

use super::session::query_error;
use crate::error::TaskError;

/// What was asked for, at one time.
#[derive(Debug, Clone)]
pub struct Activity {
    /// Those of the processes that are there.
    pub processes: Vec<Process>,
    /// The end of the server's log.
    pub log_end: Lsn,
    /// `wal_sender_timeout`, `None` where it is off.
    pub sender_timeout: Option<Duration>,
}

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub id: i32,
    /// Whether it reads a slot.
    pub is_walsender: bool,
    /// What it waits for, `None` where it works.
    pub wait_type: Option<String>,
    /// The same more precisely.
    pub wait_event: Option<String>,
    /// Which processes hold the lock that it waits for.
    pub blocked_by: Vec<i32>,
    /// How far a walsender has read the log; only who has `pg_read_all_stats` is told.
    pub sent: Option<Lsn>,
    /// How long ago our newest status update was sent that a walsender has read; only who has `pg_read_all_stats` is told.
    pub replied: Option<Duration>,
}

impl Process {
    /// Whether it waits for work, or for its client.
    pub fn waits_for_somebody(&self) -> bool {
        matches!(self.wait_type.as_deref(), Some("Activity" | "Client"))
    }

    /// What it waits for, in the server's words.
    pub fn wait_text(&self) -> &str {
        self.wait_event.as_deref().unwrap_or("it waits for nothing")
    }
}

/// The server's process behind a session.
///
/// # Errors
/// As [`query_error`].
pub async fn process_of(client: &Client) -> Result<i32, TaskError> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    row.map(|row| row.get(0)).map_err(|error| query_error("asking for the session's process", error))
}

/// Asks for these processes.
///
/// # Errors
/// As [`query_error`].
pub async fn of(client: &Client, processes: &[i32]) -> Result<Activity, TaskError> {
    let what = "asking the server what it does";
    let rows = client
        .query(
            "SELECT a.pid, a.backend_type = 'walsender', a.wait_event_type, a.wait_event, \
                    CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END, \
                    r.sent_lsn::text, (extract(epoch FROM r.reply_time) * 1000)::int8 \
             FROM pg_stat_activity a LEFT JOIN pg_stat_replication r USING (pid) WHERE a.pid = ANY($1)",
            &[&processes],
        )
        .await
        .map_err(|error| query_error(what, error))?;
    let server = client
        .query_one(
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text, \
                    setting::int8 FROM pg_settings WHERE name = 'wal_sender_timeout'",
            &[],
        )
        .await
        .map_err(|error| query_error(what, error))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let lsn = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let process = |row: &tokio_postgres::Row| Process {
        id: row.get(0),
        is_walsender: row.get::<_, Option<bool>>(1).unwrap_or_default(),
        wait_type: row.get(2),
        wait_event: row.get(3),
        blocked_by: row.get(4),
        sent: lsn(row.get(5)),
        // The server keeps the time that the update itself says, which is ours.
        replied: row
            .get::<_, Option<i64>>(6)
            .and_then(|at| u64::try_from(at).ok())
            .map(|at| now.saturating_sub(Duration::from_millis(at))),
    };
    let timeout: i64 = server.get(1);
    Ok(Activity {
        processes: rows.iter().map(process).collect(),
        log_end: lsn(server.get(0)).unwrap_or(Lsn::ZERO),
        sender_timeout: u64::try_from(timeout).ok().filter(|timeout| *timeout > 0).map(Duration::from_millis),
    })
}
