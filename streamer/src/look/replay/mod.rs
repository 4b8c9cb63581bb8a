//! `streamer replay`: a table, or some of its rows, published again through an incremental snapshot.
//!
//! # Layout
//! - `channel`: how the connector is asked, of what its configuration enables
//! - `rows`: which rows
//! - `progress`: what it tells of the snapshot, until it is done

mod channel;
mod progress;
mod rows;

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Ended;
use super::reach::connect::Connect;
use super::reach::kafka::Kafka;
use super::reach::postgres::Database;
use super::screen::{Screen, Tone};
use crate::source::table_name::TableName;
use channel::Channel;
use progress::Progress;
use rows::KeyRange;

/// `streamer replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The table, schema.table
    #[arg(long, value_name = "SCHEMA.TABLE")]
    table: String,
    /// Only rows of this condition, SQL over the table's columns: "id BETWEEN 1 AND 100"
    #[arg(long, value_name = "SQL")]
    condition: Option<String>,
    /// Only rows whose column has a value from the first to the last: id=1..100
    #[arg(long, value_name = "COLUMN=FIRST..LAST", conflicts_with = "condition")]
    key_range: Option<KeyRange>,
    /// The worker
    #[command(flatten)]
    connect: Connect,
    /// The connector that has the table
    #[arg(long, value_name = "NAME")]
    connector: String,
    /// How the connector is asked: source (its signal table), kafka (its signal topic) or file. Without, the first of kafka,
    /// source, file that its configuration enables and that can be reached from here
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<channel::Kind>,
    /// The source, for the signal table; without, as the connector reaches it
    #[arg(long, env = "HEADWATER_SOURCE", hide_env_values = true, value_name = "URL")]
    source: Option<Database>,
    /// Kafka
    #[command(flatten)]
    kafka: Kafka,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// One JSON object a line: what was asked, and how it ended
    #[arg(long)]
    json: bool,
}

/// Asks for the snapshot and waits for its end.
///
/// # Errors
/// When the connector cannot be asked, with the settings that it needs, or does not run, or the snapshot of the table failed.
pub async fn run(replay: &Replay) -> Result<(), Ended> {
    let screen = Screen::new();
    let rest = replay.connect.required()?;
    let connector = rest.connector(&replay.connector).await?;
    running(&rest, &replay.connector).await?;
    let table = TableName::parse(&replay.table).to_string();
    let channel = Channel::choose(&connector, replay.channel, replay.source.as_ref(), &replay.kafka)?;

    let id = Uuid::new_v4().to_string();
    let condition = replay.condition.clone().or_else(|| replay.key_range.as_ref().map(KeyRange::sql));
    let mut data = json!({ "data-collections": [table], "type": "incremental" });
    if let Some(condition) = &condition {
        data["additional-conditions"] = json!([{ "data-collection": table, "filter": condition }]);
    }
    // Where its reports end is noted before it is asked.
    let progress = Progress::of(&connector, &replay.kafka, &table, &id, replay.no_wait)?;
    channel.send(&id, &data).await?;
    let rows = condition.as_ref().map_or_else(|| "all rows".to_owned(), |condition| format!("rows with {condition}"));
    match replay.json {
        true => {
            let asked = json!({ "id": id, "connector": connector.name, "channel": channel.told(), "data": data });
            screen.line(&asked.to_string(), false)?;
        }
        false => {
            let paint = screen.paint;
            screen.line(&format!("{} {table}, {rows}", paint.text(Tone::Bold, "replay")), true)?;
            screen.line(
                &format!("  connector {}, asked through {}, signal {id}", connector.name, channel.told()),
                true,
            )?;
        }
    }
    let Some(progress) = progress else { return screen.flush() };
    let done = progress.wait(&rest, &connector, &screen, replay.json).await?;
    match replay.json {
        true => screen.line(&done.json().to_string(), false)?,
        false => screen.line(&format!("  {} {}", screen.paint.text(Tone::Green, "done"), done.told()), true)?,
    }
    screen.flush()
}

/// Whether the connector has a task that would take the signal.
async fn running(rest: &super::reach::connect::Rest, connector: &str) -> Result<(), Ended> {
    let status = rest.get(&format!("/connectors/{connector}/status")).await?.unwrap_or_default();
    let state = status.pointer("/tasks/0/state").and_then(Value::as_str).unwrap_or("UNASSIGNED");
    if state == "RUNNING" {
        return Ok(());
    }
    Err(Ended::cannot(format!(
        "the task of connector {connector} is {state}, and only one that is RUNNING takes a signal. Nothing was asked for: resume or \
         restart it first, or mend what it failed on"
    )))
}
