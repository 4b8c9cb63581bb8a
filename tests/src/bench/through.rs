//! From a commit in the first PostgreSQL to the commit in the second, by the times that both keep of their commits.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

use super::carrier::Carrier;
use super::latency::percentiles;
use super::result::{Measured, Part, Round};
use super::stage::Stage;
use super::table::DEVICES;
use super::watched::Watched;
use super::{Arguments, Work};
use crate::ports;
use crate::sink::{self, Sink};

/// The topics' prefix.
const NAME: &str = "through";

/// How many rows come before the clock counts.
const WARM_UP: i64 = 500;

/// Measures it.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, arguments: &Arguments) -> anyhow::Result<Measured> {
    let source = stage.source().await?;
    source.batch_execute(DEVICES).await?;
    let carrying = Carrier::streamer().start_idle(stage, NAME).await?;
    let settings = sink::Settings {
        source: stage.source_url(),
        target: stage.target_url(),
        bootstrap_servers: stage.bootstrap_servers(),
        connect_url: carrying.url(),
        topic_prefix: NAME.to_owned(),
        connector: None,
        test_rows: None,
        port: ports::free()?,
        pg_bin: stage.artifacts.postgres_client(),
        environment: vec![],
    };
    let mut sink = Sink::start(&stage.folder("sink")?, &settings)?;
    sink.wait_complete(1, |_| {}).await?;
    let target = stage.target().await?;
    let about =
        "100 commits of one row a second; from the commit in the first PostgreSQL to the commit in the second, by the \
                 servers' own clocks (track_commit_timestamp)."
            .to_owned();
    let mut measured = Measured::new(Work::Through, "From database to database", about);
    for round in 0..arguments.rounds {
        let (streamer, sink) =
            (carrying.watched()?, Watched::begin(sink.process().id().context("the sink has ended")?)?);
        let begun = Instant::now();
        let latencies = one(&source, &target, arguments.seconds).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let latency = percentiles(latencies);
        eprintln!("through, round {}: p50 {:.1} ms, p99 {:.1} ms", round + 1, latency[0], latency[2]);
        let core = Some((streamer.cpu()? + sink.cpu()?) / seconds);
        measured.push("streamer and sink", Part::Ours, Round { latency: Some(latency), core, ..Round::default() });
    }
    sink.into_process().stop().await?;
    carrying.stop(&source).await?;
    Ok(measured)
}

async fn one(source: &Client, target: &Client, seconds: u64) -> anyhow::Result<Vec<f64>> {
    let first: i64 = source.query_one("SELECT coalesce(max(id), 0) FROM devices", &[]).await?.get(0);
    let rows = WARM_UP + i64::try_from(seconds)? * 100;
    let statement = source.prepare("INSERT INTO devices (service_tag) VALUES ('THROUGH')").await?;
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..rows {
        clock.tick().await;
        source.execute(&statement, &[]).await?;
    }
    let begun = Instant::now();
    loop {
        let there: i64 = target.query_one("SELECT coalesce(max(id), 0) FROM devices", &[]).await?.get(0);
        if there >= first + rows {
            break;
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "{there} of {} rows came", first + rows);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (committed, applied) = (times(source, first + WARM_UP).await?, times(target, first + WARM_UP).await?);
    let of = |(id, applied): (&i64, &SystemTime)| {
        let committed = committed.get(id)?;
        Some(applied.duration_since(*committed).unwrap_or_default().as_secs_f64() * 1000.0)
    };
    Ok(applied.iter().filter_map(of).collect())
}

/// When each row behind `id` was committed.
async fn times(database: &Client, id: i64) -> anyhow::Result<HashMap<i64, SystemTime>> {
    let sql = "SELECT id, pg_xact_commit_timestamp(xmin) FROM devices WHERE id > $1";
    Ok(database.query(sql, &[&id]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
