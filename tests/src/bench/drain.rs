//! A backlog of changes into Kafka: the same WAL for everybody, from copies of one slot.

use std::ops::Range;

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

use super::bare::{self, Drained};
use super::carrier::{Carrier, Carrying, drop_slots};
use super::ends::Ends;
use super::result::{Measured, Part, Round};
use super::stage::{DATABASE, Stage};
use super::table::Backlog;
use super::watched::Watched;
use super::{Arguments, Work};
use crate::registry::Registry;

/// The slot that the others are copies of.
const BASE: &str = "base";

/// Who takes a turn.
enum System {
    Carrier(Carrier),
    /// A socket whose reader rests.
    Rested,
    /// PostgreSQL's own client.
    Eager,
}

/// Measures one kind of backlog.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, work: Work, arguments: &Arguments) -> anyhow::Result<Measured> {
    let backlog = Backlog::of(work);
    let source = stage.source().await?;
    backlog.make(&source).await?;
    source.batch_execute(&format!("CREATE PUBLICATION {DATABASE} FOR ALL TABLES")).await?;
    source.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", &[&BASE]).await?;
    eprintln!("{work:?}: writing the backlog");
    let written = backlog.write(&source, arguments.rows).await?;
    let end: String = source.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?.get(0);
    let (title, about) = words(work, written, &backlog);
    let mut measured = Measured::new(work, title, about);
    let registry = match work {
        Work::Avro => Some(Registry::start(&stage.folder("registry")?).await?),
        _ => None,
    };
    for round in 0..arguments.rounds {
        let mut systems = systems(work, arguments, registry.as_ref().map_or("", Registry::url));
        let count = systems.len();
        systems.rotate_left(round % count);
        for (number, system) in systems.iter().enumerate() {
            let slot = format!("r{round}_{number}");
            source.execute("SELECT pg_copy_logical_replication_slot($1, $2)", &[&BASE, &slot]).await?;
            let (name, part, found) = match system {
                System::Carrier(carrier) => {
                    let round = carry(stage, &source, carrier, &slot, &backlog, written).await;
                    (carrier.name.as_str(), carrier.part, round.context(carrier.name.clone())?)
                }
                System::Rested => {
                    let (port, slot) = (stage.source_port(), slot.clone());
                    let drained = tokio::task::spawn_blocking(move || bare::rested(port, &slot, written)).await??;
                    ("bare socket, resting", Part::Ceiling, as_round(drained))
                }
                System::Eager => {
                    let (programs, url) = (stage.artifacts.postgres_client(), stage.source_url());
                    let (slot, end) = (slot.clone(), end.clone());
                    let drain = move || bare::eager(&programs, &url, &slot, &end, written);
                    ("pg_recvlogical, eager", Part::Bare, as_round(tokio::task::spawn_blocking(drain).await??))
                }
            };
            drop_slots(&source, &slot).await?;
            eprintln!("{work:?}, round {}: {name}: {:.0} rows/s", round + 1, found.rows.unwrap_or_default());
            measured.push(name, part, found);
        }
    }
    drop_slots(&source, BASE).await?;
    Ok(measured)
}

fn as_round(drained: Drained) -> Round {
    let known = |value: f64| Some(value).filter(|value| !value.is_nan());
    Round {
        rows: Some(drained.rows),
        cpu: known(drained.cpu),
        server_cpu: known(drained.server_cpu),
        ..Round::default()
    }
}

fn systems(work: Work, arguments: &Arguments, registry: &str) -> Vec<System> {
    const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
    let with = |carrier: Carrier| match work {
        Work::Avro => carrier
            .called("streamer, Avro")
            .connector("key.converter", AVRO)
            .connector("key.converter.schema.registry.url", registry)
            .connector("value.converter", AVRO)
            .connector("value.converter.schema.registry.url", registry),
        Work::Schemas => carrier
            .connector("key.converter.schemas.enable", "true")
            .connector("value.converter.schemas.enable", "true"),
        Work::Transform => carrier
            .connector("transforms", "unwrap")
            .connector("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        _ => carrier,
    };
    let mut systems = vec![System::Rested, System::Eager, System::Carrier(with(Carrier::streamer_with(arguments)))];
    if work == Work::Drain {
        let exactly_once = Carrier::streamer_with(arguments).called("streamer, exactly once");
        systems.push(System::Carrier(exactly_once.worker("exactly.once.source.support", "enabled")));
    }
    match work {
        // Debezium comes without a converter for it.
        Work::Avro => systems.push(System::Carrier(Carrier::streamer_with(arguments).called("streamer, JSON"))),
        _ if !arguments.alone => systems.push(System::Carrier(with(Carrier::debezium()))),
        _ => {}
    }
    systems
}

async fn carry(
    stage: &Stage,
    source: &Client,
    carrier: &Carrier,
    name: &str,
    backlog: &Backlog,
    written: usize,
) -> anyhow::Result<Round> {
    let topics = backlog.tables.iter().map(|table| format!("{name}.public.{table}")).collect();
    let ends = Ends::create(&stage.bootstrap_servers(), topics).await?;
    let carrying = carrier.start(stage, name).await?;
    let round = drained(stage, source, &carrying, &ends, 0..written).await?;
    carrying.stop(source).await?;
    ends.delete().await?;
    Ok(round)
}

/// Watches a carrier from the first record behind those that are there to the last: how long a start takes is not the question.
pub(super) async fn drained(
    stage: &Stage,
    source: &Client,
    carrying: &Carrying,
    ends: &Ends,
    records: Range<usize>,
) -> anyhow::Result<Round> {
    let (first, begun) = ends.reach(records.start + 1).await?;
    let active =
        "SELECT active_pid FROM pg_replication_slots WHERE starts_with(slot_name, $1) AND active_pid IS NOT NULL";
    let walsenders = source.query(active, &[&carrying.name()]).await?;
    let watched = walsenders.iter().map(|row| Watched::begin(u32::try_from(row.get::<_, i32>(0))?));
    let walsenders = watched.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!walsenders.is_empty(), "nobody reads the slot");
    let (worker, broker) = (carrying.watched()?, Watched::begin(stage.broker()?)?);
    let (last, ended) = ends.reach(records.end).await?;
    let count = (last - first) as f64;
    let millions = count / 1e6;
    Ok(Round {
        rows: Some(count / ended.duration_since(begun).as_secs_f64()),
        cpu: Some(worker.cpu()? / millions),
        server_cpu: Some(walsenders.iter().map(Watched::cpu).sum::<anyhow::Result<f64>>()? / millions),
        broker_cpu: Some(broker.cpu()? / millions),
        peak_mb: Some(worker.peak_mb()?),
        bytes: Some(ends.bytes(&stage.kafka_log())? as f64 / last as f64),
        ..Round::default()
    })
}

fn words(work: Work, written: usize, backlog: &Backlog) -> (&'static str, String) {
    let (changes, tables) = (backlog.changes, backlog.tables.len());
    let rows = format!("{written} changes in transactions of {changes}");
    match work {
        Work::Schemas => ("Backlog, JSON with schemas", format!("{rows}; 12 columns; the schema in every record.")),
        Work::Avro => (
            "Backlog, Avro",
            format!("{rows}; 12 columns; Apicurio's schema registry. Debezium comes without a converter for Avro."),
        ),
        Work::Wide => ("Backlog, 60 columns", format!("{rows}; text, numbers, timestamps, booleans.")),
        Work::Documents => ("Backlog, JSON documents", format!("{rows}; jsonb of some 2 kB.")),
        Work::Toast => (
            "Backlog, TOASTed values",
            format!("{rows}; updates of rows with a value of 8 kB that does not change and is not sent."),
        ),
        Work::Pgbench => (
            "Backlog, small transactions",
            format!("{rows}, as pgbench makes them: three updates, one insert, four tables."),
        ),
        Work::Tables => ("Backlog, many tables", format!("{rows}, one in each of {tables} tables.")),
        Work::Transform => ("Backlog, with a transform", format!("{rows}; 12 columns; ExtractNewRecordState.")),
        _ => ("Backlog, JSON without schemas", format!("{rows}; 12 columns, some 150 bytes a row.")),
    }
}
