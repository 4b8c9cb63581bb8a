//! The rows that are there into Kafka.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

use super::carrier::Carrier;
use super::ends::Ends;
use super::result::{Measured, Part, Round};
use super::stage::{DATABASE, Stage};
use super::table::{DEVICES, devices};
use super::watched::Watched;
use super::{Arguments, Work};

/// Measures it.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, arguments: &Arguments) -> anyhow::Result<Measured> {
    let source = stage.source().await?;
    source.batch_execute(DEVICES).await?;
    source.batch_execute(&devices("devices", arguments.rows)).await?;
    source.batch_execute("VACUUM (FREEZE, ANALYZE) devices").await?;
    source.batch_execute(&format!("CREATE PUBLICATION {DATABASE} FOR ALL TABLES")).await?;
    let about = format!("{} rows of 12 columns; JSON without schemas.", arguments.rows);
    let mut measured = Measured::new(Work::Snapshot, "Snapshot", about);
    for round in 0..arguments.rounds {
        let carriers = carriers(arguments);
        for number in 0..=carriers.len() {
            // Each begins a round once.
            let number = (number + round) % (carriers.len() + 1);
            let (name, part, found) = match carriers.get(number) {
                Some(carrier) => {
                    let name = format!("r{round}_{number}");
                    let found = one(stage, &source, carrier, &name, arguments.rows).await;
                    (carrier.name.as_str(), carrier.part, found.context(carrier.name.clone())?)
                }
                None => ("COPY TO STDOUT", Part::Ceiling, copy(stage, arguments.rows).await?),
            };
            eprintln!("snapshot, round {}: {name}: {:.0} rows/s", round + 1, found.rows.unwrap_or_default());
            measured.push(name, part, found);
        }
    }
    Ok(measured)
}

fn carriers(arguments: &Arguments) -> Vec<Carrier> {
    let mut carriers = vec![Carrier::streamer_with(arguments)];
    if !arguments.alone {
        carriers.push(Carrier::debezium());
    }
    carriers.into_iter().map(|carrier| carrier.connector("snapshot.mode", "initial")).collect()
}

/// PostgreSQL's own client copies the table to nowhere.
async fn copy(stage: &Stage, rows: usize) -> anyhow::Result<Round> {
    let mut psql = Command::new(stage.artifacts.postgres_client().join("psql"));
    psql.arg(stage.source_url()).args(["-q", "-o", "/dev/null", "-c", "COPY devices TO STDOUT"]).stdin(Stdio::null());
    let begun = Instant::now();
    let status = tokio::task::spawn_blocking(move || psql.status()).await??;
    ensure!(status.success(), "psql: {status}");
    Ok(Round { rows: Some(rows as f64 / begun.elapsed().as_secs_f64()), ..Round::default() })
}

async fn one(stage: &Stage, source: &Client, carrier: &Carrier, name: &str, rows: usize) -> anyhow::Result<Round> {
    let ends = Ends::create(&stage.bootstrap_servers(), vec![format!("{name}.public.devices")]).await?;
    let carrying = carrier.start(stage, name).await?;
    let (first, begun) = ends.reach(1).await?;
    let worker = carrying.watched()?;
    let readers = readers(source).await?;
    let (last, ended) = ends.reach(rows).await?;
    let count = (last - first) as f64;
    // A reader that has ended took its clock with it: then there is no figure.
    let server_cpu = readers.iter().map(Watched::cpu).sum::<anyhow::Result<f64>>().ok().filter(|_| !readers.is_empty());
    let round = Round {
        rows: Some(count / ended.duration_since(begun).as_secs_f64()),
        cpu: Some(worker.cpu()? / count * 1e6),
        server_cpu: server_cpu.map(|seconds| seconds / count * 1e6),
        peak_mb: Some(worker.peak_mb()?),
        bytes: Some(ends.bytes(&stage.kafka_log())? as f64 / last as f64),
        ..Round::default()
    };
    // It goes on to stream, and can be ended.
    carrying.wait_running().await?;
    tokio::time::timeout(Duration::from_secs(30), carrying.stop(source)).await.context("it does not end")??;
    ends.delete().await?;
    Ok(round)
}

/// The server's processes that read the table.
async fn readers(source: &Client) -> anyhow::Result<Vec<Watched>> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
               AND backend_type = 'client backend' AND query ILIKE '%devices%'";
    let mut readers = Vec::new();
    for row in source.query(sql, &[]).await? {
        readers.push(Watched::begin(u32::try_from(row.get::<_, i32>(0))?)?);
    }
    Ok(readers)
}
