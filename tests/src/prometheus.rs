//! A Prometheus, and what it is asked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use crate::artifacts;
use crate::ports;
use crate::process::Process;
use crate::wait::{Condition, wait_until};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
}

impl Prometheus {
    /// Starts it on a free port with its data in `directory`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(directory: &Path, config: &Path) -> anyhow::Result<Self> {
        let port = ports::free()?;
        let mut command = Command::new(program("prometheus")?);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut process = Process::start("prometheus", command, &directory.join("prometheus.log"), "TERM")?;
        let url = format!("http://127.0.0.1:{port}");
        let ready = format!("{url}/-/ready");
        wait_until("Prometheus to be ready", Duration::from_secs(60), async || {
            process.check_running()?;
            Ok(match reqwest::get(&ready).await {
                Ok(answer) if answer.status().is_success() => Condition::Met(()),
                Ok(answer) => Condition::NotYet(answer.status().to_string()),
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await?;
        Ok(Self { process, url })
    }

    /// Asks its API; gives `data` of the answer.
    ///
    /// # Errors
    /// It refuses, with its words.
    pub async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), parameters)?;
        let mut answer: Value = reqwest::get(url).await?.json().await?;
        if answer["status"] != "success" {
            bail!("{path} {parameters:?}: {answer}");
        }
        Ok(answer["data"].take())
    }

    /// The series that an expression gives now.
    ///
    /// # Errors
    /// It is no expression.
    pub async fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let mut found = self.api("query", &[("query", expression)]).await?;
        Ok(match found["result"].take() {
            Value::Array(series) => series,
            other => vec![other],
        })
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// Runs `promtool`; gives what it says.
///
/// # Errors
/// It finds something wrong.
pub fn promtool(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program("promtool")?).args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("promtool {arguments:?}: {said}");
    }
    Ok(said)
}

/// The path's, else the stack's own.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    match installed {
        Some(program) => Ok(program),
        None => Ok(artifacts::prometheus()?.join("usr/bin").join(name)),
    }
}
