//! The transaction in which tables are read, and what the database was then.

use proto::lsn::Lsn;
use proto::xid::Xid;
use tokio_postgres::Client;

use super::Plan;
use crate::config::ConnectorConfig;
use crate::emit::RowOrigin;
use crate::error::TaskError;
use crate::source::quote_literal;
use crate::source::session::{self, query_error};
use crate::source::table_name::TableName;

/// The state of the database that the snapshot shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant {
    pub(super) lsn: Lsn,
    pub(super) last_commit_lsn: Option<Lsn>,
    pub(super) tx_id: Option<Xid>,
    pub(super) started_us: i64,
    /// The oldest transaction that the snapshot may not show.
    pub(super) xmin: u32,
}

/// Opens the first session that reads: in the slot's snapshot, or as of now.
///
/// # Errors
/// Retry when the server is away; stop when a table cannot be locked.
pub(super) async fn begin(config: &ConnectorConfig, plan: &Plan) -> Result<(Client, Instant), TaskError> {
    let client = session::connect(&config.connection, "snapshot").await?;
    let begun = match &plan.created {
        Some(created) => import(&created.snapshot_name),
        None => format!("BEGIN {}", config.snapshot.isolation.as_sql()),
    };
    client.batch_execute(&begun).await.map_err(|error| query_error("beginning the snapshot", error))?;
    if config.snapshot.locks_tables {
        lock(&client, config, &plan.tables).await?;
    }
    let instant = instant(&client, plan).await?;
    Ok((client, instant))
}

/// The first session, and others that read in the same snapshot.
///
/// # Errors
/// Retry when the server is away.
pub(super) async fn join(config: &ConnectorConfig, first: Client, sessions: usize) -> Result<Vec<Client>, TaskError> {
    let failed = |error| query_error("sharing the snapshot among sessions", error);
    let mut clients = vec![first];
    if sessions > 1
        && let Some(first) = clients.first()
    {
        let exported = first.query_one("SELECT pg_export_snapshot()", &[]).await.map_err(failed)?;
        let import = import(exported.get(0));
        while clients.len() < sessions {
            let client = session::connect(&config.connection, "snapshot").await?;
            client.batch_execute(&import).await.map_err(failed)?;
            clients.push(client);
        }
    }
    Ok(clients)
}

fn import(snapshot: &str) -> String {
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT {}", quote_literal(snapshot))
}

/// Keeps the tables from being altered until the snapshot ends (`snapshot.locking.mode=shared`); rows can be written.
async fn lock(client: &Client, config: &ConnectorConfig, tables: &[TableName]) -> Result<(), TaskError> {
    let mut sql = format!("SET LOCAL lock_timeout = {}", config.snapshot.lock_timeout.as_millis());
    for table in tables {
        sql.push_str(&format!("; LOCK TABLE {} IN ACCESS SHARE MODE", table.quoted()));
    }
    client.batch_execute(&sql).await.map_err(|error| query_error("locking the tables for the snapshot", error))
}

async fn instant(client: &Client, plan: &Plan) -> Result<Instant, TaskError> {
    let row = client
        .query_one(
            "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE txid_current() END, \
                    (extract(epoch FROM clock_timestamp()) * 1000000)::int8, \
                    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text, \
                    txid_snapshot_xmin(txid_current_snapshot())",
            &[],
        )
        .await
        .map_err(|error| query_error("reading the snapshot's transaction", error))?;
    // The epoch is in the upper half; `source.txId` is the 32-bit id.
    let tx_id = row.get::<_, Option<i64>>(0).map(|id| Xid::from(id as u32));
    let now = row.get::<_, Option<&str>>(2).and_then(|text| text.parse().ok()).unwrap_or(Lsn::ZERO);
    let (started_us, xmin) = (row.get(1), row.get::<_, i64>(3) as u32);
    Ok(match plan.origin {
        Some(RowOrigin { last_commit_lsn, lsn, tx_id, .. }) => {
            Instant { lsn: lsn.unwrap_or(now), last_commit_lsn, tx_id, started_us, xmin }
        }
        None => {
            let lsn = plan.created.as_ref().map_or(now, |created| created.consistent_point);
            Instant { lsn, last_commit_lsn: None, tx_id, started_us, xmin }
        }
    })
}
