//! When every change of a table that a snapshot lacks comes through the slot.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bootstrap::connector::Connector;
use crate::bootstrap::services::deepest;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::whole::Name;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);

/// How long the publication may take to have the tables when the connector runs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is said that older transactions go on.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// The processes that send the slot's changes; with `headwater.slots` there are several.
const SENDERS: &str = "SELECT coalesce(active_pid, 0) FROM pg_replication_slots
    WHERE slot_name = $1 OR slot_name ~ ('^' || $1 || '_[0-9]+_of_[0-9]+$')";

/// Restarts the connector's task once it is to have the new list, and waits until the slot is read by another process than before: one with
/// the old list would pass over what it reads of the tables, also behind the snapshot.
///
/// # Errors
/// Retry when worker or source do not do that in time.
pub(super) async fn runs_with_its_list(config: &RunConfig, connector: &Connector) -> Result<(), SinkError> {
    let deadline = Instant::now() + config.deadline;
    let late = |what: &str| {
        SinkError::retry(format!("connector {} {what} within {} s", connector.name, config.deadline.as_secs()))
    };
    let client = config.connect_url.client(config.connect_ca.as_deref())?;
    let at = |path: &str| config.connect_url.at(&format!("/connectors/{}/{path}", connector.name));
    let asking = |error: reqwest::Error| SinkError::retry(format!("asking the worker: {}", deepest(&error)));
    loop {
        let tasks: Value = client.get(at("tasks")).send().await.map_err(asking)?.json().await.unwrap_or_default();
        if tasks.pointer("/0/config").is_some_and(|task| connector.has_same_lists(task)) {
            break;
        }
        if Instant::now() > deadline {
            return Err(late("did not get its new list"));
        }
        tokio::time::sleep(LOOK).await;
    }
    let source = config.source.connect("new tables").await?;
    let senders = async || -> Result<Vec<i32>, SinkError> {
        Ok(source.query(SENDERS, &[&connector.slot]).await?.iter().map(|row| row.get(0)).collect())
    };
    let before = senders().await?;
    let answer = client.post(at("restart?includeTasks=true")).send().await.map_err(asking)?;
    if !answer.status().is_success() {
        return Err(SinkError::retry(format!(
            "the worker does not restart connector {} (HTTP {})",
            connector.name,
            answer.status().as_u16()
        )));
    }
    loop {
        let now = senders().await?;
        if !now.is_empty() && now.iter().all(|sender| *sender != 0 && !before.contains(sender)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(late("was not restarted, or does not read its slot,"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the source publishes the tables.
///
/// # Errors
/// Stop when it does not.
pub(super) async fn publishes(config: &RunConfig, connector: &Connector, names: &[Name]) -> Result<(), SinkError> {
    let source = config.source.connect("new tables").await?;
    let (schemas, tables): (Vec<&str>, Vec<&str>) =
        names.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).unzip();
    let sql = "WITH published AS MATERIALIZED (
                   SELECT to_regclass(format('%I.%I', schemaname, tablename))::oid AS id FROM pg_publication_tables
                   WHERE pubname = $1 OR pubname ~ ('^' || $1 || '_[0-9]+_of_[0-9]+$'))
               SELECT n.nspname::text, c.relname::text FROM unnest($2::text[], $3::text[]) AS asked (schema, name)
               JOIN pg_namespace n ON n.nspname = asked.schema
               JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind = 'r'
               WHERE c.oid NOT IN (SELECT id FROM published WHERE id IS NOT NULL)
                 AND NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS root (id) JOIN published USING (id))
               ORDER BY 1, 2";
    let begun = Instant::now();
    loop {
        let row = source.query(sql, &[&connector.publication, &schemas, &tables]).await?;
        let Some(row) = row.first() else { return Ok(()) };
        if begun.elapsed() > PATIENCE {
            let name = crate::plan::table::qualified(row.get(0), row.get(1));
            let publication = crate::postgres::identifier(&connector.publication);
            return Err(SinkError::stop(
                "publication-tables",
                format!(
                    "publication {publication} of the source does not publish table {name}, whose changes would not come behind its copy. \
                 Nothing of it is copied yet: ALTER PUBLICATION {publication} ADD TABLE {name}, and it is"
                ),
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until all transactions have ended that may have changed a table before it was published: of those changes nothing is sent, also
/// where they are committed later.
///
/// # Errors
/// The server's.
pub(super) async fn older_transactions_have_ended(config: &RunConfig) -> Result<(), SinkError> {
    let source = config.source.connect("new tables").await?;
    // Behind everything that has a number now.
    let end: String = source.query_one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", &[]).await?.get(0);
    let mut said: Option<Instant> = None;
    let sql = "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8";
    while !source.query_one(sql, &[&end]).await?.get::<_, bool>(0) {
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            said = Some(Instant::now());
            tracing::info!(
                "new tables are copied when the transactions have ended that were open in the source when they were published; some \
                 still are (pg_stat_activity, pg_prepared_xacts)"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
