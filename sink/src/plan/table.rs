//! A target table as its catalog has it.

use std::sync::Arc;

use proto::oid::Oid;
use proto::table::{PgType, PgTypeKind};
use proto::topic::of_table;
use tokio_postgres::{Client, Row};

use super::snapshot::Snapshot;
use crate::error::SinkError;
use crate::parse::handling::Handling;
use crate::parse::reader::Reader;
use crate::postgres::identifier;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// A row that is there is changed, another is made.
    #[default]
    Upsert,
    /// Each is a new row.
    Insert,
    /// A row that is there is changed, and no other is made.
    Update,
}

/// A table to write into.
#[derive(Debug, Clone)]
pub struct TargetTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that can be written, in their order.
    pub columns: Vec<TargetColumn>,
    /// Indexes into `columns`: the primary key's, in its order; without one, those of a unique index that tells every row; empty
    /// where rows can be the same.
    pub key: Vec<usize>,
    /// What rows may bring that is not written: generated columns, and fields that are no columns.
    pub passed_over: Vec<String>,
    /// How its rows are written.
    pub writes: Writes,
    /// The snapshot that its rows were copied in, where that is not the slot's own: its changes may be there already.
    pub copied_in: Option<Arc<Snapshot>>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// The field of a row that is written into it.
    pub field: String,
    /// How its values are read.
    pub reader: Reader,
    /// The type's name for a cast, quoted.
    pub cast: String,
    /// Whether it is `GENERATED ALWAYS AS IDENTITY`: it can be inserted, and not changed.
    pub is_always_identity: bool,
}

impl TargetTable {
    /// Describes a table, as the records of its topic are; `None` when it is not there.
    ///
    /// # Errors
    /// The server's.
    pub async fn describe(
        client: &Client,
        schema: &str,
        name: &str,
        handling: &Handling,
    ) -> Result<Option<Self>, SinkError> {
        let reader =
            |column: &str, pg_type: &PgType, typmod| (column.to_owned(), Reader::new(pg_type, typmod, handling));
        Self::described(client, schema, name, reader).await
    }

    /// The same, where it is found out otherwise which field a column is of, and how its values are read: by its name, its type (that
    /// under a domain) and the type's modifier.
    ///
    /// # Errors
    /// The server's.
    pub async fn described(
        client: &Client,
        schema: &str,
        name: &str,
        reader: impl Fn(&str, &PgType, i32) -> (String, Reader),
    ) -> Result<Option<Self>, SinkError> {
        // Domains are followed to their base; the modifier is the innermost that is set.
        let rows = client
            .query(
                "WITH RECURSIVE base AS (
                     SELECT a.attnum, a.attname, a.atttypid AS declared, a.atttypid AS type, a.atttypmod AS typmod,
                            a.attgenerated <> '' AS generated, a.attidentity = 'a' AS always
                     FROM pg_attribute a
                     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
                     UNION ALL
                     SELECT b.attnum, b.attname, b.declared, t.typbasetype,
                            CASE WHEN b.typmod >= 0 THEN b.typmod ELSE t.typtypmod END, b.generated, b.always
                     FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
                 SELECT b.attnum, b.attname::text, dn.nspname::text, d.typname::text, b.typmod,
                        n.nspname::text, t.typname::text, t.typtype::text,
                        en.nspname::text, e.typname::text, e.typtype::text, eb.typname::text, b.generated, b.always
                 FROM base b
                 JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
                 JOIN pg_namespace n ON n.oid = t.typnamespace
                 JOIN pg_type d ON d.oid = b.declared
                 JOIN pg_namespace dn ON dn.oid = d.typnamespace
                 LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
                 LEFT JOIN pg_namespace en ON en.oid = e.typnamespace
                 LEFT JOIN pg_type eb ON eb.oid = e.typbasetype
                 ORDER BY b.attnum",
                &[&qualified(schema, name)],
            )
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let (mut columns, mut passed_over) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut numbers: Vec<i16> = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.get(12) {
                passed_over.push(row.get(1));
                continue;
            }
            let (field, reader) = reader(row.get(1), &type_of(row), row.get(4));
            columns.push(TargetColumn {
                name: row.get(1),
                field,
                reader,
                cast: qualified(row.get(2), row.get(3)),
                is_always_identity: row.get(13),
            });
            numbers.push(row.get(0));
        }
        let key = client
            .query(
                "SELECT k.attnum FROM unnest((
                     SELECT i.indkey::int2[] FROM pg_index i
                     WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
                       AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
                       AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) AS c(attnum)
                                       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = c.attnum
                                       WHERE NOT a.attnotnull)
                     ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indexrelid LIMIT 1))
                     WITH ORDINALITY AS k(attnum, position)
                 ORDER BY k.position",
                &[&qualified(schema, name)],
            )
            .await?
            .iter()
            .filter_map(|row| numbers.iter().position(|number| *number == row.get::<_, i16>(0)))
            .collect();
        let (schema, name) = (schema.to_owned(), name.to_owned());
        Ok(Some(Self { schema, name, columns, key, passed_over, writes: Writes::Upsert, copied_in: None }))
    }

    /// The tables whose records a topic's name is for: two of them where their names differ in what Kafka does not take only.
    ///
    /// # Errors
    /// The server's.
    pub async fn of_topic(client: &Client, prefix: &str, topic: &str) -> Result<Vec<(String, String)>, SinkError> {
        let rows = client
            .query(
                "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
                &[],
            )
            .await?;
        let tables = rows.iter().map(|row| (row.get(0), row.get(1)));
        Ok(tables.filter(|(schema, name): &(String, String)| of_table(prefix, schema, name) == topic).collect())
    }

    /// The names of the key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.key.iter().filter_map(|index| self.columns.get(*index)).map(|column| column.name.as_str())
    }

    /// Its name in SQL.
    pub fn sql_name(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

/// A column's type, or that under its domain.
fn type_of(row: &Row) -> PgType {
    let named = |schema: String, name: String, kind| PgType { oid: Oid::from(0), schema, name, kind };
    // What is asked of a type does not depend on an enum's labels.
    let kind = |typtype: &str| match typtype {
        "e" => PgTypeKind::Enum { labels: Vec::new() },
        "c" => PgTypeKind::Composite,
        "r" => PgTypeKind::Range,
        "m" => PgTypeKind::Multirange,
        "p" => PgTypeKind::Pseudo,
        _ => PgTypeKind::Base,
    };
    let kind = match (row.get(9), row.get(10), row.get(11)) {
        (Some(name), Some("d"), base) => {
            let base: Option<String> = base;
            let base = named(String::new(), base.unwrap_or_default(), PgTypeKind::Base);
            let domain = PgTypeKind::Domain { base: Box::new(base), typmod: -1 };
            PgTypeKind::Array { element: Box::new(named(row.get(8), name, domain)) }
        }
        (Some(name), Some(typtype), _) => {
            PgTypeKind::Array { element: Box::new(named(row.get(8), name, kind(typtype))) }
        }
        _ => kind(row.get(7)),
    };
    named(row.get(5), row.get(6), kind)
}

/// `"schema"."name"`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

#[cfg(test)]
impl TargetTable {
    /// A table of texts, whose first column is its key.
    pub(crate) fn of_texts<const N: usize>(names: [&str; N]) -> Self {
        let columns = names.map(|name| TargetColumn::of(name, "text", PgTypeKind::Base)).to_vec();
        Self {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            columns,
            key: vec![0],
            passed_over: Vec::new(),
            writes: Writes::Upsert,
            copied_in: None,
        }
    }
}

#[cfg(test)]
impl TargetColumn {
    /// A column of one of the server's own types, under Debezium's own modes.
    pub(crate) fn of(name: &str, type_name: &str, kind: PgTypeKind) -> Self {
        let (schema, type_name) = ("pg_catalog".to_owned(), type_name.to_owned());
        let pg_type = PgType { oid: Oid::from(0), schema, name: type_name.clone(), kind };
        let reader = Reader::new(&pg_type, -1, &Handling::default());
        Self { name: name.to_owned(), field: name.to_owned(), reader, cast: type_name, is_always_identity: false }
    }
}
