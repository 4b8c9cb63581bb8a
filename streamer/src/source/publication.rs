//! The publication: which tables the slot's plugin sends. Made or adjusted by `publication.autocreate.mode`, as
//! Debezium's `PostgresReplicationConnection.initPublication` does.

use tokio_postgres::Client;

use super::quote_identifier;
use super::session::query_error;
use super::table_name::TableName;
use crate::config::{Autocreate, ConnectorConfig};
use crate::error::TaskError;

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
    let Some(statement) = statement(config, exists, captured)? else { return Ok(()) };
    client.batch_execute(&statement).await.map_err(|error| {
        query_error(
            &format!("{} publication {name}", if exists { "adjusting the tables of" } else { "creating" }),
            error,
        )
    })?;
    tracing::info!(publication = %name, %statement, "publication is set up");
    Ok(())
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
                return Err(TaskError::stop(format!(
                    "No table filters found for filtered publication {}: no table passes the include and exclude lists, so \
                     there is nothing to publish. Correct the lists, or create the tables first",
                    config.publication.name
                )));
            }
            let tables = captured.iter().map(TableName::quoted).collect::<Vec<_>>().join(", ");
            Ok(Some(match exists {
                true => format!("ALTER PUBLICATION {name} SET TABLE {tables}"),
                false => format!("CREATE PUBLICATION {name} FOR TABLE {tables}{with}"),
            }))
        }
        (Autocreate::AllTables | Autocreate::NoTables | Autocreate::Disabled, true) => Ok(None),
    }
}
