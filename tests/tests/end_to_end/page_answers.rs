//! Who gets the page, who gets JSON, and who may press its buttons.

use anyhow::{Context as _, ensure};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use stack::worker::Worker;

use super::pipeline::Pipeline;

/// What Chromium sends.
const BROWSER: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8";

async fn root(url: &str, accept: &str) -> anyhow::Result<(HeaderMap, String)> {
    let answer = reqwest::Client::new().get(url).header(ACCEPT, accept).send().await?;
    ensure!(answer.status() == 200, "{accept}: {}", answer.status());
    Ok((answer.headers().clone(), answer.text().await?))
}

/// The first state that the page is told.
async fn first_state(url: &str) -> anyhow::Result<Value> {
    let mut answer = reqwest::get(format!("{url}/page/events")).await?;
    ensure!(answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream"), "{answer:?}");
    let mut text = String::new();
    while !text.contains("\n\n") || !text.contains("event: state") {
        let chunk = answer.chunk().await?.context("the events ended")?;
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).context("an event without data")?;
    Ok(serde_json::from_str(data)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_page_and_a_program_connect_s_json() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("page_answers").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let url = worker.rest().url();
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let (headers, text) = root(url, accept).await?;
        ensure!(headers[CONTENT_TYPE] == "application/json" && headers["vary"] == "Accept", "{accept}: {headers:?}");
        let keys: Vec<String> =
            serde_json::from_str::<serde_json::Map<String, Value>>(&text)?.into_iter().map(|(key, _)| key).collect();
        ensure!(keys == ["version", "commit", "kafka_cluster_id"], "{accept}: {text}");
    }
    let (headers, text) = root(url, BROWSER).await?;
    ensure!(headers[CONTENT_TYPE] == "text/html; charset=utf-8" && headers["vary"] == "Accept", "{headers:?}");
    let policy = headers["content-security-policy"].to_str()?;
    ensure!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    ensure!(!text.contains("<style") && !text.contains("style=") && !text.contains("http"), "{text}");

    let name = &pipeline.name;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(name, "RUNNING").await?;
    let snapshot = format!("/connectors/{name}/incremental-snapshot");
    let ask = async |body: Value| post(&format!("{url}{snapshot}"), &body).await;
    let (status, answer) = ask(json!({ "tables": ["public.t"] })).await?;
    ensure!(
        status == 409 && answer["message"].as_str().is_some_and(|why| why.contains("signal.data.collection")),
        "{status} {answer}"
    );
    pipeline.put(&worker, &[("read.only", "true")]).await?;
    worker.rest().wait_task(name, "RUNNING").await?;
    for (body, expected, part) in [
        (json!({}), 400, "has to be a list"),
        (json!({ "tables": ["public.other"] }), 400, "does not capture public.other"),
        (json!({ "tables": ["public.t"], "conditions": ["id > 1"] }), 400, "has to be an object"),
    ] {
        let (status, answer) = ask(body).await?;
        ensure!(
            status == expected && answer["message"].as_str().is_some_and(|why| why.contains(part)),
            "{status} {answer}"
        );
    }
    // As another site's page could have a browser do, without having asked first.
    let client = reqwest::Client::new();
    let foreign = client.post(format!("{url}{snapshot}")).body(json!({ "tables": ["public.t"] }).to_string());
    ensure!(foreign.send().await?.status() == 415);
    let foreign = client.post(format!("{url}/connectors/{name}/restart")).header("sec-fetch-site", "cross-site");
    ensure!(foreign.send().await?.status() == 403);

    let state = first_state(url).await?;
    let connector = &state["connectors"][0];
    ensure!((&connector["name"], &connector["task"]) == (&json!(name), &json!("RUNNING")), "{state}");
    let mut standby = pipeline.worker_settings()?;
    standby.group.clone_from(name);
    let directory = tempfile::tempdir()?;
    let second = Worker::streamer(directory.path(), &standby).await?;
    let state = first_state(second.rest().url()).await?;
    let group = &state["group"];
    ensure!(group["active"] == false && group["leader_url"] == format!("{url}/"), "{state}");
    second.into_process().stop().await?;
    worker.into_process().stop().await
}

async fn post(url: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let answer = reqwest::Client::new().post(url).json(body).send().await?;
    Ok((answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null)))
}
