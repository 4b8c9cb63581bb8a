//! Comparing for ever.

use std::time::{Duration, Instant};

use page::state::now_ms;
use page::state::sink::{Verified, VerifiedTable};
use tokio_util::sync::CancellationToken;

use super::outcome::Round;
use super::pace::Pace;
use super::report;
use super::round::Comparer;
use crate::config::VerifyConfig;
use crate::error::SinkError;
use crate::metrics::health::Health;
use crate::metrics::page::About;
use crate::metrics::{self, names};

/// Rows a second, unless it is told: some hundredths of a core of each server, where rows are short.
const RATE: u32 = 20_000;

/// Between the beginnings of two rounds at least.
const ROUND: Duration = Duration::from_secs(10);

/// Goes round until cancelled, with a line on standard output behind each round. A round that fails is begun anew; of one that was
/// cancelled nothing is half mended.
///
/// # Errors
/// Stop when the first one cannot be without a person.
pub(super) async fn watch(config: &VerifyConfig, cancel: &CancellationToken) -> Result<(), SinkError> {
    let health = Health::default();
    metrics::http::serve(config.http_listen, health.clone(), About::verify(config)).await?;
    health.at_step("comparing");
    for number in 1.. {
        let begun = Instant::now();
        let result = tokio::select! {
            result = round(config) => result,
            () = cancel.cancelled() => break,
        };
        match result {
            Ok(round) => {
                health.group(None);
                measure(&round);
                health.verified(shown(number, &round));
                if config.json {
                    let mut document = report::document(&round);
                    document["round"] = number.into();
                    println!("{document}");
                } else {
                    println!("{}", report::line(number, &round));
                }
            }
            Err(error) if number == 1 && !error.is_retry() => return Err(error),
            Err(error) => {
                tracing::warn!("comparing failed, and is begun anew: {error}");
                ::metrics::counter!(names::VERIFY_FAILURES).increment(1);
                health.group(Some((&error).into()));
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until((begun + ROUND).into()) => {}
            () = cancel.cancelled() => break,
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// With sessions of its own: those of the last one may be gone.
async fn round(config: &VerifyConfig) -> Result<Round, SinkError> {
    let mut pace = Pace::new(Some(config.rate.unwrap_or(RATE)), false);
    Comparer::open(config).await?.round(&mut pace, true).await
}

fn measure(round: &Round) {
    use ::metrics::{counter, gauge};
    for table in &round.tables {
        let title = || table.title();
        for (kind, count) in table.counts() {
            gauge!(names::VERIFY_DIFFERENCES, "table" => title(), "is" => kind.name()).set(count as f64);
        }
        gauge!(names::VERIFY_LEFT, "table" => title()).set(table.left() as f64);
        gauge!(names::VERIFY_UNDECIDED, "table" => title()).set(table.open as f64);
        gauge!(names::VERIFY_EQUAL, "table" => title()).set(if table.is_equal() { 1.0 } else { 0.0 });
        counter!(names::VERIFY_MENDED, "table" => title()).increment(table.mended as u64);
    }
    counter!(names::VERIFY_ROWS).increment(round.rows);
    counter!(names::VERIFY_ROUNDS).increment(1);
    gauge!(names::VERIFY_SECONDS).set(round.took.as_secs_f64());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    gauge!(names::VERIFY_LAST).set(now.as_secs_f64());
}

/// The round as the page shows it.
fn shown(number: u64, round: &Round) -> Verified {
    let tables = round.tables.iter().map(|table| VerifiedTable {
        name: table.title(),
        equal: table.is_equal(),
        left: table.left() as u64,
        undecided: table.open as u64,
        mended: table.mended as u64,
    });
    Verified {
        rounds: number,
        at_ms: now_ms(),
        seconds: round.took.as_secs_f64(),
        rows: round.rows,
        tables: tables.collect(),
    }
}
