//! Whether two databases are equal.
//!
//! Of every table of the source the number of rows and a hash of them that does not depend on their order are compared with
//! the target's, each side in one repeatable read transaction.

mod report;

use std::time::{Duration, Instant};

use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::apply::ledger::SCHEMA;
use crate::bootstrap::test_rows;
use crate::config::VerifyConfig;
use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::{Database, identifier};

/// A table on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// `schema.table`.
    pub table: String,
    /// The source's rows.
    pub source: Rows,
    /// The target's rows, `None` when there is no such table.
    pub target: Option<Rows>,
}

/// A table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: i64,
    /// The sum of their hashes, as digits.
    pub hash: String,
}

impl Comparison {
    /// Whether both sides have the same rows.
    pub fn is_equal(&self) -> bool {
        self.target.as_ref() == Some(&self.source)
    }
}

/// Compares, prints a table, and with `--live-insert` times rows on their way. Whether all is equal.
///
/// # Errors
/// When one of the databases cannot be read.
pub async fn run(config: &VerifyConfig) -> Result<bool, SinkError> {
    let begun = Instant::now();
    let comparisons = loop {
        let comparisons = compare(&config.source, &config.target).await?;
        if comparisons.iter().all(Comparison::is_equal) || begun.elapsed() >= config.wait {
            break comparisons;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    print!("{}", report::table(&comparisons));
    let equal = comparisons.iter().all(Comparison::is_equal);
    if let Some(file) = &config.live_insert {
        for row in test_rows::insert(&config.source, file).await? {
            let after = row.wait_in(&config.target, Duration::from_secs(30)).await?;
            println!("live insert: {} is in the target after {} ms", row.describe(), after.as_millis());
        }
    }
    Ok(equal && !comparisons.is_empty())
}

/// Compares every table of the source.
///
/// # Errors
/// When one of the databases cannot be read.
pub async fn compare(source: &Database, target: &Database) -> Result<Vec<Comparison>, SinkError> {
    let (mut source, mut target) = tokio::try_join!(source.connect("verify"), target.connect("verify"))?;
    let (source, target) = tokio::try_join!(read_only(&mut source), read_only(&mut target))?;
    let mut comparisons = Vec::new();
    for (schema, name, columns) in tables(&source).await? {
        let sql = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM {}",
            columns.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", "),
            qualified(&schema, &name)
        );
        let (in_source, in_target) =
            tokio::join!(rows(&source, &sql), rows_if_there(&target, &schema, &name, &columns, &sql));
        comparisons.push(Comparison { table: format!("{schema}.{name}"), source: in_source?, target: in_target? });
    }
    Ok(comparisons)
}

async fn read_only(client: &mut Client) -> Result<Transaction<'_>, SinkError> {
    Ok(client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?)
}

/// Tables with their columns in order; partitions are compared through their parent.
async fn tables(client: &Transaction<'_>) -> Result<Vec<(String, String, Vec<String>)>, SinkError> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
               AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname NOT LIKE 'pg\\_%'
               AND NOT EXISTS (SELECT FROM pg_depend d
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
             GROUP BY 1, 2 ORDER BY 1, 2",
            &[&SCHEMA],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

async fn rows(client: &Transaction<'_>, sql: &str) -> Result<Rows, SinkError> {
    let row = client.query_one(sql, &[]).await?;
    Ok(Rows { count: row.get(0), hash: row.get(1) })
}

async fn rows_if_there(
    client: &Transaction<'_>,
    schema: &str,
    name: &str,
    columns: &[String],
    sql: &str,
) -> Result<Option<Rows>, SinkError> {
    let found: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attname::text = ANY ($2)",
            &[&qualified(schema, name), &columns],
        )
        .await?
        .get(0);
    // Asked first: a failed query would end the transaction.
    if found != columns.len() as i64 { Ok(None) } else { rows(client, sql).await.map(Some) }
}
