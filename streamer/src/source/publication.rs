//! The publication: which tables the slot's plugin sends. Made or adjusted by `publication.autocreate.mode`, as
//! Debezium's `PostgresReplicationConnection.initPublication` does.

use std::collections::HashSet;

use tokio_postgres::Client;

use super::quote_identifier;
use super::session::query_error;
use super::table_name::TableName;
use crate::config::{Autocreate, ConnectorConfig};
use crate::error::TaskError;

/// So many tables are named in the log.
const NAMED: usize = 20;

/// Makes sure the publication is there and publishes what `publication.autocreate.mode` says; `captured` are the tables
/// that pass the connector's filters.
///
/// # Errors
/// Stop when it is missing and may not be created, or the role may not create it.
pub async fn ensure(client: &Client, config: &ConnectorConfig, captured: &[TableName]) -> Result<(), TaskError> {
    let name = &config.publication.name;
    let exists = client
        .query_opt("SELECT 1 FROM pg_publication WHERE pubname = $1", &[name])
        .await
        .map_err(|error| query_error(&format!("looking for publication {name}"), error))?
        .is_some();
    let statement = statement(config, exists, captured)?;
    if exists {
        tell_unpublished(config, &unpublished(client, name, captured).await?, statement.is_some());
    }
    let Some(statement) = statement else { return Ok(()) };
    client.batch_execute(&statement).await.map_err(|error| {
        query_error(
            &format!("{} publication {name}", if exists { "adjusting the tables of" } else { "creating" }),
            error,
        )
    })?;
    tracing::info!(publication = %name, %statement, "publication is set up");
    Ok(())
}

/// The captured tables that the publication does not publish, neither themselves nor as partitions.
async fn unpublished(client: &Client, name: &str, captured: &[TableName]) -> Result<Vec<TableName>, TaskError> {
    let rows = client
        .query(
            "WITH published AS MATERIALIZED ( \
                SELECT to_regclass(format('%I.%I', schemaname, tablename))::oid AS id FROM pg_publication_tables \
                WHERE pubname = $1) \
             SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid NOT IN (SELECT id FROM published WHERE id IS NOT NULL) \
               AND NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS root (id) JOIN published USING (id)) \
               AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
            &[&name],
        )
        .await
        .map_err(|error| query_error(&format!("looking for what publication {name} publishes"), error))?;
    let captured: HashSet<&TableName> = captured.iter().collect();
    let tables = rows.iter().map(|row| TableName { schema: row.get(0), name: row.get(1) });
    Ok(tables.filter(|table| captured.contains(table)).collect())
}

/// Tells of them: nobody else would.
fn tell_unpublished(config: &ConnectorConfig, tables: &[TableName], are_added: bool) {
    if tables.is_empty() {
        return;
    }
    let names = tables.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = match are_added {
        true => {
            "does not publish these captured tables until now: what was changed in them before is not sent. A snapshot of them \
             (signal execute-snapshot) brings the rows"
        }
        false => {
            "does not publish these captured tables: their changes are not sent. Add them to it, or leave them out of the \
             connector's lists"
        }
    };
    let count = tables.len();
    tracing::warn!(connector = %config.name, publication = %config.publication.name, count, tables = %names, "the publication {what}");
}

/// No table is captured, and so there is nothing to publish.
pub(super) fn nothing_captured(config: &ConnectorConfig) -> TaskError {
    TaskError::stop(format!(
        "No table filters found for filtered publication {}: no table passes the include and exclude lists, so there is nothing to \
         publish. Correct the lists, or create the tables first",
        config.publication.name
    ))
}

/// Drops the publication if it is there.
///
/// # Errors
/// As [`query_error`].
pub async fn drop(client: &Client, name: &str) -> Result<(), TaskError> {
    let dropped = client.batch_execute(&format!("DROP PUBLICATION IF EXISTS {}", quote_identifier(name))).await;
    dropped.map_err(|error| query_error(&format!("dropping publication {name}"), error))
}

fn statement(config: &ConnectorConfig, exists: bool, captured: &[TableName]) -> Result<Option<String>, TaskError> {
    let name = quote_identifier(&config.publication.name);
    let with = if config.publication.via_partition_root { " WITH (publish_via_partition_root = true)" } else { "" };
    match (config.publication.autocreate, exists) {
        (Autocreate::Disabled, false) => {
            Err(TaskError::stop("Publication autocreation is disabled, please create one and restart the connector."))
        }
        (Autocreate::AllTables, false) => Ok(Some(format!("CREATE PUBLICATION {name} FOR ALL TABLES{with}"))),
        (Autocreate::NoTables, false) => Ok(Some(format!("CREATE PUBLICATION {name}{with}"))),
        (Autocreate::Filtered, _) => {
            if captured.is_empty() {
                return match (config.share, exists) {
                    (None, _) => Err(nothing_captured(config)),
                    // More slots than tables: what it still publishes is not captured, and passed over.
                    (Some(_), true) => Ok(None),
                    (Some(_), false) => Ok(Some(format!("CREATE PUBLICATION {name}{with}"))),
                };
            }
            // A table that inherits from another may be another slot's.
            let only = if config.share.is_some() { "ONLY " } else { "" };
            let tables =
                captured.iter().map(|table| format!("{only}{}", table.quoted())).collect::<Vec<_>>().join(", ");
            Ok(Some(match exists {
                true => format!("ALTER PUBLICATION {name} SET TABLE {tables}"),
                false => format!("CREATE PUBLICATION {name} FOR TABLE {tables}{with}"),
            }))
        }
        (Autocreate::AllTables | Autocreate::NoTables | Autocreate::Disabled, true) => Ok(None),
    }
}
