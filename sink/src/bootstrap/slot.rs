//! The replication slot and its snapshot.

use std::time::Duration;

use access::diagnosis::Finding;
use pgwire_replication::{ReplicationClient, ReplicationConfig};
use proto::lsn::Lsn;
use tokio_postgres::Client;

use super::connector::Connector;
use super::preflight::Source;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::postgres::{identifier, literal};

/// A slot that was just created. Dropping this ends the session that exported the snapshot, and with it the snapshot.
pub struct ExportedSlot {
    /// Every commit before it is in the snapshot, every one behind it comes through the slot.
    pub consistent_point: Lsn,
    /// The snapshot's name.
    pub snapshot: String,
    _session: ReplicationClient,
}

impl std::fmt::Debug for ExportedSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedSlot").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl ExportedSlot {
    /// Creates the connector's slot and exports its snapshot.
    ///
    /// # Errors
    /// Stop when there is a slot of that name: what it was read by is not known.
    pub async fn create(config: &RunConfig, connector: &Connector) -> Result<Self, SinkError> {
        let name = &connector.slot;
        let client = config.source.connect("slot").await?;
        if let Some(finding) = taken(&client, name).await? {
            return Err(finding.into());
        }
        let source = &config.source;
        let password = source.password().unwrap_or_default();
        let settings = ReplicationConfig::new(
            source.host(),
            source.user(),
            &password,
            source.name(),
            name,
            identifier(&connector.publication),
        )
        .with_port(source.port())
        .with_tls(source.replication_tls())
        .with_application_name("Headwater sink snapshot");
        let failed = |error: &dyn std::fmt::Display| {
            SinkError::stop("slot-creation", format!("creating replication slot {name}: {error}"))
        };
        let open = async {
            let mut session = ReplicationClient::connect_gated(settings).await?;
            let sql = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export')", identifier(name));
            let rows = session.simple_query(&sql).await?;
            Ok::<_, pgwire_replication::PgWireError>((session, rows))
        };
        // A transaction that is open in the source keeps the slot from becoming consistent until it ends.
        let (session, rows) = tokio::time::timeout(config.deadline.max(Duration::from_secs(30)), open)
            .await
            .map_err(|_| {
                failed(&"a long transaction in the source keeps it from becoming consistent; end it and start again")
            })?
            .map_err(|error| failed(&error))?;
        let text = |column: usize| {
            let value = rows.first().and_then(|row| row.get(column)).and_then(Option::as_ref)?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        };
        match (text(1).and_then(|lsn| lsn.parse().ok()), text(2)) {
            (Some(consistent_point), Some(snapshot)) => Ok(Self { consistent_point, snapshot, _session: session }),
            _ => Err(failed(&"the server's answer names no snapshot")),
        }
    }
}

/// Whether there is a slot of that name before the first copy.
///
/// # Errors
/// The server's.
pub async fn taken(client: &Client, name: &str) -> Result<Option<Finding>, SinkError> {
    let found = client.query_opt("SELECT FROM pg_replication_slots WHERE slot_name = $1", &[&name]).await?;
    Ok(found.map(|_| {
        Finding::error(
            "slot-exists",
            format!(
                "replication slot {name} exists already, and the target has no record of a copy that belongs to it. Somebody may be \
                 reading it"
            ),
            format!("If nobody is:\nSELECT pg_drop_replication_slot({});", literal(name)),
        )
    }))
}

/// Creates the publication if it is not there: changes before it would not be published, and the slot would stop at them.
///
/// # Errors
/// Stop when the role may not.
pub async fn create_publication(config: &RunConfig, connector: &Connector, source: &Source) -> Result<(), SinkError> {
    let client = config.source.connect("publication").await?;
    let name = &connector.publication;
    if client.query_opt("SELECT FROM pg_publication WHERE pubname = $1", &[name]).await?.is_some() {
        return Ok(());
    }
    let tables = match connector.autocreate.as_str() {
        "filtered" => {
            let names: Vec<String> = source.tables.iter().map(super::preflight::SourceTable::sql_name).collect();
            format!("FOR TABLE {}", names.join(", "))
        }
        "no_tables" => String::new(),
        _ => "FOR ALL TABLES".to_owned(),
    };
    client
        .batch_execute(&format!("CREATE PUBLICATION {} {tables}", identifier(name)))
        .await
        .map_err(|error| SinkError::from(error).while_doing(&format!("creating publication {name}")))
}

/// The slot of a finished copy must still be there.
///
/// # Errors
/// Stop when it is not, or its log is gone.
pub async fn require(config: &RunConfig, connector: &Connector) -> Result<(), SinkError> {
    gone(config, connector).await?.map_or(Ok(()), |finding| Err(finding.into()))
}

/// What it means that the slot of a finished copy is not there, or its log is gone.
///
/// # Errors
/// The server's.
pub async fn gone(config: &RunConfig, connector: &Connector) -> Result<Option<Finding>, SinkError> {
    let name = &connector.slot;
    let (id, what) = match has_lost(config, connector).await? {
        None => ("slot-missing", "does not exist any more"),
        Some(true) => ("slot-lost", "has lost the log that it needs"),
        Some(false) => return Ok(None),
    };
    Ok(Some(Finding::error(
        id,
        format!(
            "replication slot {name} {what}: changes of the source that were not in Kafka yet are gone, and the target cannot \
             become equal through it"
        ),
        format!(
            "Copy anew: empty the target (drop its schemas, and schema headwater), drop the slot if it is there, delete the \
             connector's offsets (PUT /connectors/{0}/stop, DELETE /connectors/{0}/offsets), start the sink",
            connector.name
        ),
    )))
}

/// Whether the slot's log is gone; `None` where there is no slot.
///
/// # Errors
/// The server's.
pub async fn has_lost(config: &RunConfig, connector: &Connector) -> Result<Option<bool>, SinkError> {
    let client = config.source.connect("slot").await?;
    // With headwater.slots the streamer has put several in its place; whether all of them are there, it says itself.
    let states = "SELECT bool_or(coalesce(wal_status = 'lost', false)) FROM pg_replication_slots \
                  WHERE slot_name = $1 OR slot_name ~ ('^' || $1 || '_[0-9]+_of_[0-9]+$')";
    Ok(client.query_one(states, &[&connector.slot]).await?.get(0))
}

/// Drops the slot of a copy of ours that was not finished.
///
/// # Errors
/// Retry while somebody reads it.
pub async fn drop_own(config: &RunConfig, connector: &Connector) -> Result<(), SinkError> {
    let client = config.source.connect("slot").await?;
    client
        .batch_execute(&format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {}",
            literal(&connector.slot)
        ))
        .await
        .map_err(|error| {
            SinkError::from(error).while_doing(&format!("dropping slot {} of an unfinished copy", connector.slot))
        })
}
