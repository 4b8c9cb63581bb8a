//! Everything that can be wrong with source and target, at once.

use std::collections::BTreeMap;

use access::diagnosis::Finding;
use access::diagnosis::source::{QUERY, Source as Server};
use tokio_postgres::Client;

use super::connector::Connector;
use crate::apply::lacking;
use crate::apply::ledger::{CopyState, SCHEMA};
use crate::config::{RunConfig, SchemaEvolution};
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
        let (source, faults) = Self::look(&client, connector).await?;
        if faults.is_empty() { Ok(source) } else { Err(report("postgres1", &config.source.address(), &faults)) }
    }

    /// The source, and everything that is wrong with it before a first copy.
    ///
    /// # Errors
    /// The server's; stop for a list that is none.
    pub async fn look(client: &Client, connector: &Connector) -> Result<(Self, Vec<Finding>), SinkError> {
        let mut faults = server(client, connector).await?.findings(1);
        let source = Self::captured(client, connector).await?;
        for table in &source.without_identity {
            let table = table.sql_name();
            faults.push(Finding::error(
                "table-identity",
                format!(
                    "table {table} has no primary key: once it is published, the source refuses to change or delete its rows"
                ),
                format!(
                    "ALTER TABLE {table} REPLICA IDENTITY FULL; and its rows are told by all that is in them;\nor ADD PRIMARY KEY (…); or \
                     leave it out with the connector's table.exclude.list"
                ),
            ));
        }
        faults.extend(check_publication(client, connector).await?);
        faults.extend(misleading_identities(client, connector).await?);
        if source.tables.is_empty() {
            faults.push(Finding::error(
                "nothing-captured",
                "there is no table that the connector's lists let pass",
                "Correct table.include.list and the other lists, or create the tables first",
            ));
        }
        Ok((source, faults))
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

/// The server's settings, and what the role may do.
///
/// # Errors
/// The server's.
pub async fn server(client: &Client, connector: &Connector) -> Result<Server, SinkError> {
    let row = client.query_one(QUERY, &[&vec![connector.slot.as_str()]]).await?;
    Ok(Server::of(&row))
}

/// The captured tables whose changes do not bring the primary key: under an index as replica identity an old row is that
/// index's columns, and the envelope has zeros for the key's. A delete would hit whatever row has those.
///
/// # Errors
/// The server's; stop for a list that is none.
pub async fn misleading_identities(client: &Client, connector: &Connector) -> Result<Vec<Finding>, SinkError> {
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
            faults.push(Finding::error(
                "table-identity-index",
                format!(
                    "the replica identity of table {} is index {}, which lacks the primary key: its deletes would remove other rows \
                     from the target",
                    table.sql_name(),
                    row.get::<_, &str>(2)
                ),
                format!("ALTER TABLE {} REPLICA IDENTITY DEFAULT; or FULL", table.sql_name()),
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
async fn check_publication(client: &Client, connector: &Connector) -> Result<Option<Finding>, SinkError> {
    let name = &connector.publication;
    let exists = client.query_opt("SELECT FROM pg_publication WHERE pubname = $1", &[name]).await?.is_some();
    Ok((!exists && connector.autocreate == "disabled").then(|| {
        Finding::error(
            "publication-missing",
            format!("publication {name} does not exist, and publication.autocreate.mode is disabled"),
            format!("CREATE PUBLICATION {} FOR ALL TABLES;", identifier(name)),
        )
    }))
}

/// Looks at the target: it must be empty, unless an unfinished copy of ours is in it.
///
/// # Errors
/// Stop with everything that is wrong.
pub async fn target(config: &RunConfig, client: &Client, begun: Option<CopyState>) -> Result<(), SinkError> {
    let faults = look_at_target(config, client, begun).await?;
    if faults.is_empty() { Ok(()) } else { Err(report("postgres2", &config.target.address(), &faults)) }
}

/// Everything that is wrong with the target.
///
/// # Errors
/// The server's.
pub async fn look_at_target(
    config: &RunConfig,
    client: &Client,
    begun: Option<CopyState>,
) -> Result<Vec<Finding>, SinkError> {
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
            faults.push(Finding::error(
                "target-not-empty",
                format!("it holds {tables} tables, views or sequences that this sink did not put there; they are not touched"),
                "Give an empty database: CREATE DATABASE …;",
            ));
        }
    }
    if let Err(error) =
        client.batch_execute("SET session_replication_role = replica; RESET session_replication_role").await
    {
        let reason = SinkError::from(error);
        let user = identifier(config.target.user());
        faults.push(Finding::error(
            "target-replication-role",
            format!("user {user} may not set session_replication_role ({reason})"),
            format!("GRANT SET ON PARAMETER session_replication_role TO {user};\nor use a superuser"),
        ));
    }
    Ok(faults)
}

/// Whether the role may make the sink's own schema, or has it.
///
/// # Errors
/// The server's.
pub async fn schema_rights(client: &Client) -> Result<Option<Finding>, SinkError> {
    let sql = "SELECT CASE WHEN to_regnamespace($1) IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                           ELSE has_schema_privilege($1, 'CREATE') END, current_user::text, current_database()::text";
    let row = client.query_one(sql, &[&SCHEMA]).await?;
    let (user, database) = (identifier(row.get(1)), identifier(row.get(2)));
    Ok((!row.get::<_, bool>(0)).then(|| {
        Finding::error(
            "target-schema",
            format!(
                "user {user} may not make the sink's schema {SCHEMA} in the target: the sink keeps there how far it is"
            ),
            format!("GRANT CREATE ON DATABASE {database} TO {user};"),
        )
    }))
}

/// Whether both sessions are of one database: everything that the sink wrote would come back to it.
///
/// # Errors
/// The servers'.
pub async fn same_database(source: &Client, target: &Client) -> Result<Option<Finding>, SinkError> {
    // The name's OID and the moment of the server's start: nobody needs a right to ask.
    let sql = "SELECT d.oid::text || ' ' || pg_postmaster_start_time()::text || ' ' || current_setting('port')
               FROM pg_database d WHERE d.datname = current_database()";
    let (one, two) = (source.query_one(sql, &[]).await?, target.query_one(sql, &[]).await?);
    Ok((one.get::<_, &str>(0) == two.get::<_, &str>(0)).then(|| {
        Finding::error(
            "same-database",
            "--source and --target are one database: its tables would be copied over themselves. Nothing was written",
            "Give the target a database of its own:\nCREATE DATABASE …;",
        )
    }))
}

const COLUMNS: &str = "
    SELECT n.nspname::text, c.relname::text, a.attname::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2, a.attnum";

/// The captured tables and columns that the target lacks, where nobody is to make them.
///
/// # Errors
/// The servers'; stop for a list that is none.
pub async fn lacking(
    config: &RunConfig,
    connector: &Connector,
    source: &Client,
    target: &Client,
) -> Result<Vec<Finding>, SinkError> {
    if config.schema_evolution != SchemaEvolution::None {
        return Ok(Vec::new());
    }
    type Name = (String, String);
    let read = async |client: &Client| -> Result<BTreeMap<Name, Vec<String>>, SinkError> {
        let mut tables: BTreeMap<Name, Vec<String>> = BTreeMap::new();
        for row in client.query(COLUMNS, &[&SCHEMA]).await? {
            tables.entry((row.get(0), row.get(1))).or_default().push(row.get(2));
        }
        Ok(tables)
    };
    let (there, wanted) = (read(target).await?, read(source).await?);
    let captured = Source::captured(source, connector).await?;
    let mut findings = Vec::new();
    for SourceTable { schema, name } in captured.tables {
        let table = (schema, name);
        let (schema, name) = (&table.0, &table.1);
        match there.get(&table) {
            None => {
                let topic = proto::topic::of_table(&config.topic_prefix, schema, name);
                findings.push(lacking::table_finding(schema, name, &topic));
            }
            Some(columns) => {
                let wanted = wanted.get(&table).into_iter().flatten();
                let missing = wanted.filter(|column| !columns.contains(column));
                findings.extend(missing.map(|column| lacking::column_finding(schema, name, column)));
            }
        }
    }
    Ok(findings)
}

fn report(who: &str, address: &str, faults: &[Finding]) -> SinkError {
    let id = faults.first().map_or("no-answer", |first| first.id);
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    SinkError::stop(id, format!("{who} ({address}) is not ready. Nothing was written:\n  {}", faults.join("\n  ")))
}
