//! `compose/observability` in a real Prometheus: its rules and its configuration, and that everything that alerts and dashboard
//! name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use regex::Regex;
use serde_json::Value;
use stack::prometheus::{Prometheus, promtool};
use stack::wait::{Condition, wait_until};

use super::pipeline::Pipeline;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/observability")
}

fn text(name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(folder().join(name)).with_context(|| name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_the_configuration_and_the_alerts_fire_when_they_should() -> anyhow::Result<()> {
    for (check, file) in
        [("check config", "prometheus.yml"), ("check rules", "alerts.yml"), ("test rules", "alerts_test.yml")]
    {
        let file = folder().join(file).display().to_string();
        let arguments: Vec<&str> = check.split(' ').chain([&*file]).collect();
        tokio::task::spawn_blocking({
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            move || promtool(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await??;
    }
    Ok(())
}

/// What the panels and variables of the dashboard ask for.
fn asked_by_dashboard() -> anyhow::Result<Vec<String>> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                let expressions = object.iter().filter(|(key, _)| matches!(key.as_str(), "expr" | "definition"));
                found.extend(expressions.filter_map(|(_, expression)| expression.as_str()).map(str::to_owned));
                object.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(&text("grafana/dashboards/headwater.json")?)?;
    let mut found = Vec::new();
    collect(&dashboard, &mut found);
    Ok(found.into_iter().map(|expression| expression.replace("$connector", ".*")).collect())
}

/// The metrics that expressions name.
fn named_in(expressions: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let metric = Regex::new(r"\b(?:headwater|debezium|kafka_connect)_\w+|\bup\b")?;
    Ok(expressions.iter().flat_map(|text| metric.find_iter(text)).map(|found| found.as_str().to_owned()).collect())
}

/// Our configuration with the targets of the test, and without its patience.
fn configure(directory: &Path, streamer: u16, sink: u16) -> anyhow::Result<PathBuf> {
    let config = text("prometheus.yml")?;
    for target in ["connect:8083", "sink:8084"] {
        assert!(config.contains(target), "{target} is scraped");
    }
    let config = config
        .replace("connect:8083", &format!("127.0.0.1:{streamer}"))
        .replace("sink:8084", &format!("127.0.0.1:{sink}"))
        .replace("interval: 10s", "interval: 1s");
    let alerts = Regex::new(r"for: \w+")?.replace_all(&text("alerts.yml")?, "for: 1s").into_owned();
    std::fs::write(directory.join("alerts.yml"), alerts)?;
    let file = directory.join("prometheus.yml");
    std::fs::write(&file, config)?;
    Ok(file)
}

/// Waits until an alert fires.
async fn wait_alert(prometheus: &Prometheus, name: &str) -> anyhow::Result<Value> {
    wait_until(&format!("{name} to fire"), Duration::from_secs(60), async || {
        let alerts = prometheus.api("alerts", &[]).await?;
        let alerts = alerts["alerts"].as_array().cloned().unwrap_or_default();
        let fires = alerts.iter().find(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing");
        Ok(fires.map_or_else(|| Condition::NotYet(format!("{alerts:?}")), |alert| Condition::Met(alert.clone())))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_alerts_and_dashboard_is_there_and_a_failed_task_is_told() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("observed").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')").await?;
    let streamer = pipeline.streamer().await?;
    let (mut sink, sink_port) = pipeline.sink(&streamer)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;
    pipeline.run("INSERT INTO t VALUES (2, 'streamed')").await?;
    pipeline.target_has("SELECT count(*) FROM t", "2").await?;

    let streamer_port = streamer.rest().url().rsplit_once(':').context("no port")?.1.parse()?;
    let config = configure(pipeline.directory.path(), streamer_port, sink_port)?;
    let prometheus = Prometheus::start(pipeline.directory.path(), &config).await?;
    wait_until("both to be scraped", Duration::from_secs(60), async || {
        let up = prometheus.query("sum(up)").await?;
        let up = up.first().map(|series| series["value"][1].clone()).unwrap_or_default();
        Ok(if up == "2" { Condition::Met(()) } else { Condition::NotYet(up.to_string()) })
    })
    .await?;

    let rules = prometheus.api("rules", &[]).await?;
    let rules = rules["groups"].as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array().cloned());
    let rules: Vec<Value> = rules.flatten().collect();
    let alerts: Vec<String> = rules.iter().filter_map(|rule| rule["query"].as_str().map(str::to_owned)).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let panels = asked_by_dashboard()?;
    for expression in alerts.iter().chain(panels.iter().filter(|text| !text.starts_with("label_values("))) {
        prometheus.query(expression).await?;
    }
    let named = named_in(&[alerts, panels].concat())?;
    wait_until("every metric that is named", Duration::from_secs(60), async || {
        let mut missing = Vec::new();
        for name in &named {
            if prometheus.query(&format!("count({{__name__=\"{name}\"}})")).await?.is_empty() {
                missing.push(name.clone());
            }
        }
        Ok(if missing.is_empty() {
            Condition::Met(())
        } else {
            Condition::NotYet(format!("{missing:?} are not there"))
        })
    })
    .await?;
    // Each says what to do, and where that stands.
    let runbooks = std::fs::read_to_string(folder().join("../../docs/operations.md"))?;
    for rule in &rules {
        let name = rule["name"].as_str().unwrap_or_default();
        assert!(runbooks.contains(&format!("### {name}\n")), "docs/operations.md has nothing on {name}");
        let link = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link.as_str());
    }

    pipeline.run("SELECT pg_create_physical_replication_slot('observed_physical')").await?;
    pipeline.put(&streamer, &[("slot.name", "observed_physical")]).await?;
    streamer.rest().wait_task(&pipeline.name, "FAILED").await?;
    let alert = wait_alert(&prometheus, "HeadwaterTaskFailed").await?;
    assert_eq!(alert["labels"]["connector"], pipeline.name.as_str());
    pipeline.run("SELECT pg_drop_replication_slot('observed_physical')").await?;
    sink.into_process().stop().await?;
    let alert = wait_alert(&prometheus, "HeadwaterExporterDown").await?;
    assert_eq!(alert["labels"]["job"], "sink");
    prometheus.into_process().stop().await?;
    streamer.into_process().stop().await
}
