//! The slot's snapshot into the target: what tables are made of, their rows, and then their indexes and constraints.
//!
//! # Layout
//! - [`schema`]: who makes the tables
//! - [`tools`]: `pg_dump` and `pg_restore`
//! - `built`: what of the indexes and constraints is there already
//! - [`snapshot`]: a snapshot of the source beside the slot's own
//! - [`rows`]: the rows, several tables at once
//! - [`resume`]: a copy that was begun and not finished
//! - [`progress`]: what is shown meanwhile
//!
//! # Order
//! `pg_dump` knows best what a schema is, and writes it to a file, with everything but the tables' rows; where it cannot be used, the
//! source's catalog says it. Tables come first; then the rows, in several sessions that all see one snapshot, into tables without
//! indexes, which is the fastest way in; then what is built over the rows, several at once.
//!
//! # A copy that is interrupted
//! What is done is remembered in the target (`apply::copied`): that the tables are made, each table with the commit of its rows, and the
//! parts that follow. The next start goes on with what is not there. The slot's snapshot has died with its session; what is left is
//! copied in a new one, and of the changes that come through the slot those are passed over that the new one has
//! (`plan::snapshot`).

mod built;
pub mod progress;
pub mod resume;
pub mod rows;
pub mod schema;
pub mod snapshot;
pub mod tools;

use proto::failpoint;
use tokio_postgres::Client;

use self::progress::Progress;
use self::schema::{Schema, Way};
use self::snapshot::in_snapshot;
use super::preflight::Source;
use super::steps::{Steps, megabytes};
use crate::apply::copied::{Later, Ledger, State};
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::whole::{Definitions, Name};
use crate::evolve::{self, Evolution};
use crate::postgres::identifier;

/// The parts of a copy beside the tables' rows, as they are stored.
const TABLES: &str = "tables";
const REST: &str = "rest";
/// The last one.
const INDEXES: &str = "indexes";

/// What is copied, and how.
#[derive(Debug, Clone, Copy)]
pub struct Copy<'a> {
    /// The settings.
    pub config: &'a RunConfig,
    /// A session of the target.
    pub target: &'a Client,
    /// The tables.
    pub source: &'a Source,
    /// Who makes them.
    pub way: &'a Way,
    /// The snapshot's name.
    pub snapshot: &'a str,
    /// What it sees, where it is not the slot's own.
    pub later: Option<&'a Later>,
}

/// Copies schema and data of the snapshot, as far as they are not there.
///
/// # Errors
/// Stop with the programs' own words, or the server's; retry when a database went away.
pub async fn run(copy: &Copy<'_>, evolution: &Evolution, steps: &Steps) -> Result<(), SinkError> {
    let ledger = Ledger { target: copy.target, prefix: &copy.config.topic_prefix };
    let parts = ledger.parts().await?;
    let has = |part: &str| parts.iter().any(|there| there == part);
    if has(INDEXES) {
        return Ok(());
    }
    let names: Vec<Name> = copy.source.tables.iter().map(|table| (table.schema.clone(), table.name.clone())).collect();
    let session = in_snapshot(&copy.config.source, copy.snapshot).await?;
    let definitions = Definitions::of(&session, &names, true).await?;
    let tables = rows::tables(&session, &names).await?;
    let schema = Schema::read(copy, &tables).await?;
    if !has(TABLES) {
        let is_one = matches!(copy.way, Way::Catalog);
        copy.target.batch_execute("BEGIN").await?;
        if !is_one {
            // Its own session must not wait for this one.
            copy.target.batch_execute("COMMIT").await?;
        }
        schema.make_tables(copy, &definitions).await?;
        if evolution.remembers() {
            let source = copy.config.source.connect("definitions").await?;
            evolve::known::remember(&source, copy.target, &copy.config.topic_prefix, Some(copy.snapshot)).await?;
        }
        if !is_one {
            copy.target.batch_execute("BEGIN").await?;
        }
        ledger.put(State::Made, definitions.fingerprints()).await?;
        ledger.has(TABLES).await?;
        copy.target.batch_execute("COMMIT").await?;
        steps.note(&format!("schema of {} tables", copy.source.tables.len()));
        failpoint::reached("tables-made");
    }

    let there = ledger.tables().await?;
    let is_there = |table: &rows::Table| {
        there.iter().any(|known| {
            known.schema == table.schema
                && known.name == table.name
                && matches!(known.state, State::Filled | State::Ready)
        })
    };
    let all = tables.len();
    let tables: Vec<rows::Table> = tables.into_iter().filter(|table| !is_there(table)).collect();
    let progress = Progress::new(&tables, all - tables.len(), steps);
    let copied = rows::copy(copy.config, copy.snapshot, copy.later, tables, &progress).await?;
    progress.end();
    steps.note(&format!("{} rows, {}", copied.rows, megabytes(copied.bytes)));

    if !has(REST) {
        schema.restore_rest(copy).await?;
        ledger.has(REST).await?;
    }
    schema.build(copy, &definitions).await?;
    ledger.has(INDEXES).await?;
    steps.note("indexes and constraints");
    Ok(())
}

/// Removes what an unfinished copy of ours may have left: the schemas that `pg_dump` brings, or the tables that the sink made.
///
/// # Errors
/// The server's.
pub async fn clear(target: &Client, source: &Source, ledger: Ledger<'_>) -> Result<(), SinkError> {
    if ledger.parts().await?.iter().any(|part| part == Way::Catalog.as_str()) {
        for table in ledger.tables().await? {
            let name = crate::plan::table::qualified(&table.schema, &table.name);
            target.batch_execute(&format!("DROP TABLE IF EXISTS {name} CASCADE")).await?;
        }
        return Ok(());
    }
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
