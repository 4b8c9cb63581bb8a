//! A schema registry with Confluent's API: Apicurio's, which keeps its schemas in memory.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::artifacts;
use crate::java::java;
use crate::ports;
use crate::process::Process;
use crate::wait::{Condition, wait_until};

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    url: String,
}

impl Registry {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(directory, &[]).await
    }

    /// The same with other settings of Quarkus's, `name=value`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_with(directory: &Path, settings: &[String]) -> anyhow::Result<Self> {
        let port = ports::free()?;
        let mut command = java();
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1"])
            .arg(format!("-Dquarkus.http.port={port}"))
            .args(settings.iter().map(|setting| format!("-Dquarkus.{setting}")))
            .arg("-jar")
            .arg(artifacts::registry()?)
            .current_dir(directory);
        let process = Process::start("registry", command, &directory.join("registry.log"), "TERM")?;
        let mut registry = Self { process, url: format!("http://127.0.0.1:{port}/apis/ccompat/v7") };
        registry.wait_ready().await?;
        Ok(registry)
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/subjects", self.url);
        let process = &mut self.process;
        wait_until("the schema registry to answer", Duration::from_secs(120), async || {
            process.check_running()?;
            Ok(match reqwest::get(&url).await {
                Ok(answer) if answer.status().is_success() => Condition::Met(()),
                Ok(answer) => Condition::NotYet(answer.status().to_string()),
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await
    }

    /// `schema.registry.url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A schema's text by the id that stands in front of a value.
    ///
    /// # Errors
    /// There is no such schema.
    pub async fn schema(&self, id: u32) -> anyhow::Result<String> {
        let answer: Value =
            reqwest::get(format!("{}/schemas/ids/{id}", self.url)).await?.error_for_status()?.json().await?;
        Ok(answer["schema"].as_str().context("no schema in the answer")?.to_owned())
    }

    /// Says how new schemas must go with older ones.
    ///
    /// # Errors
    /// It is not taken.
    pub async fn compatibility(&self, level: &str) -> anyhow::Result<()> {
        let body = serde_json::json!({ "compatibility": level });
        let request = reqwest::Client::new().put(format!("{}/config", self.url)).json(&body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}
