//! The REST API answers as Kafka Connect's does: both are asked the same.

use reqwest::Method;
use serde_json::json;
use stack::worker::Worker;

use super::interview::{Answer, Interview, differences};
use super::pipeline::Pipeline;

/// Keys with their new values, `None` to leave one out.
type Changes = &'static [(&'static str, Option<&'static str>)];

/// Configurations to validate: for which plugin, and what is changed in the good one.
fn validations() -> [(&'static str, Changes); 15] {
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
        ("PostgresConnector", &[("transaction.boundary", Some("connector"))]),
        (
            "PostgresConnector",
            &[("key.converter.schemas.enable", Some("x")), ("value.converter.schemas.cache.size", Some("x"))],
        ),
        (
            "PostgresConnector",
            &[
                ("snapshot.mode", Some("")),
                ("slot.name", Some("")),
                ("topic.prefix", Some("")),
                ("message.key.columns", Some("")),
                ("topic.naming.strategy", Some("")),
                ("custom.metric.tags", Some("")),
                ("offsets.storage.topic", Some("")),
                ("errors.max.retries", Some("")),
                ("money.fraction.digits", Some("")),
            ],
        ),
        ("PostgresConnector", &[("key.converter", Some("none")), ("header.converter", Some("none"))]),
        ("PostgresConnector", &[("database.port", Some("x")), ("database.password", Some("wrong"))]),
    ]
}

async fn interview(pipeline: &Pipeline, worker: &Worker) -> anyhow::Result<Vec<Answer>> {
    let mut interview = Interview { rest: worker.rest().clone(), name: &pipeline.name, answers: Vec::new() };
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
    ] {
        interview.ask(method, path, None).await?;
    }
    // Connect lists the partitions that it knew before it reads the topic for their offsets: the first answer behind a change may
    // still have one that is gone, with no offset (`Worker.sourceConnectorOffsets`).
    interview.rest.get(&format!("/connectors/{}/offsets", pipeline.name)).await?;
    for (method, path) in [
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
        interview.validate(&format!("validate for {plugin} with {changes:?}"), plugin, &config).await?;
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
    let (ours, theirs) = tokio::try_join!(interview(&ours, &streamer), interview(&theirs, &connect))?;
    let differences = differences(ours, &theirs);
    assert!(differences.is_empty(), "different answers:\n{differences}");
    streamer.into_process().stop().await?;
    connect.into_process().stop().await
}
