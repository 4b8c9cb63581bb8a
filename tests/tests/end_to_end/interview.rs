//! One and the same interview with two workers, Kafka Connect and the streamer.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stack::wait::{Condition, wait_until};
use stack::worker::Rest;

/// What was asked, and what came.
pub(crate) type Answer = (String, u16, Value);

/// Asks one worker everything; the connector's name in the answers is replaced by NAME.
pub(crate) struct Interview<'a> {
    pub(crate) rest: Rest,
    pub(crate) name: &'a str,
    pub(crate) answers: Vec<Answer>,
}

impl Interview<'_> {
    /// Asks, and keeps the answer.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<()> {
        let path = path.replace("NAME", self.name);
        let body = body.map(Value::to_string);
        let (status, answer) = self.rest.request(method.clone(), &path, body.as_deref()).await?;
        self.note(&format!("{method} {path}"), status, answer);
        Ok(())
    }

    /// Keeps an answer.
    pub(crate) fn note(&mut self, what: &str, status: u16, mut answer: Value) {
        neutral(&mut answer);
        let mut text = answer.to_string().replace(self.name, "NAME");
        // Where a plugin was found is the machine's affair, and Connect names the exception at one request and not at another.
        if let Some((before, rest)) = text.split_once("location='") {
            let after = rest.split_once('\'').map_or("", |(_, after)| after);
            text = format!("{before}location='…'{after}");
        }
        let text = text.replace("org.apache.kafka.connect.errors.ConnectException: Failed to find", "Failed to find");
        let answer = serde_json::from_str(&text).unwrap_or(answer);
        self.answers.push((what.replace(self.name, "NAME"), status, answer));
    }

    /// Waits until connector and task are in a state; a stopped connector has no task.
    pub(crate) async fn state(&self, state: &str) -> anyhow::Result<()> {
        wait_until(&format!("{} to be {state}", self.name), Duration::from_secs(60), async || {
            let (_, status) = self.rest.get(&format!("/connectors/{}/status", self.name)).await?;
            Ok(if is_in(&status, state) { Condition::Met(()) } else { Condition::NotYet(status.to_string()) })
        })
        .await
    }

    /// Asks for all connectors until this one and its task are in a state, and keeps that very answer: a restart goes through other
    /// states, and a later answer could have one of them.
    pub(crate) async fn ask_until(&mut self, list: &str, state: &str) -> anyhow::Result<()> {
        let (status, answer) =
            wait_until(&format!("{} to be {state}", self.name), Duration::from_secs(60), async || {
                let (status, answer) = self.rest.get(list).await?;
                let of_connector = answer.pointer(&format!("/{}/status", self.name));
                Ok(if of_connector.is_some_and(|status| is_in(status, state)) {
                    Condition::Met((status, answer))
                } else {
                    Condition::NotYet(answer.to_string())
                })
            })
            .await?;
        self.note(&format!("GET {list}"), status, answer);
        Ok(())
    }

    /// Has a configuration validated. One note for each property, so that a difference is small.
    pub(crate) async fn validate(&mut self, what: &str, plugin: &str, config: &Value) -> anyhow::Result<()> {
        let path = format!("/connector-plugins/{plugin}/config/validate");
        let (status, mut answer) = self.rest.put(&path, config).await?;
        let configs = answer.get_mut("configs").map(Value::take);
        for mut config in configs.iter().flat_map(|configs| configs.as_array()).flatten().cloned() {
            // The worker's own choice of converters.
            if let Some(recommended) = config.pointer_mut("/value/recommended_values")
                && recommended[0].as_str().is_some_and(|class| class.contains("onverter"))
            {
                recommended.take();
            }
            self.note(&format!("{what}: {}", config["value"]["name"]), status, config);
        }
        self.note(what, status, answer);
        Ok(())
    }
}

/// Whether a connector and its task are in a state; a stopped connector has no task.
fn is_in(status: &Value, state: &str) -> bool {
    let is = |pointer: &str| status.pointer(pointer).and_then(Value::as_str) == Some(state);
    is("/connector/state") && (is("/tasks/0/state") || state == "STOPPED" && status.pointer("/tasks/0").is_none())
}

/// Makes equal what may differ: the worker's address and version, ports, and what only says where a request came to.
fn neutral(answer: &mut Value) {
    match answer {
        Value::Object(object) => {
            for (key, value) in object {
                let differs = ["worker_id", "commit", "kafka_cluster_id", "trace", "database.dbname", "last_modified"];
                match key.as_str() {
                    key if differs.contains(&key) => *value = json!("…"),
                    _ => neutral(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(neutral),
        _ => {}
    }
}

/// What the two said differently, as text; empty where they agree.
pub(crate) fn differences(mut ours: Vec<Answer>, theirs: &[Answer]) -> String {
    let mut differences = String::new();
    for theirs in theirs {
        // The same question may be asked again: in order.
        let at = ours.iter().position(|ours| ours.0 == theirs.0);
        let ours = at.map(|at| ours.remove(at));
        if ours.as_ref() != Some(theirs) {
            let (status, answer) = ours.map_or((0, Value::Null), |ours| (ours.1, ours.2));
            differences +=
                &format!("{}\n  Connect:  {} {}\n  streamer: {status} {answer}\n", theirs.0, theirs.1, theirs.2);
        }
    }
    for (what, ..) in ours {
        differences += &format!("{what}\n  only the streamer says this\n");
    }
    differences
}
