//! Rows inserted into the source and looked for in the target.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::{Database, identifier, literal};

/// A row that was inserted.
#[derive(Debug, Clone)]
pub struct TestRow {
    table: String,
    columns: Vec<(String, Option<String>)>,
    inserted: Instant,
}

/// Runs the statements of a file, each an `INSERT … RETURNING`, on the source.
///
/// # Errors
/// Stop when a statement is of another form, or the server refuses it.
pub async fn insert(source: &Database, file: &Path) -> Result<Vec<TestRow>, SinkError> {
    let fail = |why: String| SinkError::stop("test-rows", format!("test rows {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    let client = source.connect("test rows").await?;
    let mut rows = Vec::new();
    for statement in statements(&text) {
        rows.extend(insert_one(&client, &statement).await.map_err(|error| fail(error.to_string()))?);
    }
    Ok(rows)
}

async fn insert_one(client: &Client, statement: &str) -> Result<Vec<TestRow>, SinkError> {
    let prepared = client.prepare(statement).await?;
    let oid = prepared.columns().first().and_then(tokio_postgres::Column::table_oid);
    let oid = oid.ok_or_else(|| {
        SinkError::stop("test-rows", "every statement must be INSERT … RETURNING with columns of its table")
    })?;
    let table = client
        .query_one(
            "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[&oid],
        )
        .await?;
    let names: Vec<String> = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    let texts: Vec<String> = names.iter().map(|name| format!("{}::text", identifier(name))).collect();
    let inserted_rows =
        client.query(&format!("WITH inserted AS ({statement}) SELECT {} FROM inserted", texts.join(", ")), &[]).await?;
    let inserted = Instant::now();
    Ok(inserted_rows
        .iter()
        .map(|row| TestRow {
            table: qualified(table.get(0), table.get(1)),
            columns: names.iter().enumerate().map(|(index, name)| (name.clone(), row.get(index))).collect(),
            inserted,
        })
        .collect())
}

impl TestRow {
    /// The row in words.
    pub fn describe(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, value)| format!("{name} {}", value.as_deref().unwrap_or("NULL"))).collect();
        format!("{} with {}", self.table, columns.join(", "))
    }

    /// Waits until the row is in the target, and says how long after its insertion that was.
    ///
    /// # Errors
    /// Stop when it does not come.
    pub async fn wait_in(&self, target: &Database, within: Duration) -> Result<Duration, SinkError> {
        let client = target.connect("test rows").await?;
        let conditions: Vec<String> = self
            .columns
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{}::text = {}", identifier(name), literal(value)),
                None => format!("{} IS NULL", identifier(name)),
            })
            .collect();
        let sql = format!("SELECT FROM {} WHERE {}", self.table, conditions.join(" AND "));
        loop {
            if client.query_opt(&sql, &[]).await?.is_some() {
                return Ok(self.inserted.elapsed());
            }
            if self.inserted.elapsed() > within {
                return Err(SinkError::stop(
                    "test-rows",
                    format!(
                        "{} was inserted into the source and is not in the target after {} s. Look at the worker's connector \
                     status, at the sink's /health, and at headwater.set_aside in the target",
                        self.describe(),
                        within.as_secs()
                    ),
                ));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The statements of a script: between semicolons outside of quotes, without comments.
fn statements(script: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    for line in script.lines() {
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\'' => {
                    quoted = !quoted;
                    current.push(character);
                }
                '-' if !quoted && characters.peek() == Some(&'-') => break,
                ';' if !quoted => statements.push(std::mem::take(&mut current)),
                other => current.push(other),
            }
        }
        current.push('\n');
    }
    statements.push(current);
    statements
        .into_iter()
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_and_dashes_in_quotes_stay() {
        let script = "-- first\nINSERT INTO t VALUES ('a;b--c') RETURNING id; -- behind\n\nINSERT INTO u VALUES (1)\n  RETURNING id;\n";
        let expected = ["INSERT INTO t VALUES ('a;b--c') RETURNING id", "INSERT INTO u VALUES (1)\n  RETURNING id"];
        assert_eq!(statements(script), expected);
    }
}
