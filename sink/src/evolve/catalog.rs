//! Definitions of tables and types, asked of a catalog.

use serde::de::DeserializeOwned;
use tokio_postgres::{Client, Row};

use super::definition::{Table, UserType};
use crate::error::SinkError;
use crate::plan::table::qualified;

/// A type's definition as JSON: `t` is its row of `pg_type`, `tn` that of its schema.
const TYPE: &str = "jsonb_build_object(
    'oid', t.oid::bigint, 'schema', tn.nspname, 'name', t.typname, 'kind', t.typtype::text,
    'labels', coalesce((SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '[]'),
    'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'not_null', t.typnotnull,
    'default', CASE WHEN t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0) END,
    'checks', coalesce((SELECT jsonb_agg(jsonb_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid))
                                         ORDER BY k.conname)
                        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '[]'),
    'attributes', coalesce((SELECT jsonb_agg(jsonb_build_object('name', f.attname, 'type', format_type(f.atttypid, f.atttypmod))
                                             ORDER BY f.attnum)
                            FROM pg_attribute f
                            WHERE f.attrelid = t.typrelid AND t.typtype = 'c' AND f.attnum > 0 AND NOT f.attisdropped), '[]'),
    'subtype', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid))";

/// What of `pg_type` is somebody's own, and no table's row.
const OWN_TYPE: &str = "t.typtype IN ('e', 'd', 'c', 'r')
    AND tn.nspname NOT IN ('pg_catalog', 'information_schema', 'headwater') AND tn.nspname NOT LIKE 'pg\\_%'
    AND (t.typtype <> 'c' OR EXISTS (SELECT FROM pg_class tr WHERE tr.oid = t.typrelid AND tr.relkind = 'c'))
    AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid AND x.deptype = 'e')";

/// Types that nothing tells of, as a query whose last condition can be followed by others; `t` is the type.
pub(super) fn types_sql() -> String {
    format!("SELECT {TYPE} FROM pg_type t JOIN pg_namespace tn ON tn.oid = t.typnamespace WHERE {OWN_TYPE}")
}

/// Tables, as a query whose last condition can be followed by others; `c` is the table.
pub(super) fn tables_sql() -> String {
    format!(
        "SELECT jsonb_build_object(
    'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname,
    'partition_by', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'partition_of', (SELECT jsonb_build_object('schema', pn.nspname, 'name', p.relname, 'bound', pg_get_expr(c.relpartbound, c.oid))
                     FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
                     WHERE h.inhrelid = c.oid AND c.relispartition),
    'partitions', coalesce((
        SELECT jsonb_agg(jsonb_build_object('schema', pn.nspname, 'name', p.relname, 'bound', pg_get_expr(p.relpartbound, p.oid))
                         ORDER BY p.oid)
        FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE h.inhparent = c.oid AND p.relispartition), '[]'),
    'columns', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'collation', (SELECT quote_ident(ln.nspname) || '.' || quote_ident(l.collname)
                          FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace
                          JOIN pg_type lt ON lt.oid = a.atttypid
                          WHERE l.oid = a.attcollation AND l.oid <> lt.typcollation),
            'not_null', a.attnotnull,
            'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'identity', nullif(a.attidentity::text, ''),
            'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
            'inherited', a.attinhcount > 0) ORDER BY a.attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    'constraints', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'name', k.conname, 'definition', pg_get_constraintdef(k.oid),
            'references', CASE WHEN k.contype = 'f' THEN k.confrelid::regclass::text END)
            ORDER BY position(k.contype::text IN 'puxcf'), k.conname)
        FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c', 'f') AND k.conparentid = 0 AND k.conislocal), '[]'),
    'indexes', coalesce((
        SELECT jsonb_agg(jsonb_build_object('name', i.relname, 'definition', pg_get_indexdef(i.oid)) ORDER BY i.relname)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND x.indisvalid AND NOT i.relispartition
          AND NOT EXISTS (SELECT FROM pg_constraint k
                          WHERE k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x'))), '[]'),
    'types', coalesce((
        WITH RECURSIVE used(oid, depth) AS (
            SELECT a.atttypid, 0 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            UNION
            SELECT parts.part, used.depth + 1
            FROM used JOIN pg_type u ON u.oid = used.oid
            CROSS JOIN LATERAL (
                SELECT u.typelem WHERE u.typelem <> 0
                UNION ALL SELECT u.typbasetype WHERE u.typtype = 'd'
                UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = u.oid
                UNION ALL SELECT f.atttypid FROM pg_attribute f
                          WHERE f.attrelid = u.typrelid AND u.typtype = 'c' AND f.attnum > 0 AND NOT f.attisdropped) AS parts(part)
            WHERE used.depth < 20)
        SELECT jsonb_agg({TYPE} ORDER BY made_of.depth DESC, t.oid)
        FROM (SELECT used.oid, max(used.depth) AS depth FROM used GROUP BY used.oid) AS made_of
        JOIN pg_type t ON t.oid = made_of.oid JOIN pg_namespace tn ON tn.oid = t.typnamespace
        WHERE {OWN_TYPE}), '[]'),
    'sequences', coalesce((
        SELECT jsonb_agg(DISTINCT jsonb_build_object(
            'schema', sn.nspname, 'name', s.relname, 'type', format_type(q.seqtypid, NULL),
            'owned_by', (SELECT oa.attname FROM pg_depend o
                         JOIN pg_attribute oa ON oa.attrelid = o.refobjid AND oa.attnum = o.refobjsubid
                         WHERE o.classid = 'pg_class'::regclass AND o.objid = s.oid AND o.deptype = 'a' AND o.refobjid = c.oid)))
        FROM pg_attrdef d
        JOIN pg_depend r ON r.classid = 'pg_attrdef'::regclass AND r.objid = d.oid AND r.refclassid = 'pg_class'::regclass
        JOIN pg_class s ON s.oid = r.refobjid AND s.relkind = 'S'
        JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE d.adrelid = c.oid), '[]'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'headwater') AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')"
    )
}

/// The search path under which every name outside of `pg_catalog` is printed with its schema.
const PLAIN: &str = "pg_catalog";

/// Prints and reads names with their schemas until the transaction ends; gives the search path that was.
///
/// # Errors
/// The server's.
pub(super) async fn full_names(client: &Client) -> Result<String, SinkError> {
    let before = client.query_one("SELECT current_setting('search_path')", &[]).await?.get(0);
    set_search_path(client, PLAIN).await?;
    Ok(before)
}

/// Sets the search path until the transaction ends. The statements that write rows look up operators by it.
///
/// # Errors
/// The server's.
pub(super) async fn set_search_path(client: &Client, path: &str) -> Result<(), SinkError> {
    client.execute("SELECT set_config('search_path', $1, true)", &[&path]).await?;
    Ok(())
}

/// A table by its name; under [`full_names`].
///
/// # Errors
/// The server's.
pub(super) async fn table(client: &Client, schema: &str, name: &str) -> Result<Option<Table>, SinkError> {
    let sql = format!("SELECT d::text FROM ({} AND c.oid = to_regclass($1)) AS found(d)", tables_sql());
    client.query_opt(&sql, &[&qualified(schema, name)]).await?.map(|row| read(&row)).transpose()
}

/// A type by its name; under [`full_names`].
///
/// # Errors
/// The server's.
pub(super) async fn user_type(client: &Client, schema: &str, name: &str) -> Result<Option<UserType>, SinkError> {
    let sql = format!("SELECT d::text FROM ({} AND tn.nspname = $1 AND t.typname = $2) AS found(d)", types_sql());
    client.query_opt(&sql, &[&schema, &name]).await?.map(|row| read(&row)).transpose()
}

/// Whether there is a table, view or index of this name, as SQL writes it.
///
/// # Errors
/// The server's.
pub(super) async fn is_there(client: &Client, sql_name: &str) -> Result<bool, SinkError> {
    Ok(client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&sql_name]).await?.get(0))
}

/// Whether there is a schema of this name.
///
/// # Errors
/// The server's.
pub(super) async fn has_schema(client: &Client, schema: &str) -> Result<bool, SinkError> {
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    Ok(client.query_one(sql, &[&schema]).await?.get(0))
}

pub(super) fn read<T: DeserializeOwned>(row: &Row) -> Result<T, SinkError> {
    let text: &str = row.try_get(0)?;
    serde_json::from_str(text).map_err(|error| {
        SinkError::stop(
            "definition-unreadable",
            format!(
                "the catalog describes a table in a form that this sink does not know (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}
