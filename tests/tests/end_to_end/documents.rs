//! Every command that a document tells somebody to run, run as it stands there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use stack::artifacts::{Artifacts, jdbc_sink};
use stack::documents::block::{Block, Mark, blocks};
use stack::documents::shell::{Setting, Shell};
use stack::ports;
use stack::worker::{Worker, program};

use super::pipeline::Pipeline;

fn repository() -> anyhow::Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?)
}

fn read(document: &str) -> anyhow::Result<Vec<Block>> {
    let text = std::fs::read_to_string(repository()?.join(document)).with_context(|| document.to_owned())?;
    blocks(&text).with_context(|| document.to_owned())
}

fn pair(from: &str, to: impl ToString) -> (String, String) {
    (from.to_owned(), to.to_string())
}

/// The host and port in a database's URL.
fn server(url: &str) -> anyhow::Result<(&str, &str)> {
    let place = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).context("no server in the URL")?.0;
    place.split_once(':').context("no port in the URL")
}

/// A PATH on which our programs, PostgreSQL's, and those in `folder` are.
fn path(folder: &Path) -> anyhow::Result<String> {
    let ours = program("streamer")?.parent().context("no folder")?.display().to_string();
    let theirs = std::env::var("TEST_PG_BIN").context("TEST_PG_BIN")?;
    Ok(format!("{}:{ours}:{theirs}:{}", folder.display(), std::env::var("PATH")?))
}

/// Kafka's shell scripts, which its jars come without: each runs a class, on the Java and the jars that the stack has.
fn kafka_scripts(pipeline: &Pipeline, folder: &Path) -> anyhow::Result<()> {
    let worker = Worker::debezium_command(&Artifacts::fetch()?, folder, &pipeline.worker_settings()?)?;
    // Behind the class comes the file of properties.
    let arguments: Vec<_> = worker.get_args().map(|argument| argument.to_string_lossy()).collect();
    let (java, _) = arguments.split_last_chunk::<2>().context("no class")?;
    let java = java.iter().map(|argument| format!("'{argument}'")).collect::<Vec<_>>().join(" ");
    let program = worker.get_program().to_string_lossy();
    for (script, class) in [
        ("connect-distributed.sh", "org.apache.kafka.connect.cli.ConnectDistributed"),
        ("kafka-console-consumer.sh", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ] {
        let file = folder.join(script);
        std::fs::write(&file, format!("#!/bin/sh\nexec '{program}' {java} {class} \"$@\"\n"))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Where Debezium's connectors are, as one folder of plugins.
fn plugins() -> anyhow::Result<String> {
    let jdbc = jdbc_sink()?;
    let jdbc = jdbc.parent().context("the JDBC sink is in no folder")?;
    Ok(format!("{},{}", Artifacts::fetch()?.debezium().display(), jdbc.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_guide_for_debeziums_users_does_what_it_says() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("migrating").await?;
    let folder = pipeline.directory.path();
    let scripts = folder.join("scripts");
    std::fs::create_dir(&scripts)?;
    kafka_scripts(&pipeline, &scripts)?;
    let (source, target) = (pipeline.source_url(), pipeline.target_url());
    let ((host, source_port), (_, target_port)) = (server(&source)?, server(&target)?);
    let setting = Setting {
        replaced: vec![
            pair("db.example.com:5432/shop", format!("{host}:{source_port}/migrating")),
            pair("warehouse.example.com:5432/shop", format!("{host}:{target_port}/migrating")),
            pair("db.example.com", host),
            pair("\"database.port\": \"5432\"", format!("\"database.port\": \"{source_port}\"")),
            pair("\"database.dbname\": \"shop\"", "\"database.dbname\": \"migrating\""),
            pair("kafka:9092", &pipeline.kafka),
            pair("8083", ports::lasting()?),
            pair("/opt/kafka/plugins", plugins()?),
        ],
        variables: vec![
            pair("PATH", path(&scripts)?),
            pair("SINK_HTTP_LISTEN", format!("127.0.0.1:{}", ports::lasting()?)),
        ],
    };
    let work = folder.join("work");
    std::fs::create_dir(&work)?;
    let mut shell = Shell::start(&work, &folder.join("printed"), setting)?;
    shell.carry_out(&read("docs/migrating.md")?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_runbooks_does_what_it_says() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("runbooks").await?;
    let worker = pipeline.streamer().await?;
    // The connector that the sink makes by itself.
    let (mut sink, port) = pipeline.sink_with(&worker, |settings| settings.connector = None)?;
    sink.wait_complete(1, |_| {}).await?;
    // What the runbook of a difference is to mend.
    let target = pipeline.target().await?;
    target.batch_execute("UPDATE users SET email = 'changed here'; DELETE FROM alerts WHERE id % 10 = 0").await?;
    let folder = pipeline.directory.path();
    let rest = worker.rest().url().rsplit_once(':').context("no port in the URL")?.1;
    let setting = Setting {
        replaced: vec![
            pair("postgres://postgres:postgres@one/db", pipeline.source_url()),
            pair("postgres://postgres:postgres@two/db", pipeline.target_url()),
            pair("kafka:9092", &pipeline.kafka),
            pair("8083", rest),
            pair("8084", port),
            pair("shop", &pipeline.name),
        ],
        variables: vec![pair("PATH", path(folder)?)],
    };
    let mut shell = Shell::start(folder, &folder.join("printed"), setting)?;
    for block in read("docs/operations.md")? {
        if block.mark == Mark::Run && block.text.contains("/offsets") {
            // Between the lost slot and the new one.
            pipeline.run("DELETE FROM alerts WHERE id % 7 = 0; UPDATE users SET email = 'changed there'").await?;
        }
        shell.carry_out(std::slice::from_ref(&block)).await?;
    }
    drop(shell);
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

/// Stops what `start-all.sh` left running where a block failed.
struct Started(Command);

impl Drop for Started {
    fn drop(&mut self) {
        let _stopped = self.0.output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_does_what_it_says() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("readme").await?;
    let folder = pipeline.directory.path();
    let repository = repository()?;
    let programs = program("stack")?.parent().context("no folder")?.to_owned();
    let (worker, sink) = (ports::lasting()?, ports::lasting()?);
    let own_worker = ports::lasting()?;
    let mut variables = vec![
        pair("PATH", path(folder)?),
        pair("STACK", "native"),
        pair("HEADWATER_PROGRAMS", programs.display()),
        pair("HEADWATER_STACK", folder.join("stack").display()),
        pair("WORKER_PORT", worker),
        pair("SINK_PORT", sink),
        pair("CONNECT_LISTENERS", format!("http://127.0.0.1:{own_worker}")),
        pair("SINK_HTTP_LISTEN", format!("127.0.0.1:{}", ports::lasting()?)),
    ];
    for port in ["POSTGRES1_PORT", "POSTGRES2_PORT", "KAFKA_PORT"] {
        variables.push(pair(port, ports::lasting()?));
    }
    let mut stop = Command::new(repository.join("scripts/stop-all.sh"));
    stop.envs(variables.iter().cloned());
    let setting = Setting {
        replaced: vec![
            pair("localhost:8083", format!("localhost:{worker}")),
            pair("localhost:8084", format!("localhost:{sink}")),
            pair("postgres://USER:PASSWORD@one/db", pipeline.source_url()),
            pair("postgres://USER:PASSWORD@two/db", pipeline.target_url()),
            pair("kafka:9092", &pipeline.kafka),
            pair("http://worker:8083", format!("http://localhost:{own_worker}")),
            pair("shop", &pipeline.name),
        ],
        variables,
    };
    let blocks = read("README.md")?;
    ensure!(blocks.iter().any(|block| block.text.contains("start-all.sh")), "the README starts the stack");
    let _started = Started(stop);
    let mut shell = Shell::start(&repository, &folder.join("printed"), setting)?;
    shell.carry_out(&blocks).await
}
