//! Every table's state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// How the sink is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default, Serialize)]
struct State {
    step: String,
    topics: BTreeMap<String, TopicHealth>,
}

/// How a topic's consumer is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TopicHealth {
    /// Records applied since the start.
    pub applied: u64,
    /// Records set aside since the start.
    pub set_aside: u64,
    /// Why it stands still, if it does.
    pub error: Option<String>,
}

impl Health {
    /// Says which step the sink is at.
    pub fn at_step(&self, step: &str) {
        self.lock().step = step.to_owned();
    }

    /// Whether consumers run, or have run.
    pub fn applies(&self) -> bool {
        !self.lock().topics.is_empty()
    }

    /// Changes a topic's state.
    pub fn topic(&self, topic: &str, change: impl FnOnce(&mut TopicHealth)) {
        change(self.lock().topics.entry(topic.to_owned()).or_default());
    }

    /// Whether nothing stands still, and the whole as JSON.
    pub fn report(&self) -> (bool, serde_json::Value) {
        let state = self.lock();
        let healthy = state.topics.values().all(|topic| topic.error.is_none());
        let mut report = serde_json::json!(*state);
        if let Some(report) = report.as_object_mut() {
            report.insert("status".to_owned(), if healthy { "healthy" } else { "unhealthy" }.into());
        }
        (healthy, report)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
