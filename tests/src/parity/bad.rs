//! Configurations that are refused: what the worker answers, or how the task fails.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use regex::Regex;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::compare::{Comparison, Mismatch};
use super::drive::connector_name;
use super::json::Difference;
use super::lane::Lane;
use super::scenario::Scenario;
use super::side::Side;

/// What must be the same, and then the texts.
const OUTCOME: [&str; 4] = ["put_status", "error_code", "connector_state", "task_state"];
const TEXTS: [&str; 2] = ["message", "trace_first_line"];
const WAIT: f64 = 20.0;

/// Puts a configuration; gives the outcome as `golden.json` keeps it.
///
/// # Errors
/// The worker does not answer.
pub(crate) async fn run(lane: &Lane, side: &Side, scenario: &Scenario) -> anyhow::Result<Map<String, Value>> {
    lane.clean().await?;
    let setup = scenario.folder.join("setup.sql");
    if setup.is_file() {
        lane.psql(&setup).await?;
    }
    let connector = connector_name(scenario)?;
    let outcome = outcome(lane, side, scenario, &connector).await;
    side.delete(&connector).await?;
    let text = serde_json::to_string(&outcome?)?.replace(&connector, "<connector>");
    Ok(serde_json::from_str(&text)?)
}

async fn outcome(lane: &Lane, side: &Side, scenario: &Scenario, connector: &str) -> anyhow::Result<Map<String, Value>> {
    let (status, answer) = side.put(connector, &scenario.config(lane.base())).await?;
    let mut found = Map::new();
    found.insert("put_status".to_owned(), status.into());
    if !matches!(status, 200 | 201) {
        for name in ["error_code", "message"] {
            found.insert(name.to_owned(), answer.get(name).cloned().unwrap_or_default());
        }
        return Ok(found);
    }
    let until = Instant::now() + Duration::from_secs_f64(scenario.meta.wait.unwrap_or(WAIT));
    while Instant::now() < until && side.check(connector).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let status = side.status(connector).await?.unwrap_or_default();
    let at = |pointer: &str| status.pointer(pointer).filter(|value| !value.is_null());
    for (name, pointer) in [("connector_state", "/connector/state"), ("task_state", "/tasks/0/state")] {
        found.insert(name.to_owned(), at(pointer).cloned().unwrap_or_default());
    }
    if let Some(trace) = at("/tasks/0/trace").or_else(|| at("/connector/trace")).and_then(Value::as_str) {
        let causes: Vec<&str> = trace.lines().filter(|line| line.starts_with("Caused by")).collect();
        found.insert("trace_first_line".to_owned(), trace.lines().next().unwrap_or_default().into());
        found.insert("caused_by".to_owned(), json!(causes));
    }
    Ok(found)
}

/// Compares two outcomes. Java's causes are not asked for.
pub(crate) fn compare(expected: &Map<String, Value>, got: &Map<String, Value>) -> Comparison {
    let mut result = Comparison { expected: 1, got: 1, ..Comparison::default() };
    let mut differences = |names: &[&str]| -> usize {
        let mut fields = Vec::new();
        for name in names {
            let text = |outcome: &Map<String, Value>| outcome.get(*name).map(without_what_varies);
            let (expected, got) = (text(expected), text(got));
            let is_nothing = |text: &Option<String>| text.as_deref().is_none_or(|text| text == "null");
            if expected != got && !(is_nothing(&expected) && is_nothing(&got)) {
                fields.push(Difference { path: (*name).to_owned(), expected, got });
            }
        }
        let count = fields.len();
        if count > 0 {
            result.mismatches.push(Mismatch { place: "answer".to_owned(), fields });
        }
        count
    };
    let (outcome, texts) = (differences(&OUTCOME), differences(&TEXTS));
    result.semantic = usize::from(outcome == 0);
    result.byte = usize::from(outcome + texts == 0);
    result
}

/// Connect words one failure with or without the exception's class, lists the plugins there are, and prints a configuration
/// with its password: none of that is asked for.
fn without_what_varies(value: &Value) -> String {
    static PATTERNS: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
        let regex = |pattern| Regex::new(pattern).expect("a pattern of this file");
        [
            (regex(r"^org\.apache\.kafka\.connect\.errors\.ConnectException: (Failed to find any class)"), "${1}"),
            (regex(r"(?s)(available connectors are: ).*"), "${1}..."),
            (regex(r"(?s)^(Connector config )\{.*\}( contains no connector type)"), "${1}{...}${2}"),
        ]
    });
    let Some(text) = value.as_str() else { return value.to_string() };
    PATTERNS.iter().fold(text.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

/// Writes an outcome as goldens keep it.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, outcome: &Map<String, Value>) -> anyhow::Result<()> {
    let mut text = Vec::new();
    outcome.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" ")))?;
    std::fs::write(file, text).with_context(|| file.display().to_string())
}
