//! Things that are set up wrong, one at a time: `doctor` names each with what mends it, and a start without it says the same.

mod kafka;
mod server;
mod sink;
mod source;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stack::process::Process;
use stack::wait::{Condition, wait_until};
use stack::worker::{Settings, Worker};

use super::pipeline::Pipeline;

/// What `doctor` said.
struct Doctor {
    status: Option<i32>,
    said: Value,
}

/// One finding, its texts on one line.
#[derive(Debug)]
struct Finding {
    id: String,
    severity: String,
    message: String,
    remedy: String,
}

impl Doctor {
    async fn run(mut command: Command) -> anyhow::Result<Self> {
        command.arg("--json");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = serde_json::from_str(&text)
            .with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(Self { status: output.status.code(), said })
    }

    /// `streamer doctor` with these connectors.
    async fn streamer(settings: &Settings, connectors: &[PathBuf]) -> anyhow::Result<Self> {
        let mut command = Worker::streamer_command(settings)?;
        command.arg("doctor");
        for file in connectors {
            command.arg("--connector").arg(file);
        }
        Self::run(command).await
    }

    fn ids(&self) -> Vec<&str> {
        self.said["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["id"].as_str()).collect()
    }

    /// The finding of a name, which says what mends it. The exit status fits to what was found.
    fn finding(&self, id: &str) -> anyhow::Result<Finding> {
        let found = self.said["findings"].as_array().into_iter().flatten().find(|finding| finding["id"] == id);
        let found = found.with_context(|| format!("{id} is not found: {:#}", self.said))?;
        let text = |key: &str| flat(found[key].as_str().unwrap_or_default());
        ensure!(!text("remedy").is_empty() && !text("subject").is_empty(), "{found}");
        let errors = self.said["errors"].as_u64().unwrap_or_default();
        ensure!(self.status == Some(i32::from(errors > 0)), "{:?}: {:#}", self.status, self.said);
        ensure!(text("severity") != "error" || errors > 0, "{:#}", self.said);
        let id = id.to_owned();
        Ok(Finding { id, severity: text("severity"), message: text("message"), remedy: text("remedy") })
    }
}

impl Finding {
    fn is_in(&self, said: &str) -> bool {
        let said = flat(said);
        said.contains(&self.message) && said.contains(&self.remedy)
    }
}

/// A text on one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The connector with some changes, in a file of its own.
fn connector_file(pipeline: &Pipeline, name: &str, changes: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let file = pipeline.directory.path().join(format!("{name}.json"));
    std::fs::write(&file, json!({ "name": name, "config": pipeline.connector(changes)? }).to_string())?;
    Ok(file)
}

/// Starts a program that is set up wrong, waits until it says what was found, and ends it.
async fn start_says(pipeline: &Pipeline, name: &str, command: Command, finding: &Finding) -> anyhow::Result<()> {
    let log = pipeline.directory.path().join(format!("{name}.log"));
    let process = Process::start(name, command, &log, "TERM")?;
    let said = wait_until(&format!("{name} to say {finding:?}"), Duration::from_secs(40), async || {
        let output = process.output();
        let id = &finding.id;
        let codes = [format!("code=\"{id}\""), format!("explain {id}`")];
        let is_said = finding.is_in(&output) && codes.iter().any(|code| output.contains(code));
        Ok(if is_said { Condition::Met(()) } else { Condition::NotYet(output) })
    })
    .await;
    process.kill();
    said
}
