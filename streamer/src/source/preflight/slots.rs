//! What the slot holds, and who holds it.

use access::diagnosis::{Diagnosis, Finding};
use tokio_postgres::{Client, Row};

use super::{SLOT, unasked};
use crate::config::ConnectorConfig;
use crate::source::quote_literal;
use crate::source::session::query_error;

/// How long a transaction may be open before it is spoken of, in seconds: ten minutes.
const LONG: f64 = 600.0;

/// How much log a slot that nobody reads may hold before it is spoken of: 1 GB.
const MUCH: i64 = 1 << 30;

const STATES: &str = "
    SELECT slot_name::text, slot_name::text = ANY($1), active,
           coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                                    restart_lsn), 0)::int8,
           (SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
           active_pid, (SELECT application_name FROM pg_stat_activity WHERE pid = active_pid),
           coalesce(to_jsonb(slot)->>'wal_status', '')
    FROM pg_replication_slots slot WHERE NOT temporary ORDER BY 1";

const TRANSACTIONS: &str = "
    SELECT pid::text, extract(epoch FROM now() - xact_start)::float8, coalesce(application_name, ''), false
    FROM pg_stat_activity
    WHERE xact_start < now() - interval '1 second' * $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    UNION ALL
    SELECT gid, extract(epoch FROM now() - prepared)::float8, '', true FROM pg_prepared_xacts
    WHERE prepared < now() - interval '1 second' * $1
    ORDER BY 2 DESC LIMIT 5";

/// Looks at how much log the connector's slots hold against their limit, at slots that nobody reads, and at transactions that keep
/// the log.
pub async fn slots(client: &Client, config: &ConnectorConfig, names: &[String], diagnosis: &mut Diagnosis) {
    match client.query(STATES, &[&names]).await {
        Ok(rows) => {
            let is_there = |name: &String| rows.iter().any(|row| row.get::<_, &str>(0) == name);
            for name in names.iter().filter(|name| config.snapshot.mode.streams() && !is_there(name)) {
                diagnosis.well(SLOT, name.as_str(), "is not there yet: a start makes it");
            }
            // What a slot means that lost its log, the look at the position says.
            for row in rows.iter().filter(|row| row.get::<_, &str>(7) != "lost") {
                state(row, config, diagnosis);
            }
        }
        Err(error) => unasked(diagnosis, SLOT, &config.slot.name, &query_error("asking for the slots", error)),
    }
    match client.query(TRANSACTIONS, &[&LONG]).await {
        Ok(rows) => rows.iter().for_each(|row| long_transaction(row, diagnosis)),
        Err(error) => unasked(diagnosis, SLOT, "long transactions", &query_error("asking for transactions", error)),
    }
}

fn state(row: &Row, config: &ConnectorConfig, diagnosis: &mut Diagnosis) {
    let (name, is_ours, is_active): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let (held, limit): (i64, Option<i64>) = (row.get(3), row.get(4));
    if !is_ours {
        if !is_active && held > MUCH {
            let finding = Finding::warning(
                "idle-slot",
                format!(
                    "slot {name} is read by nobody and holds {} of the server's log: the disk can run full",
                    bytes(held)
                ),
                format!("If nobody needs it:\nSELECT pg_drop_replication_slot({});", quote_literal(&name)),
            );
            diagnosis.found(SLOT, name, finding);
        }
        return;
    }
    let mut findings = Vec::new();
    // In megabytes; -1 is no limit.
    if let Some(limit) = limit.filter(|limit| *limit >= 0).map(|limit| limit.saturating_mul(1 << 20))
        && (held > limit / 5 * 4 || row.get::<_, &str>(7) == "unreserved")
    {
        findings.push(Finding::warning(
            "slot-near-limit",
            format!(
                "slot {name} holds {} of the server's log, and max_slot_wal_keep_size is {}: beyond that the server drops what the slot \
                 needs, and the tables have to be read anew",
                bytes(held),
                bytes(limit)
            ),
            "Let the streamer catch up, or raise the limit:\nALTER SYSTEM SET max_slot_wal_keep_size = '…GB';\nSELECT pg_reload_conf();",
        ));
    }
    let reader: Option<String> = row.get(6);
    let is_known = |reader: &str| {
        let own = config.connection.driver.application_name.as_deref();
        reader.is_empty() || reader.starts_with("Headwater") || own == Some(reader)
    };
    if let Some(other) = reader.as_deref().filter(|reader| is_active && !is_known(reader)) {
        findings.push(Finding::warning(
            "slot-in-use",
            format!(
                "slot {name} is read by {other} (process {}): a start waits for it to end",
                row.get::<_, Option<i32>>(5).unwrap_or_default()
            ),
            "Stop that program, or give slot.name another name: two cannot read one slot",
        ));
    }
    let how = if is_active { "is being read" } else { "waits to be read" };
    let well = format!("{how}, and holds {} of the server's log", bytes(held));
    diagnosis.settle(SLOT, name, findings, well);
}

fn long_transaction(row: &Row, diagnosis: &mut Diagnosis) {
    let (id, seconds, program, is_prepared): (String, f64, String, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    // Shown in minutes.
    let minutes = (seconds / 60.0).round();
    let (what, remedy) = match is_prepared {
        true => (
            format!("prepared transaction {id}"),
            format!("COMMIT PREPARED {0};\nor ROLLBACK PREPARED {0};", quote_literal(&id)),
        ),
        false => (
            format!("the transaction of process {id} ({program})"),
            format!("End it in its program, or:\nSELECT pg_terminate_backend({id});"),
        ),
    };
    let message = format!(
        "{what} is open for {minutes} minutes: slots keep the log since it began, and a slot that is made waits for its end"
    );
    diagnosis.found(SLOT, "long transactions", Finding::warning("long-transaction", message, remedy));
}

/// A number of bytes for a person.
#[expect(clippy::cast_precision_loss, reason = "it is rounded")]
fn bytes(bytes: i64) -> String {
    match bytes {
        ..0 => "nothing".to_owned(),
        0..0x10_0000 => format!("{} kB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MB", bytes >> 20),
        _ => format!("{:.1} GB", bytes as f64 / f64::from(1 << 30)),
    }
}
