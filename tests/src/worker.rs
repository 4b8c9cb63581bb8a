//! What stands between PostgreSQL and Kafka: our streamer, or Kafka Connect with Debezium, both behind one REST API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::artifacts::Artifacts;
use crate::kafka::{Jvm, java};
use crate::process::Process;
use crate::wait::{Condition, wait_until};

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    rest: Rest,
}

/// How a worker is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Kafka is.
    pub bootstrap_servers: String,
    /// The REST API's port.
    pub port: u16,
    /// The group's name, which names its topics too.
    pub group: String,
    /// Worker properties beside those.
    pub more: Vec<(&'static str, String)>,
    /// Variables of its process beside those.
    pub environment: Vec<(&'static str, String)>,
}

impl Settings {
    /// The worker's properties: those of the compose file.
    fn properties(&self) -> BTreeMap<String, String> {
        let group = &self.group;
        [
            ("bootstrap.servers", self.bootstrap_servers.clone()),
            ("group.id", group.clone()),
            ("config.storage.topic", format!("{group}-configs")),
            ("offset.storage.topic", format!("{group}-offsets")),
            ("status.storage.topic", format!("{group}-status")),
            ("config.storage.replication.factor", "1".to_owned()),
            ("offset.storage.replication.factor", "1".to_owned()),
            ("status.storage.replication.factor", "1".to_owned()),
            ("key.converter", "org.apache.kafka.connect.json.JsonConverter".to_owned()),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter".to_owned()),
            ("listeners", format!("http://127.0.0.1:{}", self.port)),
        ]
        .into_iter()
        .chain(self.more.clone())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

impl Settings {
    /// The variables that our streamer is configured by.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let named = |property: String| format!("CONNECT_{}", property.to_ascii_uppercase().replace('.', "_"));
        let environment = self.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.properties().into_iter().map(|(property, value)| (named(property), value)).chain(environment).collect()
    }
}

impl Worker {
    /// Starts our streamer, configured by its environment as Debezium's image is.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn streamer(directory: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::start("streamer", Self::streamer_command(settings)?, directory, settings.port).await
    }

    /// What starts our streamer.
    ///
    /// # Errors
    /// It was not built.
    pub fn streamer_command(settings: &Settings) -> anyhow::Result<Command> {
        let mut command = Command::new(program("streamer")?);
        command.envs(settings.variables());
        Ok(command)
    }

    /// Starts our streamer with Debezium Server's configuration.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn server(directory: &Path, application_properties: &Path, port: u16) -> anyhow::Result<Self> {
        let mut command = Command::new(program("streamer")?);
        command.arg("--application-properties").arg(application_properties);
        Self::start("streamer", command, directory, port).await
    }

    /// Starts Kafka Connect with Debezium's connector.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn debezium(artifacts: &Artifacts, directory: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::start("debezium", Self::debezium_command(artifacts, directory, settings)?, directory, settings.port).await
    }

    /// What starts Kafka Connect with Debezium's connector; its properties are in `directory`. `more` may name another
    /// `plugin.path`.
    ///
    /// # Errors
    /// The properties cannot be written.
    pub fn debezium_command(artifacts: &Artifacts, directory: &Path, settings: &Settings) -> anyhow::Result<Command> {
        Self::debezium_command_on(artifacts, directory, settings, Jvm::SoonUp, 768)
    }

    /// The same on a Java that is started in this way, with so many megabytes.
    ///
    /// # Errors
    /// The properties cannot be written.
    pub fn debezium_command_on(
        artifacts: &Artifacts,
        directory: &Path,
        settings: &Settings,
        jvm: Jvm,
        heap: u32,
    ) -> anyhow::Result<Command> {
        let mut properties = settings.properties();
        properties.entry("plugin.path".to_owned()).or_insert_with(|| artifacts.debezium().display().to_string());
        let file = directory.join("connect.properties");
        let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(&file, text)?;
        let mut command = java(artifacts, heap, directory, jvm);
        command.arg("org.apache.kafka.connect.cli.ConnectDistributed").arg(&file).envs(settings.environment.clone());
        Ok(command)
    }

    /// Starts a worker by its command, and waits for its REST API.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(name: &str, command: Command, directory: &Path, port: u16) -> anyhow::Result<Self> {
        let mut process = Process::start(name, command, &directory.join(format!("{name}.log")), "TERM")?;
        let rest = Rest::new(port);
        wait_until(&format!("{name}'s REST API"), Duration::from_secs(90), async || {
            process.check_running()?;
            Ok(match rest.get("/connectors").await {
                // 401: it is up, and wants to know who asks.
                Ok((200 | 401, _)) => Condition::Met(()),
                Ok((status, _)) => Condition::NotYet(format!("HTTP {status}")),
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await?;
        Ok(Self { process, rest })
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// A program of ours, beside this one.
///
/// # Errors
/// It was not built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let directory = match std::env::var_os("TEST_BIN") {
        Some(directory) => PathBuf::from(directory),
        None => std::env::current_exe()?.parent().context("no directory")?.to_owned(),
    };
    let path = directory.join(name);
    if !path.is_file() {
        bail!("{} is not built: cargo build -p {name}", path.display());
    }
    Ok(path)
}

/// A Connect REST API.
#[derive(Debug, Clone)]
pub struct Rest {
    base: String,
    client: reqwest::Client,
}

impl Rest {
    /// On a local port.
    pub fn new(port: u16) -> Self {
        Self { base: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() }
    }

    /// The API's URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The same API, asked with these headers on every request.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn with_headers(&self, headers: HeaderMap) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().default_headers(headers).build()?;
        Ok(Self { base: self.base.clone(), client })
    }

    /// A request; its status and JSON, null when there is none.
    ///
    /// # Errors
    /// No answer.
    pub async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&str>,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// GET.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        self.request(reqwest::Method::GET, path, None).await
    }

    /// A page that is no JSON, such as `/metrics`.
    ///
    /// # Errors
    /// No answer.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.client.get(format!("{}{path}", self.base)).send().await?.text().await?)
    }

    /// A request; again for up to 60 s while the answer is 409, which is Kafka Connect's while it gives its tasks out anew
    /// (`RebalanceNeededException`).
    ///
    /// # Errors
    /// No answer, or none other in that time.
    pub async fn settled(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&str>,
    ) -> anyhow::Result<(u16, Value)> {
        wait_until(&format!("an answer to {method} {path}"), Duration::from_secs(60), async || {
            Ok(match self.request(method.clone(), path, body).await? {
                (409, answer) => Condition::NotYet(answer.to_string()),
                answered => Condition::Met(answered),
            })
        })
        .await
    }

    /// PUT, [settled](Self::settled).
    ///
    /// # Errors
    /// No answer.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        self.settled(reqwest::Method::PUT, path, Some(&body.to_string())).await
    }

    /// Waits until a connector's task is in a state, and gives its trace.
    ///
    /// # Errors
    /// It does not come there in time.
    pub async fn wait_task(&self, connector: &str, state: &str) -> anyhow::Result<String> {
        let what = format!("the task of {connector} to be {state}");
        wait_until(&what, Duration::from_secs(60), async || {
            let (_, status) = self.get(&format!("/connectors/{connector}/status")).await?;
            let task = status.pointer("/tasks/0");
            let text = |key: &str| task.and_then(|task| task.get(key)).and_then(Value::as_str).unwrap_or_default();
            Ok(if text("state") == state {
                Condition::Met(text("trace").to_owned())
            } else {
                Condition::NotYet(status.to_string())
            })
        })
        .await
    }
}
