//! The REST API answers as Kafka Connect's does: both are asked the same.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker};

use super::pipeline::Pipeline;

/// What was asked, and what came.
type Answer = (String, u16, Value);

/// Asks one worker everything; the connector's name in the answers is replaced by NAME.
struct Interview<'a> {
    rest: &'a Rest,
    name: &'a str,
    answers: Vec<Answer>,
}

impl Interview<'_> {
    async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<()> {
        let path = path.replace("NAME", self.name);
        let body = body.map(Value::to_string);
        let (status, answer) = self.rest.request(method.clone(), &path, body.as_deref()).await?;
        self.note(&format!("{method} {path}"), status, answer);
        Ok(())
    }

    fn note(&mut self, what: &str, status: u16, mut answer: Value) {
        neutral(&mut answer);
        let mut text = answer.to_string().replace(self.name, "NAME");
        // Where a plugin was found is the machine's affair, and Connect names the exception at one request and not at another.
        if let Some((before, rest)) = text.split_once("location='") {
            let after = rest.split_once('\'').map_or("", |(_, after)| after);
            text = format!("{before}location='…'{after}");
        }
        let text = text.replace("org.apache.kafka.connect.errors.ConnectException: Failed to find", "Failed to find");
        let answer = serde_json::from_str(&text).unwrap_or(answer);
        self.answers.push((what.replace(self.name, "NAME"), status, answer));
    }

    /// Waits until connector and task are in a state; a stopped connector has no task.
    async fn state(&self, state: &str) -> anyhow::Result<()> {
        wait_until(&format!("{} to be {state}", self.name), Duration::from_secs(60), async || {
            let (_, status) = self.rest.get(&format!("/connectors/{}/status", self.name)).await?;
            let is = |pointer: &str| status.pointer(pointer).and_then(Value::as_str) == Some(state);
            let has_no_task = status.pointer("/tasks/0").is_none();
            let met = is("/connector/state") && (is("/tasks/0/state") || (state == "STOPPED" && has_no_task));
            Ok(if met { Condition::Met(()) } else { Condition::NotYet(status.to_string()) })
        })
        .await
    }
}

/// Makes equal what may differ: the worker's address and version, ports, and what only says where a request came to.
fn neutral(answer: &mut Value) {
    match answer {
        Value::Object(object) => {
            for (key, value) in object {
                let differs = ["worker_id", "commit", "kafka_cluster_id", "trace", "database.dbname", "last_modified"];
                match key.as_str() {
                    key if differs.contains(&key) => *value = json!("…"),
                    _ => neutral(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(neutral),
        _ => {}
    }
}

/// Keys with their new values, `None` to leave one out.
type Changes = &'static [(&'static str, Option<&'static str>)];

/// Configurations to validate: for which plugin, and what is changed in the good one.
fn validations() -> [(&'static str, Changes); 13] {
    [
        ("PostgresConnector", &[]),
        ("io.debezium.connector.postgresql.PostgresConnector", &[("name", None)]),
        ("Postgres", &[("name", Some(""))]),
        ("None", &[]),
        ("PostgresConnector", &[("connector.class", Some("none"))]),
        (
            "PostgresConnector",
            &[("topic.prefix", Some("a b")), ("snapshot.mode", Some("sometimes")), ("database.hostname", None)],
        ),
        ("PostgresConnector", &[("tasks.max", Some("x")), ("tasks.max.enforce", Some("x"))]),
        (
            "PostgresConnector",
            &[
                ("errors.tolerance", Some("some")),
                ("errors.retry.timeout", Some("x")),
                ("errors.retry.delay.max.ms", Some("x")),
                ("errors.log.enable", Some("x")),
                ("errors.log.include.messages", Some("x")),
                ("config.action.reload", Some("x")),
            ],
        ),
        (
            "PostgresConnector",
            &[
                ("exactly.once.support", Some("x")),
                ("transaction.boundary", Some("x")),
                ("transaction.boundary.interval.ms", Some("x")),
            ],
        ),
        ("PostgresConnector", &[("exactly.once.support", Some("required"))]),
        (
            "PostgresConnector",
            &[("key.converter.schemas.enable", Some("x")), ("value.converter.schemas.cache.size", Some("x"))],
        ),
        ("PostgresConnector", &[("key.converter", Some("none")), ("header.converter", Some("none"))]),
        ("PostgresConnector", &[("database.port", Some("x")), ("database.password", Some("wrong"))]),
    ]
}

async fn interview(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<Vec<Answer>> {
    let mut interview = Interview { rest: worker.rest(), name: &pipeline.name, answers: Vec::new() };
    let config = pipeline.connector(&[])?;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/connectors"),
        (Method::GET, "/connectors/none"),
        (Method::GET, "/connectors/none/config"),
        (Method::GET, "/connectors/none/status"),
        (Method::GET, "/connectors/none/tasks"),
        (Method::GET, "/connectors/none/tasks/0/status"),
        (Method::GET, "/connectors/none/offsets"),
        (Method::PUT, "/connectors/none/pause"),
        (Method::PUT, "/connectors/none/resume"),
        (Method::PUT, "/connectors/none/stop"),
        (Method::POST, "/connectors/none/restart"),
        (Method::POST, "/connectors/none/restart?includeTasks=true"),
        (Method::DELETE, "/connectors/none"),
        (Method::DELETE, "/connectors"),
        (Method::GET, "/nothing"),
        (Method::GET, "/health"),
        (Method::GET, "/connectors/none/topics"),
        (Method::PUT, "/connectors/none/topics/reset"),
        (Method::GET, "/connectors/none/tasks-config"),
        (Method::GET, "/connectors/none/restart"),
        (Method::GET, "/connector-plugins/none/config"),
        (Method::GET, "/connector-plugins/PostgresConnector/config"),
        (Method::GET, "/admin/loggers"),
        (Method::GET, "/admin/loggers/none"),
    ] {
        interview.ask(method, path, None).await?;
    }

    for (path, body) in [
        (
            "/connectors/none/offsets",
            json!({ "offsets": [{ "partition": { "server": "p" }, "offset": { "lsn": 1 } }] }),
        ),
        ("/connectors/none/offsets", json!({})),
        ("/connectors/none/config", json!({ "slot.name": "s" })),
    ] {
        interview.ask(Method::PATCH, path, Some(&body)).await?;
    }
    for (path, body) in [
        ("/admin/loggers/io.debezium", json!({ "level": "debug" })),
        ("/admin/loggers/io.debezium", json!({ "level": "loud" })),
        ("/admin/loggers/io.debezium", json!({})),
        // Another logger: in Connect the cluster hears of it later.
        ("/admin/loggers/org.apache?scope=cluster", json!({ "level": "INFO" })),
    ] {
        interview.ask(Method::PUT, path, Some(&body)).await?;
    }
    interview.ask(Method::GET, "/admin/loggers/io.debezium", None).await?;

    let invalid = [
        json!({}),
        json!({ "connector.class": "com.example.Missing" }),
        json!({ "connector.class": "io.debezium.connector.postgresql.PostgresConnector" }),
    ];
    for config in &invalid {
        interview.ask(Method::PUT, "/connectors/NAME/config", Some(config)).await?;
        interview.ask(Method::POST, "/connectors", Some(&json!({ "name": pipeline.name, "config": config }))).await?;
    }
    for (key, value) in [
        ("slot.name", "No Slot"),
        ("snapshot.mode", "sometimes"),
        ("tasks.max", "0"),
        ("heartbeat.interval.ms", "soon"),
        ("database.password", "wrong-password"),
        ("tombstones.on.delete", "perhaps"),
        ("name", "another"),
    ] {
        let mut config = config.clone();
        config[key] = json!(value);
        interview.ask(Method::PUT, "/connectors/NAME/config", Some(&config)).await?;
    }

    let create = json!({ "name": pipeline.name, "config": config });
    interview.ask(Method::POST, "/connectors", Some(&create)).await?;
    interview.state("RUNNING").await?;
    interview.ask(Method::POST, "/connectors", Some(&create)).await?;
    for path in [
        "/connectors",
        "/connectors?expand=status",
        "/connectors?expand=info",
        "/connectors?expand=status&expand=info",
        "/connectors?expand=nothing",
        "/connectors/NAME",
        "/connectors/NAME/config",
        "/connectors/NAME/status",
        "/connectors/NAME/tasks",
        "/connectors/NAME/tasks/0/status",
        "/connectors/NAME/tasks/7/status",
        "/connectors/NAME/tasks/x/status",
    ] {
        interview.ask(Method::GET, path, None).await?;
    }
    interview.ask(Method::PUT, "/connectors/NAME/config", Some(&config)).await?;
    interview.state("RUNNING").await?;
    interview.ask(Method::PUT, "/connectors/NAME/pause", None).await?;
    interview.state("PAUSED").await?;
    for (method, path) in [
        (Method::GET, "/connectors/NAME/status"),
        (Method::GET, "/connectors/NAME"),
        (Method::GET, "/connectors/NAME/tasks"),
        (Method::PUT, "/connectors/NAME/pause"),
        (Method::DELETE, "/connectors/NAME/offsets"),
        (Method::PUT, "/connectors/NAME/resume"),
    ] {
        interview.ask(method, path, None).await?;
    }
    interview.state("RUNNING").await?;
    for path in [
        "/connectors/NAME/restart",
        "/connectors/NAME/restart?includeTasks=true&onlyFailed=true",
        "/connectors/NAME/tasks/0/restart",
        "/connectors/NAME/tasks/7/restart",
    ] {
        interview.ask(Method::POST, path, None).await?;
        interview.state("RUNNING").await?;
    }
    interview.ask(Method::PUT, "/connectors/NAME/stop", None).await?;
    interview.state("STOPPED").await?;
    let partition = json!({ "server": pipeline.name });
    for offsets in [
        json!([]),
        json!([{ "partition": partition, "offset": { "lsn": 1, "more": "x" } }]),
        json!([{ "partition": partition, "offset": null }, { "partition": { "other": 1 }, "offset": { "lsn": 2 } }]),
    ] {
        let body = json!({ "offsets": offsets });
        interview.ask(Method::PATCH, "/connectors/NAME/offsets", Some(&body)).await?;
    }
    for change in [json!({ "heartbeat.interval.ms": "1000", "snapshot.mode": null }), json!({ "slot.name": "S 1" })] {
        interview.ask(Method::PATCH, "/connectors/NAME/config", Some(&change)).await?;
    }
    interview.state("STOPPED").await?;
    for (method, path) in [
        (Method::GET, "/connectors/NAME/status"),
        (Method::GET, "/connectors/NAME"),
        (Method::GET, "/connectors/NAME/tasks"),
        (Method::DELETE, "/connectors/NAME/offsets"),
        (Method::GET, "/connectors/NAME/offsets"),
        (Method::DELETE, "/connectors/NAME"),
        (Method::GET, "/connectors/NAME"),
        (Method::GET, "/connectors"),
    ] {
        interview.ask(method, path, None).await?;
    }

    // Of the plugins only the one that both have; of its properties the errors.
    let (status, plugins) = interview.rest.get("/connector-plugins").await?;
    let plugin = plugins.as_array().and_then(|plugins| {
        plugins
            .iter()
            .find(|plugin| plugin["class"].as_str().is_some_and(|class| class.contains("postgresql")))
            .cloned()
    });
    interview.note("the plugin", status, plugin.unwrap_or_default());
    for (plugin, changes) in validations() {
        let mut config = config.clone();
        config["name"] = json!(pipeline.name);
        for (key, value) in changes {
            match (value, config.as_object_mut()) {
                (None, Some(config)) => drop(config.remove(*key)),
                (value, _) => config[key] = json!(value),
            }
        }
        let path = format!("/connector-plugins/{plugin}/config/validate");
        let (status, mut answer) = interview.rest.put(&path, &config).await?;
        let what = format!("validate for {plugin} with {changes:?}");
        // One note each, so that a difference is small.
        let configs = answer.get_mut("configs").map(Value::take);
        for mut config in configs.iter().flat_map(|configs| configs.as_array()).flatten().cloned() {
            // The worker's own choice of converters.
            if let Some(recommended) = config.pointer_mut("/value/recommended_values")
                && recommended[0].as_str().is_some_and(|class| class.contains("onverter"))
            {
                recommended.take();
            }
            interview.note(&format!("{what}: {}", config["value"]["name"]), status, config);
        }
        interview.note(&what, status, answer);
    }
    Ok(interview.answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_as_kafka_connect_answers_it() -> anyhow::Result<()> {
    let (ours, theirs) = (Pipeline::new("rest_streamer").await?, Pipeline::new("rest_connect").await?);
    for pipeline in [&ours, &theirs] {
        pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    }
    let (streamer, connect) = tokio::try_join!(ours.streamer(), theirs.debezium())?;
    let (mut ours, theirs) = tokio::try_join!(interview(&ours, &streamer), interview(&theirs, &connect))?;
    let mut differences = String::new();
    for theirs in &theirs {
        // The same question may be asked again: in order.
        let at = ours.iter().position(|ours| ours.0 == theirs.0);
        let ours = at.map(|at| ours.remove(at));
        if ours.as_ref() != Some(theirs) {
            let (status, answer) = ours.map_or((0, Value::Null), |ours| (ours.1, ours.2));
            differences +=
                &format!("{}\n  Connect:  {} {}\n  streamer: {status} {answer}\n", theirs.0, theirs.1, theirs.2);
        }
    }
    for (what, ..) in ours {
        differences += &format!("{what}\n  only the streamer says this\n");
    }
    assert!(differences.is_empty(), "different answers:\n{differences}");
    streamer.into_process().stop().await?;
    connect.into_process().stop().await
}
