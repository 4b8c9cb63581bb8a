//! How the source's tables and types were when the target last followed them, in the target's schema `headwater`.
//!
//! Of a message that says how a table is now, it says what was done; and it says which name a number in the source's catalog had.

use tokio_postgres::Client;

use super::catalog;
use super::definition::{Table, UserType};
use crate::error::SinkError;
use crate::postgres::literal;

/// Tables whose definitions are stored in one statement.
const AT_ONCE: usize = 200;

/// Creates the table if it is not there.
///
/// # Errors
/// Stop when the role may not.
pub async fn create(client: &Client) -> Result<(), SinkError> {
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS headwater.definitions (
                 topic_prefix text, kind text, source_oid bigint, definition jsonb NOT NULL,
                 PRIMARY KEY (topic_prefix, kind, source_oid))",
        )
        .await
        .map_err(|error| SinkError::from(error).while_doing("creating headwater.definitions in the target"))
}

/// What is known of the tables of a prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) target: &'a Client,
    pub(super) prefix: &'a str,
}

impl Known<'_> {
    /// A table as it was.
    pub(super) async fn table(&self, oid: i64) -> Result<Option<Table>, SinkError> {
        // One of a form that is no longer known says as much as none.
        Ok(self.get("table", oid).await?.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// A type as it was.
    pub(super) async fn user_type(&self, oid: i64) -> Result<Option<UserType>, SinkError> {
        Ok(self.get("type", oid).await?.and_then(|json| serde_json::from_str(&json).ok()))
    }

    async fn get(&self, kind: &str, oid: i64) -> Result<Option<String>, SinkError> {
        let sql = "SELECT definition::text FROM headwater.definitions
                   WHERE topic_prefix = $1 AND kind = $2 AND source_oid = $3";
        Ok(self.target.query_opt(sql, &[&self.prefix, &kind, &oid]).await?.map(|row| row.get(0)))
    }

    /// It is like this now.
    pub(super) async fn put(&self, kind: &str, oid: i64, definition: &str) -> Result<(), SinkError> {
        let sql = "INSERT INTO headwater.definitions VALUES ($1, $2, $3, $4::text::jsonb)
                   ON CONFLICT (topic_prefix, kind, source_oid) DO UPDATE SET definition = EXCLUDED.definition";
        self.target.execute(sql, &[&self.prefix, &kind, &oid, &definition]).await?;
        Ok(())
    }

    /// It is gone.
    pub(super) async fn forget(&self, kind: &str, oid: i64) -> Result<(), SinkError> {
        let sql = "DELETE FROM headwater.definitions WHERE topic_prefix = $1 AND kind = $2 AND source_oid = $3";
        self.target.execute(sql, &[&self.prefix, &kind, &oid]).await?;
        Ok(())
    }
}

/// Remembers all tables and types of the source as they are: in the snapshot of a copy that was made; or without one now, if nothing
/// is known yet. What came meanwhile is not taken for known: it is told of in the stream.
///
/// # Errors
/// The servers'.
pub async fn remember(source: &Client, target: &Client, prefix: &str, snapshot: Option<&str>) -> Result<(), SinkError> {
    if snapshot.is_some() {
        target.execute("DELETE FROM headwater.definitions WHERE topic_prefix = $1", &[&prefix]).await?;
    } else {
        let sql = "SELECT EXISTS (SELECT FROM headwater.definitions WHERE topic_prefix = $1)";
        if target.query_one(sql, &[&prefix]).await?.get(0) {
            return Ok(());
        }
    }
    source.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    if let Some(snapshot) = snapshot {
        source.batch_execute(&format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot))).await?;
    }
    catalog::full_names(source).await?;
    let all = format!(
        "SELECT 'table', (d ->> 'oid')::bigint, d::text FROM ({}) AS found(d)
         UNION ALL SELECT 'type', (d ->> 'oid')::bigint, d::text FROM ({}) AS found(d)",
        catalog::tables_sql(),
        catalog::types_sql()
    );
    let rows = source.query(&all, &[]).await?;
    source.batch_execute("COMMIT").await?;
    for rows in rows.chunks(AT_ONCE) {
        let kinds: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let oids: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
        let definitions: Vec<&str> = rows.iter().map(|row| row.get(2)).collect();
        let sql = "INSERT INTO headwater.definitions
                   SELECT $1::text, kind, oid, definition::jsonb
                   FROM unnest($2::text[], $3::bigint[], $4::text[]) AS seen (kind, oid, definition)
                   ON CONFLICT DO NOTHING";
        target.execute(sql, &[&prefix, &kinds, &oids, &definitions]).await?;
    }
    Ok(())
}
