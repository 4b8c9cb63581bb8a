//! How the sink is, and each topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// How the sink is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    step: String,
    consumes: bool,
    /// What keeps this sink out of the group.
    group: Option<String>,
    topics: BTreeMap<String, Topic>,
}

impl State {
    fn is_healthy(&self) -> bool {
        self.group.is_none() && self.topics.values().all(|topic| topic.error().is_none())
    }
}

/// How a topic is, as far as it is this sink's.
#[derive(Debug, Default)]
struct Topic {
    applied: u64,
    set_aside: u64,
    /// Why all of it stands still, if it does.
    error: Option<String>,
    /// This sink's partitions, and why they stand still, if they do.
    partitions: BTreeMap<i32, Option<String>>,
}

impl Topic {
    fn error(&self) -> Option<&str> {
        self.error.as_deref().or_else(|| self.partitions.values().find_map(Option::as_deref))
    }

    fn report(&self) -> Value {
        let partitions: Vec<i32> = self.partitions.keys().copied().collect();
        json!({
            "applied": self.applied, "set_aside": self.set_aside, "error": self.error(), "partitions": partitions,
        })
    }
}

impl Health {
    /// Says which step the sink is at.
    pub fn at_step(&self, step: &str) {
        self.lock().step = step.to_owned();
    }

    /// Changes are applied from here on.
    pub fn consumes(&self) {
        self.lock().consumes = true;
    }

    /// Whether consumers run, or have run.
    pub fn applies(&self) -> bool {
        self.lock().consumes
    }

    /// What keeps this sink out of the group, `None` for nothing; whether that is new.
    pub fn group(&self, error: Option<String>) -> bool {
        let mut state = self.lock();
        let is_new = state.group != error;
        state.group = error;
        is_new
    }

    /// Records of a topic were applied and set aside.
    pub fn applied(&self, topic: &str, applied: u64, set_aside: u64) {
        let mut state = self.lock();
        let topic = state.topics.entry(topic.to_owned()).or_default();
        topic.applied += applied;
        topic.set_aside += set_aside;
    }

    /// A partition is this sink's.
    pub fn reads(&self, topic: &str, partition: i32) {
        self.lock().topics.entry(topic.to_owned()).or_default().partitions.entry(partition).or_default();
    }

    /// It is no longer.
    pub fn leaves(&self, topic: &str, partition: i32) {
        if let Some(topic) = self.lock().topics.get_mut(topic) {
            topic.partitions.remove(&partition);
        }
    }

    /// Why a partition of this sink stands still, `None` when it does not.
    pub fn partition(&self, topic: &str, partition: i32, error: Option<String>) {
        if let Some(known) = self.lock().topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(&partition)) {
            *known = error;
        }
    }

    /// Why all of a topic stands still, `None` when it does not.
    pub fn topic(&self, topic: &str, error: Option<String>) {
        let mut state = self.lock();
        match error {
            Some(error) => state.topics.entry(topic.to_owned()).or_default().error = Some(error),
            None => {
                if let Some(topic) = state.topics.get_mut(topic) {
                    topic.error = None;
                }
            }
        }
    }

    /// Whether nothing stands still, and how many partitions of each topic do.
    pub fn standing_still(&self) -> (bool, Vec<(String, usize)>) {
        let state = self.lock();
        let standing = |topic: &Topic| match topic.error {
            Some(_) => topic.partitions.len().max(1),
            None => topic.partitions.values().flatten().count(),
        };
        let topics = state.topics.iter().map(|(name, topic)| (name.clone(), standing(topic))).collect();
        (state.is_healthy(), topics)
    }

    /// Whether nothing stands still, and the whole as JSON.
    pub fn report(&self) -> (bool, Value) {
        let state = self.lock();
        let healthy = state.is_healthy();
        let topics: serde_json::Map<String, Value> =
            state.topics.iter().map(|(name, topic)| (name.clone(), topic.report())).collect();
        let report = json!({
            "status": if healthy { "healthy" } else { "unhealthy" },
            "step": state.step, "group": state.group, "topics": topics,
        });
        (healthy, report)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
