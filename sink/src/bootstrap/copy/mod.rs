//! The slot's snapshot into the target: what tables are made of, their rows, and then their indexes and constraints.
//!
//! # Layout
//! - [`tools`]: `pg_dump` and `pg_restore`
//! - `rows`: the rows, several tables at once
//! - `progress`: what is shown meanwhile
//!
//! # Order
//! `pg_dump` knows best what a schema is, and writes it to a file, with everything but the tables' rows. Tables come first; then the
//! rows, in several sessions that all see the slot's snapshot, into tables without indexes, which is the fastest way in; then what
//! is built over the rows, several at once. If anything fails, the next start begins the whole anew.

mod progress;
mod rows;
pub mod tools;

use tokio_postgres::Client;

use self::progress::Progress;
use self::tools::{Section, Tools};
use super::preflight::Source;
use super::steps::{Steps, megabytes};
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::postgres::identifier;

/// Copies schema and data of the snapshot.
///
/// # Errors
/// Stop with the programs' own words, or the server's; retry when a database went away.
pub async fn run(
    config: &RunConfig,
    tools: &Tools,
    source: &Source,
    snapshot: &str,
    steps: &Steps,
) -> Result<(), SinkError> {
    let tables = rows::tables(config, source, snapshot).await?;
    let directory = tempfile::tempdir()
        .map_err(|error| SinkError::stop(format!("there is no place for a temporary file: {error}. Set TMPDIR")))?;
    let file = directory.path().join("schema.dump");
    tools.dump(config, source, &tables, snapshot, &file).await?;
    tools.restore(config, &file, Section::Tables).await?;
    steps.note(&format!("schema of {} tables", source.tables.len()));

    let progress = Progress::new(&tables, steps);
    let copied = rows::copy(config, snapshot, tables, &progress).await?;
    progress.end();
    steps.note(&format!("{} rows, {}", copied.rows, megabytes(copied.bytes)));

    // What is not in tables: sequences, large objects.
    tools.restore(config, &file, Section::Rest).await?;
    tools.restore(config, &file, Section::Indexes).await?;
    steps.note("indexes and constraints");
    Ok(())
}

/// Removes what an unfinished copy of ours may have left: the schemas that it brings.
///
/// # Errors
/// The server's.
pub async fn clear(target: &Client, source: &Source) -> Result<(), SinkError> {
    let mut schemas: Vec<&str> = source.tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.dedup();
    for schema in schemas {
        target.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", identifier(schema))).await?;
        if schema == "public" {
            // pg_dump takes this one for given.
            target.batch_execute("CREATE SCHEMA public").await?;
        }
    }
    Ok(())
}
