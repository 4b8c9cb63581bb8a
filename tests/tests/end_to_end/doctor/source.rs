//! The source, its slot, its publication, its tables, the connector.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use stack::{ports, postgres, topic};

use super::super::pipeline::Pipeline;
use super::{Doctor, Finding, connector_file, flat};

/// One thing that is wrong.
struct Wrong {
    id: &'static str,
    /// What makes it so.
    sql: &'static str,
    /// And in the connector.
    connector: &'static [(&'static str, &'static str)],
    /// What mends it.
    remedy: &'static str,
    /// What comes of a start.
    start: Start,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The worker does not take the connector, in Debezium's words, which have no remedy.
    Refused,
    /// The same, and the worker's log has the remedy.
    RefusedAndLogged,
    /// The task's trace says it.
    Fails,
    /// The log says it, and the task runs.
    Runs,
}

const READER: [(&str, &str); 2] = [("database.user", "doctor_reader"), ("database.password", "reader")];
const SETUP: &str = "
    CREATE TABLE t (id int PRIMARY KEY);
    CREATE TABLE keyless (v int);
    CREATE TABLE signals_wrong (id int);
    CREATE ROLE doctor_reader LOGIN REPLICATION PASSWORD 'reader';
    CREATE ROLE doctor_nobody LOGIN PASSWORD 'nobody';
    CREATE PUBLICATION doctor_t FOR TABLE t;
    CREATE PUBLICATION doctor_inserts FOR TABLE t WITH (publish = 'insert, truncate')";

const ONLY_T: (&str, &str) = ("table.include.list", "public.t");
const DISABLED: (&str, &str) = ("publication.autocreate.mode", "disabled");

const WRONG: &[Wrong] = &[
    Wrong {
        id: "login-refused",
        sql: "",
        connector: &[("database.password", "not-it")],
        remedy: "database.password",
        start: Start::RefusedAndLogged,
    },
    Wrong {
        id: "database-missing",
        sql: "",
        connector: &[("database.dbname", "no_such")],
        remedy: "CREATE DATABASE \"no_such\"",
        start: Start::RefusedAndLogged,
    },
    Wrong {
        id: "tls-missing",
        sql: "",
        connector: &[("database.sslmode", "require")],
        remedy: "ssl = on",
        start: Start::RefusedAndLogged,
    },
    Wrong {
        id: "connector-config",
        sql: "",
        connector: &[("heartbeat.interval.ms", "soon")],
        remedy: "heartbeat.interval.ms",
        start: Start::Refused,
    },
    Wrong {
        id: "connector-config",
        sql: "",
        connector: &[("value.converter", "com.example.NoConverter")],
        remedy: "value.converter",
        start: Start::Refused,
    },
    Wrong {
        id: "role-replication",
        sql: "",
        connector: &[ONLY_T, ("database.user", "doctor_nobody"), ("database.password", "nobody")],
        remedy: "ALTER ROLE \"doctor_nobody\" REPLICATION",
        start: Start::Fails,
    },
    Wrong {
        id: "table-select",
        sql: "",
        connector: &[
            ("snapshot.mode", "initial"),
            ONLY_T,
            READER[0],
            READER[1],
            DISABLED,
            ("publication.name", "doctor_t"),
        ],
        remedy: "GRANT SELECT ON \"public\".\"t\" TO \"doctor_reader\"",
        start: Start::Fails,
    },
    Wrong {
        id: "publication-rights",
        sql: "",
        connector: &[ONLY_T, READER[0], READER[1], ("publication.autocreate.mode", "all_tables")],
        remedy: "FOR ALL TABLES",
        start: Start::Fails,
    },
    Wrong {
        id: "publication-rights",
        sql: "",
        connector: &[ONLY_T, READER[0], READER[1], ("publication.autocreate.mode", "filtered")],
        remedy: "CREATE PUBLICATION",
        start: Start::Fails,
    },
    Wrong {
        id: "publication-missing",
        sql: "",
        connector: &[ONLY_T, DISABLED, ("publication.name", "no_such")],
        remedy: "CREATE PUBLICATION \"no_such\" FOR TABLE \"public\".\"t\"",
        start: Start::Fails,
    },
    Wrong {
        id: "publication-tables",
        sql: "",
        connector: &[DISABLED, ("publication.name", "doctor_t")],
        remedy: "ALTER PUBLICATION \"doctor_t\" ADD TABLE \"public\".\"keyless\"",
        start: Start::Runs,
    },
    Wrong {
        id: "publication-operations",
        sql: "",
        connector: &[ONLY_T, DISABLED, ("publication.name", "doctor_inserts")],
        remedy: "SET (publish =",
        start: Start::Runs,
    },
    Wrong {
        id: "nothing-captured",
        sql: "",
        connector: &[("table.include.list", "public.no_such"), ("publication.autocreate.mode", "filtered")],
        remedy: "table.include.list",
        start: Start::Fails,
    },
    Wrong {
        id: "slot-plugin",
        sql: "SELECT pg_create_logical_replication_slot('doctor', 'test_decoding')",
        connector: &[ONLY_T],
        remedy: "pg_drop_replication_slot('doctor')",
        start: Start::Fails,
    },
    Wrong {
        id: "table-identity",
        sql: "",
        connector: &[],
        remedy: "ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL",
        start: Start::Runs,
    },
    Wrong {
        id: "heartbeat-query",
        sql: "",
        connector: &[
            ONLY_T,
            ("heartbeat.interval.ms", "600000"),
            ("heartbeat.action.query", "INSERT INTO no_such VALUES (1)"),
        ],
        remedy: "CREATE TABLE",
        start: Start::Runs,
    },
    Wrong {
        id: "signal-table",
        sql: "",
        connector: &[ONLY_T, ("signal.data.collection", "public.no_such")],
        remedy: "CREATE TABLE \"public\".\"no_such\"",
        start: Start::Runs,
    },
    Wrong {
        id: "signal-table",
        sql: "",
        connector: &[ONLY_T, ("signal.data.collection", "public.signals_wrong")],
        remedy: "DROP TABLE \"public\".\"signals_wrong\"",
        start: Start::Runs,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_source_is_found_with_its_remedy_and_a_start_says_the_same() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("doctor").await?;
    pipeline.run(SETUP).await?;
    // It is in the way of nobody: the streamer that runs is of the same group and topics.
    let settings = pipeline.worker_settings()?;
    let worker = Worker::streamer(pipeline.directory.path(), &settings).await?;

    let good = connector_file(&pipeline, "good", &[ONLY_T])?;
    let doctor = Doctor::streamer(&settings, &[good]).await?;
    ensure!(doctor.status == Some(0) && doctor.ids().is_empty(), "{:#}", doctor.said);
    pipeline.source_has("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'doctor'", "0").await?;
    pipeline.source_has("SELECT count(*) FROM pg_publication", "2").await?;

    for (number, wrong) in WRONG.iter().enumerate() {
        let name = format!("doctor{number}");
        one(&pipeline, &worker, &settings, &name, wrong).await.with_context(|| format!("{number}: {}", wrong.id))?;
    }

    // What needs a value of its own.
    let port = ports::free()?.to_string();
    let unreachable = connector_file(&pipeline, "unreachable", &[("database.port", &port)])?;
    let found = Doctor::streamer(&settings, &[unreachable]).await?.finding("server-unreachable")?;
    let (status, answer) = pipeline.put(&worker, &[("database.port", &port)]).await?;
    ensure!(status == 400 && flat(&answer.to_string()).contains(&found.message), "{found:?} {answer}");
    ensure!(found.is_in(&worker.process().output()), "{found:?}");

    postgres::connect(&postgres_of(&pipeline))
        .await?
        .batch_execute("SELECT pg_create_logical_replication_slot('doctor_elsewhere', 'pgoutput')")
        .await?;
    let elsewhere: &[(&str, &str)] = &[ONLY_T, ("slot.name", "doctor_elsewhere")];
    let file = connector_file(&pipeline, "elsewhere", elsewhere)?;
    let found = Doctor::streamer(&settings, &[file]).await?.finding("slot-database")?;
    pipeline.put(&worker, elsewhere).await?;
    ensure!(found.is_in(&worker.rest().wait_task(&pipeline.name, "FAILED").await?), "{found:?}");
    pipeline.run("SELECT pg_drop_replication_slot('doctor_elsewhere')").await?;

    // Without a connector given it is about those that are stored; and what a large record would stop at is a warning.
    topic::create(&pipeline.kafka, &pipeline.topic("t"), 1).await?;
    pipeline.put(&worker, &[ONLY_T, ("producer.override.max.request.size", "30000000")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'doctor'", "true").await?;
    let doctor = Doctor::streamer(&settings, &[]).await?;
    // The topic of heartbeats may be there as well.
    ensure!(doctor.ids().iter().all(|id| *id == "topic-message-size"), "{:#}", doctor.said);
    ensure!(doctor.finding("topic-message-size")?.severity == "warning");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    worker.into_process().stop().await
}

fn postgres_of(pipeline: &Pipeline) -> String {
    pipeline.source_url().rsplit_once('/').map_or_else(String::new, |(server, _)| format!("{server}/postgres"))
}

async fn one(
    pipeline: &Pipeline,
    worker: &Worker,
    settings: &stack::worker::Settings,
    name: &str,
    wrong: &Wrong,
) -> anyhow::Result<()> {
    pipeline.run(wrong.sql).await?;
    let file = connector_file(pipeline, name, wrong.connector)?;
    let found = Doctor::streamer(settings, &[file]).await?.finding(wrong.id)?;
    ensure!(found.remedy.contains(wrong.remedy), "{found:?}");
    let path = format!("/connectors/{name}");
    let (status, answer) = worker.rest().put(&format!("{path}/config"), &pipeline.connector(wrong.connector)?).await?;
    let is_refused = matches!(wrong.start, Start::Refused | Start::RefusedAndLogged);
    ensure!((status == 400) == is_refused, "HTTP {status}: {answer}");
    if is_refused {
        let said = answer["message"].as_str().unwrap_or_default();
        ensure!(flat(said).contains(&found.message), "{found:?}: {said}");
        ensure!(wrong.start == Start::Refused || found.is_in(&worker.process().output()), "{found:?}");
        return Ok(());
    }
    says(worker, &path, wrong.start, &found).await?;
    worker.rest().request(reqwest::Method::DELETE, &path, None).await?;
    pipeline.source_has("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'doctor' AND active", "0").await?;
    pipeline
        .run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'doctor'")
        .await?;
    pipeline.run("DROP PUBLICATION IF EXISTS doctor").await
}

/// Waits until the task is as it has to be, and its trace, or the worker's log, says what was found.
async fn says(worker: &Worker, path: &str, start: Start, found: &Finding) -> anyhow::Result<()> {
    let (severity, state) =
        if start == Start::Fails { ("error", "FAILED") } else { (found.severity.as_str(), "RUNNING") };
    ensure!(found.severity == severity, "{found:?}");
    wait_until(&format!("{path} to be {state} and say {found:?}"), Duration::from_secs(30), async || {
        let (_, status) = worker.rest().get(&format!("{path}/status")).await?;
        let task = &status["tasks"][0];
        let trace = task["trace"].as_str().unwrap_or_default().to_owned();
        let said = if start == Start::Fails { trace } else { worker.process().output() };
        let is_so = task["state"] == state && found.is_in(&said);
        Ok(if is_so { Condition::Met(()) } else { Condition::NotYet(status.to_string()) })
    })
    .await
}
