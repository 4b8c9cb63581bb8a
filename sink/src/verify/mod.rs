//! Whether two databases are equal, and how they become it again.
//!
//! Nothing is stopped for it, and no snapshot is held: ranges of each table are hashed on both sides and narrowed down to the rows
//! that differ; and because changes are on their way meanwhile, each of these is looked at once more, behind a point of the
//! stream that is known on both sides. `--repair` writes what the source has; `--watch` does it for ever.
//!
//! # Layout
//! - `tables`: the source's tables, and whether the target has them
//! - `rows`: rows as they are compared
//! - `side`: one side's rows of a table, as SQL asks for them
//! - `sides`: both at once
//! - `ranges`: ranges of keys, narrowed down to the rows that differ
//! - `pace`: how fast, and how far that is
//! - `barrier`: a point of the stream that is known on both sides
//! - `unread`: whether there is anything left to read in a partition
//! - `candidate`: rows that may differ, and what is found out about them
//! - `confirm`: which of them do, and why that is so
//! - `settle`: the same where it is not known how far the stream is
//! - `whole`: tables whose rows cannot be told from each other
//! - `repair`: rows that differ, written as the source has them, and why nothing newer is overwritten
//! - `round`: every table, compared once
//! - `outcome`: what came of it
//! - `report`: the same as people and as programs read it
//! - `watch`: comparing for ever

mod barrier;
mod candidate;
mod confirm;
mod outcome;
mod pace;
mod ranges;
mod repair;
mod report;
mod round;
mod rows;
mod settle;
mod side;
mod sides;
mod tables;
mod unread;
mod watch;
mod whole;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::outcome::Round;
use self::pace::Pace;
use self::round::Comparer;
use crate::bootstrap::test_rows;
use crate::config::VerifyConfig;
use crate::error::SinkError;

/// The pause before all is compared again while it differs.
const AGAIN: Duration = Duration::from_millis(300);

/// How long a row of `--live-insert` may take.
const LIVE_INSERT: Duration = Duration::from_secs(30);

/// Compares, prints what came of it, and with `--live-insert` times rows on their way. Whether all is equal. With `--watch` it goes on
/// until cancelled.
///
/// # Errors
/// When one of the databases cannot be read.
pub async fn run(config: &VerifyConfig, cancel: &CancellationToken) -> Result<bool, SinkError> {
    if config.watch {
        return Box::pin(watch::watch(config, cancel)).await.map(|()| true);
    }
    let begun = Instant::now();
    let round = loop {
        // While there is time, one table that differs is enough to know that it is not the moment yet. What was mended counts.
        let is_last = begun.elapsed() >= config.wait;
        let round = Box::pin(compare(config, is_last || config.repair)).await?;
        if round.is_equal() || is_last {
            break round;
        }
        tokio::time::sleep(AGAIN).await;
    };
    if !config.json {
        print!("{}", report::table(&round));
    }
    let mut inserts = Vec::new();
    if let Some(file) = &config.live_insert {
        for row in test_rows::insert(&config.source, file).await? {
            let after = row.wait_in(&config.target, LIVE_INSERT).await?;
            if !config.json {
                println!("live insert: {} is in the target after {} ms", row.describe(), after.as_millis());
            }
            inserts.push(serde_json::json!({ "row": row.describe(), "milliseconds": after.as_secs_f64() * 1000.0 }));
        }
    }
    if config.json {
        let mut document = report::document(&round);
        document["live_inserts"] = inserts.into();
        println!("{document:#}");
    }
    Ok(round.is_equal())
}

async fn compare(config: &VerifyConfig, is_whole: bool) -> Result<Round, SinkError> {
    let mut pace = Pace::new(config.rate, true);
    let round = Comparer::open(config).await?.round(&mut pace, is_whole).await;
    pace.end();
    round
}
