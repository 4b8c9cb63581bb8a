//! Redpanda Console's page of connectors works on the streamer as on Kafka Connect: both are asked what Console asks, in its
//! form. The form is that of Console 2.8.10, whose backend sends every request with the same headers, and whose pages send a
//! configuration with the booleans and empty texts of their inputs.

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use serde_json::{Map, Value, json};
use stack::worker::Worker;

use super::interview::{Answer, Interview, differences};
use super::pipeline::Pipeline;

const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// The headers of every request, those without a body too.
fn headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([
        (ACCEPT, json.clone()),
        (CONTENT_TYPE, json),
        (USER_AGENT, HeaderValue::from_static("Redpanda Console")),
    ])
}

/// What the page for a new connector sends, with the least filled in.
fn form(pipeline: &Pipeline) -> anyhow::Result<Value> {
    let filled_in = pipeline.connector(&[])?;
    let mut form = json!({
        "connector.class": CLASS,
        "name": pipeline.name,
        "tasks.max": "1",
        "database.sslmode": "disable",
        "plugin.name": "pgoutput",
        "database.tcpKeepAlive": "true",
        "key.converter.schemas.enable": true,
        "key.converter.json.schemas.enable": true,
        "value.converter.schemas.enable": true,
        "value.converter.json.schemas.enable": true,
        "slot.drop.on.stop": "false",
        "tombstones.on.delete": "true",
        "money.fraction.digits": "2",
        "flush.lsn.source": "true",
        "include.unknown.datatypes": "false",
        "producer.override.max.request.size": "1048576",
        "topic.creation.enable": true,
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "-1",
    });
    for key in ["topic.prefix", "slot.name", "publication.name"].into_iter().chain(DATABASE) {
        form[key] = filled_in[key].clone();
    }
    Ok(form)
}

const DATABASE: [&str; 5] =
    ["database.hostname", "database.port", "database.user", "database.password", "database.dbname"];

/// A configuration with something changed.
fn with(config: &Value, changes: Value) -> Value {
    let mut all: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    all.extend(changes.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// What Console shows of a task that failed, as it takes the trace apart: of its lines that are no places in Java's stack the
/// first cause, or else the first line, behind the colon.
fn shown(trace: &str) -> String {
    let lines: Vec<&str> = trace
        .lines()
        .map(|line| line.trim_matches('\t'))
        .filter(|line| !line.ends_with("exception") && !line.ends_with(')'))
        .collect();
    let cause = lines.iter().find_map(|line| line.strip_prefix("Caused by:"));
    let line = cause.or(lines.first().copied()).unwrap_or_default();
    line.split_once(':').map_or("", |(_, text)| text.trim()).to_owned()
}

/// Connect's tasks have no version while they did not come up, or are told to pause before they did; Console does not ask for it.
fn forget_task_versions(answer: &mut Value) {
    let connectors = answer.as_object_mut().into_iter().flat_map(Map::values_mut);
    for task in connectors.filter_map(|one| one.pointer_mut("/status/tasks/0")?.as_object_mut()) {
        task.remove("version");
    }
}

/// Every page, one after the other; the last thing is what the pages show of a task that failed.
async fn browse(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<(Vec<Answer>, String)> {
    let rest = worker.rest().with_headers(headers())?;
    let mut interview = Interview { rest, name: &pipeline.name, answers: Vec::new() };
    let list = "/connectors?expand=info&expand=status";
    for path in ["/", list] {
        interview.ask(Method::GET, path, None).await?;
    }
    for (method, path) in [
        (Method::GET, "/connectors/none"),
        (Method::GET, "/connectors/none/status"),
        (Method::GET, "/connectors/none/config"),
        (Method::GET, "/connectors/none/topics"),
        (Method::PUT, "/connectors/none/pause"),
        (Method::PUT, "/connectors/none/resume"),
        (Method::PUT, "/connectors/none/stop"),
        (Method::PUT, "/connectors/none/topics/reset"),
        (Method::POST, "/connectors/none/restart?includeTasks=true&onlyFailed=false"),
        (Method::POST, "/connectors/none/tasks/0/restart"),
        (Method::DELETE, "/connectors/none"),
    ] {
        interview.ask(method, path, None).await?;
    }

    let new = json!({ "connector.class": CLASS, "name": "", "tasks.max": "1" });
    interview.validate("a new connector", CLASS, &new).await?;
    let form = form(pipeline)?;
    interview.validate("the form", CLASS, &form).await?;
    let unclean = json!({ "table.include.list": null, "schema.include.list": "", "max.queue.size": 8192, "poll.interval.ms": "" });
    interview.validate("a form with nulls and empty texts", CLASS, &with(&form, unclean)).await?;
    let wrong = with(&form, json!({ "database.password": "wrong" }));
    interview.validate("a wrong password", CLASS, &wrong).await?;
    interview
        .validate("an unknown class", "com.example.None", &json!({ "connector.class": "com.example.None" }))
        .await?;
    let create = |config: &Value| json!({ "name": pipeline.name, "config": config });
    for config in [&wrong, &form] {
        interview.ask(Method::POST, "/connectors", Some(&create(config))).await?;
    }
    interview.state("RUNNING").await?;
    interview.ask(Method::POST, "/connectors", Some(&create(&form))).await?;
    interview.ask_until(list, "RUNNING").await?;
    for path in ["/connectors/NAME", "/connectors/NAME/status", "/connectors/NAME/config"] {
        interview.ask(Method::GET, path, None).await?;
    }

    // The page of a connector has its configuration validated, all texts now; then it is changed.
    let (_, stored) = interview.rest.get(&format!("/connectors/{}/config", pipeline.name)).await?;
    interview.validate("a stored configuration", CLASS, &stored).await?;
    let changed = with(&stored, json!({ "heartbeat.interval.ms": "5000" }));
    for config in [&wrong, &changed] {
        interview.ask(Method::PUT, "/connectors/NAME/config", Some(config)).await?;
    }
    for (method, path, state) in [
        (Method::POST, "/connectors/NAME/restart?includeTasks=true&onlyFailed=false", "RUNNING"),
        (Method::PUT, "/connectors/NAME/pause", "PAUSED"),
        (Method::POST, "/connectors/NAME/restart?includeTasks=true&onlyFailed=false", "PAUSED"),
        (Method::POST, "/connectors/NAME/tasks/0/restart", "PAUSED"),
        (Method::PUT, "/connectors/NAME/resume", "RUNNING"),
        (Method::POST, "/connectors/NAME/restart?includeTasks=true&onlyFailed=true", "RUNNING"),
        (Method::POST, "/connectors/NAME/tasks/0/restart", "RUNNING"),
        (Method::POST, "/connectors/NAME/tasks/7/restart", "RUNNING"),
        (Method::PUT, "/connectors/NAME/stop", "STOPPED"),
        (Method::PUT, "/connectors/NAME/resume", "RUNNING"),
    ] {
        // The answer's states are those of the moment, which is another one in each worker.
        let (status, _) = interview.rest.settled(method.clone(), &path.replace("NAME", &pipeline.name), None).await?;
        interview.note(&format!("{method} {path}"), status, Value::Null);
        interview.ask_until(list, state).await?;
    }

    let unusable =
        json!({ "transforms": "x", "transforms.x.type": "org.apache.kafka.connect.transforms.InsertField$Value" });
    interview.ask(Method::PUT, "/connectors/NAME/config", Some(&with(&stored, unusable))).await?;
    let trace = interview.rest.wait_task(&pipeline.name, "FAILED").await?;
    let (status, failed) = interview.rest.get(list).await?;
    interview.note("a task that failed", status, failed);
    interview.ask(Method::DELETE, "/connectors/NAME", None).await?;
    interview.ask(Method::DELETE, "/connectors/NAME", None).await?;
    interview.ask(Method::GET, list, None).await?;
    Ok((interview.answers, shown(&trace)))
}

#[tokio::test(flavor = "multi_thread")]
async fn redpanda_console_s_connector_pages_are_answered_as_by_kafka_connect() -> anyhow::Result<()> {
    let (ours, theirs) = (Pipeline::new("console_streamer").await?, Pipeline::new("console_connect").await?);
    for pipeline in [&ours, &theirs] {
        pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    }
    let (streamer, connect) = tokio::try_join!(ours.streamer(), theirs.debezium())?;
    let ((mut ours, ours_shown), (mut theirs, theirs_shown)) =
        tokio::try_join!(browse(&ours, &streamer), browse(&theirs, &connect))?;
    ours.iter_mut().chain(&mut theirs).for_each(|answer| forget_task_versions(&mut answer.2));
    let differences = differences(ours, &theirs);
    assert!(differences.is_empty(), "different answers:\n{differences}");
    assert_eq!(theirs_shown, "No field insertion configured");
    assert!(ours_shown.ends_with(&theirs_shown), "{ours_shown}");
    streamer.into_process().stop().await?;
    connect.into_process().stop().await
}
