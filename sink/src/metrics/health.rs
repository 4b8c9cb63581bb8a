//! How the sink is, and each topic.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use page::state::sink::{Copy, Partition, Sink, Step, Verified};
use page::state::{self, Failure, now_ms};
use serde_json::{Value, json};

use crate::error::SinkError;

/// How many failures are kept.
const FAILURES: usize = 5;
/// How many steps are.
const STEPS: usize = 12;

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
    group: Option<Standing>,
    topics: BTreeMap<String, Topic>,
    /// How changes are applied.
    mode: Option<&'static str>,
    steps: Vec<Step>,
    copy: Option<Copy>,
    verified: Option<Verified>,
    failures: VecDeque<Failure>,
}

impl State {
    /// Something went wrong, and where. The same once more takes its first place again.
    fn failed(&mut self, place: &str, why: &Standing) {
        let text = format!("{place}{}", why.text);
        self.failures.retain(|failure| failure.text != text);
        self.failures.push_front(Failure { at_ms: now_ms(), text, code: why.code });
        self.failures.truncate(FAILURES);
    }
}

impl State {
    fn is_healthy(&self) -> bool {
        self.group.is_none() && self.topics.values().all(|topic| topic.error().is_none())
    }
}

/// Why something stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name in the catalogue of errors; `None` where time mends it.
    code: Option<&'static str>,
    text: String,
}

impl From<&SinkError> for Standing {
    fn from(error: &SinkError) -> Self {
        Self { code: error.id(), text: error.to_string() }
    }
}

/// How a topic is, as far as it is this sink's.
#[derive(Debug, Default)]
struct Topic {
    applied: u64,
    set_aside: u64,
    /// Why all of it stands still, if it does.
    error: Option<Standing>,
    /// This sink's partitions, and why they stand still, if they do.
    partitions: BTreeMap<i32, Option<Standing>>,
    /// The offset behind the last record that was applied of each.
    nexts: BTreeMap<i32, i64>,
    /// When the newest change was committed in the source, and when in the target, in milliseconds since 1970.
    committed: Option<(i64, u64)>,
}

impl Topic {
    fn error(&self) -> Option<&Standing> {
        self.error.as_ref().or_else(|| self.partitions.values().find_map(Option::as_ref))
    }

    fn shown(&self, name: &str) -> state::sink::Topic {
        let partition = |(number, error): (&i32, &Option<Standing>)| Partition {
            number: *number,
            next: self.nexts.get(number).copied(),
            end: None,
            error: error.as_ref().map(|why| why.text.clone()),
        };
        state::sink::Topic {
            name: name.to_owned(),
            applied: self.applied,
            set_aside: self.set_aside,
            error: self.error().map(|why| why.text.clone()),
            lag_seconds: self.committed.map(|(source, target)| (target as f64 - source as f64).max(0.0) / 1000.0),
            applied_ms: self.committed.map(|(_, target)| target),
            partitions: self.partitions.iter().map(partition).collect(),
        }
    }

    fn report(&self) -> Value {
        let partitions: Vec<i32> = self.partitions.keys().copied().collect();
        let (error, code) = said(self.error());
        json!({
            "applied": self.applied, "set_aside": self.set_aside, "error": error, "code": code, "partitions": partitions,
        })
    }
}

fn said(why: Option<&Standing>) -> (Option<&str>, Option<&'static str>) {
    (why.map(|why| why.text.as_str()), why.and_then(|why| why.code))
}

impl Health {
    /// Says how changes are applied.
    pub fn applies_by(&self, mode: &'static str) {
        self.lock().mode = Some(mode);
    }

    /// A step of the start begins.
    pub fn begins(&self, step: &str) {
        self.at_step(step);
        let mut state = self.lock();
        if state.steps.len() == STEPS {
            state.steps.remove(0);
        }
        state.steps.push(Step { what: step.to_owned(), done: None, took_ms: None });
    }

    /// It is done, and what came of it.
    pub fn did(&self, what: &str, took: Duration) {
        if let Some(step) = self.lock().steps.last_mut() {
            step.done = Some(what.to_owned());
            step.took_ms = u64::try_from(took.as_millis()).ok();
        }
    }

    /// How far a copy is.
    pub fn copy(&self, copy: Copy) {
        self.lock().copy = Some(copy);
    }

    /// What came of comparing both databases.
    pub fn verified(&self, verified: Verified) {
        self.lock().verified = Some(verified);
    }

    /// A partition is applied up to here, exclusively.
    pub fn next(&self, topic: &str, partition: i32, next: i64) {
        self.lock().topics.entry(topic.to_owned()).or_default().nexts.insert(partition, next);
    }

    /// The newest change of a topic that was applied just now was committed in the source then, in milliseconds since 1970.
    pub fn committed(&self, topic: &str, ts_ms: i64) {
        self.lock().topics.entry(topic.to_owned()).or_default().committed = Some((ts_ms, now_ms()));
    }

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
    pub fn group(&self, error: Option<Standing>) -> bool {
        let mut state = self.lock();
        let is_new = state.group != error;
        if let Some(error) = error.as_ref().filter(|_| is_new) {
            state.failed("", error);
        }
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
            topic.nexts.remove(&partition);
        }
    }

    /// Why a partition of this sink stands still, `None` when it does not.
    pub fn partition(&self, topic: &str, partition: i32, error: Option<Standing>) {
        let mut state = self.lock();
        if let Some(known) = state.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(&partition)) {
            let is_new = *known != error;
            known.clone_from(&error);
            if let Some(error) = error.filter(|_| is_new) {
                state.failed(&format!("{topic}, partition {partition}: "), &error);
            }
        }
    }

    /// Why all of a topic stands still, `None` when it does not.
    pub fn topic(&self, topic: &str, error: Option<Standing>) {
        let mut state = self.lock();
        match error {
            Some(error) => {
                state.failed(&format!("{topic}: "), &error);
                state.topics.entry(topic.to_owned()).or_default().error = Some(error);
            }
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
        let (group, code) = said(state.group.as_ref());
        let report = json!({
            "status": if healthy { "healthy" } else { "unhealthy" },
            "step": state.step, "group": group, "code": code, "topics": topics,
        });
        (healthy, report)
    }

    /// The topics that are read, with as many partitions as are to be asked for to have this sink's.
    pub fn read_topics(&self) -> BTreeMap<String, usize> {
        let state = self.lock();
        let read = state.topics.iter().filter_map(|(name, topic)| {
            let last = topic.partitions.keys().max()?;
            Some((name.clone(), usize::try_from(*last).ok()? + 1))
        });
        read.collect()
    }

    /// Adds to what is said of the sink what is known here.
    pub fn fill(&self, sink: Sink) -> Sink {
        let state = self.lock();
        let topics = state.topics.iter().map(|(name, topic)| topic.shown(name));
        Sink {
            mode: state.mode,
            step: state.step.clone(),
            applies: state.consumes,
            steps: state.steps.clone(),
            standing: state.group.as_ref().map(|why| why.text.clone()),
            copy: state.copy.clone(),
            topics: topics.collect(),
            verified: state.verified.clone(),
            failures: state.failures.iter().cloned().collect(),
            ..sink
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
