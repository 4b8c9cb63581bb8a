//! The source's tables, and whether the target has them.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::side::{KeyColumn, Shape};
use crate::apply::ledger::SCHEMA;
use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::identifier;

/// A table of the source; partitions are compared through their root.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its schema.
    pub(super) schema: String,
    /// Its name.
    pub(super) name: String,
    /// Its columns, in their order.
    pub(super) columns: Vec<String>,
    /// The columns of its primary key, or of the index that is its replica identity, in their order; empty where it has neither.
    pub(super) key: Vec<String>,
    /// Its partitions, by schema and name: their changes come under their own names.
    pub(super) partitions: Vec<(String, String)>,
    /// How many rows the server thinks that there are.
    pub(super) rows: u64,
}

impl Table {
    /// `schema.table`.
    pub(super) fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Its name in SQL.
    pub(super) fn sql_name(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

/// A table that inherits rows from others has no key: the one of its parent says nothing about them.
const TABLES: &str = "
    SELECT n.nspname::text, c.relname::text,
        array(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
        array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
              JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
              WHERE k.position <= i.indnkeyatts ORDER BY k.position),
        array(SELECT pn.nspname::text FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid
              JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE t.level > 0 ORDER BY p.oid),
        array(SELECT p.relname::text FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid
              WHERE t.level > 0 ORDER BY p.oid),
        greatest(c.reltuples, 0)::bigint
            + (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_partition_tree(c.oid) t
               JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf AND c.relkind = 'p')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT i.indkey, i.indnkeyatts FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisvalid AND (i.indisprimary OR i.indisreplident AND c.relreplident = 'i')
        ORDER BY i.indisprimary DESC LIMIT 1
    ) AS i ON c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname NOT LIKE 'pg\\_%'
        AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2";

/// All tables of the source, in their names' order.
///
/// # Errors
/// The server's.
pub(super) async fn all(source: &Client) -> Result<Vec<Table>, SinkError> {
    let rows = source.query(TABLES, &[&SCHEMA]).await?;
    let tables = rows.iter().map(|row| Table {
        schema: row.get(0),
        name: row.get(1),
        columns: row.get(2),
        key: row.get(3),
        partitions: row.get::<_, Vec<String>>(4).into_iter().zip(row.get::<_, Vec<String>>(5)).collect(),
        rows: u64::try_from(row.get::<_, i64>(6)).unwrap_or_default(),
    });
    Ok(tables.filter(|table| !table.columns.is_empty()).collect())
}

/// How both sides are asked for a table's rows.
#[derive(Debug)]
pub(super) struct Shapes {
    /// The source.
    pub(super) source: Shape,
    /// The target; `None` when it lacks the table, or a column of it.
    pub(super) target: Option<Shape>,
    /// Whether rows can be told by the source's key on both sides.
    pub(super) has_key: bool,
    /// Whether both sides have the key's values in the same order, each by its own index.
    pub(super) is_ordered_alike: bool,
}

/// Looks at a table on both sides.
///
/// # Errors
/// A server's.
pub(super) async fn shapes(source: &Client, target: &Client, table: &Table) -> Result<Shapes, SinkError> {
    let (in_source, in_target) = tokio::try_join!(Columns::of(source, table), Columns::of(target, table))?;
    let is_there = table.columns.iter().all(|column| in_target.by_name.contains_key(column));
    let has_key = !table.key.is_empty() && in_source.is_key(table) && in_target.is_key(table);
    let collation = |columns: &Columns, key: &String| columns.by_name.get(key).and_then(|at| at.collation.clone());
    let is_ordered_alike = table.key.iter().all(|key| collation(&in_source, key) == collation(&in_target, key));
    let is_loose = |columns: &Columns, name: &String| columns.by_name.get(name).is_some_and(|at| at.has_loose_scale);
    let loose = |name: &String| is_loose(&in_source, name) && is_loose(&in_target, name);
    let columns: Vec<(&str, bool)> = table.columns.iter().map(|name| (name.as_str(), loose(name))).collect();
    let shape = |side: &Columns| side.shape(table, &columns, has_key, is_ordered_alike);
    let target = is_there.then(|| shape(&in_target));
    Ok(Shapes { source: shape(&in_source), target, has_key, is_ordered_alike })
}

/// What a side's catalog says of a table.
struct Columns {
    by_name: HashMap<String, Column>,
    /// Whether a unique index is on columns of the key only.
    is_unique: bool,
}

struct Column {
    cast: String,
    /// Whether it is a `numeric` without a scale, and the server can take its trailing zeros off.
    has_loose_scale: bool,
    /// What decides about the order of its values, where a collation does.
    collation: Option<String>,
    is_not_null: bool,
}

/// A collation by what it does. Which fields `pg_database` has depends on the version, and so it is read as JSON.
const COLUMNS: &str = "
    SELECT a.attname::text, n.nspname::text, t.typname::text, a.attnotnull,
        CASE WHEN l.oid IS NULL THEN NULL
             WHEN l.collprovider = 'd' AND d.datcollate IN ('C', 'POSIX')
                 AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' THEN 'C'
             WHEN l.collprovider = 'd' THEN concat_ws(' ', d.datcollate, to_jsonb(d) ->> 'datlocprovider',
                 to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datcollversion')
             WHEN l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') THEN 'C'
             ELSE concat_ws(' ', l.collprovider::text, l.collcollate, to_jsonb(l) ->> 'colllocale',
                 to_jsonb(l) ->> 'colliculocale', l.collversion)
        END,
        a.atttypid = 'pg_catalog.numeric'::regtype AND a.atttypmod < 0
            AND to_regprocedure('pg_catalog.trim_scale(numeric)') IS NOT NULL
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_database d ON d.datname = current_database()
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

const UNIQUE: &str = "
    SELECT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
                            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                            WHERE k.position <= i.indnkeyatts AND a.attname::text <> ALL ($2)))";

impl Columns {
    async fn of(client: &Client, table: &Table) -> Result<Self, SinkError> {
        let sql_name = table.sql_name();
        let columns = client.query(COLUMNS, &[&sql_name]).await?;
        let unique = client.query_one(UNIQUE, &[&sql_name, &table.key]).await?;
        let by_name = columns.iter().map(|row| {
            let column = Column {
                cast: qualified(row.get(1), row.get(2)),
                is_not_null: row.get(3),
                collation: row.get(4),
                has_loose_scale: row.get(5),
            };
            (row.get(0), column)
        });
        Ok(Self { by_name: by_name.collect(), is_unique: unique.get(0) })
    }

    /// Whether the source's key tells every row of this side from the others.
    fn is_key(&self, table: &Table) -> bool {
        self.is_unique && table.key.iter().all(|key| self.by_name.get(key).is_some_and(|column| column.is_not_null))
    }

    fn shape(&self, table: &Table, columns: &[(&str, bool)], has_key: bool, is_ordered_alike: bool) -> Shape {
        let key = table.key.iter().filter_map(|name| {
            let column = self.by_name.get(name).filter(|_| has_key)?;
            let is_in_c_order = !is_ordered_alike && column.collation.is_some();
            Some(KeyColumn { name: identifier(name), cast: column.cast.clone(), is_in_c_order })
        });
        Shape::new(table.sql_name(), columns, key.collect())
    }
}
