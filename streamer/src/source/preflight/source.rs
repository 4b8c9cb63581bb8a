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
    let source = match client.query_one(QUERY, &[&slots]).await {
        Ok(row) => Source::of(&row),
        Err(error) => {
            return unasked(diagnosis, SOURCE, &subject, &query_error("asking the server for its settings", error));
        }
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
