//! Every table, compared once.

use std::time::Instant;

use tokio_postgres::Client;

use super::barrier::Barrier;
use super::candidate::Confirmed;
use super::confirm::confirm;
use super::outcome::{Outcome, Round};
use super::pace::Pace;
use super::ranges::{Sizes, Walk};
use super::repair::Repair;
use super::rows::Key;
use super::settle::settle;
use super::side::TableSide;
use super::sides::{Sides, Streamed};
use super::tables::{self, Table};
use super::whole::{self, Whole};
use crate::config::VerifyConfig;
use crate::error::SinkError;

/// The rows of a range, and of one whose rows are read one by one.
const SIZES: Sizes = Sizes { range: 10_000, small: 200 };

/// Where the sides order the key in different ways, an index of one of them at least is of no use, and each range reads the whole table: so
/// there are at most so many.
const RANGES_UNORDERED: u64 = 50;

/// So many candidates are confirmed together: they are in memory. Fewer where one that differs is enough.
const CANDIDATES: usize = 20_000;
const FEW_CANDIDATES: usize = 1000;

/// How often it is tried to mend a row: one that changes meanwhile is confirmed anew before it is tried again.
const ATTEMPTS: usize = 5;

/// Compares, and mends.
pub(super) struct Comparer<'a> {
    config: &'a VerifyConfig,
    source: Client,
    target: Client,
    barrier: Barrier,
    repair: Option<Repair>,
}

impl<'a> Comparer<'a> {
    /// Opens the sessions. Those that compare cannot write.
    ///
    /// # Errors
    /// A database's.
    pub(super) async fn open(config: &'a VerifyConfig) -> Result<Self, SinkError> {
        let (source, target) = tokio::try_join!(config.source.connect("verify"), config.target.connect("verify"))?;
        for client in [&source, &target] {
            client.batch_execute("SET default_transaction_read_only = on").await?;
        }
        let repair = if config.repair { Some(Repair::connect(&config.target).await?) } else { None };
        Ok(Self { config, source, target, barrier: Barrier::new(config), repair })
    }

    /// Compares all tables; without `is_whole`, only until there is one that differs.
    ///
    /// # Errors
    /// A database's.
    pub(super) async fn round(&mut self, pace: &mut Pace, is_whole: bool) -> Result<Round, SinkError> {
        let begun = Instant::now();
        let tables = tables::all(&self.source).await?;
        pace.expects(tables.len(), tables.iter().map(|table| table.rows).sum());
        let mut outcomes = Vec::with_capacity(tables.len());
        for table in tables {
            let outcome = Box::pin(self.table(table, pace, is_whole)).await?;
            let is_enough = !is_whole && !outcome.is_equal();
            outcomes.push(outcome);
            pace.table_done();
            if is_enough {
                break;
            }
        }
        let is_exact = self.barrier.is_exact();
        Ok(Round { tables: outcomes, is_exact, rows: pace.rows, took: begun.elapsed() })
    }

    async fn table(&mut self, table: Table, pace: &mut Pace, is_whole: bool) -> Result<Outcome, SinkError> {
        let Self { config, source, target, barrier, repair } = self;
        let begun = Instant::now();
        let shapes = tables::shapes(source, target, &table).await?;
        let source = TableSide { client: source, shape: &shapes.source };
        let mut outcome = Outcome::new(&table);
        let Some(shape) = &shapes.target else {
            outcome.source = source.sum(&super::ranges::Range::default()).await?;
            pace.compared(outcome.source.count).await;
            outcome.took = begun.elapsed();
            return Ok(outcome);
        };
        let sides = Sides { source, target: TableSide { client: target, shape } };
        if shapes.has_key {
            let range = pace.range(SIZES.range);
            let range = if shapes.is_ordered_alike {
                range
            } else {
                range.max(i64::try_from(table.rows / RANGES_UNORDERED).unwrap_or(i64::MAX))
            };
            let mut walk = Walk::new(&sides, Sizes { range, ..SIZES });
            let most = if is_whole { CANDIDATES } else { FEW_CANDIDATES };
            while let Some(mut keys) = walk.next(most, pace).await? {
                keys.sort();
                keys.dedup();
                let mut rows = Streamed { table: &table, sides, barrier: &mut *barrier };
                look_into(&mut rows, keys, config, repair.as_ref(), &mut outcome).await?;
                if !is_whole && outcome.left() + outcome.open > 0 {
                    break;
                }
            }
            (outcome.source, outcome.target) = (walk.source, Some(walk.target));
        } else {
            let mut rows = Streamed { table: &table, sides, barrier };
            let (whole, source, target) = whole::compare(&mut rows, pace).await?;
            (outcome.source, outcome.target, outcome.whole) = (source, Some(target), Some(whole));
            if config.repair && outcome.whole == Some(Whole::Differs) {
                outcome.fault =
                    Some("not mended: without a primary key its rows cannot be told from each other".to_owned());
            }
        }
        outcome.took = begun.elapsed();
        Ok(outcome)
    }
}

/// Finds out which rows differ, and mends them if that is asked for.
async fn look_into(
    rows: &mut Streamed<'_>,
    keys: Vec<Key>,
    config: &VerifyConfig,
    repair: Option<&Repair>,
    outcome: &mut Outcome,
) -> Result<(), SinkError> {
    let confirmed = confirmed(rows, keys, config).await?;
    outcome.arrived += confirmed.arrived;
    outcome.open += confirmed.open.len();
    outcome.why = confirmed.why.or(outcome.why.take());
    let mut left = confirmed.differences;
    for difference in &left {
        outcome.found(difference, config.rows);
    }
    let Some(repair) = repair.filter(|_| !left.is_empty()) else { return Ok(()) };
    for attempt in 0..ATTEMPTS {
        let found = left.len();
        let result = repair.mend(rows.table, rows.sides, &left, attempt > 0).await;
        let is_refused = result.as_ref().is_err_and(|error| !error.is_retry());
        outcome.fault = result.err().map(|error| error.to_string()).or(outcome.fault.take());
        let keys = left.into_iter().map(|difference| difference.key).collect();
        let again = self::confirmed(rows, keys, config).await?;
        outcome.open += again.open.len();
        outcome.why = again.why.or(outcome.why.take());
        outcome.mended += found - again.open.len() - again.differences.len();
        left = again.differences;
        if left.is_empty() || is_refused && left.len() == found {
            break;
        }
    }
    Ok(())
}

async fn confirmed(rows: &mut Streamed<'_>, keys: Vec<Key>, config: &VerifyConfig) -> Result<Confirmed, SinkError> {
    if rows.barrier.is_exact() { confirm(rows, keys).await } else { settle(rows, keys, config.settle).await }
}
