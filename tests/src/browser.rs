//! A real Chromium, driven by WebDriver (W3C, "WebDriver"), as far as the tests of the page need it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::ports;
use crate::process::{Process, is_root};
use crate::wait::{Condition, wait_until};

/// What WebDriver calls an element in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    _driver: Process,
    client: reqwest::Client,
    session: String,
}

impl Browser {
    /// Starts one without a screen, with a window of this size.
    ///
    /// # Errors
    /// Chromium is not there and cannot be installed, or does not start.
    pub async fn start(directory: &Path, width: u32, height: u32) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(install).await??;
        let port = ports::free()?;
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let driver = Process::start("chromedriver", command, &directory.join("chromedriver.log"), "TERM")?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let base = format!("http://127.0.0.1:{port}");
        wait_until("chromedriver to answer", Duration::from_secs(30), async || {
            Ok(match client.get(format!("{base}/status")).send().await {
                Ok(_) => Condition::Met(()),
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await?;
        let size = format!("--window-size={width},{height}");
        let mut arguments =
            vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", &size];
        if is_root() {
            arguments.push("--no-sandbox");
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments },
            // What the page itself said of what went wrong.
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = sent(client.post(format!("{base}/session")).json(&wanted)).await?;
        let id = made["sessionId"].as_str().context("WebDriver gave no session")?;
        Ok(Self { _driver: driver, session: format!("{base}/session/{id}"), client })
    }

    /// Opens an address.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// What a function's body returns in the page.
    ///
    /// # Errors
    /// WebDriver's; the script's.
    pub async fn script(&self, body: &str) -> anyhow::Result<Value> {
        self.post("execute/sync", json!({ "script": body, "args": [] })).await
    }

    /// The text of the first element of a CSS selector, as it is seen; none where there is none that is seen.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn text(&self, css: &str) -> anyhow::Result<Option<String>> {
        let selector = Value::from(css);
        let look = format!(
            "const found = document.querySelector({selector}); return found?.checkVisibility() ? found.innerText : null"
        );
        Ok(self.script(&look).await?.as_str().map(str::to_owned))
    }

    /// Clicks on an element as a person does: it has to be there, seen, and not covered.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        let found = self.post("element", json!({ "using": "css selector", "value": css })).await?;
        let id = found[ELEMENT].as_str().with_context(|| format!("WebDriver found no {css}"))?;
        self.post(&format!("element/{id}/click"), json!({})).await.map(drop)
    }

    /// Presses keys where the focus is, as WebDriver writes them.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.post("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }))
            .await
            .map(drop)
    }

    /// A command of Chromium's own protocol.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn chromium(&self, command: &str, parameters: Value) -> anyhow::Result<Value> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// What the page's console has said since the last call: errors of scripts, and what the policy refused.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let said = self.post("se/log", json!({ "type": "browser" })).await?;
        let lines = said.as_array().into_iter().flatten();
        Ok(lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect())
    }

    /// Ends it.
    ///
    /// # Errors
    /// WebDriver's.
    pub async fn quit(self) -> anyhow::Result<()> {
        sent(self.client.delete(&self.session)).await.map(drop)
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        sent(self.client.post(format!("{}/{path}", self.session)).json(&body)).await
    }
}

async fn sent(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.context("WebDriver does not answer")?;
    let is_well = answer.status().is_success();
    let mut answer: Value = answer.json().await.context("WebDriver's answer is no JSON")?;
    let value = answer["value"].take();
    ensure!(is_well, "WebDriver: {} {}", value["error"], value["message"]);
    Ok(value)
}

/// Installs Chromium where it is missing and that can be done: as root, with Debian's packages.
fn install() -> anyhow::Result<()> {
    let is_there = |program: &str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let are_there = || is_there("chromium") && is_there("chromedriver");
    if are_there() {
        return Ok(());
    }
    let how = "apt-get install --no-install-recommends chromium chromium-driver";
    if !is_root() || !Path::new("/etc/debian_version").exists() {
        bail!(
            "chromium or chromedriver is missing. The page is tested in a real browser: {how}, or your system's packages"
        );
    }
    eprintln!("installing chromium and chromium-driver …");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
    };
    let _updated = apt(&["update", "-q"]);
    let installed = apt(&["install", "-q", "-y", "--no-install-recommends", "chromium", "chromium-driver"])?;
    ensure!(installed.success() && are_there(), "chromium could not be installed ({how}): {installed}");
    Ok(())
}
