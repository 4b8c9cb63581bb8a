//! The server's settings, and the role's rights.

use access::diagnosis::Diagnosis;
use access::diagnosis::source::{QUERY, Source};
use tokio_postgres::Client;

use super::{SOURCE, unasked};
use crate::config::ConnectorConfig;
use crate::source::session::query_error;

/// Looks at what keeps these slots from being made or read.
pub async fn source(client: &Client, config: &ConnectorConfig, slots: &[String], diagnosis: &mut Diagnosis) {
    let subject = format!("{}:{}", config.connection.hostname, config.connection.port);
    let row = match client.query_one(QUERY, &[&slots]).await {
        Ok(row) => row,
        Err(error) => {
            return unasked(diagnosis, SOURCE, &subject, &query_error("asking the server for its settings", error));
        }
    };
    let source = Source {
        wal_level: row.get(0),
        version: row.get(1),
        user: row.get(2),
        may_replicate: row.get(3),
        slots: row.get(4),
        max_slots: row.get(5),
        present: row.get(6),
        active: row.get(7),
        senders: row.get(8),
        max_senders: row.get(9),
    };
    let well = format!(
        "PostgreSQL {}, wal_level is {}, {} may replicate, {} of {} slots and {} of {} replication sessions are taken",
        source.version,
        source.wal_level,
        source.user,
        source.slots,
        source.max_slots,
        source.senders,
        source.max_senders
    );
    let wanted = if config.snapshot.mode.streams() { slots.len() } else { 0 };
    diagnosis.settle(SOURCE, subject, source.findings(wanted), well);
}
