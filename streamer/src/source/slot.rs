//! The replication slot: looked at, created with its snapshot, dropped.
//!
//! The slot is what makes zero loss possible: from its creation on the server keeps every change until the slot is
//! confirmed past it. So it is created before anything is copied, and a slot that is gone is never quietly replaced
//! where a position says that changes were already read from it.

use proto::lsn::Lsn;
use tokio_postgres::Client;

use super::session::query_error;
use super::walsender::Session;
use super::{quote_identifier, quote_literal};
use crate::config::ConnectorConfig;
use crate::error::TaskError;

/// What the server says about a slot.
#[derive(Debug, Clone)]
pub struct SlotState {
    /// The end of the server's log.
    pub log_end: Lsn,
    /// Changes of transactions that committed before this are not sent again.
    pub confirmed_flush: Lsn,
    /// Why it can serve nobody any more, in the server's words: `wal_removed`, `idle_timeout` and others. `None` while it can.
    pub lost: Option<String>,
}

/// A slot just made, and the session that keeps its snapshot importable: drop it only after the import.
pub struct CreatedSlot {
    /// Streaming starts behind this position; the snapshot shows exactly what was committed before it.
    pub consistent_point: Lsn,
    /// The name for `SET TRANSACTION SNAPSHOT`.
    pub snapshot_name: String,
    /// The replication session whose open transaction exports the snapshot.
    pub session: Session,
}

impl std::fmt::Debug for CreatedSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedSlot").field("consistent_point", &self.consistent_point).finish_non_exhaustive()
    }
}

/// The slot's state, `None` when there is no slot of that name.
///
/// # Errors
/// Stop when the slot exists and can never serve this connector: another plugin, or another database. Retry while the
/// server is a standby that is still to be promoted.
pub async fn read(client: &Client, config: &ConnectorConfig) -> Result<Option<SlotState>, TaskError> {
    let name = &config.slot.name;
    let row = client
        .query_opt(
            "SELECT plugin::text, database::text, confirmed_flush_lsn::text, \
                    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text, \
                    pg_is_in_recovery() AND coalesce((to_jsonb(slot)->>'synced')::bool, false), \
                    CASE WHEN wal_status = 'lost' \
                         THEN coalesce(to_jsonb(slot)->>'invalidation_reason', 'wal_status is lost') END \
             FROM pg_replication_slots slot WHERE slot_name = $1",
            &[name],
        )
        .await
        .map_err(|error| query_error(&format!("reading the state of slot {name}"), error))?;
    let Some(row) = row else { return Ok(None) };
    let plugin: Option<String> = row.get(0);
    let database: Option<String> = row.get(1);
    let lsn = |column: usize| row.get::<_, Option<&str>>(column).and_then(|text| text.parse().ok());
    if plugin.as_deref() != Some("pgoutput") {
        return Err(TaskError::stop(
            "slot-plugin",
            format!(
                "slot {name} exists, but decodes with {} instead of pgoutput; nothing was read from it",
                plugin.as_deref().unwrap_or("nothing (it is a physical slot)")
            ),
        )
        .mended_by(format!(
            "Give slot.name another name, or drop that slot if nobody needs it:\nSELECT pg_drop_replication_slot({});",
            quote_literal(name)
        )));
    }
    if database.as_deref() != Some(config.connection.dbname.as_str()) {
        return Err(TaskError::stop(
            "slot-database",
            format!(
                "slot {name} exists, but belongs to database {}; this connector reads {}. Slot names are shared by all \
             databases of a server",
                database.as_deref().unwrap_or("?"),
                config.connection.dbname
            ),
        )
        .mended_by(format!(
            "Give slot.name another name, or drop that slot if nobody needs it:\nSELECT pg_drop_replication_slot({});",
            quote_literal(name)
        )));
    }
    // `synced` is there from version 17 on.
    if row.get::<_, Option<bool>>(4) == Some(true) {
        return Err(TaskError::retry(format!(
            "the server at {} is a standby, and its slot {name} follows the primary's: it can be read once the standby is \
             promoted. Nothing is lost meanwhile",
            config.connection.hostname
        ))
        .called("slot-standby").mended_by("Promote the standby (SELECT pg_promote();), or point database.hostname at the primary"));
    }
    Ok(Some(SlotState {
        confirmed_flush: lsn(2).unwrap_or(Lsn::ZERO),
        log_end: lsn(3).unwrap_or(Lsn::ZERO),
        // The reason is there from version 17 on, the status from 13.
        lost: row.get(5),
    }))
}

/// The names of the slots that decode a database.
///
/// # Errors
/// As [`query_error`].
pub async fn of_database(client: &Client, database: &str) -> Result<Vec<String>, TaskError> {
    let rows = client
        .query("SELECT slot_name::text FROM pg_replication_slots WHERE database::text = $1 ORDER BY 1", &[&database])
        .await
        .map_err(|error| query_error("looking for the connector's slots", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What it means that a slot can serve nobody any more.
pub fn lost(config: &ConnectorConfig, reason: &str) -> TaskError {
    let name = &config.slot.name;
    let remedy = match reason {
        "rows_removed" => "set hot_standby_feedback=on and a physical slot for the standby",
        "wal_level_insufficient" => "keep wal_level=logical",
        "idle_timeout" => "raise idle_replication_slot_timeout",
        _ => "raise max_slot_wal_keep_size",
    };
    TaskError::stop("slot-lost", format!(
        "slot {name} has lost WAL that it still needed ({reason}): the changes since {connector}'s stored position cannot be read \
         any more, and what was changed since is in Kafka only when the tables are read anew",
        connector = config.name
    ))
    .mended_by(format!(
            "Drop the slot (SELECT pg_drop_replication_slot('{name}')), stop the connector, DELETE /connectors/{connector}/offsets, \
             set snapshot.mode=initial, resume; or set snapshot.mode=when_needed, which does all of it. So that it does not \
             happen again, {remedy}",
            connector = config.name
        ),
    )
}

/// Creates the slot and exports the snapshot of its consistent point.
///
/// # Errors
/// Stop when the server is not set up for logical replication or the role may not replicate.
pub async fn create(config: &ConnectorConfig) -> Result<CreatedSlot, TaskError> {
    let name = &config.slot.name;
    let mut session = Session::open(&config.connection).await?;
    let failover = if can_fail_over(&mut session, config).await? { ", FAILOVER true" } else { "" };
    let create =
        format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export'{failover})", quote_identifier(name));
    let rows = session.query(&format!("creating slot {name}"), &create).await?;
    let text = |column: usize| {
        rows.first()
            .and_then(|row| row.get(column))
            .and_then(Option::as_ref)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned)
    };
    match (text(1).and_then(|lsn| lsn.parse().ok()), text(2)) {
        (Some(consistent_point), Some(snapshot_name)) => {
            tracing::info!(slot = %name, %consistent_point, "created the replication slot");
            Ok(CreatedSlot { consistent_point, snapshot_name, session })
        }
        _ => Err(TaskError::retry(format!(
            "creating slot {name}: the server's answer named no consistent point or no snapshot"
        ))),
    }
}

/// Whether the slot is to be synchronised to standbys and can be: from version 17 on, on a primary. As Debezium, elsewhere it is
/// made without (`PostgresReplicationConnection.useFailOverSlot`).
async fn can_fail_over(session: &mut Session, config: &ConnectorConfig) -> Result<bool, TaskError> {
    if !config.slot.failover {
        return Ok(false);
    }
    let question = "SELECT current_setting('server_version_num')::int >= 170000 AND NOT pg_is_in_recovery()";
    let rows = session.query("asking whether slots fail over", question).await?;
    let can = rows.first().and_then(|row| row.first()).and_then(Option::as_ref).is_some_and(|value| *value == b"t"[..]);
    if !can {
        tracing::warn!(
            slot = %config.slot.name,
            "slot.failover=true has no effect: only a primary of version 17 and later has such slots; the slot is not on its \
             standbys"
        );
    }
    Ok(can)
}

/// The oldest transaction that the server keeps catalog rows for because of the slot (`source.xmin`).
///
/// # Errors
/// As [`query_error`].
pub async fn xmin(client: &Client, name: &str) -> Result<Option<i64>, TaskError> {
    let row = client
        .query_opt("SELECT catalog_xmin::text::int8 FROM pg_replication_slots WHERE slot_name = $1", &[&name])
        .await
        .map_err(|error| query_error(&format!("reading the xmin of slot {name}"), error))?;
    Ok(row.and_then(|row| row.get(0)))
}

/// What a slot costs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub slot: String,
    /// Whether somebody reads it.
    pub is_active: bool,
    /// Whether it can serve nobody any more.
    pub is_lost: bool,
    /// How many bytes of the log it was not confirmed for.
    pub unconfirmed: Option<i64>,
    /// How many bytes of the log the server keeps because of it.
    pub retained: Option<i64>,
    /// How many it keeps for a slot at most (`max_slot_wal_keep_size`), `None` without a limit.
    pub limit: Option<i64>,
    /// How many may still be written before it is lost, `None` without a limit.
    pub left: Option<i64>,
}

/// Asks what slots cost; those that are not there are left out.
///
/// # Errors
/// As [`query_error`].
pub async fn usage(client: &Client, names: &[String]) -> Result<Vec<Usage>, TaskError> {
    // `pg_settings` and not `current_setting`: the number, in the unit that it has.
    let rows = client
        .query(
            "SELECT slot_name::text, active, coalesce(wal_status = 'lost', false), \
                    pg_wal_lsn_diff(log_end, confirmed_flush_lsn)::int8, pg_wal_lsn_diff(log_end, restart_lsn)::int8, \
                    (SELECT nullif(setting::int8, -1) * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
                    safe_wal_size \
             FROM pg_replication_slots, \
                  (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS log_end) log \
             WHERE slot_name = ANY($1)",
            &[&names],
        )
        .await
        .map_err(|error| query_error("asking for the slots' size", error))?;
    let usage = |row: &tokio_postgres::Row| Usage {
        slot: row.get(0),
        is_active: row.get(1),
        is_lost: row.get(2),
        unconfirmed: row.get(3),
        retained: row.get(4),
        limit: row.get(5),
        left: row.get(6),
    };
    Ok(rows.iter().map(usage).collect())
}

/// Drops the slot if it is there (`slot.drop.on.stop`).
pub async fn drop(client: &Client, name: &str) -> Result<(), TaskError> {
    client
        .batch_execute(&format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {}",
            quote_literal(name)
        ))
        .await
        .map_err(|error| query_error(&format!("dropping slot {name}"), error))
}
