//! Our sink.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::bail;

use crate::process::Process;
use crate::wait::{Condition, wait_until};
use crate::worker::program;

/// How a sink is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The first PostgreSQL.
    pub source: String,
    /// The second.
    pub target: String,
    /// Kafka.
    pub bootstrap_servers: String,
    /// The worker's REST API.
    pub connect_url: String,
    /// The connector's topic prefix.
    pub topic_prefix: String,
    /// The connector to deploy, the sink's own otherwise.
    pub connector: Option<PathBuf>,
    /// Rows to insert when all stands.
    pub test_rows: Option<PathBuf>,
    /// Where it is asked how it is.
    pub port: u16,
    /// Where `pg_dump` is.
    pub pg_bin: PathBuf,
    /// Variables of its process.
    pub environment: Vec<(&'static str, String)>,
}

/// A running sink.
#[derive(Debug)]
pub struct Sink {
    process: Process,
}

impl Sink {
    /// Starts `sink run`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(directory: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self { process: Process::start("sink", Self::command(settings)?, &directory.join("sink.log"), "TERM")? })
    }

    /// What starts `sink run`.
    ///
    /// # Errors
    /// It was not built.
    pub fn command(settings: &Settings) -> anyhow::Result<Command> {
        let mut command = Command::new(program("sink")?);
        command
            .arg("run")
            .env("SINK_SOURCE", &settings.source)
            .env("SINK_TARGET", &settings.target)
            .args(["--bootstrap-servers", &settings.bootstrap_servers])
            .args(["--connect-url", &settings.connect_url])
            .args(["--topic-prefix", &settings.topic_prefix])
            .args(["--http-listen", &format!("127.0.0.1:{}", settings.port)])
            .arg("--pg-bin")
            .arg(&settings.pg_bin)
            .envs(settings.environment.clone());
        if let Some(connector) = &settings.connector {
            command.arg("--connector").arg(connector);
        }
        if let Some(test_rows) = &settings.test_rows {
            command.arg("--test-rows").arg(test_rows);
        }
        Ok(command)
    }

    /// Waits for `WRITER COMPLETE` as often as `times`, showing new output through `show`.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub async fn wait_complete(&mut self, times: usize, mut show: impl FnMut(&str)) -> anyhow::Result<()> {
        let mut shown = 0;
        let process = &mut self.process;
        wait_until("the sink's WRITER COMPLETE", Duration::from_secs(180), async || {
            let output = process.output();
            let whole = output.rfind('\n').map_or(0, |end| end + 1);
            if let Some(new) = output.get(shown..whole).filter(|new| !new.is_empty()) {
                show(new);
                shown = whole;
            }
            if output.matches("WRITER COMPLETE").count() >= times {
                return Ok(Condition::Met(()));
            }
            process.check_running()?;
            Ok(Condition::NotYet("its log does not say it".to_owned()))
        })
        .await
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until the sink ends by itself, and gives what it said.
    ///
    /// # Errors
    /// It does not end, or ends as if all were well.
    pub async fn wait_refusal(mut self) -> anyhow::Result<String> {
        if self.process.ended(Duration::from_secs(60)).await? {
            bail!("the sink ended without an error: {}", self.process.output());
        }
        Ok(self.process.output())
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}
