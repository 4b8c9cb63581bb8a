//! The sink: source, target, Kafka, worker, connector, tools.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::json;
use stack::sink::{Settings, Sink};
use stack::wait::{Condition, wait_until};
use stack::{ports, postgres, topic};

use super::super::pipeline::Pipeline;
use super::{Doctor, start_says};

const SETUP: &str = "
    CREATE ROLE doctor_writer LOGIN PASSWORD 'writer';
    CREATE DATABASE doctor_sink_full;
    CREATE DATABASE doctor_sink_owned OWNER doctor_writer";

impl Doctor {
    /// `sink doctor` with what `sink run` is told.
    async fn sink(settings: &Settings) -> anyhow::Result<Self> {
        let run = Sink::command(settings)?;
        let mut command = Command::new(run.get_program());
        command.arg("doctor").args(run.get_args().skip(1));
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::run(command).await
    }
}

/// A `pg_dump` that is too old.
fn old_tools(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    for name in ["pg_dump", "pg_restore"] {
        let file = directory.join(name);
        std::fs::write(&file, "#!/bin/sh\necho \"pg_dump (PostgreSQL) 9.6.1\"\n")?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

type Change<'a> = &'a dyn Fn(&mut Settings);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_sink_is_found_with_its_remedy_and_a_start_says_the_same() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("doctor_sink").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let target = pipeline.target().await?;
    for statement in SETUP.split(';') {
        target.batch_execute(statement).await?;
    }
    let of =
        |url: &str, database: &str| url.rsplit_once('/').map_or_else(String::new, |(at, _)| format!("{at}/{database}"));
    let full = of(&pipeline.target_url(), "doctor_sink_full");
    postgres::connect(&full).await?.batch_execute("CREATE TABLE mine (id int)").await?;
    let writer = |url: &str| url.replace("postgres:postgres@", "doctor_writer:writer@");
    let closed = ports::free()?;
    let streamer = pipeline.streamer().await?;
    let settings = |change: Change<'_>| {
        let mut settings = pipeline.sink_settings(streamer.rest().url())?;
        settings.environment.push(("SINK_DEADLINE", "1".to_owned()));
        change(&mut settings);
        anyhow::Ok(settings)
    };
    let connector = |changes: &[(&str, &str)]| {
        let file = pipeline.directory.path().join(format!("changed{}.json", changes.len()));
        std::fs::write(&file, json!({ "name": pipeline.name, "config": pipeline.connector(changes)? }).to_string())?;
        anyhow::Ok(file)
    };
    let without_metadata = connector(&[("provide.transaction.metadata", "false")])?;
    let with_snapshot = connector(&[("snapshot.mode", "initial"), ("publication.autocreate.mode", "filtered")])?;
    let unpublished = connector(&[
        ("publication.autocreate.mode", "disabled"),
        ("publication.name", "no_such"),
        ("provide.transaction.metadata", "false"),
    ])?;
    old_tools(&pipeline.directory.path().join("old"))?;

    let good = Doctor::sink(&settings(&|_| {})?).await?;
    ensure!(good.status == Some(0), "{:#}", good.said);
    pipeline.target_has("SELECT to_regnamespace('headwater') IS NULL", "true").await?;

    let variable = |name: &'static str, value: &'static str| {
        move |settings: &mut Settings| settings.environment.push((name, value.to_owned()))
    };
    let by_transaction = variable("SINK_MODE", "transaction");
    let wrong: &[(&str, &str, Change<'_>)] = &[
        ("target-unreachable", "--target", &|s| {
            s.target = of(&s.target, "x").replace(&port(&s.target), &closed.to_string())
        }),
        ("login-refused", "~/.pgpass", &|s| s.target = s.target.replace("postgres:postgres@", "postgres:not-it@")),
        ("database-missing", "CREATE DATABASE \"no_such\"", &|s| s.target = of(&s.target, "no_such")),
        ("kafka-unreachable", "--bootstrap-servers", &|s| s.bootstrap_servers = format!("127.0.0.1:{closed}")),
        ("worker-unreachable", "--connect-url", &|s| s.connect_url = format!("http://127.0.0.1:{closed}")),
        ("target-schema", "GRANT CREATE ON DATABASE", &|s| s.target = writer(&s.target)),
        ("target-replication-role", "GRANT SET ON PARAMETER", &|s| {
            s.target = writer(&of(&s.target, "doctor_sink_owned"))
        }),
        ("target-not-empty", "CREATE DATABASE", &|s| s.target = full.clone()),
        ("same-database", "CREATE DATABASE", &|s| s.target = s.source.clone()),
        ("pg-dump", "--copy-schema catalog", &|s| {
            s.pg_bin = pipeline.directory.path().join("old");
            s.environment.push(("SINK_COPY_SCHEMA", "pg_dump".to_owned()));
        }),
        ("transaction-mode", "--mode table", &|s| {
            s.connector = Some(without_metadata.clone());
            by_transaction(s);
        }),
        ("connector-file", "Expected is", &|s| s.connector = Some(with_snapshot.clone())),
        ("publication-missing", "CREATE PUBLICATION \"no_such\"", &|s| s.connector = Some(unpublished.clone())),
        ("dead-letter-topic", "a name", &variable("SINK_DEAD_LETTER_TOPIC", "doctor_sink.public.letters")),
    ];
    for (id, remedy, change) in wrong {
        let settings = settings(change)?;
        tried(&pipeline, &settings, id, remedy).await.with_context(|| (*id).to_owned())?;
    }

    let changed = [
        ("table-identity", "REPLICA IDENTITY FULL", "CREATE TABLE keyless (v int)", "DROP TABLE keyless"),
        ("nothing-captured", "create the tables", "DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)"),
        (
            "slot-exists",
            "pg_drop_replication_slot('doctor_sink')",
            "SELECT pg_create_logical_replication_slot('doctor_sink', 'pgoutput')",
            "SELECT pg_drop_replication_slot('doctor_sink')",
        ),
    ];
    for (id, remedy, makes, mends) in changed {
        pipeline.run(makes).await?;
        tried(&pipeline, &settings(&|_| {})?, id, remedy).await.with_context(|| id.to_owned())?;
        pipeline.run(mends).await?;
        pipeline.run("DROP PUBLICATION IF EXISTS doctor_sink").await?;
        // What a start that ended early has made is the next one's.
        pipeline.target().await?.batch_execute("DROP SCHEMA IF EXISTS headwater CASCADE").await?;
    }

    // Behind the first copy.
    let (mut sink, _) = pipeline.sink(&streamer)?;
    sink.wait_complete(1, |_| {}).await?;
    let running = Doctor::sink(&settings(&|_| {})?).await?;
    ensure!(running.status == Some(0), "{:#}", running.said);
    sink.into_process().stop().await?;
    let none = variable("SINK_SCHEMA_EVOLUTION", "none");
    pipeline.target().await?.batch_execute("ALTER TABLE t ADD COLUMN more int").await?;
    pipeline.run("ALTER TABLE t ADD COLUMN lacking int; CREATE TABLE later (id int PRIMARY KEY)").await?;
    tried(&pipeline, &settings(&none)?, "target-column", "ADD COLUMN \"lacking\"").await?;
    tried(&pipeline, &settings(&none)?, "target-table", "--schema-evolution basic").await?;

    // Another program, or another target's sink, in the group; and a transactions' topic that somebody made.
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.kafka)
        .set("group.id", "headwater-sink-doctor_sink")
        .create()?;
    topic::create(&pipeline.kafka, "doctor_sink_parted.transaction", 2).await?;
    member.subscribe(&["doctor_sink_parted.transaction"])?;
    let found = wait_until("the member to be in the group", std::time::Duration::from_secs(30), async || {
        _ = tokio::task::block_in_place(|| member.poll(std::time::Duration::from_millis(200)));
        let doctor = Doctor::sink(&settings(&|_| {})?).await?;
        Ok(doctor.finding("consumer-group").map_or_else(|error| Condition::NotYet(error.to_string()), Condition::Met))
    })
    .await?;
    ensure!(found.severity == "error" && found.message.contains("headwater-sink-doctor_sink"), "{found:?}");
    let parted = settings(&|settings| {
        settings.topic_prefix = "doctor_sink_parted".to_owned();
        settings.connector = None;
    })?;
    let found = Doctor::sink(&parted).await?.finding("transaction-topic")?;
    ensure!(found.remedy.contains("--partitions 1"), "{found:?}");
    streamer.into_process().stop().await
}

fn port(url: &str) -> String {
    let address = url.rsplit_once('/').map_or("", |(address, _)| address);
    address.rsplit_once(':').map_or_else(String::new, |(_, port)| port.to_owned())
}

/// What `sink doctor` finds, and `sink run` says.
async fn tried(pipeline: &Pipeline, settings: &Settings, id: &str, remedy: &str) -> anyhow::Result<()> {
    let doctor = Doctor::sink(settings).await?;
    let found = doctor.finding(id)?;
    ensure!(found.severity == "error" && found.remedy.contains(remedy), "{found:?}");
    ensure!(!doctor.said.to_string().contains("not-it"), "a password is shown");
    start_says(pipeline, "sink", Sink::command(settings)?, &found).await
}
