//! Records that were set aside, applied after all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_postgres::Row;

use super::batch::{Applier, one_by_one};
use super::copied;
use super::planner::{Planner, Tables};
use super::refused::Refused;
use crate::config::ReplayConfig;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::parse::handling::Handling;
use crate::parse::head::Value;

/// Tries every record that was set aside once more, in the order of its partition, each in a transaction of its own; those that the
/// target takes now are removed from `headwater.set_aside`. Prints what came of it; whether none is left.
///
/// A row that has changed since is as the record says afterwards: `sink verify --repair` finds it.
///
/// # Errors
/// Stop when the table or a column is missing; retry when the target is away.
pub async fn run(config: &ReplayConfig) -> Result<bool, SinkError> {
    let mut applier = Applier::connect(&config.target, &Refused::none(), &Evolution::none()).await?;
    copied::create_if_needed(applier.session.client().await?).await?;
    let sql = "SELECT topic, partition, record_offset, key, value, new_key FROM headwater.set_aside
               WHERE $1::text IS NULL OR topic = $1 ORDER BY topic, partition, record_offset";
    let rows = applier.session.query(sql, &[&config.topic]).await?;
    let handling = Arc::new(handling(config)?);
    let (mut tables, mut of_topics) = (HashMap::new(), BTreeMap::<String, (u64, u64)>::new());
    for row in &rows {
        let record = record(row);
        let known = || Tables::new(&record.topic, handling.clone());
        let tables = tables.entry(record.topic.clone()).or_insert_with(known);
        let is_applied = one(&mut applier, tables, &record).await?;
        let (applied, left) = of_topics.entry(record.topic.to_string()).or_default();
        *(if is_applied { applied } else { left }) += 1;
    }
    for (topic, (applied, left)) in &of_topics {
        println!("{topic}: {applied} applied, {left} refused again");
    }
    println!("{} records were set aside", rows.len());
    Ok(of_topics.values().all(|(_, left)| *left == 0))
}

/// How the connector writes its records: as its file says, or as Debezium does by itself.
fn handling(config: &ReplayConfig) -> Result<Handling, SinkError> {
    let Some(file) = &config.connector else { return Ok(Handling::default()) };
    let fail = |why: String| SinkError::stop(format!("connector file {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| fail(format!("not JSON (line {}, column {})", error.line(), error.column())))?;
    let keys = json.get("config").and_then(serde_json::Value::as_object);
    Handling::of(keys.ok_or_else(|| fail("it has no \"config\" object".to_owned()))?)
        .map_err(|faults| fail(faults.join("; ")))
}

fn record(row: &Row) -> Record {
    Record {
        topic: row.get::<_, &str>(0).into(),
        partition: row.get(1),
        offset: row.get(2),
        timestamp: None,
        key: row.get(3),
        value: row.get::<_, Option<&[u8]>>(4).map(Value::alone),
        new_key: row.get(5),
    }
}

/// Applies a record and forgets that it was set aside, or notes why it is refused now.
async fn one(applier: &mut Applier, tables: &mut Tables, record: &Record) -> Result<bool, SinkError> {
    let (session, evolution) = (&mut applier.session, &applier.evolution);
    session.batch_execute("BEGIN").await?;
    let records = std::slice::from_ref(record);
    let mut planner = Planner::new(records, false);
    one_by_one(session, evolution, &mut planner, tables, None).await?;
    let why = planner.set_aside.first().map(|(_, reason)| reason.as_str());
    let place: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&&*record.topic, &record.partition, &record.offset, &why];
    session
        .execute(
            "WITH gone AS (DELETE FROM headwater.set_aside
                           WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND $4::text IS NULL)
             UPDATE headwater.set_aside SET reason = $4
             WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND $4::text IS NOT NULL",
            place,
        )
        .await?;
    session.batch_execute("COMMIT").await?;
    Ok(why.is_none())
}
