//! What the streamer says of itself.

use serde::Serialize;

use super::{About, Failure};
use crate::events::{Changes, hashed};

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Streamer {
    /// The program.
    #[serde(flatten)]
    pub about: About,
    /// The group of workers.
    pub group: Group,
    /// Kafka.
    pub kafka: Kafka,
    /// The connectors by name, none where this worker stands by.
    pub connectors: Vec<Connector>,
}

/// The group of workers, of which one runs the connectors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Group {
    /// `group.id`.
    pub id: String,
    /// This worker's host and port, as the others reach it.
    pub worker: String,
    /// Whether it is the one that runs the connectors.
    pub active: bool,
    /// The one that does, where it is another.
    pub leader: Option<String>,
    /// That one's page.
    pub leader_url: Option<String>,
}

/// Kafka, as the worker is configured to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub servers: String,
    /// The cluster's id.
    pub cluster: String,
}

/// A connector.
#[derive(Debug, Clone, Serialize)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// Its own state, as the REST API has it.
    pub state: &'static str,
    /// Its task's, where it has one.
    pub task: Option<&'static str>,
    /// Why the task does not run, or the connector is nobody's.
    pub trace: Option<String>,
    /// Whether it is being changed right now: what stands here is from before.
    pub changing: bool,
    /// `topic.prefix`.
    pub prefix: Option<String>,
    /// Host, port and database.
    pub source: Option<String>,
    /// Why no incremental snapshot can be asked for, if so.
    pub no_snapshot: Option<String>,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// Its tables by name, with what was published of them.
    pub tables: Vec<Table>,
    /// What went wrong last, the newest first.
    pub failures: Vec<Failure>,
}

/// A slot and the pipeline that reads it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Slot {
    /// `slot.name`.
    pub name: String,
    /// What the server says of it, where it was asked.
    pub server: Option<ServerSlot>,
    /// Why it could not be asked.
    pub server_failure: Option<String>,
    /// Up to where the log was received.
    pub received_lsn: Option<String>,
    /// How far behind the end of the log that is.
    pub received_lag: Option<u64>,
    /// What the slot was confirmed up to, behind Kafka's acknowledgement.
    pub confirmed_lsn: Option<String>,
    /// How far behind the end of the log that is.
    pub confirmed_lag: Option<u64>,
    /// From the commit to its being read, of the last transaction.
    pub decoded_seconds: Option<f64>,
    /// From the commit to Kafka's acknowledgement: of the last transaction, or of one that still waits.
    pub acknowledged_seconds: Option<f64>,
    /// Records given to the producer.
    pub records: u64,
    /// Their keys' and values' bytes.
    pub bytes: u64,
    /// Transactions read whole.
    pub transactions: u64,
    /// Records that Kafka has not acknowledged.
    pub in_flight: u64,
    /// Their bytes.
    pub in_flight_bytes: u64,
    /// How long Kafka has acknowledged none of them; with none under way, how long one change has been worked at.
    pub waiting_seconds: u64,
    /// Times the task began anew by itself.
    pub retries: u64,
    /// The snapshot before streaming.
    pub snapshot: Option<Snapshot>,
    /// An incremental one.
    pub incremental: Option<Incremental>,
}

/// A slot, as `pg_replication_slots` has it.
#[derive(Debug, Clone, Serialize)]
pub struct ServerSlot {
    /// Whether somebody reads it.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// How much log the server keeps for it.
    pub retained: u64,
    /// `max_slot_wal_keep_size`, where there is a limit.
    pub limit: Option<u64>,
    /// How much more may be written before the slot is in danger of being lost.
    pub safe: Option<i64>,
    /// The end of the log.
    pub log_end: String,
}

/// A snapshot of whole tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// `running`, `completed` or `aborted`.
    pub state: &'static str,
    /// How many tables.
    pub tables: u64,
    /// How many are read.
    pub done: u64,
    /// The one under way.
    pub table: String,
    /// Rows read.
    pub rows: u64,
    /// How long it took, or takes.
    pub seconds: u64,
}

/// A snapshot between the changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incremental {
    /// `running`, `paused`, `completed` or `aborted`.
    pub state: &'static str,
    /// The tables still to be read, the one under way first.
    pub tables: Vec<String>,
    /// How many are read.
    pub done: u64,
    /// Rows read of all of them.
    pub rows: u64,
    /// When it was begun.
    pub begun_ms: u64,
    /// When it last said something.
    pub at_ms: u64,
}

/// What was published of a table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    /// Schema and name.
    pub name: String,
    /// Rows read by snapshots.
    pub read: u64,
    /// Rows inserted.
    pub created: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Truncates.
    pub truncated: u64,
}

impl Changes for Streamer {
    fn changes(&self) -> u64 {
        let of_slot = |slot: &Slot| {
            let snapshot = slot.snapshot.as_ref().map(|snapshot| (snapshot.state, snapshot.done));
            let incremental = slot.incremental.as_ref().map(|snapshot| (snapshot.state, snapshot.done));
            (snapshot, incremental)
        };
        let connectors = self.connectors.iter().map(|connector| {
            let slots: Vec<_> = connector.slots.iter().map(of_slot).collect();
            let state = (connector.state, connector.task, &connector.trace, connector.changing);
            (&connector.name, state, &connector.failures, slots)
        });
        let connectors: Vec<_> = connectors.collect();
        hashed((&self.group, connectors))
    }
}
