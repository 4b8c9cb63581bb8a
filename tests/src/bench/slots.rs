//! A backlog in several tables through one slot, and through two that have half of the tables each.

use anyhow::Context as _;
use tokio_postgres::Client;

use super::carrier::Carrier;
use super::drain;
use super::ends::Ends;
use super::result::{Measured, Round};
use super::stage::Stage;
use super::table::{DEVICES, devices};
use super::{Arguments, Work};

/// How many tables there are. Which slot has one follows from its name, and of so many each slot has about half.
const TABLES: usize = 8;

/// Measures it.
///
/// # Errors
/// What did not come.
pub(super) async fn run(stage: &Stage, arguments: &Arguments) -> anyhow::Result<Measured> {
    let source = stage.source().await?;
    for table in tables() {
        source.batch_execute(&DEVICES.replace("devices", &table)).await?;
    }
    let about = format!(
        "{} inserts of 12 columns into {TABLES} tables in transactions of 1,000; JSON without schemas. A slot reads the whole log \
         and sends its tables' part of it: what the second one gives, it gives where there is a core for it.",
        arguments.rows
    );
    let mut measured = Measured::new(Work::Slots, "Several slots", about);
    for round in 0..arguments.rounds {
        for slots in [1, 2] {
            let name = format!("r{round}_{slots}");
            let found = one(stage, &source, arguments, &name, slots).await.with_context(|| format!("{slots} slots"))?;
            let slots = if slots == 1 { "one slot".to_owned() } else { format!("{slots} slots") };
            eprintln!("slots, round {}: {slots}: {:.0} rows/s", round + 1, found.rows.unwrap_or_default());
            measured.push(&slots, Carrier::streamer().part, found);
        }
    }
    Ok(measured)
}

fn tables() -> impl Iterator<Item = String> {
    (1..=TABLES).map(|number| format!("part{number}"))
}

async fn one(stage: &Stage, source: &Client, arguments: &Arguments, name: &str, slots: usize) -> anyhow::Result<Round> {
    let topics = tables().map(|table| format!("{name}.public.{table}")).collect();
    let ends = Ends::create(&stage.bootstrap_servers(), topics).await?;
    let carrier = Carrier::streamer_with(arguments)
        .connector("publication.name", name)
        .connector("publication.autocreate.mode", "filtered")
        .connector("headwater.slots", &slots.to_string());
    let carrying = carrier.start(stage, name).await?;
    carrying.wait_running().await?;
    let transaction = |rows| tables().map(|table| devices(&table, rows)).collect::<Vec<_>>().join("; ");
    // Something goes through before, and it goes on behind that.
    source.batch_execute(&format!("BEGIN; {}; COMMIT", transaction(1))).await?;
    ends.reach(TABLES).await?;
    carrying.end().await?;
    let mut written = TABLES;
    while written < arguments.rows {
        source.batch_execute(&format!("BEGIN; {}; COMMIT", transaction(1000 / TABLES))).await?;
        written += 1000;
    }
    // It has its connector, and goes on with it.
    let carrying = carrier.start_idle(stage, name).await?;
    let round = drain::drained(stage, source, &carrying, &ends, TABLES..written).await?;
    carrying.stop(source).await?;
    ends.delete().await?;
    Ok(round)
}
