//! Everything that can be wrong with source and target, at once.

use tokio_postgres::Client;

use super::connector::Connector;
use crate::apply::ledger::{CopyState, SCHEMA};
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::identifier;

/// The source as it was found.
#[derive(Debug, Clone)]
pub struct Source {
    /// The captured tables, in their names' order.
    pub tables: Vec<SourceTable>,
    /// Tables that the connector leaves out.
    pub left_out: Vec<SourceTable>,
    /// Captured tables whose rows cannot be told from each other when they are changed.
    pub without_identity: Vec<SourceTable>,
    /// How large the captured tables are, with their indexes.
    pub bytes: u64,
}

/// A table of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl SourceTable {
    /// Its name in SQL.
    pub fn sql_name(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

impl Source {
    /// Looks at the source.
    ///
    /// # Errors
    /// Stop with everything that is wrong, each with the SQL that mends it.
    pub async fn inspect(config: &RunConfig, connector: &Connector) -> Result<Self, SinkError> {
        let client = config.source.connect("preflight").await?;
        let mut faults = Vec::new();
        let settings = client
            .query_one(
                "SELECT current_setting('wal_level'),
                        (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),
                        (SELECT count(*) < current_setting('max_replication_slots')::int FROM pg_replication_slots
                         WHERE slot_name <> $1)",
                &[&connector.slot],
            )
            .await?;
        if settings.get::<_, &str>(0) != "logical" {
            faults.push(format!(
                "wal_level is {}: ALTER SYSTEM SET wal_level = 'logical', and restart the server",
                settings.get::<_, &str>(0)
            ));
        }
        if !settings.get::<_, bool>(1) {
            let user = identifier(config.source.user());
            faults.push(format!("user {user} may not replicate: ALTER ROLE {user} REPLICATION"));
        }
        if !settings.get::<_, bool>(2) {
            faults.push(
                "all replication slots are taken: raise max_replication_slots, or drop a slot that nobody reads"
                    .to_owned(),
            );
        }
        let source = Self::captured(&client, connector).await?;
        for table in &source.without_identity {
            faults.push(format!(
                "table {0} has no primary key: once it is published, the source refuses to change or delete its rows. ALTER TABLE {0} \
                 REPLICA IDENTITY FULL, and its rows are told by all that is in them; or ADD PRIMARY KEY (…); or leave it out \
                 with the connector's table.exclude.list",
                table.sql_name()
            ));
        }
        check_publication(&client, connector, &mut faults).await?;
        faults.extend(misleading_identities(&client, connector).await?);
        if source.tables.is_empty() {
            faults.push("there is no table that the connector's lists let pass".to_owned());
        }
        if faults.is_empty() { Ok(source) } else { Err(report("postgres1", &config.source.address(), &faults)) }
    }

    /// The source's tables, and which of them the connector's lists let pass.
    ///
    /// # Errors
    /// The server's; stop for a list that is none.
    pub async fn captured(client: &Client, connector: &Connector) -> Result<Self, SinkError> {
        let rows = client
            .query(
                "SELECT n.nspname::text, c.relname::text, pg_total_relation_size(c.oid),
                        c.relreplident <> 'f'
                        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
                   AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname NOT LIKE 'pg\\_%'
                   AND NOT EXISTS (SELECT FROM pg_depend d
                                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
                 ORDER BY 1, 2",
                &[&SCHEMA],
            )
            .await?;
        let mut source = Self { tables: Vec::new(), left_out: Vec::new(), without_identity: Vec::new(), bytes: 0 };
        for row in rows {
            let table = SourceTable { schema: row.get(0), name: row.get(1) };
            if !connector.captures(&table.schema, &table.name)? {
                source.left_out.push(table);
                continue;
            }
            if row.get(3) {
                source.without_identity.push(table.clone());
            }
            source.bytes += u64::try_from(row.get::<_, i64>(2)).unwrap_or_default();
            source.tables.push(table);
        }
        Ok(source)
    }
}

/// The captured tables whose changes do not bring the primary key: under an index as replica identity an old row is that
/// index's columns, and the envelope has zeros for the key's. A delete would hit whatever row has those.
async fn misleading_identities(client: &Client, connector: &Connector) -> Result<Vec<String>, SinkError> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, x.relname::text
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
             JOIN pg_class x ON x.oid = i.indexrelid
             WHERE c.relreplident = 'i'
               AND EXISTS (SELECT FROM pg_index p, unnest(p.indkey::int2[]) AS k(attnum)
                           WHERE p.indrelid = c.oid AND p.indisprimary AND k.attnum <> ALL (i.indkey::int2[]))
             ORDER BY 1, 2",
            &[],
        )
        .await?;
    let mut faults = Vec::new();
    for row in rows {
        let table = SourceTable { schema: row.get(0), name: row.get(1) };
        if connector.captures(&table.schema, &table.name)? {
            faults.push(format!(
                "the replica identity of table {0} is index {1}, which lacks the primary key: its deletes would remove other \
                 rows from the target. ALTER TABLE {0} REPLICA IDENTITY DEFAULT, or FULL",
                table.sql_name(),
                row.get::<_, &str>(2)
            ));
        }
    }
    Ok(faults)
}

/// What must still hold of the source when a sink goes on behind its copy.
///
/// # Errors
/// Stop with everything that is wrong, each with the SQL that mends it.
pub async fn still_fits(config: &RunConfig, connector: &Connector) -> Result<(), SinkError> {
    let client = config.source.connect("preflight").await?;
    let faults = misleading_identities(&client, connector).await?;
    if faults.is_empty() { Ok(()) } else { Err(report("postgres1", &config.source.address(), &faults)) }
}

/// With autocreation disabled the publication must be there before the slot: pgoutput looks it up as of each change.
async fn check_publication(client: &Client, connector: &Connector, faults: &mut Vec<String>) -> Result<(), SinkError> {
    let name = &connector.publication;
    let exists = client.query_opt("SELECT FROM pg_publication WHERE pubname = $1", &[name]).await?.is_some();
    if !exists && connector.autocreate == "disabled" {
        faults.push(format!(
            "publication {name} does not exist, and publication.autocreate.mode is disabled: CREATE PUBLICATION {} FOR ALL TABLES",
            identifier(name)
        ));
    }
    Ok(())
}

/// Looks at the target: it must be empty, unless an unfinished copy of ours is in it.
///
/// # Errors
/// Stop with everything that is wrong.
pub async fn target(config: &RunConfig, client: &Client, begun: Option<CopyState>) -> Result<(), SinkError> {
    let mut faults = Vec::new();
    if begun.is_none() {
        let tables: i64 = client
            .query_one(
                "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1)
                   AND n.nspname NOT LIKE 'pg\\_%'
                   AND NOT EXISTS (SELECT FROM pg_depend d
                                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
                &[&SCHEMA],
            )
            .await?
            .get(0);
        if tables > 0 {
            faults.push(format!(
                "it holds {tables} tables, views or sequences that this sink did not put there; they are not touched. Give an \
                 empty database: CREATE DATABASE …"
            ));
        }
    }
    if let Err(error) =
        client.batch_execute("SET session_replication_role = replica; RESET session_replication_role").await
    {
        let reason = SinkError::from(error);
        faults.push(format!(
            "user {0} may not set session_replication_role ({reason}): GRANT SET ON PARAMETER session_replication_role TO {0}, \
             or use a superuser",
            identifier(config.target.user())
        ));
    }
    if faults.is_empty() { Ok(()) } else { Err(report("postgres2", &config.target.address(), &faults)) }
}

fn report(who: &str, address: &str, faults: &[String]) -> SinkError {
    SinkError::stop(format!("{who} ({address}) is not ready. Nothing was written:\n  {}", faults.join("\n  ")))
}
