//! `streamer tail`: changes on a terminal, of topics, of what waits in a slot, or of a database as they are committed.
//!
//! # Layout
//! - `printer`: changes and their transactions' borders onto the screen
//! - `topics`: of Kafka's topics; `start`: where in them reading begins
//! - `slot`: of a database, over a temporary slot; `peek`: of an existing slot, which stays as it is
//! - `row`: the plugin's messages into changes

mod peek;
mod printer;
mod row;
mod slot;
mod start;
mod topics;

use clap::Args;

use super::Ended;
use super::filter::{Filter, Pattern};
use super::reach::kafka::Kafka;
use super::reach::postgres::Database;
use printer::Printer;
use start::Start;

/// `streamer tail`.
#[derive(Debug, Clone, Args)]
pub struct Tail {
    /// Topics, or tables (schema.table, or table) whose topics end with them, * for any letters; without, every topic that is
    /// named PREFIX.SCHEMA.TABLE. With --source, tables
    #[arg(value_name = "TOPIC|TABLE")]
    patterns: Vec<Pattern>,
    /// Kafka
    #[command(flatten)]
    kafka: Kafka,
    /// Where in the topics to begin: beginning, end, -N (the last N records of each partition), a time, or how long ago (15m)
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, conflicts_with = "source")]
    from: Option<Start>,
    /// End where the topics end now, instead of waiting for what comes; begins at the beginning unless --from says otherwise
    #[arg(long, visible_alias = "until-end", conflicts_with = "source")]
    no_follow: bool,
    /// Instead of topics, the changes of this database, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…: as they are
    /// committed, over a temporary slot, which holds back the server's log while this runs and ends with it. Without a password
    /// ~/.pgpass is read
    #[arg(
        long,
        env = "HEADWATER_SOURCE",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "bootstrap_servers"
    )]
    source: Option<Database>,
    /// With --source: what waits in this slot, which stays as it is. It must not be in use
    #[arg(long, value_name = "NAME", requires = "source")]
    slot: Option<String>,
    /// With --source: whose tables; the database's only one if it is left out
    #[arg(long, value_name = "NAME", requires = "source")]
    publication: Option<String>,
    /// End after so many changes; of a slot not more than 1000 unless this says otherwise
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Which changes
    #[command(flatten)]
    filter: Filter,
    /// All columns, whether they changed or not, and lines as long as they are
    #[arg(long)]
    full: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Shows changes until they end, the limit is reached, or somebody stops it.
///
/// # Errors
/// What keeps it from reading.
pub async fn run(tail: &Tail) -> Result<(), Ended> {
    let limit = tail.limit.or(tail.slot.as_ref().map(|_| peek::LIMIT));
    let mut printer = Printer::new(tail.filter.clone(), tail.full, tail.json, limit);
    let read = async {
        match (&tail.source, &tail.slot) {
            (None, _) => topics::run(tail, &mut printer).await,
            (Some(source), Some(slot)) => peek::run(tail, source, slot, &mut printer).await,
            (Some(source), None) => slot::run(tail, source, &mut printer).await,
        }
    };
    Box::pin(read).await?;
    printer.end()
}

/// Completes when somebody stops it: Ctrl-C, or SIGTERM.
async fn stopped() -> Result<(), Ended> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| Ended::cannot("signals cannot be handled").because(error))?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => {
            pressed.map_err(|error| Ended::cannot("Ctrl-C cannot be handled").because(error))
        }
    }
}
