//! A chunk's statement, and its rows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use proto::connect::java;
use proto::envelope::TableEnvelope;
use proto::pgoutput::Datum;
use proto::position::incremental::{Collection, Key, KeyClass};
use proto::xid::Xid;
use tokio_postgres::Client;

use super::super::copy_text;
use crate::error::TaskError;
use crate::source::session::query_error;
use crate::source::table_name::TableName;
use crate::source::{quote_identifier, quote_literal};

/// The table that is read chunk by chunk.
#[derive(Debug)]
pub struct ChunkTable {
    /// Its name.
    pub name: TableName,
    /// What makes records of its rows.
    pub envelope: Arc<TableEnvelope>,
    /// The columns by which it is read: its key, or the surrogate key.
    order: Vec<usize>,
    condition: Option<String>,
}

impl ChunkTable {
    /// `None` when it has no key to be read by.
    ///
    /// # Errors
    /// The surrogate key that is no column of it.
    pub fn new(
        name: TableName,
        envelope: Arc<TableEnvelope>,
        collection: &Collection,
    ) -> Result<Option<Self>, TaskError> {
        let table = envelope.table();
        let order = match &collection.surrogate_key {
            Some(surrogate) => {
                let column = table.columns.iter().position(|column| &column.name == surrogate);
                vec![column.ok_or_else(|| {
                    TaskError::stop(
                        "surrogate-key",
                        format!("surrogate key \"{surrogate}\" doesn't exist in table {name}"),
                    )
                })?]
            }
            None => table.key.clone(),
        };
        let condition = collection.condition.clone();
        Ok((!order.is_empty()).then_some(Self { name, envelope, order, condition }))
    }

    /// The classes that the key's values have in Java.
    pub fn key_classes(&self) -> Option<Vec<KeyClass>> {
        let columns = &self.envelope.table().columns;
        self.order.iter().map(|column| KeyClass::of(&columns.get(*column)?.pg_type.name)).collect()
    }

    /// The values by which a row of it is ordered.
    pub fn key_of(&self, row: &[Datum]) -> Key {
        let value = |column: &usize| match row.get(*column) {
            Some(Datum::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        self.order.iter().map(value).collect()
    }

    /// A key as notifications have it: its values as Java's `toString` prints them, in UTC.
    pub fn key_text(&self, key: &Key) -> String {
        let columns = &self.envelope.table().columns;
        let types = self.order.iter().map(|column| columns.get(*column).map_or("", |column| &column.pg_type.name));
        let value = |(value, pg_type): (&Option<String>, &str)| match value {
            Some(text) => java_text(text, pg_type),
            None => "<null>".to_owned(),
        };
        key.iter().zip(types).map(value).collect::<Vec<_>>().join(",")
    }

    /// The row with the highest key.
    pub fn maximum(&self) -> String {
        self.select(Vec::new(), " DESC", 1)
    }

    /// The next rows behind `from` up to `to` (`AbstractChunkQueryBuilder.buildChunkQuery`).
    pub fn chunk(&self, from: Option<&Key>, to: Option<&Key>, limit: u32) -> String {
        let mut conditions = Vec::new();
        if let (Some(from), Some(to)) = (from, to) {
            conditions.push(self.behind(from));
            conditions.push(format!("NOT {}", self.behind(to)));
        }
        self.select(conditions, "", limit)
    }

    fn select(&self, mut conditions: Vec<String>, direction: &str, limit: u32) -> String {
        let columns = &self.envelope.table().columns;
        let selected: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
        let order: Vec<String> =
            self.order.iter().filter_map(|column| Some(selected.get(*column)?.clone() + direction)).collect();
        conditions.extend(self.condition.clone());
        let condition = match conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!(
            "SELECT {} FROM {}{condition} ORDER BY {} LIMIT {limit}",
            selected.join(", "),
            self.name.quoted(),
            order.join(", ")
        )
    }

    /// That a row's key is behind `key`. PostgreSQL orders nulls last.
    fn behind(&self, key: &Key) -> String {
        let columns = &self.envelope.table().columns;
        let columns: Vec<(String, bool)> = self
            .order
            .iter()
            .filter_map(|column| columns.get(*column))
            .map(|column| (quote_identifier(&column.name), column.not_null))
            .collect();
        if columns.iter().all(|(_, not_null)| *not_null) && key.iter().all(Option::is_some) {
            // A comparison of rows, which an index on the columns answers.
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<String> = key.iter().flatten().map(|value| quote_literal(value)).collect();
            return format!("(({}) > ({}))", names.join(", "), values.join(", "));
        }
        let equal = |(name, value): (&str, &Option<String>)| match value {
            Some(value) => format!("{name} = {}", quote_literal(value)),
            None => format!("{name} IS NULL"),
        };
        let mut alternatives = Vec::new();
        for (at, ((name, _), value)) in columns.iter().zip(key).enumerate() {
            let mut terms: Vec<String> =
                columns.iter().zip(key).take(at).map(|((name, _), value)| equal((name, value))).collect();
            terms.push(match value {
                Some(value) => format!("({name} > {} OR {name} IS NULL)", quote_literal(value)),
                None => "false".to_owned(),
            });
            alternatives.push(format!("({})", terms.join(" AND ")));
        }
        format!("({})", alternatives.join(" OR "))
    }
}

/// A value's text as the object's has it that Debezium reads for it: `Boolean`, `Float`, `Double`, `java.sql.Timestamp`.
fn java_text(text: &str, pg_type: &str) -> String {
    match pg_type {
        "bool" => (text == "t").to_string(),
        "float4" => text.parse().map_or_else(|_| text.to_owned(), java::float),
        "float8" => text.parse().map_or_else(|_| text.to_owned(), java::double),
        "timestamp" | "timestamptz" if !text.contains("infinity") => {
            let text = text.strip_suffix("+00").unwrap_or(text);
            if text.contains('.') { text.to_owned() } else { format!("{text}.0") }
        }
        _ => text.to_owned(),
    }
}

/// Which transactions a chunk's rows show (`pg_current_snapshot`).
#[derive(Debug, Default)]
pub struct Visible {
    xmax: u32,
    in_progress: Vec<u32>,
}

impl Visible {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let xmax = parts.nth(1)?.parse::<u64>().ok()? as u32;
        let in_progress = parts.next().unwrap_or_default().split(',').filter_map(|xid| xid.parse::<u64>().ok());
        Some(Self { xmax, in_progress: in_progress.map(|xid| xid as u32).collect() })
    }

    /// Whether this committed transaction is shown.
    pub fn shows(&self, xid: Xid) -> bool {
        let xid = xid.as_u32();
        (xid.wrapping_sub(self.xmax) as i32) < 0 && !self.in_progress.contains(&xid)
    }
}

/// A transaction of its own for a chunk that shows `last`, the transaction that the stream is at: a commit is in the log,
/// and decoded, a moment before other sessions see it, or much longer when it waits for a synchronous standby. A chunk that
/// does not show it yet would bring an older state of a row behind the newer one.
///
/// # Errors
/// As [`query_error`].
pub async fn begin(client: &Client, last: Option<Xid>) -> Result<Visible, TaskError> {
    const WHAT: &str = "beginning a chunk of an incremental snapshot";
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await
            .map_err(|error| query_error(WHAT, error))?;
        let row = client
            .query_one("SELECT pg_current_snapshot()::text", &[])
            .await
            .map_err(|error| query_error(WHAT, error))?;
        let visible = Visible::parse(row.get(0)).unwrap_or_default();
        if last.is_none_or(|last| visible.shows(last)) {
            return Ok(visible);
        }
        end(client).await?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Ends it.
///
/// # Errors
/// As [`query_error`].
pub async fn end(client: &Client) -> Result<(), TaskError> {
    client
        .batch_execute("ROLLBACK")
        .await
        .map_err(|error| query_error("ending a chunk of an incremental snapshot", error))
}

/// The rows that a statement selects.
///
/// # Errors
/// As [`query_error`].
pub async fn rows(client: &Client, table: &TableName, select: &str) -> Result<Vec<Vec<Datum>>, TaskError> {
    let what = format!("reading a chunk of table {table}");
    let lines =
        client.copy_out(&format!("COPY ({select}) TO STDOUT")).await.map_err(|error| query_error(&what, error))?;
    let mut lines = std::pin::pin!(lines);
    let mut rows = Vec::new();
    while let Some(line) = lines.next().await {
        let line: Bytes = line.map_err(|error| query_error(&what, error))?;
        let mut row = Vec::new();
        copy_text::parse_line(&line.slice(..line.len().saturating_sub(1)), &mut row)
            .map_err(|error| TaskError::retry(format!("{what}: {error}")))?;
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_values_are_printed_as_java_prints_them() {
        for (text, pg_type, java) in [
            ("t", "bool", "true"),
            ("5", "float8", "5.0"),
            ("1e+20", "float4", "1.0E20"),
            ("2024-01-06 10:00:00+00", "timestamptz", "2024-01-06 10:00:00.0"),
            ("2024-01-06 10:00:00.12", "timestamp", "2024-01-06 10:00:00.12"),
            ("infinity", "timestamp", "infinity"),
            ("5", "int4", "5"),
        ] {
            assert_eq!(java_text(text, pg_type), java);
        }
    }

    #[test]
    fn transactions_that_began_later_or_were_in_progress_are_not_shown() {
        let visible = Visible::parse("4294967300:4294967310:4294967302,4294967305").unwrap();
        let shows = |xid: u32| visible.shows(Xid::from(xid));
        assert!(shows(4) && shows(8) && shows(u32::MAX));
        assert!(!shows(6) && !shows(9) && !shows(14) && !shows(15));
        assert!(Visible::parse("10:10:").unwrap().shows(Xid::from(9)));
    }
}
