//! What the page shows, put together while somebody looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::page::state;
use ::page::state::sink::Sink;
use tokio_util::task::AbortOnDropHandle;

use super::health::Health;
use crate::config::{JdbcConfig, RunConfig, VerifyConfig};
use crate::consume::topics::{Ends, Offsets};
use crate::kafka::Kafka;

/// How often Kafka is asked where its topics end.
const EVERY: Duration = Duration::from_secs(1);
/// For how long it is asked when nobody looks any more.
const UNSEEN: Duration = Duration::from_secs(5);

/// What is known of a program from its command line.
#[derive(Debug, Default)]
pub struct About {
    command: &'static str,
    prefix: Option<String>,
    target: Option<String>,
    worker: Option<String>,
    kafka: Option<Kafka>,
}

impl About {
    /// `sink run`.
    pub fn run(config: &RunConfig) -> Self {
        Self {
            command: "run",
            prefix: Some(config.topic_prefix.clone()),
            target: Some(config.target.address()),
            worker: Some(config.connect_url.at("/")),
            kafka: Some(config.kafka.clone()),
        }
    }

    /// `sink jdbc`: its connector says the rest.
    pub fn jdbc(config: &JdbcConfig) -> Self {
        Self { command: "jdbc", kafka: Some(config.kafka.clone()), ..Self::default() }
    }

    /// `sink verify --watch`.
    pub fn verify(config: &VerifyConfig) -> Self {
        Self { command: "verify", target: Some(config.target.address()), ..Self::default() }
    }
}

/// Looks at a sink.
pub(super) struct Look {
    about: About,
    health: Health,
    started: Instant,
    shared: Arc<Mutex<Shared>>,
    asking: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    looked: Option<Instant>,
    ends: Offsets,
}

impl Look {
    /// At one that started now.
    pub(super) fn new(about: About, health: Health) -> Self {
        Self { about, health, started: Instant::now(), shared: Arc::default(), asking: None }
    }

    /// How it is.
    pub(super) fn look(&mut self) -> Sink {
        let sink = self.health.fill(Sink {
            about: state::About::new("sink", env!("CARGO_PKG_VERSION"), self.started),
            command: self.about.command,
            prefix: self.about.prefix.clone(),
            target: self.about.target.clone(),
            worker: self.about.worker.clone(),
            mode: None,
            step: String::new(),
            applies: false,
            steps: Vec::new(),
            standing: None,
            copy: None,
            topics: Vec::new(),
            verified: None,
            failures: Vec::new(),
        });
        self.with_ends(sink)
    }

    fn with_ends(&mut self, mut sink: Sink) -> Sink {
        let Some(kafka) = &self.about.kafka else { return sink };
        locked(&self.shared).looked = Some(Instant::now());
        if sink.applies && self.asking.as_ref().is_none_or(|asking| asking.is_finished()) {
            let asking = ask(kafka.clone(), self.health.clone(), self.shared.clone());
            self.asking = Some(AbortOnDropHandle::new(tokio::spawn(asking)));
        }
        let shared = locked(&self.shared);
        for topic in &mut sink.topics {
            for partition in &mut topic.partitions {
                partition.end = shared.ends.get(&(topic.name.clone(), partition.number)).copied();
            }
        }
        sink
    }
}

/// Nothing that can panic happens under the lock.
fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks where the topics end as long as somebody looks.
async fn ask(kafka: Kafka, health: Health, shared: Arc<Mutex<Shared>>) {
    let ends = match Ends::new(&kafka) {
        Ok(ends) => ends,
        Err(error) => return tracing::debug!(%error, "asking where the topics end"),
    };
    loop {
        match ends.of(health.read_topics()).await {
            Ok(offsets) => locked(&shared).ends = offsets,
            Err(error) => tracing::debug!(%error, "asking where the topics end"),
        }
        tokio::time::sleep(EVERY).await;
        if locked(&shared).looked.is_none_or(|looked| looked.elapsed() >= UNSEEN) {
            return;
        }
    }
}
