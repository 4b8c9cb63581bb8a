//! A copy that was begun and not finished: whether it can be gone on with, and with what.

use tokio_postgres::Client;

use super::rows;
use super::schema::Way;
use super::snapshot::LaterSnapshot;
use super::{INDEXES, TABLES};
use crate::apply::copied::{Copied, Ledger, State};
use crate::bootstrap::connector::Connector;
use crate::bootstrap::preflight::Source;
use crate::bootstrap::slot;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::whole::{Definitions, Name};
use crate::parse::record::Shape;
use crate::plan::table::qualified;

/// What is to be done.
#[derive(Debug)]
pub enum Begun {
    /// It begins anew, and why.
    Anew(String),
    /// It goes on.
    GoesOn(Box<Rest>),
}

/// What a copy goes on with.
#[derive(Debug)]
pub struct Rest {
    /// A new snapshot.
    pub snapshot: LaterSnapshot,
    /// The tables.
    pub source: Source,
    /// How many are there already.
    pub there: usize,
}

/// Looks at a copy that was begun.
///
/// # Errors
/// The servers'.
pub async fn look(
    config: &RunConfig,
    connector: &Connector,
    target: &Client,
    found: &Source,
    way: &Way,
) -> Result<Begun, SinkError> {
    let ledger = Ledger { target, prefix: &config.topic_prefix };
    let (parts, tables) = (ledger.parts().await?, ledger.tables().await?);
    let has = |part: &str| parts.iter().any(|there| there == part);
    let anew = |why: &str| Ok(Begun::Anew(why.to_owned()));
    if !has(TABLES) {
        return anew("its tables were not made yet");
    }
    if !has(way.as_str()) {
        return anew("its tables were made in the other way (--copy-schema)");
    }
    match slot::has_lost(config, connector).await? {
        None => return anew("its replication slot is gone"),
        Some(true) => return anew("its replication slot has lost the log that it needs"),
        Some(false) => {}
    }
    let source = of_copy(found, &tables);
    let snapshot = LaterSnapshot::take(&config.source).await?;
    if has(INDEXES) {
        return Ok(Begun::GoesOn(Box::new(Rest { snapshot, source, there: tables.len() })));
    }
    // Without its envelope a change does not say whether the new snapshot has it.
    let waits = |table: &&Copied| !matches!(table.state, State::Filled | State::Ready);
    for table in tables.iter().filter(waits) {
        let topic = proto::topic::of_table(&config.topic_prefix, &table.schema, &table.name);
        if let Shape::Row(_) = connector.handling.shape(&topic) {
            return Ok(Begun::Anew(format!(
                "changes of table {}.{} come without their envelopes, and so do not say which of them another snapshot would have",
                table.schema, table.name
            )));
        }
    }
    if let Some(why) = differs(snapshot.session(), &tables).await? {
        return Ok(Begun::Anew(why));
    }
    let there = keep_whole(config, connector, snapshot.session(), ledger, &tables).await?;
    Ok(Begun::GoesOn(Box::new(Rest { snapshot, source, there })))
}

/// The tables of the copy; whatever else there is has come since, and comes through the slot.
fn of_copy(found: &Source, tables: &[Copied]) -> Source {
    let mut source = found.clone();
    let is_one = |of: &crate::bootstrap::preflight::SourceTable| {
        tables.iter().any(|table| table.schema == of.schema && table.name == of.name)
    };
    let (own, others) = source.tables.into_iter().partition(is_one);
    source.tables = own;
    source.left_out.extend(others);
    source
}

/// Which table is not what it was any more, if one is: what is left to do would not fit to what is there.
async fn differs(source: &Client, tables: &[Copied]) -> Result<Option<String>, SinkError> {
    let names: Vec<Name> = tables.iter().map(|table| (table.schema.clone(), table.name.clone())).collect();
    let definitions = Definitions::of(source, &names, false).await?;
    for table in tables {
        let is_same = definitions.fingerprints().any(|(schema, name, fingerprint)| {
            (schema, name, fingerprint) == (&table.schema, &table.name, &table.definition)
        });
        if !is_same {
            return Ok(Some(format!("table {}.{} was changed or dropped meanwhile", table.schema, table.name)));
        }
    }
    Ok(None)
}

/// Of a table with partitions whose changes come under its own name, all partitions have to be of one snapshot: those that are there are
/// emptied, unless all are. How many tables are there then.
async fn keep_whole(
    config: &RunConfig,
    connector: &Connector,
    source: &Client,
    ledger: Ledger<'_>,
    tables: &[Copied],
) -> Result<usize, SinkError> {
    let names: Vec<Name> = tables.iter().map(|table| (table.schema.clone(), table.name.clone())).collect();
    let all = rows::tables(source, &names).await?;
    let is_there = |of: &rows::Table| {
        let known = tables.iter().find(|table| table.schema == of.schema && table.name == of.name);
        known.is_some_and(|table| matches!(table.state, State::Filled | State::Ready))
    };
    let (there, waiting): (Vec<&rows::Table>, Vec<&rows::Table>) = all.iter().partition(|table| is_there(table));
    let via_root = "SELECT coalesce(bool_or(pubviaroot), false) FROM pg_publication WHERE pubname = $1";
    if !source.query_one(via_root, &[&connector.publication]).await?.get::<_, bool>(0) {
        return Ok(there.len());
    }
    let is_broken =
        |table: &&&rows::Table| table.root.is_some() && waiting.iter().any(|other| other.root == table.root);
    let mut kept = there.len();
    for table in there.iter().filter(is_broken) {
        let fingerprint = tables.iter().find(|known| known.schema == table.schema && known.name == table.name);
        let fingerprint = fingerprint.map_or("", |known| known.definition.as_str());
        ledger.target.batch_execute(&format!("BEGIN; TRUNCATE ONLY {}", qualified(&table.schema, &table.name))).await?;
        ledger.put(State::Made, [(table.schema.as_str(), table.name.as_str(), fingerprint)]).await?;
        ledger.target.batch_execute("COMMIT").await?;
        tracing::info!(
            "partition {}.{} of {} is copied once more: its changes come under its root's name",
            table.schema,
            table.name,
            config.topic_prefix
        );
        kept -= 1;
    }
    Ok(kept)
}
