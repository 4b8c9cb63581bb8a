//! A scenario's folder: what is in the database, the connector's configuration, what happens, what Debezium wrote.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::record::Record;

/// A connector's configuration: texts by property.
pub(crate) type Config = Map<String, Value>;

/// A scenario, or a bad configuration.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Its folder's name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What is special about it.
    pub(crate) meta: Meta,
    /// What it changes in the base configuration; null removes a property.
    pub(crate) changes: Config,
    /// What happens once the slot streams.
    pub(crate) steps: Vec<Step>,
    /// What is blanked and left out beside the usual.
    pub(crate) patterns: Patterns,
}

/// `scenario.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Meta {
    /// What a reader should know.
    note: Option<String>,
    /// Patterns blanked in keys and values.
    volatile: Vec<String>,
    /// Topics where equal records in a row count once.
    dedupe: Vec<String>,
    /// Topics that are left out.
    ignore: Vec<String>,
    /// The golden holds hashes.
    pub(crate) hash_only: bool,
    /// Records' times are compared.
    pub(crate) timestamps: bool,
    /// `state`: the last image of each row only.
    pub(crate) compare: Option<String>,
    /// Whether the connector comes to stream.
    pub(crate) streaming: Option<bool>,
    /// Seconds of silence that end it.
    pub(crate) idle: f64,
    /// How many records to wait for, when not the golden's.
    pub(crate) raw_count: Option<usize>,
    /// Seconds that it may take.
    pub(crate) deadline: Option<f64>,
    /// Seconds that a bad configuration gets to fail.
    pub(crate) wait: Option<f64>,
}

/// One of `steps.json`. Its parts happen in the order they have here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Properties to change; null removes one.
    pub(crate) config: Config,
    /// A file for psql.
    pub(crate) sql: Option<String>,
    /// A signal into the connector's topic of signals.
    pub(crate) kafka_signal: Option<Value>,
    /// A signal into its file of signals.
    pub(crate) file_signal: Option<Value>,
    /// Seconds to wait.
    pub(crate) sleep: f64,
    /// Delete the connector.
    pub(crate) stop: bool,
    /// Put it again.
    pub(crate) start: bool,
    /// Both.
    pub(crate) restart: bool,
    /// Wait until the slot streams.
    pub(crate) wait_streaming: bool,
    /// Wait until that many records are there.
    pub(crate) wait_records: usize,
}

/// A scenario's regular expressions, with look-around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    volatile: Vec<fancy_regex::Regex>,
    dedupe: Vec<fancy_regex::Regex>,
    ignore: Vec<fancy_regex::Regex>,
    heartbeats: String,
}

impl Patterns {
    fn new(meta: &Meta, changes: &Config) -> anyhow::Result<Self> {
        let compile = |patterns: &[String]| {
            patterns.iter().map(|one| fancy_regex::Regex::new(one)).collect::<Result<Vec<_>, _>>()
        };
        let heartbeats = changes.get("topic.heartbeat.prefix").and_then(Value::as_str);
        Ok(Self {
            volatile: compile(&meta.volatile)?,
            dedupe: compile(&meta.dedupe)?,
            ignore: compile(&meta.ignore)?,
            heartbeats: heartbeats.unwrap_or("__debezium-heartbeat").to_owned(),
        })
    }

    /// Blanks what the scenario knows to be volatile.
    pub(crate) fn blank(&self, text: String) -> anyhow::Result<String> {
        self.volatile.iter().try_fold(text, |text, pattern| Ok(pattern.try_replacen(&text, 0, "<v>")?.into_owned()))
    }

    /// Whether a topic's equal records in a row count once.
    pub(crate) fn repeats(&self, topic: &str) -> anyhow::Result<bool> {
        Ok(self.is_heartbeat(topic) || matches(&self.dedupe, topic)?)
    }

    /// Whether a topic is left out.
    pub(crate) fn is_ignored(&self, topic: &str) -> anyhow::Result<bool> {
        matches(&self.ignore, topic)
    }

    /// Whether a topic's records are counted when records are waited for.
    pub(crate) fn counts(&self, topic: &str) -> anyhow::Result<bool> {
        Ok(!self.repeats(topic)? && !self.is_ignored(topic)?)
    }

    fn is_heartbeat(&self, topic: &str) -> bool {
        !self.heartbeats.is_empty() && topic.starts_with(&self.heartbeats)
    }
}

fn matches(patterns: &[fancy_regex::Regex], text: &str) -> anyhow::Result<bool> {
    for pattern in patterns {
        if pattern.is_match(text)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Scenario {
    /// Reads a folder.
    ///
    /// # Errors
    /// One of its files is not as it should be.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let name = folder.file_name().context("a folder without a name")?.to_string_lossy().into_owned();
        let meta: Meta = json(&folder.join("scenario.json"))?.unwrap_or_default();
        let changes: Config = json(&folder.join("config.json"))?.unwrap_or_default();
        let run = Step { sql: Some("run.sql".to_owned()), ..Step::default() };
        let run = if folder.join("run.sql").is_file() { vec![run] } else { Vec::new() };
        let steps = json(&folder.join("steps.json"))?.unwrap_or(run);
        let patterns = Patterns::new(&meta, &changes).with_context(|| folder.display().to_string())?;
        Ok(Self { name, folder: folder.to_owned(), meta, changes, steps, patterns })
    }

    /// The folders below `root` that `only` names, all when it names none: by number, name, or a pattern of the name.
    ///
    /// # Errors
    /// A pattern is none, or a folder cannot be read.
    pub(crate) fn pick(root: &Path, only: &[String]) -> anyhow::Result<Vec<Self>> {
        let number = |name: &str| name.split('-').next().map(str::to_owned);
        let patterns: Vec<(&str, regex::Regex)> = only
            .iter()
            .flat_map(|list| list.split(','))
            .map(|one| Ok((one, regex::Regex::new(one).with_context(|| format!("--only {one}"))?)))
            .collect::<anyhow::Result<_>>()?;
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
            .with_context(|| root.display().to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_number = |text: &str| text.trim_start_matches('b').bytes().all(|byte| byte.is_ascii_digit());
                patterns.is_empty()
                    || patterns.iter().any(|(text, pattern)| {
                        if is_number(text) { number(&name).as_deref() == Some(*text) } else { pattern.is_match(&name) }
                    })
            })
            .collect();
        folders.sort();
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    /// The base configuration with the scenario's changes.
    pub(crate) fn config(&self, mut base: Config) -> Config {
        change(&mut base, &self.changes);
        base
    }

    /// Whether two connectors on the same database would see each other's writes.
    pub(crate) fn writes_to_the_source(&self) -> bool {
        let has = |property: &str| self.changes.contains_key(property);
        has("signal.data.collection") || has("heartbeat.action.query")
    }

    /// What Debezium wrote, if it was recorded.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn golden(&self) -> anyhow::Result<Option<Vec<Record>>> {
        let file = self.folder.join("golden.jsonl");
        if !file.is_file() {
            return Ok(None);
        }
        let lines = std::fs::read_to_string(&file)?;
        let records = lines.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str);
        records.collect::<Result<_, _>>().map(Some).with_context(|| file.display().to_string())
    }

    /// How many records of a golden are waited for.
    ///
    /// # Errors
    /// A pattern of the scenario's cannot be applied.
    pub(crate) fn awaited(&self, golden: &[Record]) -> anyhow::Result<usize> {
        if let Some(count) = self.meta.raw_count {
            return Ok(count);
        }
        let repeats = |record: &Record| self.patterns.repeats(&record.topic);
        golden.iter().try_fold(0, |count, record| Ok(count + usize::from(!repeats(record)?)))
    }
}

/// Writes records as goldens keep them.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, records: &[Record]) -> anyhow::Result<()> {
    let mut lines = String::new();
    for record in records {
        lines.push_str(&serde_json::to_string(record)?);
        lines.push('\n');
    }
    std::fs::write(file, lines).with_context(|| file.display().to_string())
}

/// Changes a configuration; null removes a property.
pub(crate) fn change(config: &mut Config, changes: &Config) {
    for (property, value) in changes {
        if value.is_null() {
            config.remove(property);
        } else {
            config.insert(property.clone(), value.clone());
        }
    }
}

/// A file's JSON, nothing when there is no such file.
///
/// # Errors
/// It is not what is expected.
pub(crate) fn json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Option<T>> {
    if !file.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file)?;
    serde_json::from_str(&text).map(Some).with_context(|| file.display().to_string())
}
