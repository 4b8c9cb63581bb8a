//! What the worker's page shows, put together while somebody looks.
//!
//! # Layout
//! - `server`: what the source says of a connector's slots and tables

mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use page::state::About;
use page::state::streamer::{Connector, Group, Kafka, ServerSlot, Slot, Streamer, Table};
use proto::lsn::Lsn;

use super::herder::ConnectorView;
use super::rest::Api;
use crate::config::ConnectorConfig;
use crate::metrics::live::Live;
pub(super) use server::captured;
use server::{Seen, Server};

/// How long a connector that is being changed is waited for: its last state is shown then.
const PATIENCE: Duration = Duration::from_millis(100);

/// Looks at a worker.
pub struct Look {
    api: Api,
    started: Instant,
    views: Vec<ConnectorView>,
    servers: BTreeMap<String, Server>,
    /// How far a slot's pipeline was, and since when.
    progress: BTreeMap<(String, String), (u64, Instant)>,
}

impl Look {
    /// At the worker behind this API, which started now.
    pub fn new(api: Api) -> Self {
        let (servers, progress) = (BTreeMap::new(), BTreeMap::new());
        Self { api, started: Instant::now(), views: Vec::new(), servers, progress }
    }

    /// How it is.
    pub async fn look(&mut self) -> Streamer {
        let herder = self.api.active.borrow().clone();
        let mut changing = false;
        match &herder {
            None => self.views.clear(),
            Some(herder) => match tokio::time::timeout(PATIENCE, herder.connectors()).await {
                Ok(views) => self.views = views,
                Err(_) => changing = true,
            },
        }
        let views = std::mem::take(&mut self.views);
        self.servers.retain(|name, _| views.iter().any(|view| view.name == *name));
        let connectors = views.iter().map(|view| self.connector(view, changing)).collect();
        self.views = views;
        Streamer {
            about: About::new("streamer", env!("CARGO_PKG_VERSION"), self.started),
            group: self.group(herder.is_some()).await,
            kafka: Kafka {
                servers: self.api.worker.bootstrap_servers().to_owned(),
                cluster: self.api.cluster_id.to_string(),
            },
            connectors,
        }
    }

    async fn group(&self, active: bool) -> Group {
        let worker = &self.api.worker;
        let leader = match active {
            true => None,
            false => {
                let leader = tokio::time::timeout(PATIENCE, self.api.leader.worker_id()).await;
                leader.ok().flatten().filter(|leader| *leader != worker.worker_id)
            }
        };
        let leader_url = leader.as_ref().map(|leader| format!("{}://{leader}/", worker.advertised.scheme()));
        Group { id: worker.group_id.clone(), worker: worker.worker_id.clone(), active, leader, leader_url }
    }

    fn connector(&mut self, view: &ConnectorView, changing: bool) -> Connector {
        let server = self.servers.entry(view.name.clone()).or_default();
        let config = server.watch(&view.config, &self.api.worker);
        let seen = server.seen();
        let lives = view.lives.all();
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for name in &seen.captured {
            tables.insert(name.clone(), Table { name: name.clone(), ..Table::default() });
        }
        for (name, changes) in lives.values().flat_map(|live| live.tables()) {
            let sum = tables.entry(name.clone()).or_default();
            *sum = Table {
                name,
                read: sum.read + changes.read,
                created: sum.created + changes.created,
                updated: sum.updated + changes.updated,
                deleted: sum.deleted + changes.deleted,
                truncated: sum.truncated + changes.truncated,
            };
        }
        let mut failures: Vec<_> = lives.values().flat_map(|live| live.failures()).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.at_ms));
        let slots = config.as_ref().map(slots).unwrap_or_default();
        let slots = slots.into_iter().map(|name| {
            let live = view.lives.of(&name);
            self.slot(&view.name, name, &live, &seen)
        });
        let slots = slots.collect();
        let database = config.as_ref().map(|config| &config.connection);
        Connector {
            name: view.name.clone(),
            state: view.state,
            task: view.task.as_ref().map(|task| task.state),
            trace: view.task.as_ref().and_then(|task| task.trace.clone()).or_else(|| view.trace.clone()),
            changing,
            prefix: config.as_ref().map(|config| config.topic_prefix.clone()),
            source: database.map(|database| format!("{}:{}/{}", database.hostname, database.port, database.dbname)),
            no_snapshot: config.as_ref().and_then(|config| no_snapshot(config)),
            slots,
            tables: tables.into_values().collect(),
            failures,
        }
    }

    fn slot(&mut self, connector: &str, name: String, live: &Live, seen: &Seen) -> Slot {
        let server: Option<&(ServerSlot, Lsn, Lsn)> = seen.slots.get(&name);
        let log_end = server.map(|(_, log_end, _)| *log_end);
        let behind = |lsn: Lsn| log_end.map(|end| end.as_u64().saturating_sub(lsn.as_u64()));
        let ledger = live.ledger();
        let (in_flight, in_flight_bytes) = match &ledger {
            Some(ledger) => (ledger.in_flight() as u64, ledger.bytes() as u64),
            None => (0, 0),
        };
        let received = live.pulse().as_ref().map(|pulse| pulse.has_received()).filter(|lsn| *lsn > Lsn::ZERO);
        let confirmed = Lsn::from(live.confirmed.load(Ordering::Relaxed));
        let confirmed = server.map_or(confirmed, |(_, _, flushed)| confirmed.max(*flushed));
        let confirmed = Some(confirmed).filter(|lsn| *lsn > Lsn::ZERO);
        let transactions = live.transactions.load(Ordering::Relaxed);
        let decoded = live.decoded_after.load(Ordering::Relaxed);
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let pulse = live.pulse();
        let step = match (&ledger, &pulse) {
            (Some(ledger), _) if in_flight > 0 => Some(ledger.acknowledged()),
            (_, Some(pulse)) if pulse.works() => Some(pulse.beats()),
            _ => None,
        };
        let waiting_seconds = self.waiting((connector.to_owned(), name.clone()), step);
        Slot {
            server: server.map(|(slot, _, _)| slot.clone()),
            server_failure: seen.failure.clone(),
            received_lsn: received.map(|lsn| lsn.to_string()),
            received_lag: received.and_then(behind),
            confirmed_lsn: confirmed.map(|lsn| lsn.to_string()),
            confirmed_lag: confirmed.and_then(behind),
            decoded_seconds: (transactions > 0).then(|| seconds(decoded)),
            acknowledged_seconds: ledger.and_then(|ledger| ledger.behind_us()).map(seconds),
            records: count(&live.records),
            bytes: count(&live.bytes),
            transactions,
            in_flight,
            in_flight_bytes,
            waiting_seconds,
            retries: count(&live.retries),
            snapshot: live.snapshots.last_whole(),
            incremental: live.snapshots.last_incremental(),
            name,
        }
    }
}

impl Look {
    /// For how many seconds a pipeline has been at this step, 0 where it waits for nothing.
    fn waiting(&mut self, key: (String, String), step: Option<u64>) -> u64 {
        let Some(step) = step else {
            self.progress.remove(&key);
            return 0;
        };
        let now = Instant::now();
        let (known, since) = self.progress.entry(key).or_insert((step, now));
        if *known != step {
            (*known, *since) = (step, now);
        }
        since.elapsed().as_secs()
    }
}

/// Clocks differ: nothing is read before it was committed.
fn seconds(microseconds: i64) -> f64 {
    microseconds.max(0) as f64 / 1e6
}

/// The names of a connector's slots.
fn slots(config: &Arc<ConnectorConfig>) -> Vec<String> {
    match config.slots {
        1 => vec![config.slot.name.clone()],
        slots => config.with_slots(slots).into_iter().map(|config| config.slot.name).collect(),
    }
}

/// Why no incremental snapshot can be asked for, if so: what the configuration lacks.
pub(super) fn no_snapshot(config: &ConnectorConfig) -> Option<String> {
    if config.slots > 1 {
        return Some(
            "An incremental snapshot is for one slot's stream. Set headwater.slots to 1, wait until the task runs, and ask then"
                .to_owned(),
        );
    }
    if config.signals.table.is_none() && !config.signals.read_only {
        return Some(
            "An incremental snapshot marks its chunks in a signal table. Set signal.data.collection to one that the connector \
             captures, or read.only=true, which needs none"
                .to_owned(),
        );
    }
    None
}
