//! A topic into the second PostgreSQL: our sink and Debezium's JDBC sink on the same records, and COPY of the same rows; and our
//! sink with several partitions and instances.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use serde_json::json;
use tokio_postgres::Client;

use super::carrier::{Carrier, Carrying};
use super::ends::Ends;
use super::result::{Measured, Part, Round};
use super::stage::{DATABASE, Stage};
use super::table::{DEVICES, devices};
use super::watched::Watched;
use super::{Arguments, Work};
use crate::artifacts;
use crate::kafka::Jvm;
use crate::ports;
use crate::process::Process;
use crate::sink::{self, Sink};
use crate::worker::{self, Worker};

/// The connector, its topics' prefix and its slot.
const NAME: &str = "applied";
/// The topic of it.
const TOPIC: &str = "applied.public.devices";

/// How many records the JDBC sink is given at a time, and writes at a time.
const BATCH: &str = "3000";

/// How often the table is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Measures it.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, arguments: &Arguments) -> anyhow::Result<Measured> {
    let target = stage.target().await?;
    let about = format!(
        "{} inserts of 12 columns as upserts, from one partition; JSON with schemas, which the JDBC sink needs.",
        arguments.rows
    );
    let mut measured = Measured::new(Work::Apply, "Sink", about);
    let Topic { source, carrying, settings, written } = topic(stage, 1, true, arguments.rows).await?;
    let text = copied(&source).await?;
    for round in 0..arguments.rounds {
        for number in 0..3 {
            clear(&target).await?;
            let (name, part, found) = match (number + round) % 3 {
                0 => ("sink", Part::Ours, ours(stage, &target, &settings, (1, 1), written).await.context("sink")?),
                1 => ("COPY FROM STDIN", Part::Ceiling, copy(&target, &text, written).await?),
                _ if arguments.alone => continue,
                _ => {
                    let found = jdbc(stage, &target, round, written).await.context("the JDBC sink")?;
                    ("Debezium's JDBC sink", Part::Debezium, found)
                }
            };
            eprintln!("sink, round {}: {name}: {:.0} rows/s", round + 1, found.rows.unwrap_or_default());
            measured.push(name, part, found);
        }
    }
    carrying.stop(&source).await?;
    Ok(measured)
}

/// Measures how it grows with partitions and instances.
///
/// # Errors
/// What did not come.
pub(super) async fn spread(arguments: &Arguments) -> anyhow::Result<Measured> {
    let about = format!("{} inserts of 12 columns as upserts; JSON without schemas.", arguments.rows);
    let mut measured = Measured::new(Work::Spread, "Sink, partitions and instances", about);
    for partitions in [1, 2, 4] {
        let stage = Stage::start(false).await?;
        let target = stage.target().await?;
        let Topic { source, carrying, settings, written } = topic(&stage, partitions, false, arguments.rows).await?;
        for round in 0..arguments.rounds {
            for instances in [1, 2, 4].into_iter().filter(|instances| *instances <= partitions) {
                clear(&target).await?;
                let found = ours(&stage, &target, &settings, (partitions, instances), written).await?;
                let name = format!("{partitions} partitions, {instances} sinks");
                eprintln!("spread, round {}: {name}: {:.0} rows/s", round + 1, found.rows.unwrap_or_default());
                measured.push(&name, Part::Ours, found);
            }
        }
        carrying.stop(&source).await?;
        stage.stop().await?;
    }
    Ok(measured)
}

/// A topic that our sink has begun with, and that is full now.
struct Topic {
    source: Client,
    carrying: Carrying,
    settings: sink::Settings,
    written: usize,
}

/// Our sink copies the empty table, and is ended; the topic fills behind it.
async fn topic(stage: &Stage, partitions: i32, has_schemas: bool, rows: usize) -> anyhow::Result<Topic> {
    let source = stage.source().await?;
    source.batch_execute(DEVICES).await?;
    source.batch_execute(&format!("CREATE PUBLICATION {DATABASE} FOR ALL TABLES")).await?;
    let ends = Ends::with_partitions(&stage.bootstrap_servers(), vec![TOPIC.to_owned()], partitions).await?;
    let schemas = has_schemas.to_string();
    let streamer = Carrier::streamer()
        .connector("key.converter.schemas.enable", &schemas)
        .connector("value.converter.schemas.enable", &schemas)
        // Without these our sink takes no connector: the target would not become equal.
        .connector("skipped.operations", "none")
        .connector("value.converter.replace.null.with.default", "false");
    let carrying = streamer.start_idle(stage, NAME).await?;
    let connector = stage.folder(NAME)?.join("connector.json");
    std::fs::write(&connector, json!({ "name": NAME, "config": streamer.config(stage, NAME) }).to_string())?;
    let settings = sink_settings(stage, &carrying.url(), &connector)?;
    let mut first = Sink::start(&stage.folder("sink-first")?, &settings)?;
    first.wait_complete(1, |_| {}).await?;
    first.into_process().stop().await?;
    let mut written = 0;
    while written < rows {
        source.batch_execute(&devices("devices", 1000)).await?;
        written += 1000;
    }
    ends.reach(written).await?;
    Ok(Topic { source, carrying, settings, written })
}

fn sink_settings(stage: &Stage, url: &str, connector: &Path) -> anyhow::Result<sink::Settings> {
    Ok(sink::Settings {
        source: stage.source_url(),
        target: stage.target_url(),
        bootstrap_servers: stage.bootstrap_servers(),
        connect_url: url.to_owned(),
        topic_prefix: NAME.to_owned(),
        connector: Some(connector.to_owned()),
        test_rows: None,
        port: ports::free()?,
        pg_bin: stage.artifacts.postgres_client(),
        environment: vec![],
    })
}

/// The target as it was before the first record.
async fn clear(target: &Client) -> anyhow::Result<()> {
    target.batch_execute("TRUNCATE devices; DELETE FROM headwater.offsets; CHECKPOINT").await?;
    Ok(())
}

async fn ours(
    stage: &Stage,
    target: &Client,
    settings: &sink::Settings,
    (partitions, instances): (i32, i32),
    rows: usize,
) -> anyhow::Result<Round> {
    let mut sinks = Vec::new();
    for number in 0..instances {
        let settings = sink::Settings { port: ports::free()?, ..settings.clone() };
        sinks.push(Sink::start(&stage.folder(&format!("sink-{number}"))?, &settings)?.into_process());
    }
    let processes: Vec<u32> = sinks.iter().filter_map(Process::id).collect();
    let found = filled(target, &processes, partitions, rows).await?;
    for sink in sinks {
        sink.stop().await?;
    }
    Ok(found)
}

async fn jdbc(stage: &Stage, target: &Client, round: usize, rows: usize) -> anyhow::Result<Round> {
    let name = format!("jdbc-{round}");
    let folder = stage.folder(&name)?;
    // Connect looks for plugins in the folders of the one that it is told.
    let connector = artifacts::jdbc_sink()?;
    let plugins = connector.parent().context("the JDBC sink is in no folder")?.display().to_string();
    let settings = worker::Settings {
        bootstrap_servers: stage.bootstrap_servers(),
        port: ports::free()?,
        group: name.clone(),
        more: vec![("plugin.path", plugins)],
        environment: vec![],
    };
    let command = Worker::debezium_command_on(&stage.artifacts, &folder, &settings, Jvm::AsShipped, 2048)?;
    let worker = Worker::start("jdbc", command, &folder, settings.port).await?;
    let connector = json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": TOPIC,
        "connection.url": format!("jdbc:postgresql://127.0.0.1:{}/{DATABASE}", stage.target_port()),
        "connection.username": "postgres", "connection.password": "postgres",
        "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key", "schema.evolution": "none",
        "collection.name.format": "${source.table}", "batch.size": BATCH, "consumer.override.max.poll.records": BATCH,
        "consumer.override.max.partition.fetch.bytes": "16777216", "consumer.override.auto.offset.reset": "earliest",
    });
    let (status, answer) = worker.rest().put(&format!("/connectors/{name}/config"), &connector).await?;
    ensure!(status == 201, "{status} {answer}");
    let worker = worker.into_process();
    let found = filled(target, &[worker.id().context("the worker has ended")?], 1, rows).await?;
    worker.kill();
    Ok(found)
}

/// Waits until the table has all rows; what processes did for it from the first row on that was seen.
async fn filled(target: &Client, processes: &[u32], partitions: i32, rows: usize) -> anyhow::Result<Round> {
    // Of one partition the keys come in order, and the largest says how many there are. Of several all are counted, which costs the
    // server something, and is done more rarely.
    let (sql, pause) = match partitions {
        1 => ("SELECT coalesce(max(id), 0) FROM devices", LOOK),
        _ => ("SELECT count(*) FROM devices", LOOK * 10),
    };
    let statement = target.prepare(sql).await?;
    let count = async || Ok::<i64, anyhow::Error>(target.query_one(&statement, &[]).await?.get(0));
    let rows = i64::try_from(rows)?;
    let (mut first, mut last, mut moved) = (None, 0, Instant::now());
    while last < rows {
        let now = count().await?;
        if now != last {
            (last, moved) = (now, Instant::now());
            if first.is_none() {
                let watched =
                    processes.iter().map(|process| Watched::begin(*process)).collect::<anyhow::Result<Vec<_>>>()?;
                first = Some((now, Instant::now(), watched));
            }
        }
        ensure!(moved.elapsed() < Duration::from_secs(120), "{last} of {rows} rows came");
        tokio::time::sleep(pause).await;
    }
    let (from, since, watched) = first.context("no row came")?;
    let applied = (rows - from) as f64;
    let cpu = watched.iter().map(Watched::cpu).sum::<anyhow::Result<f64>>()?;
    let peak = watched.iter().map(Watched::peak_mb).sum::<anyhow::Result<f64>>()?;
    Ok(Round {
        rows: Some(applied / since.elapsed().as_secs_f64()),
        cpu: Some(cpu / applied * 1e6),
        peak_mb: Some(peak),
        ..Round::default()
    })
}

/// The rows as COPY writes them.
async fn copied(source: &Client) -> anyhow::Result<Vec<Bytes>> {
    Ok(source.copy_out("COPY devices TO STDOUT").await?.try_collect().await?)
}

/// The same rows by COPY into the same table.
async fn copy(target: &Client, text: &[Bytes], rows: usize) -> anyhow::Result<Round> {
    // In pieces as large as a client would send.
    let pieces: Vec<Bytes> = text.chunks(1000).map(|lines| Bytes::from(lines.concat())).collect();
    let begun = Instant::now();
    let mut sink = Box::pin(target.copy_in("COPY devices FROM STDIN").await?);
    for piece in pieces {
        sink.send(piece).await?;
    }
    ensure!(sink.as_mut().finish().await? == rows as u64, "COPY took other rows");
    Ok(Round { rows: Some(rows as f64 / begun.elapsed().as_secs_f64()), ..Round::default() })
}
