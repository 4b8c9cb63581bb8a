//! What a connector's pipelines say of themselves to whoever looks at the page: written as it happens, read a few times a second.
//!
//! It outlives a task that is begun anew, so that counters go on.
//!
//! # Layout
//! - [`snapshots`]: how far snapshots are

pub mod snapshots;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use page::state::{Failure, now_ms};
use tokio::sync::mpsc;

use crate::capture::watchdog::Pulse;
use crate::metrics::beans::Changes;
use crate::publish::ledger::Ledger;
use crate::signal::Signal;
use snapshots::Snapshots;

/// How many failures are kept.
const FAILURES: usize = 5;

/// A connector's pipelines by their slots' names.
#[derive(Debug, Clone, Default)]
pub struct Lives(Arc<Mutex<BTreeMap<String, Arc<Live>>>>);

/// One pipeline.
#[derive(Debug, Default)]
pub struct Live {
    /// Records given to the producer.
    pub records: AtomicU64,
    /// Their keys' and values' bytes.
    pub bytes: AtomicU64,
    /// Transactions read whole.
    pub transactions: AtomicU64,
    /// Times that the task began anew by itself.
    pub retries: AtomicU64,
    /// What the slot was confirmed up to.
    pub confirmed: AtomicU64,
    /// From the last commit to its being read, in microseconds.
    pub decoded_after: AtomicI64,
    /// How far snapshots are.
    pub snapshots: Snapshots,
    tables: Mutex<BTreeMap<String, Changes>>,
    run: Mutex<Run>,
    failures: Mutex<VecDeque<Failure>>,
}

/// What is of one run of the pipeline.
#[derive(Debug, Default)]
struct Run {
    ledger: Weak<Ledger>,
    pulse: Weak<Pulse>,
    signals: Option<mpsc::Sender<Signal>>,
}

impl Lives {
    /// That of a slot.
    pub fn of(&self, slot: &str) -> Arc<Live> {
        locked(&self.0).entry(slot.to_owned()).or_default().clone()
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, Arc<Live>> {
        locked(&self.0).clone()
    }
}

impl Live {
    /// So many records with so many bytes are given to the producer.
    pub fn published(&self, bytes: usize) {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A transaction was read whole, that was committed then, in Unix microseconds.
    pub fn read(&self, commit_us: i64) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.decoded_after.store(crate::emit::now_ns() / 1000 - commit_us, Ordering::Relaxed);
    }

    /// So many changes more were published, by table.
    pub fn changed(&self, tables: &HashMap<String, Changes>) {
        let mut counted = locked(&self.tables);
        for (table, changes) in tables {
            match counted.get_mut(table) {
                Some(sum) => sum.add(changes),
                None => _ = counted.insert(table.clone(), *changes),
            }
        }
    }

    /// The changes published of each table.
    pub fn tables(&self) -> BTreeMap<String, Changes> {
        locked(&self.tables).clone()
    }

    /// This is the ledger of what is under way.
    pub fn has_ledger(&self, ledger: &Arc<Ledger>) {
        locked(&self.run).ledger = Arc::downgrade(ledger);
    }

    /// This beats where the log is received.
    pub fn has_pulse(&self, pulse: &Arc<Pulse>) {
        locked(&self.run).pulse = Arc::downgrade(pulse);
    }

    /// By this it is asked for something.
    pub fn hears(&self, signals: mpsc::Sender<Signal>) {
        locked(&self.run).signals = Some(signals);
    }

    /// What is under way, while it runs.
    pub fn ledger(&self) -> Option<Arc<Ledger>> {
        locked(&self.run).ledger.upgrade()
    }

    /// The beat, while it runs.
    pub fn pulse(&self) -> Option<Arc<Pulse>> {
        locked(&self.run).pulse.upgrade()
    }

    /// Asks the stream for something; `false` where none runs, or it is too busy to hear.
    pub fn ask(&self, signal: Signal) -> bool {
        locked(&self.run).signals.as_ref().is_some_and(|signals| signals.try_send(signal).is_ok())
    }

    /// Whether there is a stream that hears.
    pub fn is_listening(&self) -> bool {
        locked(&self.run).signals.as_ref().is_some_and(|signals| !signals.is_closed())
    }

    /// Something went wrong, that has this name in the catalogue of errors. The same once more takes its first place again.
    pub fn failed(&self, text: String, code: Option<&'static str>) {
        let mut failures = locked(&self.failures);
        failures.retain(|failure| failure.text != text);
        failures.push_front(Failure { at_ms: now_ms(), text, code });
        failures.truncate(FAILURES);
    }

    /// What went wrong, the newest first.
    pub fn failures(&self) -> Vec<Failure> {
        locked(&self.failures).iter().cloned().collect()
    }
}

/// Nothing that can panic happens under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
