//! What the source says of a connector's slots and tables: one small query a second, by one session, while somebody looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use page::state::streamer::ServerSlot;
use proto::lsn::Lsn;
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::source::{catalog, session};

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is asked which tables there are.
const TABLES: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// For how long it is asked when nobody looks any more.
const UNSEEN: Duration = Duration::from_secs(5);

/// A connector's server.
#[derive(Debug, Default)]
pub(super) struct Server {
    given: Option<BTreeMap<String, String>>,
    config: Option<Arc<ConnectorConfig>>,
    shared: Arc<Mutex<Shared>>,
    asking: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    looked: Option<Instant>,
    seen: Seen,
}

/// What it said last.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Each slot with the end of the log and what it is confirmed up to.
    pub(super) slots: BTreeMap<String, (ServerSlot, Lsn, Lsn)>,
    /// The connector's tables.
    pub(super) captured: Vec<String>,
    /// Why it said nothing.
    pub(super) failure: Option<String>,
}

impl Server {
    /// Somebody looks at a connector of this configuration; gives it as it is understood.
    pub(super) fn watch(
        &mut self,
        given: &BTreeMap<String, String>,
        worker: &WorkerConfig,
    ) -> Option<Arc<ConnectorConfig>> {
        if self.given.as_ref() != Some(given) {
            self.given = Some(given.clone());
            self.config = ConnectorConfig::parse(given, worker).ok().map(Arc::new);
            (self.shared, self.asking) = (Arc::default(), None);
        }
        let config = self.config.clone()?;
        self.lock().looked = Some(Instant::now());
        if self.asking.as_ref().is_none_or(|asking| asking.is_finished()) {
            let asking = ask(config.clone(), self.shared.clone());
            self.asking = Some(AbortOnDropHandle::new(tokio::spawn(asking)));
        }
        Some(config)
    }

    /// What the server said last.
    pub(super) fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        locked(&self.shared)
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks as long as somebody looks.
async fn ask(config: Arc<ConnectorConfig>, shared: Arc<Mutex<Shared>>) {
    let (mut client, mut listed) = (None, None::<Instant>);
    loop {
        let lists = listed.is_none_or(|listed| listed.elapsed() >= TABLES);
        match tokio::time::timeout(ANSWER, answer(&config, client.take(), lists)).await {
            Ok(Ok((session, slots, captured))) => {
                client = Some(session);
                let mut shared = locked(&shared);
                (shared.seen.slots, shared.seen.failure) = (slots, None);
                if let Some(captured) = captured {
                    listed = Some(Instant::now());
                    shared.seen.captured = captured;
                }
            }
            Ok(Err(error)) => locked(&shared).seen.failure = Some(error.to_string()),
            Err(_) => {
                let why = format!("The source does not answer within {} s", ANSWER.as_secs());
                locked(&shared).seen.failure = Some(why);
            }
        }
        tokio::time::sleep(EVERY).await;
        if locked(&shared).looked.is_none_or(|looked| looked.elapsed() >= UNSEEN) {
            return;
        }
    }
}

type Slots = BTreeMap<String, (ServerSlot, Lsn, Lsn)>;

async fn answer(
    config: &ConnectorConfig,
    client: Option<Client>,
    lists: bool,
) -> Result<(Client, Slots, Option<Vec<String>>), TaskError> {
    let client = match client.filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => session::connect(&config.connection, "page").await?,
    };
    let slots = slots(&client, &config.connection.dbname).await?;
    let captured = match lists {
        true => Some(captured(&client, config).await?),
        false => None,
    };
    Ok((client, slots, captured))
}

/// The connector's tables, without the one for signals.
pub(in crate::worker) async fn captured(client: &Client, config: &ConnectorConfig) -> Result<Vec<String>, TaskError> {
    let tables = catalog::captured_tables(client, config).await?;
    let names = tables.into_iter().map(|table| table.name);
    Ok(names.filter(|name| !config.signals.is_table(&name.schema, &name.name)).map(|name| name.to_string()).collect())
}

/// The slots of a database, with what `pg_replication_slots` has of them. What a version does not have is left out.
async fn slots(client: &Client, database: &str) -> Result<Slots, TaskError> {
    let rows = client
        .query(
            "SELECT slot_name::text, active, coalesce(to_jsonb(slot)->>'wal_status', ''), \
                    greatest(pg_wal_lsn_diff(log_end, restart_lsn), 0)::int8, \
                    (to_jsonb(slot)->>'safe_wal_size')::int8, confirmed_flush_lsn::text, log_end::text, \
                    (SELECT setting::int8 * 1024 * 1024 FROM pg_settings \
                     WHERE name = 'max_slot_wal_keep_size' AND setting::int8 >= 0) \
             FROM pg_replication_slots slot, \
                  (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) AS of (log_end) \
             WHERE database::text = $1",
            &[&database],
        )
        .await
        .map_err(|error| session::query_error("reading the slots' state", error))?;
    let size = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let slots = rows.iter().map(|row| {
        let lsn = |column: usize| row.get::<_, Option<&str>>(column).and_then(|text| text.parse().ok());
        let log_end: Lsn = lsn(6).unwrap_or(Lsn::ZERO);
        let slot = ServerSlot {
            active: row.get(1),
            wal_status: row.get(2),
            retained: size(row.get(3)).unwrap_or_default(),
            limit: size(row.get(7)),
            safe: row.get(4),
            log_end: log_end.to_string(),
        };
        (row.get(0), (slot, log_end, lsn(5).unwrap_or(Lsn::ZERO)))
    });
    Ok(slots.collect())
}
