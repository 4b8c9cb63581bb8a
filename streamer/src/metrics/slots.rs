//! What the server says of a connector's slots, asked now and then also while its task does not run: then nobody reads the slot,
//! and the server's disk fills.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use metrics::Label;
use tokio_util::task::AbortOnDropHandle;

use super::labels::Labels;
use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::source::session;
use crate::source::slot::{self, Usage};

/// How often the server is asked.
const ASK: Duration = Duration::from_secs(15);
/// How long is waited at most behind a failure: a server that refuses a password is not to be asked four times a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Those that are watched.
static PRESENT: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());

/// A connector's labels, and what was last said of its slots.
#[derive(Debug)]
struct Watched {
    labels: Vec<Label>,
    usages: Mutex<Vec<Usage>>,
}

/// Watches a connector's slots until it is dropped.
#[derive(Debug)]
pub struct WatchedSlots {
    _watched: AbortOnDropHandle<()>,
}

impl WatchedSlots {
    /// Begins to. `keeps_session` where the task runs: it has sessions anyway, and one more needs not be made each time.
    pub fn of(config: Arc<ConnectorConfig>, keeps_session: bool) -> Self {
        let watched = Arc::new(Watched { labels: Labels::of(&config).all(), usages: Mutex::default() });
        lock(&PRESENT).push(Arc::downgrade(&watched));
        let names = config.with_slots(config.slots).into_iter().map(|part| part.slot.name).collect();
        Self { _watched: AbortOnDropHandle::new(tokio::spawn(watch(watched, config, names, keeps_session))) }
    }

    /// What is known of all that are watched.
    pub(super) fn present() -> Vec<(Vec<Label>, Vec<Usage>)> {
        let mut present = lock(&PRESENT);
        present.retain(|watched| watched.strong_count() > 0);
        let watched = present.iter().filter_map(Weak::upgrade);
        watched.map(|watched| (watched.labels.clone(), lock(&watched.usages).clone())).collect()
    }
}

async fn watch(watched: Arc<Watched>, config: Arc<ConnectorConfig>, names: Vec<String>, keeps_session: bool) {
    let mut kept = None;
    let mut pause = ASK;
    loop {
        let ask = async {
            let client = match kept.take() {
                Some(client) => client,
                None => session::connect(&config.connection, "slot metrics").await?,
            };
            let usages = slot::usage(&client, &names).await?;
            Ok::<_, TaskError>((client, usages))
        };
        match tokio::time::timeout(ANSWER, ask).await {
            Ok(Ok((client, usages))) => {
                kept = Some(client).filter(|_| keeps_session);
                *lock(&watched.usages) = usages;
                pause = ASK;
            }
            // Nothing is better than what was true once; why it is so, the task says.
            not_known => {
                tracing::debug!(connector = %config.name, ?not_known, "asking the server for its slots");
                lock(&watched.usages).clear();
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic cannot leave either half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
