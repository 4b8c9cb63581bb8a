//! Random rows: what nobody thought of, in Debezium and in the streamer side by side.
//!
//! A seed makes tables, rows that are there before the connectors, operations, and the connectors' configuration, all as
//! scenario folders. The parity suite runs them live. A folder whose records differ is kept: it is the scenario to reduce.
//!
//! # Layout
//! - `kind`: values of each type; `table`: tables of them
//! - `script`: operations; `config`: configurations
//! - `round_trip`: tables whose rows come back whole, for the tests of the sink

mod config;
mod kind;
mod round_trip;
mod script;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fastrand::Rng;

pub use self::round_trip::RoundTrip;
use self::script::Script;
use self::table::Table;
use crate::parity;

/// How many random rows there are to be.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The same seed makes the same rows; a new one each time unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How many rows are inserted or changed
    #[arg(long, default_value_t = 2_000)]
    rows: usize,
    /// How many of them in one scenario
    #[arg(long, default_value_t = 200)]
    rows_each: usize,
    /// How many scenarios run at once, each on services of its own
    #[arg(long, default_value_t = 2)]
    lanes: usize,
    /// Where the scenarios go, to be kept
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Makes random scenarios and runs them on both; whether all were equal.
///
/// # Errors
/// The services do not start, or the scenarios cannot be written.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(|| Rng::new().u64(..1_000_000));
    let temporary = tempfile::Builder::new().prefix("headwater-random-").tempdir()?;
    let folder = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let (mut rows, mut scenarios) = (0, 0);
    while rows < arguments.rows {
        rows += write(&folder, seed, scenarios, arguments.rows_each)?;
        scenarios += 1;
    }
    println!("random rows: seed {seed}, {rows} rows in {scenarios} scenarios");
    let is_equal = parity::run(&parity::Arguments::live(&folder, arguments.lanes)).await?;
    if !is_equal && arguments.keep.is_none() {
        println!("the scenarios are in {}", temporary.keep().display());
    }
    Ok(is_equal)
}

/// Writes one scenario's folder; gives how many rows it has.
fn write(root: &Path, seed: u64, number: u64, rows: usize) -> anyhow::Result<usize> {
    // Each scenario by itself, so that another number of rows gives the same ones.
    let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let folder = root.join(format!("{number:03}-seed-{seed}"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut tables: Vec<Table> = (0..rng.usize(1..4)).map(|number| Table::random(number, &mut rng)).collect();
    let created: String = tables.iter().map(Table::create).collect();
    let (filled, before) = Script::new(&mut tables, &mut rng).fill();
    let (operated, after) = Script::new(&mut tables, &mut rng).operate(rows);
    let config = serde_json::to_string_pretty(&config::random(&mut rng))?;
    for (file, text) in [
        ("setup.sql", format!("{}{created}{filled}", kind::PRELUDE)),
        ("config.json", config),
        ("run.sql", operated),
        ("scenario.json", r#"{"idle": 2.5, "deadline": 120}"#.to_owned()),
    ] {
        std::fs::write(folder.join(file), text).with_context(|| folder.display().to_string())?;
    }
    Ok(before + after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_scenario_again() -> anyhow::Result<()> {
        let made = |number| -> anyhow::Result<Vec<String>> {
            let folder = tempfile::tempdir()?;
            assert!(write(folder.path(), 7, number, 100)? >= 100);
            let scenario = folder.path().join(format!("{number:03}-seed-7"));
            let files = ["setup.sql", "run.sql", "config.json"];
            files.iter().map(|file| Ok(std::fs::read_to_string(scenario.join(file))?)).collect()
        };
        assert_eq!(made(1)?, made(1)?);
        assert_ne!(made(1)?, made(2)?);
        Ok(())
    }
}
