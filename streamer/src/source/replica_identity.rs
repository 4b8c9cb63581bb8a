//! Replica identities (`replica.identity.autoset.values`), set before a slot reads the tables' changes
//! (`PostgresReplicationConnection.initReplicaIdentity`).

use tokio_postgres::Client;

use super::catalog::ListedTable;
use super::quote_identifier;
use super::session::query_error;
use crate::config::{ConnectorConfig, Identity};
use crate::error::TaskError;

/// Gives each captured table the identity that the configuration asks for, where it has another one. As in Debezium, a table
/// that cannot be altered keeps its own: that is an error in the log.
///
/// # Errors
/// Retry when the catalog cannot be read; stop when two patterns match one table.
pub async fn set(client: &Client, config: &ConnectorConfig, captured: &[ListedTable]) -> Result<(), TaskError> {
    for table in captured {
        let name = table.name.to_string();
        let mut wanted = config.replication.identities.iter().filter(|(tables, _)| tables.is_match(&name));
        let Some((_, identity)) = wanted.next() else { continue };
        if wanted.next().is_some() {
            return Err(TaskError::stop(
                "replica-identity-patterns",
                format!(
                    "replica.identity.autoset.values: more than one pattern matches table {name}; nothing was altered. Make the \
                 patterns exclude each other"
                ),
            ));
        }
        if is_set(client, table, identity).await? {
            continue;
        }
        let sql = match identity {
            Identity::Default => "DEFAULT".to_owned(),
            Identity::Nothing => "NOTHING".to_owned(),
            Identity::Full => "FULL".to_owned(),
            Identity::Index(index) => format!("USING INDEX {}", quote_identifier(index)),
        };
        let statement = format!("ALTER TABLE {} REPLICA IDENTITY {sql}", table.name.quoted());
        match client.batch_execute(&statement).await {
            Ok(()) => tracing::info!(table = %name, identity = %sql, "replica identity is set"),
            Err(error) => {
                let error = query_error(&format!("setting the replica identity of table {name}"), error);
                tracing::error!(connector = %config.name, %error, "the table keeps its replica identity");
            }
        }
    }
    Ok(())
}

async fn is_set(client: &Client, table: &ListedTable, identity: &Identity) -> Result<bool, TaskError> {
    let row = client
        .query_opt(
            "SELECT c.relreplident::text, \
                    (SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
                     WHERE i.indrelid = c.oid AND i.indisreplident) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
            &[&table.name.schema, &table.name.name],
        )
        .await
        .map_err(|error| query_error(&format!("reading the replica identity of table {}", table.name), error))?;
    let Some(row) = row else { return Ok(true) };
    let index: Option<String> = row.get(1);
    Ok(match identity {
        Identity::Default => row.get::<_, &str>(0) == "d",
        Identity::Nothing => row.get::<_, &str>(0) == "n",
        Identity::Full => row.get::<_, &str>(0) == "f",
        Identity::Index(wanted) => row.get::<_, &str>(0) == "i" && index.as_ref() == Some(wanted),
    })
}
