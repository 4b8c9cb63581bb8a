//! Records that were set aside, applied after all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_postgres::Row;

use super::batch::{Applier, one_by_one};
use super::copied;
use super::planner::Planner;
use super::refused::Refused;
use super::tables::Tables;
use crate::config::ReplayConfig;
use crate::consume::Reading;
use crate::consume::record::Record;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::jdbc;
use crate::jdbc::settings::{self, Settings};
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
    let reading = reading(config).await?;
    let mut applier = match &reading {
        Reading::Replica(_) => Applier::connect(&config.target, &Refused::none(), &Evolution::none()).await?,
        Reading::Jdbc(..) => Applier::connect_plainly(&config.target, &Refused::none()).await?,
    };
    // Those of a JDBC sink connector stand under its name.
    let prefix = reading.ledger_name("");
    copied::create_if_needed(applier.session.client().await?).await?;
    let sql = "SELECT topic, partition, record_offset, key, value, new_key FROM headwater.set_aside
               WHERE ($1::text IS NULL OR topic = $2 || $1)
                 AND CASE WHEN $2 = '' THEN strpos(topic, '/') = 0 ELSE starts_with(topic, $2) END
               ORDER BY topic, partition, record_offset";
    let rows = applier.session.query(sql, &[&config.topic, &prefix]).await?;
    let (mut tables, mut of_topics) = (HashMap::new(), BTreeMap::<String, (u64, u64)>::new());
    for row in &rows {
        let record = record(row, &prefix);
        let known = || Tables::new(&record.topic, &reading);
        let tables = tables.entry(record.topic.clone()).or_insert_with(known);
        let is_applied = one(&mut applier, tables, &record, &reading.ledger_name(&record.topic)).await?;
        let (applied, left) = of_topics.entry(record.topic.to_string()).or_default();
        *(if is_applied { applied } else { left }) += 1;
    }
    for (topic, (applied, left)) in &of_topics {
        println!("{topic}: {applied} applied, {left} refused again");
    }
    println!("{} records were set aside", rows.len());
    Ok(of_topics.values().all(|(_, left)| *left == 0))
}

/// How the records are read: as the connector's file says, or as Debezium writes them by itself.
async fn reading(config: &ReplayConfig) -> Result<Reading, SinkError> {
    let Some(file) = &config.connector else { return Ok(Reading::Replica(Arc::default())) };
    let fail = |why: String| SinkError::stop("connector-file", format!("connector file {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    if text.contains(settings::CLASS) {
        let settings = Settings::read(Some(file))?;
        let schema = jdbc::own_schema(&settings, &config.target.connect("replay").await?).await?;
        return Ok(Reading::Jdbc(Arc::new(settings), schema));
    }
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| fail(format!("not JSON (line {}, column {})", error.line(), error.column())))?;
    let keys = json.get("config").and_then(serde_json::Value::as_object);
    let handling = Handling::of(keys.ok_or_else(|| fail("it has no \"config\" object".to_owned()))?);
    Ok(Reading::Replica(Arc::new(handling.map_err(|faults| fail(faults.join("; ")))?)))
}

fn record(row: &Row, prefix: &str) -> Record {
    let topic: &str = row.get(0);
    Record {
        topic: topic.strip_prefix(prefix).unwrap_or(topic).into(),
        partition: row.get(1),
        offset: row.get(2),
        timestamp: None,
        key: row.get(3),
        value: row.get::<_, Option<&[u8]>>(4).map(Value::alone),
        new_key: row.get(5),
        traced: None,
    }
}

/// Applies a record and forgets that it was set aside, or notes why it is refused now.
async fn one(
    applier: &mut Applier,
    tables: &mut Tables,
    record: &Record,
    ledger_name: &str,
) -> Result<bool, SinkError> {
    let (session, evolution) = (&mut applier.session, &applier.evolution);
    session.batch_execute("BEGIN").await?;
    let records = std::slice::from_ref(record);
    let mut planner = Planner::new(records, false);
    one_by_one(session, evolution, &mut planner, tables, None).await?;
    let why = planner.set_aside.first().map(|(_, reason)| reason.as_str());
    let place: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&ledger_name, &record.partition, &record.offset, &why];
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
