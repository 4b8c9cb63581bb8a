//! The connector, from its file or as this sink needs it, and its deployment over REST.

use std::path::Path;
use std::time::{Duration, Instant};

use access::diagnosis::Finding;
use regex::{Regex, RegexBuilder};
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::services::deepest;
use super::worker::WorkerUrl;
use crate::avro::{self, Converters};
use crate::config::{Mode, RunConfig};
use crate::consume::{Order, TransactionTopics};
use crate::error::SinkError;
use crate::parse::handling::Handling;

/// A connector as its file describes it.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// `slot.name`.
    pub slot: String,
    /// `publication.name`.
    pub publication: String,
    /// `publication.autocreate.mode`.
    pub autocreate: String,
    /// How it writes its records.
    pub handling: Handling,
    /// What its records are written in.
    pub converters: Converters,
    config: Map<String, Value>,
}

/// Settings without which records do not say all that the target needs.
const REQUIRED: [(&str, &str, &str); 3] = [
    ("snapshot.mode", "no_data", "the sink copies the tables itself"),
    ("slot.drop.on.stop", "false", "a dropped slot loses what is not in Kafka yet"),
    ("skipped.operations", "none", "Debezium leaves truncates out otherwise"),
];

/// The setting by which a converter leaves a NULL that has a default a NULL.
const NULLS: (&str, &str) = ("value.converter.replace.null.with.default", "false");
const NULLS_IN_AVRO: (&str, &str) = ("value.converter.ignore.default.for.nullables", "true");

/// Those of [`REQUIRED`] that Debezium has as its own defaults.
const DEFAULT_FITS: [&str; 1] = ["slot.drop.on.stop"];

impl Connector {
    /// The connector of `--connector`, checked, or without it one that fits this sink. What it does not say about reaching
    /// the source is taken from `--source`.
    ///
    /// # Errors
    /// Everything that is wrong with the file, values left out.
    pub fn of(run: &RunConfig) -> Result<Self, Finding> {
        match &run.connector {
            Some(file) => Self::read(file, run),
            None => Self::checked(standard(&run.topic_prefix, run.mode), run)
                .map_err(|why| Finding::error("connector-file", why, "Name a connector that fits with --connector")),
        }
    }

    fn read(file: &Path, run: &RunConfig) -> Result<Self, Finding> {
        let fail = |why: String| {
            Finding::error(
                "connector-file",
                format!("connector file {}: {why}", file.display()),
                "Expected is {\"name\": \"…\", \"config\": {…}}, changed as that says; without --connector the sink makes a connector that \
                 fits",
            )
        };
        let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
        let json = serde_json::from_str(&text)
            .map_err(|error| fail(format!("not JSON (line {}, column {})", error.line(), error.column())))?;
        Self::checked(json, run).map_err(fail)
    }

    fn checked(json: Value, run: &RunConfig) -> Result<Self, String> {
        let name = json.get("name").and_then(Value::as_str).ok_or("it has no \"name\"")?;
        let config = json.get("config").and_then(Value::as_object);
        let mut config = config.ok_or("it has no \"config\" object")?.clone();
        let tls = run.source.tls();
        for (key, value) in [
            ("database.hostname", Some(run.source.host())),
            ("database.port", Some(run.source.port().to_string())),
            ("database.user", Some(run.source.user().to_owned())),
            // Never the password file's: connectors are kept in Kafka, and the worker has a file of its own.
            ("database.password", run.source.given_password()),
            ("database.dbname", Some(run.source.name().to_owned())),
            ("database.sslmode", tls.mode.map(|mode| mode.as_str().to_owned())),
            ("database.sslrootcert", tls.root.clone()),
            ("database.sslcert", tls.cert.clone()),
            ("database.sslkey", tls.key.clone()),
            ("topic.prefix", Some(run.topic_prefix.clone())),
        ] {
            if let Some(value) = value {
                config.entry(key).or_insert(Value::String(value));
            }
        }
        let text = |key: &str, default: &str| match config.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => default.to_owned(),
        };
        let mut faults = Vec::new();
        for (key, required, why) in REQUIRED {
            let default = if DEFAULT_FITS.contains(&key) { required } else { "" };
            let is = text(key, default);
            let fits =
                is.eq_ignore_ascii_case(required) || (key == "snapshot.mode" && is.eq_ignore_ascii_case("never"));
            if !fits {
                faults.push(format!("{key} must be {required}: {why}"));
            }
        }
        let (key, required) = if text("value.converter", "").trim() == avro::CLASS { NULLS_IN_AVRO } else { NULLS };
        if !text(key, "").eq_ignore_ascii_case(required) {
            faults.push(format!("{key} must be {required}: a NULL would become the column's default"));
        }
        if text("topic.prefix", "") != run.topic_prefix {
            faults.push(format!("topic.prefix differs from --topic-prefix {}", run.topic_prefix));
        }
        let handling = Handling::of(&config).map_err(|wrong| faults.extend(wrong));
        let converters = Converters::of_config(&config).map_err(|wrong| faults.push(wrong)).unwrap_or_default();
        let Some(handling) = handling.ok().filter(|_| faults.is_empty()) else {
            return Err(format!("the target would not become equal with it:\n  {}", faults.join("\n  ")));
        };
        Ok(Self {
            name: name.to_owned(),
            slot: text("slot.name", "debezium"),
            publication: text("publication.name", "dbz_publication"),
            autocreate: text("publication.autocreate.mode", "all_tables").to_ascii_lowercase(),
            handling,
            converters,
            config,
        })
    }

    /// The topics that transactions are put together with.
    pub fn transaction_topics(&self, run: &RunConfig) -> TransactionTopics {
        let name = self.config.get("topic.transaction").and_then(Value::as_str).map_or("transaction", str::trim);
        TransactionTopics {
            transaction: format!("{}.{name}", run.topic_prefix),
            message: format!("{}.message", run.topic_prefix),
        }
    }

    /// In which order what it publishes is applied.
    ///
    /// # Errors
    /// Where whole transactions are asked for, and its records do not say what belongs together.
    pub fn order(&self, run: &RunConfig) -> Result<Order, Finding> {
        let text = |key: &str, default: &str| {
            self.config.get(key).and_then(Value::as_str).map_or(default, str::trim).to_owned()
        };
        let delimiter = text("topic.delimiter", ".");
        let has_metadata = text("provide.transaction.metadata", "false").eq_ignore_ascii_case("true");
        let lacks = [
            (
                !has_metadata,
                "provide.transaction.metadata is not true: changes do not say which transaction they are of",
            ),
            (self.handling.unwraps(), "a transform takes changes out of their envelopes, which say what they are of"),
            (delimiter != ".", "topic.delimiter is not a point"),
            (
                !text("transforms", "").is_empty() && run.mode == Mode::Auto,
                "transforms may drop records or give them other topics, and a transaction would never be whole",
            ),
        ];
        let lacks: Vec<&str> = lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, why)| why).collect();
        match run.mode {
            Mode::Table => Ok(Order::Tables),
            Mode::Auto if !lacks.is_empty() => {
                tracing::info!("changes are applied table by table: {}", lacks.join("; "));
                Ok(Order::Tables)
            }
            Mode::Transaction if !lacks.is_empty() => Err(Finding::error(
                "transaction-mode",
                format!(
                    "whole transactions (--mode transaction) cannot be applied with connector {}: {}",
                    self.name,
                    lacks.join("; ")
                ),
                "Set provide.transaction.metadata=true in the connector and leave transforms out, or run the sink with --mode table",
            )),
            Mode::Auto | Mode::Transaction => Ok(Order::Transactions(self.transaction_topics(run))),
        }
    }

    /// Whether the connector's lists let a table pass.
    ///
    /// # Errors
    /// Stop for a pattern that is no regular expression.
    pub fn captures(&self, schema: &str, table: &str) -> Result<bool, SinkError> {
        Ok(self.passes("schema", schema)? && self.passes("table", &format!("{schema}.{table}"))?)
    }

    /// Whether the connector's lists let logical decoding messages of a prefix pass.
    ///
    /// # Errors
    /// Stop for a pattern that is no regular expression.
    pub fn passes_message(&self, prefix: &str) -> Result<bool, SinkError> {
        self.passes("message.prefix", prefix)
    }

    fn passes(&self, of: &str, name: &str) -> Result<bool, SinkError> {
        for (kind, wanted) in [("include", true), ("exclude", false)] {
            let key = format!("{of}.{kind}.list");
            let list = self.config.get(&key).and_then(Value::as_str).unwrap_or_default();
            if !list.trim().is_empty() {
                let matches = patterns(&key, list)?.iter().any(|pattern| pattern.is_match(name));
                return Ok(matches == wanted);
            }
        }
        Ok(true)
    }

    /// Whether a task's configuration lets the same tables pass.
    pub fn has_same_lists(&self, task: &Value) -> bool {
        ["schema.include.list", "schema.exclude.list", "table.include.list", "table.exclude.list"].iter().all(|key| {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            text(self.config.get(*key)) == text(task.get(*key))
        })
    }

    /// Whether the worker has it and its task has failed: what the worker says of that.
    ///
    /// # Errors
    /// Retry when the worker does not answer.
    pub async fn failure(&self, config: &RunConfig) -> Result<Option<Finding>, SinkError> {
        let url = &config.connect_url;
        let client = url.client(config.connect_ca.as_deref())?;
        let answer = client.get(url.at(&format!("/connectors/{}/status", self.name))).send().await;
        let answer =
            answer.map_err(|error| SinkError::retry(format!("asking for the connector: {}", deepest(&error))))?;
        let status: Value = answer.json().await.unwrap_or_default();
        let state = status.pointer("/tasks/0/state").and_then(Value::as_str);
        Ok((state == Some("FAILED")).then(|| self.failed(&status)))
    }

    fn failed(&self, status: &Value) -> Finding {
        Finding::error(
            "connector-failed",
            format!(
                "the task of connector {} failed; the slot keeps the changes meanwhile. The worker says:\n{}",
                self.name,
                status.pointer("/tasks/0/trace").and_then(Value::as_str).unwrap_or_default()
            ),
            format!(
                "Mend what it says, and start the sink, or POST /connectors/{}/restart?includeTasks=true",
                self.name
            ),
        )
    }

    /// Puts the connector and waits until connector and task run.
    ///
    /// # Errors
    /// Stop with the worker's words when it refuses, or the task fails; retry at the deadline.
    pub async fn deploy(&self, config: &RunConfig) -> Result<(), SinkError> {
        let (url, within) = (&config.connect_url, config.deadline);
        let client = url.client(config.connect_ca.as_deref())?;
        let deadline = Instant::now() + within;
        self.put(&client, url, deadline).await?;
        let mut last = String::new();
        while Instant::now() < deadline {
            let answer = client.get(url.at(&format!("/connectors/{}/status", self.name))).send().await;
            let status: Value = match answer {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(error) => Value::String(deepest(&error)),
            };
            let state = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match (state("/connector/state"), state("/tasks/0/state")) {
                ("RUNNING", "RUNNING") => return Ok(()),
                (_, "FAILED") => return Err(self.failed(&status).into()),
                ("PAUSED" | "STOPPED", _) => {
                    // Somebody paused it; a writer that was started again means it to run.
                    client
                        .put(url.at(&format!("/connectors/{}/resume", self.name)))
                        .send()
                        .await
                        .map_err(|error| SinkError::retry(format!("resuming the connector: {}", deepest(&error))))?;
                }
                _ => {}
            }
            last = status.to_string();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(SinkError::retry(format!(
            "connector {} did not come to run within {} s; its status is {last}",
            self.name,
            within.as_secs()
        )))
    }

    async fn put(&self, client: &reqwest::Client, url: &WorkerUrl, deadline: Instant) -> Result<(), SinkError> {
        let body = Value::Object(self.config.clone()).to_string();
        loop {
            let answer = client
                .put(url.at(&format!("/connectors/{}/config", self.name)))
                .header("content-type", "application/json")
                .body(body.clone())
                .send()
                .await
                .map_err(|error| SinkError::retry(format!("deploying the connector: {}", deepest(&error))))?;
            let status = answer.status();
            if status.is_success() {
                return Ok(());
            }
            let text = answer.text().await.unwrap_or_default();
            // A Java worker answers 409 while its group rebalances, and 500 or 503 while it starts.
            let passes = status == StatusCode::CONFLICT
                || status.is_server_error()
                || status == StatusCode::NOT_FOUND
                || is_cut_off(&text);
            if !passes || Instant::now() > deadline {
                let message = serde_json::from_str::<Value>(&text)
                    .ok()
                    .and_then(|answer| answer.get("message").and_then(Value::as_str).map(str::to_owned))
                    .unwrap_or(text);
                return Err(SinkError::stop(
                    "connector-refused",
                    format!("the worker does not take connector {} (HTTP {}): {message}", self.name, status.as_u16()),
                ));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Whether a worker refuses a configuration only because it did not get through to the source, which it asks while it looks at it: the
/// streamer's words, and those of Debezium's driver.
fn is_cut_off(answer: &str) -> bool {
    ["The connection to PostgreSQL at ", "The connection attempt failed", "refused. Check that the hostname"]
        .iter()
        .any(|words| answer.contains(words))
}

/// A connector whose records say all that the target needs, named after its topics' prefix.
fn standard(prefix: &str, mode: Mode) -> Value {
    // PostgreSQL allows no other characters in a slot's name.
    let name: String = prefix
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' })
        .collect();
    let mut config = serde_json::json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "slot.name": format!("{name}_slot"),
        "publication.name": format!("{name}_publication"),
        "heartbeat.interval.ms": "10000",
        "provide.transaction.metadata": if mode == Mode::Table { "false" } else { "true" },
        // As numbers they do not say which intervals they were.
        "interval.handling.mode": "string",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    });
    for (key, value) in REQUIRED.iter().map(|(key, value, _)| (*key, *value)).chain([NULLS]) {
        config[key] = value.into();
    }
    serde_json::json!({ "name": format!("{prefix}-connector"), "config": config })
}

/// Debezium's lists: separated by commas, each matching a whole name in any case.
fn patterns(key: &str, list: &str) -> Result<Vec<Regex>, SinkError> {
    list.split(',')
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .map(|pattern| {
            RegexBuilder::new(&format!("^(?:{pattern})$")).case_insensitive(true).build().map_err(|error| {
                SinkError::stop("connector-config", format!("{key}: {pattern} is not a regular expression: {error}"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Arguments, Command};

    fn run(connector: Option<&Path>) -> RunConfig {
        let mut arguments =
            vec!["sink", "run", "--source", "postgres://u:p@one:5433/db", "--target", "postgres://u:p@two/db"];
        arguments.extend(["--bootstrap-servers", "k:9092", "--connect-url", "http://c", "--topic-prefix", "My-Shop"]);
        arguments.extend(connector.and_then(Path::to_str).into_iter().flat_map(|file| ["--connector", file]));
        match Arguments::try_parse_from(arguments).map(|arguments| arguments.command) {
            Ok(Command::Run(run)) => *run,
            other => panic!("{other:?}"),
        }
    }

    fn file(json: &Value) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json.to_string()).unwrap();
        file
    }

    #[test]
    fn without_a_file_the_connector_is_named_after_the_prefix_and_reaches_the_source() {
        let connector = Connector::of(&run(None)).unwrap();
        assert_eq!((connector.name.as_str(), connector.slot.as_str()), ("My-Shop-connector", "my_shop_slot"));
        assert_eq!(
            (&connector.config["database.hostname"], &connector.config["database.port"]),
            (&"one".into(), &"5433".into())
        );
        assert_eq!(connector.config["topic.prefix"], "My-Shop");
    }

    #[test]
    fn a_file_under_which_the_target_would_differ_is_refused_with_all_reasons_and_no_values() {
        let config = serde_json::json!({
            "topic.prefix": "other", "snapshot.mode": "initial", "database.password": "hidden-value",
            "skipped.operations": "none", "value.converter.replace.null.with.default": "false",
            "time.precision.mode": "hidden-value", "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.tombstone.handling.mode": "drop",
        });
        let file = file(&serde_json::json!({ "name": "c", "config": config }));
        let error = Connector::of(&run(Some(file.path()))).unwrap_err().to_string();
        assert!(error.contains("snapshot.mode must be no_data") && error.contains("topic.prefix differs"), "{error}");
        assert!(error.contains("time.precision.mode must be one of") && error.contains("must not be drop"), "{error}");
        assert!(!error.contains("hidden-value") && !error.contains("skipped"), "{error}");
    }

    #[test]
    fn a_worker_that_is_cut_off_from_the_source_is_asked_again_and_one_that_is_refused_there_is_not() {
        let validating = "Connector configuration is invalid and contains the following 1 error(s):\nError while validating connector config: ";
        for passes in ["The connection to PostgreSQL at h:1 failed: early eof", "The connection attempt failed."] {
            assert!(is_cut_off(&format!("{validating}{passes}")), "{passes}");
        }
        for stays in ["FATAL: password authentication failed for user \"u\"", "FATAL: database \"d\" does not exist"] {
            assert!(!is_cut_off(&format!("{validating}{stays}")), "{stays}");
        }
    }

    #[test]
    fn lists_match_whole_names_in_any_case() {
        let mut config = standard("My-Shop", Mode::Auto)["config"].clone();
        config["table.include.list"] = "public.Orders, public.item.*".into();
        let file = file(&serde_json::json!({ "name": "c", "config": config }));
        let connector = Connector::of(&run(Some(file.path()))).unwrap();
        let captures = |table| connector.captures("public", table).unwrap();
        assert!(captures("orders") && captures("items") && !captures("old_orders"));
    }
}
