//! What `pg_catalog` says about captured tables: columns, defaults, key, types.
//!
//! A Relation message carries names, type OIDs and modifiers as of the change; the catalog adds what it leaves out, as
//! the catalog is *now*. So the message rules where both speak, and the catalog only fills in.

use std::collections::HashMap;

use proto::oid::Oid;
use proto::pgoutput::{Relation, ReplicaIdentity};
use proto::table::{Column, PgType, PgTypeKind, Table};
use proto::types::Phase;
use tokio_postgres::Client;

use super::session::query_error;
use super::table_name::TableName;
use crate::config::ConnectorConfig;
use crate::error::TaskError;

/// A table that there is.
#[derive(Debug, Clone)]
pub struct ListedTable {
    /// Its name.
    pub name: TableName,
    /// Whether its changes are in the log: an unlogged table's are not, and a publication does not take it.
    pub is_logged: bool,
}

/// All tables of the database outside the system's schemas but temporary ones, partitioned roots included, by name.
///
/// # Errors
/// As [`query_error`].
pub async fn list_tables(client: &Client) -> Result<Vec<ListedTable>, TaskError> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, c.relpersistence = 'p' \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
               AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' \
             ORDER BY 1, 2",
            &[],
        )
        .await
        .map_err(|error| query_error("listing the tables", error))?;
    let name = |row: &tokio_postgres::Row| TableName { schema: row.get(0), name: row.get(1) };
    Ok(rows.iter().map(|row| ListedTable { name: name(row), is_logged: row.get(2) }).collect())
}

/// The tables that pass the connector's filters, in the order in which a snapshot reads them.
///
/// # Errors
/// As [`query_error`].
pub async fn captured_tables(client: &Client, config: &ConnectorConfig) -> Result<Vec<ListedTable>, TaskError> {
    let mut tables = list_tables(client).await?;
    tables.retain(|table| config.filters.captures_table(&table.name.schema, &table.name.name));
    // By name as Java orders texts, whatever the database's collation; then as table.include.list names them.
    tables.sort_by_cached_key(|table| table.name.to_string());
    tables.sort_by_cached_key(|table| config.filters.snapshot_place(&table.name.schema, &table.name.name));
    Ok(tables)
}

struct CatalogColumn {
    name: String,
    type_oid: Oid,
    typmod: i32,
    not_null: bool,
    default: Option<String>,
    generated: bool,
}

async fn read_columns(client: &Client, table: Oid) -> Result<Vec<CatalogColumn>, TaskError> {
    let rows = client
        .query(
            "SELECT a.attname::text, a.atttypid, a.atttypmod, a.attnotnull, \
                    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, a.attgenerated <> '' \
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&table.as_u32()],
        )
        .await
        .map_err(|error| query_error("reading a table's columns", error))?;
    Ok(rows
        .iter()
        .map(|row| CatalogColumn {
            name: row.get(0),
            type_oid: Oid::from(row.get::<_, u32>(1)),
            typmod: row.get(2),
            not_null: row.get(3),
            default: row.get(4),
            generated: row.get(5),
        })
        .collect())
}

/// The key's column names in index order: the primary key, else the first unique index over plain columns, as Debezium
/// chooses (`JdbcConnection.readTableUniqueIndices`): by kind and name, partial ones too, with the columns it only includes.
async fn read_key(client: &Client, table: Oid) -> Result<Vec<String>, TaskError> {
    let rows = client
        .query(
            "SELECT a.attname::text \
             FROM (SELECT i.indkey, CASE WHEN i.indisprimary THEN i.indnkeyatts ELSE i.indnatts END AS columns \
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                   WHERE i.indrelid = $1 AND (i.indisprimary OR (i.indisunique AND i.indexprs IS NULL)) AND i.indisvalid \
                   ORDER BY i.indisprimary DESC, i.indisclustered DESC, c.relname LIMIT 1) i, \
                  unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position) \
                  JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = k.attnum \
             WHERE k.position <= i.columns ORDER BY k.position",
            &[&table.as_u32()],
        )
        .await
        .map_err(|error| query_error("reading a table's key", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The database's types, each read once and kept; those that may change are read again with every table.
#[derive(Debug, Default)]
pub struct Types {
    known: HashMap<Oid, PgType>,
}

/// OIDs below this belong to types that come with the server and never change.
const FIRST_USER_OID: u32 = 16384;

impl Types {
    /// Forgets what may have changed: an enum can get a new label at any time.
    fn forget_user_types(&mut self) {
        self.known.retain(|oid, _| oid.as_u32() < FIRST_USER_OID);
    }

    /// The type of that OID with all it is made of; a type that is gone meanwhile is described as unknown.
    ///
    /// # Errors
    /// As [`query_error`].
    async fn resolve(&mut self, client: &Client, oid: Oid) -> Result<PgType, TaskError> {
        if let Some(known) = self.known.get(&oid) {
            return Ok(known.clone());
        }
        let row = client
            .query_opt(
                "SELECT n.nspname::text, t.typname::text, t.typtype::text, t.typelem, t.typbasetype, t.typtypmod, \
                        t.typcategory::text, t.typlen, \
                        ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) \
                 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = $1",
                &[&oid.as_u32()],
            )
            .await
            .map_err(|error| query_error("reading a type", error))?;
        let Some(row) = row else {
            return Ok(PgType {
                oid,
                schema: "pg_catalog".to_owned(),
                name: "unknown".to_owned(),
                kind: PgTypeKind::Pseudo,
            });
        };
        let element: u32 = row.get(3);
        let category: String = row.get(6);
        let kind = match row.get::<_, String>(2).as_str() {
            "e" => PgTypeKind::Enum { labels: row.get(8) },
            "d" => PgTypeKind::Domain {
                base: Box::new(Box::pin(self.resolve(client, Oid::from(row.get::<_, u32>(4)))).await?),
                typmod: row.get(5),
            },
            "c" => PgTypeKind::Composite,
            "r" => PgTypeKind::Range,
            "m" => PgTypeKind::Multirange,
            "p" => PgTypeKind::Pseudo,
            // Fixed-length types such as point have an element type too; a true array has no fixed length.
            _ if category == "A" && element != 0 && row.get::<_, i16>(7) == -1 => {
                PgTypeKind::Array { element: Box::new(Box::pin(self.resolve(client, Oid::from(element))).await?) }
            }
            _ => PgTypeKind::Base,
        };
        let pg_type = PgType { oid, schema: row.get(0), name: row.get(1), kind };
        self.known.insert(oid, pg_type.clone());
        Ok(pg_type)
    }
}

/// The table behind a Relation message.
///
/// # Errors
/// As [`query_error`].
pub async fn describe_relation(client: &Client, types: &mut Types, relation: &Relation) -> Result<Table, TaskError> {
    types.forget_user_types();
    let mut catalog: HashMap<String, CatalogColumn> =
        read_columns(client, relation.oid).await?.into_iter().map(|column| (column.name.clone(), column)).collect();
    let mut columns = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let known = catalog.remove(&column.name);
        columns.push(Column {
            name: column.name.clone(),
            typmod: column.typmod,
            pg_type: types.resolve(client, column.type_oid).await?,
            not_null: known.as_ref().is_some_and(|known| known.not_null),
            default: known.as_ref().and_then(|known| known.default.clone()),
            generated: known.as_ref().is_some_and(|known| known.generated),
        });
    }
    let key_names = read_key(client, relation.oid).await?;
    Ok(Table {
        oid: relation.oid,
        schema: relation.namespace.clone(),
        name: relation.name.clone(),
        described_by: Phase::Streaming,
        identity: relation.identity,
        key: key_positions(&columns, &key_names),
        columns,
    })
}

/// A table as the catalog has it now, for the snapshot; `None` when it is gone.
///
/// # Errors
/// As [`query_error`].
pub async fn describe_table(client: &Client, types: &mut Types, name: &TableName) -> Result<Option<Table>, TaskError> {
    let row = client
        .query_opt(
            "SELECT c.oid, c.relreplident::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[&name.schema, &name.name],
        )
        .await
        .map_err(|error| query_error(&format!("looking for table {name}"), error))?;
    let Some(row) = row else { return Ok(None) };
    let oid = Oid::from(row.get::<_, u32>(0));
    let identity = match row.get::<_, String>(1).as_str() {
        "f" => ReplicaIdentity::Full,
        "i" => ReplicaIdentity::Index,
        "n" => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    };
    let mut columns = Vec::new();
    for column in read_columns(client, oid).await? {
        columns.push(Column {
            name: column.name,
            typmod: column.typmod,
            pg_type: types.resolve(client, column.type_oid).await?,
            not_null: column.not_null,
            default: column.default,
            generated: column.generated,
        });
    }
    let key_names = read_key(client, oid).await?;
    Ok(Some(Table {
        oid,
        schema: name.schema.clone(),
        name: name.name.clone(),
        described_by: Phase::Snapshot,
        identity,
        key: key_positions(&columns, &key_names),
        columns,
    }))
}

/// The key's columns as positions; no key when one of them is not among the columns (the catalog is newer than the message).
fn key_positions(columns: &[Column], names: &[String]) -> Vec<usize> {
    let positions: Option<Vec<usize>> =
        names.iter().map(|name| columns.iter().position(|column| &column.name == name)).collect();
    positions.unwrap_or_default()
}
