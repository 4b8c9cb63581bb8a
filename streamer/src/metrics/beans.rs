//! What Debezium counts in its two MBeans, `context=streaming` and `context=snapshot`, and what its metrics are asked for.
//!
//! A pipeline's beans are seen while it is there, as the MBeans are registered as long as the task is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use metrics::Label;

use super::labels::Labels;
use super::progress::SnapshotProgress;
use crate::config::ConnectorConfig;
use crate::publish::ledger::Ledger;

/// Those that are there.
static PRESENT: Mutex<Vec<Weak<Beans>>> = Mutex::new(Vec::new());

/// One pipeline's.
#[derive(Debug)]
pub struct Beans {
    /// Labels of our own metrics.
    pub(super) labels: Vec<Label>,
    /// `topic.prefix`, by which Debezium's are named.
    pub(super) prefix: String,
    /// What the configuration and several slots add to Debezium's.
    pub(super) more: Vec<Label>,
    /// `max.queue.size`.
    pub(super) queue_size: u64,
    /// `context=streaming`.
    pub streaming: Events,
    /// `context=snapshot`.
    pub snapshot: Events,
    /// Transactions with events.
    pub committed: AtomicU64,
    /// From the commit to when its newest event was seen, in milliseconds; -1 before the first.
    pub behind_ms: AtomicI64,
    /// Whether the slot is read.
    pub connected: AtomicBool,
    progress: Mutex<SnapshotProgress>,
    tables: Mutex<BTreeMap<String, Changes>>,
    queue: Mutex<Option<Queue>>,
}

/// What is under way to Kafka.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) ledger: Arc<Ledger>,
    /// How many bytes may be under way.
    pub(super) limit: usize,
}

/// The events of a bean.
#[derive(Debug, Default)]
pub struct Events {
    /// All of them.
    pub total: AtomicU64,
    /// Those that created a row.
    pub created: AtomicU64,
    /// Those that updated one.
    pub updated: AtomicU64,
    /// Those that deleted one.
    pub deleted: AtomicU64,
    /// Those that could not be written.
    pub erroneous: AtomicU64,
    /// When the last came, in Unix milliseconds; 0 for none.
    pub last_ms: AtomicI64,
}

/// The changes of a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Inserted rows.
    pub created: u64,
    /// Updated rows.
    pub updated: u64,
    /// Deleted rows.
    pub deleted: u64,
    /// Truncations.
    pub truncated: u64,
    /// Rows that an incremental snapshot, or one before streaming, read.
    pub read: u64,
}

impl Changes {
    /// How many there are.
    pub const fn total(&self) -> u64 {
        self.created + self.updated + self.deleted + self.truncated + self.read
    }

    /// So many more.
    pub const fn add(&mut self, more: &Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.deleted += more.deleted;
        self.truncated += more.truncated;
        self.read += more.read;
    }
}

impl Events {
    /// So many more, the last at this time.
    pub fn add(&self, events: &Changes, at_ms: i64) {
        for (counter, more) in [
            (&self.total, events.total()),
            (&self.created, events.created),
            (&self.updated, events.updated),
            (&self.deleted, events.deleted),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
        self.last_ms.store(at_ms, Ordering::Relaxed);
    }
}

impl Beans {
    /// A connector's, seen by nobody yet.
    pub(super) fn of(config: &ConnectorConfig, labels: &Labels) -> Arc<Self> {
        let all = labels.all();
        Arc::new(Self {
            more: all.iter().filter(|label| label.key() != "connector").cloned().collect(),
            labels: all,
            prefix: config.topic_prefix.clone(),
            queue_size: config.max_queue_size,
            streaming: Events::default(),
            snapshot: Events::default(),
            committed: AtomicU64::new(0),
            behind_ms: AtomicI64::new(-1),
            connected: AtomicBool::new(false),
            progress: Mutex::default(),
            tables: Mutex::default(),
            queue: Mutex::default(),
        })
    }

    /// From here on they are seen, until the last who counts in them is gone.
    pub fn show(self: &Arc<Self>) {
        lock(&PRESENT).push(Arc::downgrade(self));
    }

    /// All that are seen, in the order in which they came.
    pub(super) fn present() -> Vec<Arc<Self>> {
        let mut present = lock(&PRESENT);
        present.retain(|beans| beans.strong_count() > 0);
        present.iter().filter_map(Weak::upgrade).collect()
    }

    /// The snapshot's progress.
    pub fn progress(&self) -> MutexGuard<'_, SnapshotProgress> {
        lock(&self.progress)
    }

    /// So many changes more, by table.
    pub fn changed(&self, tables: impl Iterator<Item = (String, Changes)>) {
        let mut counted = lock(&self.tables);
        for (table, changes) in tables {
            counted.entry(table).or_default().add(&changes);
        }
    }

    /// The changes by table.
    pub(super) fn tables(&self) -> BTreeMap<String, Changes> {
        lock(&self.tables).clone()
    }

    /// This is what its records go through, and how many bytes may be under way.
    pub fn goes_through(&self, ledger: Arc<Ledger>, limit: usize) {
        *lock(&self.queue) = Some(Queue { ledger, limit });
    }

    pub(super) fn queue(&self) -> Option<Queue> {
        lock(&self.queue).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each is whole between any two statements that can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
