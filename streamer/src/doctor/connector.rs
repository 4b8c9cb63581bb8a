//! One connector's configuration, its source, and the topics it publishes to.

use std::collections::BTreeMap;

use access::diagnosis::{Diagnosis, Finding, Severity};
use proto::position::Offset;
use tokio_postgres::Client;

use super::CONNECTOR;
use super::kafka::Stored;
use crate::config::check::check;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::pipeline::guard;
use crate::position::{OffsetStore, Start, on_server};
use crate::publish;
use crate::publish::preflight::TOPICS;
use crate::source::catalog::{self, ListedTable};
use crate::source::preflight::{self, PUBLICATION, SLOT, SOURCE, TABLES};
use crate::source::server::Server;
use crate::source::table_name::TableName;
use crate::source::{publication, session, share, slot};
use crate::worker::herder::check_class;

pub(super) async fn look(
    name: &str,
    config: &BTreeMap<String, String>,
    worker: &WorkerConfig,
    stored: &Stored,
    diagnosis: &mut Diagnosis,
) {
    let mut config = config.clone();
    config.insert("name".to_owned(), name.to_owned());
    let Some(config) = configuration(name, &config, worker, diagnosis) else {
        for group in [SOURCE, SLOT, PUBLICATION, TABLES, TOPICS] {
            diagnosis.not_made(group, name, "the connector's configuration cannot be used");
        }
        return;
    };
    let connection = &config.connection;
    let address = format!("{}:{}/{}", connection.hostname, connection.port, connection.dbname);
    let client = match session::connect(connection, "doctor").await {
        Ok(client) => client,
        Err(error) => {
            diagnosis.found(SOURCE, address, error.finding("server-unreachable"));
            for group in [SLOT, PUBLICATION, TABLES, TOPICS] {
                diagnosis.not_made(group, name, "there is no session to the source");
            }
            return;
        }
    };
    let parts = config.with_slots(config.slots);
    let slots: Vec<String> = parts.iter().map(|part| part.slot.name.clone()).collect();
    preflight::source(&client, &config, &slots, diagnosis).await;
    let server = entered(&config, address, diagnosis).await;
    let captured = match catalog::captured_tables(&client, &config).await {
        Ok(captured) => captured,
        Err(error) => {
            for group in [PUBLICATION, TABLES, TOPICS] {
                diagnosis.not_made(group, name, error.to_string());
            }
            return;
        }
    };
    if let Err(error) = guard(&config, captured.len()) {
        diagnosis.found(TABLES, "captured tables", error.finding("guardrail-tables"));
    }
    let mut reads_data = false;
    preflight::slots(&client, &config, &slots, diagnosis).await;
    for part in &parts {
        match position(&client, part, stored, server.as_ref()).await {
            Ok(reads) => reads_data |= reads,
            Err(error) => diagnosis.found(SLOT, part.slot.name.as_str(), error.finding("position-unknown")),
        }
        if let Err(error) = published(&client, part, captured.clone(), diagnosis).await {
            let subject = part.publication.name.as_str();
            match captured.is_empty() {
                // It is said of the tables.
                true => diagnosis.not_made(PUBLICATION, subject, "no table is captured"),
                false => diagnosis.not_made(PUBLICATION, subject, error.to_string()),
            }
        }
    }
    preflight::tables(&client, &config, &captured, reads_data, diagnosis).await;
    match stored.is_there {
        true => publish::preflight::topics(worker, &config, &captured, diagnosis).await,
        false => diagnosis.not_made(TOPICS, "the connector's topics", "there is no session to Kafka"),
    }
}

/// The configuration, if it can be used.
fn configuration(
    name: &str,
    config: &BTreeMap<String, String>,
    worker: &WorkerConfig,
    diagnosis: &mut Diagnosis,
) -> Option<ConnectorConfig> {
    if let Err(error) = check_class(config) {
        let remedy = "connector.class=io.debezium.connector.postgresql.PostgresConnector";
        diagnosis.found(CONNECTOR, name, Finding::error("connector-class", error.to_string(), remedy));
        return None;
    }
    for warning in check(config).warnings {
        diagnosis.found(
            CONNECTOR,
            name,
            Finding::warning("connector-warning", warning, "Leave it out, or put it right"),
        );
    }
    match ConnectorConfig::parse(config, worker) {
        Ok(parsed) => {
            diagnosis.well(CONNECTOR, name, "its configuration can be used");
            Some(parsed)
        }
        Err(findings) => {
            for finding in findings {
                let remedy = match &finding.key {
                    Some(key) => format!("Put {key} right; docs/options.md says what it takes"),
                    None => "Put it right; docs/options.md says what each property takes".to_owned(),
                };
                diagnosis.found(CONNECTOR, name, Finding::error("connector-config", finding.message, remedy));
            }
            None
        }
    }
}

/// The server, entered as a replication session enters it.
async fn entered(config: &ConnectorConfig, address: String, diagnosis: &mut Diagnosis) -> Option<Server> {
    let keeps_out = ["role-replication", "wal-senders"];
    if diagnosis.findings().any(|finding| finding.severity == Severity::Error && keeps_out.contains(&finding.id)) {
        diagnosis.not_made(SOURCE, address, "a replication session cannot be opened, for what is said above");
        return None;
    }
    match Server::identify(config).await {
        Ok(server) => {
            let text = format!("lets sessions and replication sessions in, timeline {}", server.timeline);
            diagnosis.well(SOURCE, address, text);
            Some(server)
        }
        Err(error) => {
            diagnosis.found(SOURCE, address, error.finding("replication-session"));
            None
        }
    }
}

/// Whether a start would go on from what is stored and what the slot keeps; and whether it would read the tables.
async fn position(
    client: &Client,
    config: &ConnectorConfig,
    stored: &Stored,
    server: Option<&Server>,
) -> Result<bool, TaskError> {
    let stored = match &stored.offsets {
        Some(offsets) => offsets.read(&config.name, &OffsetStore::partition(config))?,
        None => None,
    };
    let offset = stored.map(|map| Offset::from_map(&map)).transpose();
    let offset = offset.map_err(|error| {
        TaskError::stop("position-unreadable", format!("the stored position cannot be read: {error}"))
    })?;
    let offset = match (offset, server) {
        (Some(offset), Some(server)) => Some(on_server(config, offset, server)?),
        (offset, _) => offset,
    };
    let slot = slot::read(client, config).await?;
    Ok(Start::decide(config, offset, slot)?.reads_data)
}

async fn published(
    client: &Client,
    config: &ConnectorConfig,
    captured: Vec<ListedTable>,
    diagnosis: &mut Diagnosis,
) -> Result<(), TaskError> {
    let captured = share::of_slot(client, config, captured).await?;
    let tables: Vec<TableName> = captured.into_iter().filter(|table| table.is_logged).map(|table| table.name).collect();
    let found = publication::look(client, config, &tables).await?;
    let well = match found.published {
        Some(published) => format!("publishes {published} of {} captured tables", tables.len()),
        None => "is not there yet: a start makes it".to_owned(),
    };
    let mut findings = found.findings();
    // It is said of the tables.
    findings.retain(|finding| finding.id != "nothing-captured");
    diagnosis.settle(PUBLICATION, config.publication.name.as_str(), findings, well);
    Ok(())
}
