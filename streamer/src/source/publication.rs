//! The publication: which tables the slot's plugin sends. Made or adjusted by `publication.autocreate.mode`, as
//! Debezium's `PostgresReplicationConnection.initPublication` does.

use std::collections::HashSet;

use access::diagnosis::{Diagnosis, Finding};
use tokio_postgres::{Client, Row};

use super::preflight::{self, NAMED, PUBLICATION, listed};
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
    let Found { statement, findings, .. } = look(client, config, captured).await?;
    let statement = statement?;
    let mut diagnosis = Diagnosis::default();
    diagnosis.settle(PUBLICATION, name, findings, "");
    preflight::tell(config, &diagnosis);
    let Some((doing, statement)) = statement else { return Ok(()) };
    client.batch_execute(&statement).await.map_err(|error| {
        let error = query_error(&format!("{doing} publication {name}"), error);
        preflight::explained(error, &diagnosis, &[RIGHTS])
    })?;
    tracing::info!(publication = %name, %statement, "publication is set up");
    Ok(())
}

/// What a start does with a publication, and what is wrong with it.
pub struct Found {
    /// How many of the captured tables it publishes; `None` where it is not there.
    pub published: Option<usize>,
    /// What is done, and the statement for it.
    statement: Result<Option<(&'static str, String)>, TaskError>,
    findings: Vec<Finding>,
}

impl Found {
    /// Everything that is wrong, what stops a start in front.
    pub fn findings(self) -> Vec<Finding> {
        let stops = self.statement.err().map(|error| error.finding("publication-missing"));
        stops.into_iter().chain(self.findings).collect()
    }
}

/// What the role lacks to make or change a publication.
const RIGHTS: &str = "publication-rights";

/// Looks at the publication and changes nothing.
///
/// # Errors
/// As [`query_error`].
pub async fn look(client: &Client, config: &ConnectorConfig, captured: &[TableName]) -> Result<Found, TaskError> {
    let name = &config.publication.name;
    let row = client
        .query_opt(
            "SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = $1",
            &[name],
        )
        .await
        .map_err(|error| query_error(&format!("looking for publication {name}"), error))?;
    let statement = statement(config, row.is_some(), captured);
    let mut findings = Vec::new();
    let mut published = None;
    if let Some(row) = &row {
        let tables = unpublished(client, name, captured).await?;
        published = Some(captured.len().saturating_sub(tables.len()));
        let is_changed = matches!(&statement, Ok(Some(_)));
        findings.extend(not_published(config, &tables, is_changed));
        findings.extend(not_sent(config, row));
    }
    if let Ok(Some((_, statement))) = &statement {
        findings.extend(rights(client, config, row.is_some(), captured, statement).await?);
    }
    Ok(Found { published, statement, findings })
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

/// What it means that it does not publish some captured tables. Nobody else would tell.
fn not_published(config: &ConnectorConfig, tables: &[TableName], are_added: bool) -> Option<Finding> {
    if tables.is_empty() {
        return None;
    }
    let name = &config.publication.name;
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let (means, remedy) = match are_added {
        true => (
            "does not publish these captured tables until now: what was changed in them before is not sent",
            "A start adds them. A snapshot of them (signal execute-snapshot) brings the rows".to_owned(),
        ),
        false => {
            let list = tables.iter().take(NAMED).map(TableName::quoted).collect::<Vec<_>>().join(", ");
            (
                "does not publish these captured tables: their changes are not sent",
                format!(
                    "Add them to it, or leave them out of the connector's lists:\nALTER PUBLICATION {} ADD TABLE {list};",
                    quote_identifier(name)
                ),
            )
        }
    };
    Some(Finding::warning(
        "publication-tables",
        format!("publication {name} {means} ({}): {}", tables.len(), listed(&names)),
        remedy,
    ))
}

/// What it means that it leaves out kinds of changes that the connector does not skip.
fn not_sent(config: &ConnectorConfig, row: &Row) -> Option<Finding> {
    let name = &config.publication.name;
    let skipped = config.skipped;
    let left_out: Vec<&str> = [
        ("insert", skipped.create),
        ("update", skipped.update),
        ("delete", skipped.delete),
        ("truncate", skipped.truncate),
    ]
    .into_iter()
    .enumerate()
    .filter(|(column, (_, is_skipped))| !row.get::<_, bool>(*column) && !is_skipped)
    .map(|(_, (kind, _))| kind)
    .collect();
    (!left_out.is_empty()).then(|| {
        Finding::warning(
            "publication-operations",
            format!("publication {name} does not publish every kind of change. Not sent: {}", left_out.join(", ")),
            format!(
                "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate');\nor say so in skipped.operations",
                quote_identifier(name)
            ),
        )
    })
}

const RIGHTS_QUERY: &str = "
    SELECT current_user::text, current_database()::text,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
           OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser' AND pg_has_role(current_user, oid, 'member')),
           has_database_privilege(current_database(), 'CREATE'),
           coalesce((SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = $1), true),
           ARRAY(SELECT format('%I.%I', n.nspname, c.relname)
                 FROM unnest($2::text[], $3::text[]) AS captured (schema, name)
                 JOIN pg_namespace n ON n.nspname = captured.schema
                 JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = captured.name
                 WHERE NOT pg_has_role(c.relowner, 'USAGE'))";

/// What the role lacks for a statement that a start runs. It is the server that decides.
async fn rights(
    client: &Client,
    config: &ConnectorConfig,
    exists: bool,
    captured: &[TableName],
    statement: &str,
) -> Result<Option<Finding>, TaskError> {
    let name = &config.publication.name;
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        captured.iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip();
    let row = client
        .query_one(RIGHTS_QUERY, &[name, &schemas, &names])
        .await
        .map_err(|error| query_error("asking what the role may do", error))?;
    let (user, database) = (quote_identifier(row.get(0)), quote_identifier(row.get(1)));
    if row.get::<_, bool>(2) {
        return Ok(None);
    }
    let foreign: Vec<String> = row.get(5);
    let is_filtered = config.publication.autocreate == Autocreate::Filtered;
    let why = if !exists && config.publication.autocreate == Autocreate::AllTables {
        "one FOR ALL TABLES is for superusers".to_owned()
    } else if exists && !row.get::<_, bool>(4) {
        "it is another role's".to_owned()
    } else if !exists && !row.get::<_, bool>(3) {
        format!("it lacks the right CREATE on database {database}")
    } else if is_filtered && !foreign.is_empty() {
        format!("these tables are another role's: {}", listed(&foreign))
    } else {
        return Ok(None);
    };
    let what = if exists { "change" } else { "make" };
    Ok(Some(Finding::error(
        RIGHTS,
        format!("user {user} may not {what} publication {name}: {why}. Nothing was read"),
        format!(
            "As the tables' owner or a superuser:\n{statement};\nand set publication.autocreate.mode=disabled, so that the connector \
             leaves it as it is"
        ),
    )))
}

/// No table is captured. For a filtered publication there is nothing to publish, and a start stops; with any other it waits for
/// tables that come.
pub(super) fn nothing_captured(config: &ConnectorConfig) -> Finding {
    let remedy = "Correct table.include.list and the other lists, or create the tables first. What is there:\nSELECT schemaname || '.' || \
                  tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema');";
    match config.publication.autocreate {
        Autocreate::Filtered => Finding::error(
            NOTHING,
            format!(
                "No table filters found for filtered publication {}: no table passes the include and exclude lists, so there is \
                 nothing to publish",
                config.publication.name
            ),
            remedy,
        ),
        // Debezium's words.
        Autocreate::AllTables | Autocreate::NoTables | Autocreate::Disabled => Finding::warning(
            NOTHING,
            "After applying the include/exclude list filters, no changes will be captured: no table passes them",
            remedy,
        ),
    }
}

const NOTHING: &str = "nothing-captured";

/// Drops the publication if it is there.
///
/// # Errors
/// As [`query_error`].
pub async fn drop(client: &Client, name: &str) -> Result<(), TaskError> {
    let dropped = client.batch_execute(&format!("DROP PUBLICATION IF EXISTS {}", quote_identifier(name))).await;
    dropped.map_err(|error| query_error(&format!("dropping publication {name}"), error))
}

/// What a start does: what that is called, and the statement.
fn statement(
    config: &ConnectorConfig,
    exists: bool,
    captured: &[TableName],
) -> Result<Option<(&'static str, String)>, TaskError> {
    let doing = if exists { "adjusting the tables of" } else { "creating" };
    Ok(sql(config, exists, captured)?.map(|sql| (doing, sql)))
}

fn sql(config: &ConnectorConfig, exists: bool, captured: &[TableName]) -> Result<Option<String>, TaskError> {
    let name = quote_identifier(&config.publication.name);
    let with = if config.publication.via_partition_root { " WITH (publish_via_partition_root = true)" } else { "" };
    match (config.publication.autocreate, exists) {
        (Autocreate::Disabled, false) => {
            let tables = captured.iter().take(NAMED).map(TableName::quoted).collect::<Vec<_>>().join(", ");
            let failure = TaskError::stop(
                "publication-missing",
                "Publication autocreation is disabled, please create one and restart the connector.",
            );
            Err(failure.in_debeziums_words().mended_by(match captured.is_empty() {
                true => format!("CREATE PUBLICATION {name} FOR ALL TABLES{with};"),
                false => format!("CREATE PUBLICATION {name} FOR TABLE {tables}{with};"),
            }))
        }
        (Autocreate::AllTables, false) => Ok(Some(format!("CREATE PUBLICATION {name} FOR ALL TABLES{with}"))),
        (Autocreate::NoTables, false) => Ok(Some(format!("CREATE PUBLICATION {name}{with}"))),
        (Autocreate::Filtered, _) => {
            if captured.is_empty() {
                return match (config.share, exists) {
                    (None, _) => Err(nothing_captured(config).into()),
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
