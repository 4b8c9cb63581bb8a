//! From one number of slots to another (`headwater.slots`), without a change lost, repeated or out of order.
//!
//! # How
//! 1. The slots and publications that are to be are made, while those that are there are read on.
//! 2. A place in the log behind all of that is taken, the [`Cut`]. The pipelines that are there publish every
//!    transaction that commits before it and none that commits behind it, and end.
//! 3. The cut becomes the stored position of each new slot. The change is made when the positions say so: with one slot there
//!    is one under Debezium's partition, and it counts alone, whatever others there are. So going to several it is deleted when all
//!    the new ones are stored, and going to one it is stored before the old ones are deleted.
//! 4. What is not needed any more is dropped, here or at the next start.
//!
//! A crash before 3 finds the old number, and begins again; one behind it the new. From several to another several the way is
//! over one.
//!
//! Debezium knows none of the positions of several slots: handed over from there it begins anew, by its `snapshot.mode`,
//! instead of going on with a part of the tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::failpoint;
use proto::lsn::Lsn;
use proto::position::{Anchor, Offset};
use serde_json::Value;
use tokio_postgres::Client;

use super::slots::{paused, together};
use super::{Cut, TaskContext};
use crate::config::{Autocreate, ConnectorConfig, Share};
use crate::error::TaskError;
use crate::position::OffsetStore;
use crate::publish::producer::RecordProducer;
use crate::source::server::Server;
use crate::source::session::query_error;
use crate::source::table_name::TableName;
use crate::source::{catalog, publication, session, share, slot};

/// How often something is written to the log of a quiet database, so that it comes to the cut.
const STIR: Duration = Duration::from_secs(1);

/// Brings the connector to the number of slots that it is to have, and drops what is left of another number. Without anything
/// stored there is nothing to do. When the task is cancelled meanwhile it ends early.
///
/// # Errors
/// Stop when it cannot be said what is stored; else those of the pipelines that are there, of the source and of the offset topic.
pub(super) async fn settle(context: &TaskContext) -> Result<(), TaskError> {
    shut_out(context).await?;
    loop {
        let Some(now) = now(context).await? else { return Ok(()) };
        clean(context, now).await?;
        let wanted = context.config.slots;
        if now == wanted || !change(context, now, if now == 1 { wanted } else { 1 }).await? {
            return Ok(());
        }
    }
}

/// Where slots publish in transactions: ends what another worker left open under any slot's name, and reads the positions as they
/// are then. What stands behind an open transaction is not seen.
async fn shut_out(context: &TaskContext) -> Result<(), TaskError> {
    let config = &context.config;
    let known = of_several(context)?.iter().map(|(_, share)| share.of).max().unwrap_or(1);
    let slots = config.slots.max(known);
    if config.exactly_once.is_none() || slots == 1 {
        return Ok(());
    }
    for part in config.with_slots(slots) {
        let (metrics, statuses) = (context.metrics.clone(), context.statuses.clone());
        RecordProducer::new(&context.worker, &part, metrics, statuses, context.offsets.clone())?.shut_out()?;
    }
    context.offsets.refresh(&context.worker, &config.name, None).await
}

/// The partitions of this connector's positions that are of one slot of several, and which slot that is.
fn of_several(context: &TaskContext) -> Result<Vec<(Value, Share)>, TaskError> {
    let config = &context.config;
    let mut found = Vec::new();
    for partition in context.offsets.partitions_of(&config.name) {
        if partition.get("server").and_then(Value::as_str) != Some(&config.topic_prefix) {
            continue;
        }
        let Some(slot) = partition.get("slot").and_then(Value::as_str) else { continue };
        let share = Share::named(&config.slot.name, slot).ok_or_else(|| {
            TaskError::stop("slots-unknown", format!(
                "connector {name} has a stored position of slot {slot}, which is none of the slots that slot.name={} makes with \
                 headwater.slots; going on without it could lose the changes that it keeps. Give slot.name the value it had; or, \
                 if the tables may be read anew, stop the connector, drop that slot, DELETE /connectors/{name}/offsets, set \
                 snapshot.mode=initial, resume",
                config.slot.name,
                name = config.name
            ))
        })?;
        found.push((partition, share));
    }
    Ok(found)
}

/// How many slots the connector has until now, `None` when it has none yet. Before the first position is stored, the server says
/// what was made beforehand: by the sink, with the copy that the changes go on behind, or by a start that ended early.
async fn now(context: &TaskContext) -> Result<Option<u32>, TaskError> {
    let config = &context.config;
    if context.offsets.read(&config.name, &OffsetStore::partition(config))?.is_some() {
        return Ok(Some(1));
    }
    let mut several: Vec<Share> = of_several(context)?.into_iter().map(|(_, share)| share).collect();
    if several.is_empty() {
        let client = session::connect(&config.connection, "slots").await?;
        let slots = slot::of_database(&client, &config.connection.dbname).await?;
        if slots.contains(&config.slot.name) {
            return Ok(Some(1));
        }
        several = slots.iter().filter_map(|slot| Share::named(&config.slot.name, slot)).collect();
    }
    let Some(first) = several.first() else { return Ok(None) };
    if several.iter().any(|share| share.of != first.of) {
        return Err(TaskError::stop(
            "slots-number",
            format!(
                "connector {name} has slots of different numbers of them, {} and others, and nothing says which count: somebody else made \
             them, or stored positions. Drop the slots that are wrong, and delete their positions (PATCH /connectors/{name}/offsets)",
                first.name(&config.slot.name),
                name = config.name
            ),
        ));
    }
    Ok(Some(first.of))
}

/// Drops what is left of another number of slots than the connector has.
async fn clean(context: &TaskContext, now: u32) -> Result<(), TaskError> {
    let config = &context.config;
    if now > 1 {
        let client = session::connect(&config.connection, "slots").await?;
        return slot::drop(&client, &config.slot.name).await;
    }
    let left = of_several(context)?;
    if left.is_empty() {
        return Ok(());
    }
    let client = session::connect(&config.connection, "slots").await?;
    let numbers: BTreeSet<u32> = left.iter().map(|(_, share)| share.of).collect();
    for share in numbers.into_iter().flat_map(Share::all) {
        slot::drop(&client, &share.name(&config.slot.name)).await?;
        if let Err(error) = publication::drop(&client, &share.name(&config.publication.name)).await {
            tracing::warn!(connector = %config.name, %error, "a publication that is not needed any more stays");
        }
    }
    for (partition, _) in left {
        context.offsets.alter(&config.name, &partition, None).await?;
    }
    Ok(())
}

/// Goes from one number to another of which one is 1; `false` when the task was cancelled meanwhile.
async fn change(context: &TaskContext, from: u32, to: u32) -> Result<bool, TaskError> {
    let config = &context.config;
    tracing::info!(connector = %config.name, from, to, "the number of slots changes (headwater.slots)");
    let mut before = config.with_slots(from);
    for part in &mut before {
        part.slot.drop_on_stop = false;
        check(context, part)?;
    }
    let after = config.with_slots(to);
    let cut = Arc::new(Cut::default());
    {
        let lead = lead(context, &before, &after, &cut);
        let running = together(context, before.clone(), Some(cut.clone()));
        tokio::pin!(lead, running);
        tokio::select! {
            ended = &mut running => ended?,
            failed = &mut lead => return Err(failed),
        }
    }
    let Some(at) = cut.at().filter(|_| !context.cancel.is_cancelled()) else { return Ok(false) };
    if let Err(error) = store(context, &before, &after, at).await {
        // Whether the positions count already, only the topic can say now.
        context.offsets.refresh(&context.worker, &config.name, None).await?;
        return Err(error);
    }
    tracing::info!(connector = %config.name, slots = to, %at, "the number of slots has changed");
    failpoint::reached("slots-changed");
    clean(context, to).await?;
    Ok(true)
}

/// What has to be over before the slot's pipeline can end for good.
fn check(context: &TaskContext, part: &ConnectorConfig) -> Result<(), TaskError> {
    let name = &part.name;
    if !part.snapshot.mode.streams() {
        return Err(TaskError::stop(
            "slots-number",
            format!(
                "connector {name} has another number of slots than headwater.slots says, and with this snapshot.mode nothing is read \
             from them: what they keep would be lost. Set a snapshot.mode that streams until the number has changed"
            ),
        ));
    }
    if part.share.is_some() && part.publication.autocreate != Autocreate::Filtered {
        return Err(TaskError::stop(
            "slots-number",
            format!(
                "connector {name} has more slots than headwater.slots says, and only with publication.autocreate.mode=filtered it is sure \
             that the one slot's publication has every table that the others had. Set that until the number has changed"
            ),
        ));
    }
    let stored = context.offsets.read(name, &OffsetStore::partition(part))?;
    let is_under_way =
        stored.is_some_and(|stored| Offset::from_map(&stored).is_ok_and(|offset| offset.incremental.is_some()));
    if is_under_way {
        return Err(TaskError::stop(
            "slots-number",
            format!(
                "connector {name} is in the middle of an incremental snapshot, which is of one slot's stream. Set headwater.slots back, \
             and change it when the snapshot is read to its end; or stop it with the signal stop-snapshot"
            ),
        ));
    }
    Ok(())
}

/// Makes the slots that are to be, says where the cut is, and writes to the log until it is reached. It never ends but with an
/// error that a person must mend: whatever else goes wrong is tried again, while the pipelines that are there run.
async fn lead(context: &TaskContext, before: &[ConnectorConfig], after: &[ConnectorConfig], cut: &Cut) -> TaskError {
    let is_stored = |part: &ConnectorConfig| {
        let stored = context.offsets.read(&part.name, &OffsetStore::partition(part));
        stored.is_ok_and(|stored| stored.is_some())
    };
    loop {
        let led = match cut.at() {
            // Without positions the server is asked how many slots there are, and one that is new would look like the old.
            None if before.len() > 1 && !before.iter().all(is_stored) => Ok(()),
            None => prepare(context, after).await.map(|at| cut.set(at)),
            Some(_) => stir(context).await,
        };
        let pause = match led {
            Ok(()) => STIR,
            Err(error) if error.is_retry() => {
                tracing::warn!(connector = %context.config.name, %error, "changing the number of slots: trying again");
                context.config.retry.wait
            }
            Err(error) => return error,
        };
        if !paused(context, pause).await {
            // The pipelines end, and with them this.
            std::future::pending::<()>().await;
        }
    }
}

/// Makes the slots and their publications, and gives a place in the log behind that.
async fn prepare(context: &TaskContext, after: &[ConnectorConfig]) -> Result<Lsn, TaskError> {
    let client = session::connect(&context.config.connection, "slots").await?;
    for part in after {
        let captured = catalog::captured_tables(&client, part).await?;
        let captured = share::of_slot(&client, part, captured).await?;
        let published: Vec<TableName> =
            captured.iter().filter(|table| table.is_logged).map(|table| table.name.clone()).collect();
        publication::ensure(&client, part, &published).await?;
        // One that is there was made by an attempt before this. Nothing was read from it, but it may have lost WAL since.
        slot::drop(&client, &part.slot.name).await?;
        slot::create(part).await?.session.end().await;
    }
    failpoint::reached("slots-made");
    log_end(&client).await
}

async fn log_end(client: &Client) -> Result<Lsn, TaskError> {
    let what = "asking where the log ends";
    let sql =
        "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text";
    let row = client.query_one(sql, &[]).await.map_err(|error| query_error(what, error))?;
    let end: Option<&str> = row.get(0);
    end.and_then(|end| end.parse().ok()).ok_or_else(|| TaskError::retry(format!("{what}: the server does not know")))
}

/// A transaction without changes, which is sent to nobody.
async fn stir(context: &TaskContext) -> Result<(), TaskError> {
    let client = session::connect(&context.config.connection, "slots").await?;
    let sql = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN txid_current() END";
    client.query_one(sql, &[]).await.map_err(|error| query_error("writing to the log", error))?;
    Ok(())
}

/// Stores the cut as the new slots' position, and makes it count.
async fn store(
    context: &TaskContext,
    before: &[ConnectorConfig],
    after: &[ConnectorConfig],
    at: Lsn,
) -> Result<(), TaskError> {
    let (name, offsets) = (&context.config.name, &context.offsets);
    let server = Server::identify(&context.config).await?;
    let anchor = Anchor { system_id: server.system_id, timeline: server.timeline, confirmed: at };
    let offset = Offset { lsn: Some(at), anchor: Some(anchor), ..Offset::default() }.to_map();
    for part in after {
        offsets.write(name, &OffsetStore::partition(part), &offset).await?;
    }
    failpoint::reached("cut-stored");
    if let [one] = before {
        offsets.alter(name, &OffsetStore::partition(one), None).await?;
    }
    Ok(())
}
