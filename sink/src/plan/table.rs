//! A target table as its catalog has it.

use tokio_postgres::Client;

use crate::error::SinkError;
use crate::postgres::identifier;

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
    /// Columns that rows bring, and whose values are passed over.
    pub passed_over: Vec<String>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Its type, that of a domain being the type underneath.
    pub column_type: ColumnType,
    /// The type's name for a cast, quoted.
    pub cast: String,
}

/// A type, as far as reading values needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// Its schema.
    pub schema: String,
    /// `typname`.
    pub name: String,
    /// The modifier, -1 for none.
    pub typmod: i32,
    /// What sort of type it is.
    pub kind: TypeKind,
}

/// The sorts of types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeKind {
    /// A type of its own.
    Base,
    /// An array of a type.
    Array(Box<ColumnType>),
    /// An enum, a range: the text is the value.
    Other,
}

impl ColumnType {
    /// The digits behind the point of a `numeric(p,s)`, as Debezium counts them (a negative scale as unsigned).
    pub fn numeric_scale(&self) -> u32 {
        if self.typmod < 4 { 0 } else { (self.typmod - 4).unsigned_abs() & 0x7FF }
    }

    /// Microseconds in the unit that Debezium's adaptive precision has for the type: milliseconds up to precision 3.
    pub fn micros_per_unit(&self) -> i64 {
        if (0..=3).contains(&self.typmod) { 1000 } else { 1 }
    }
}

impl TargetTable {
    /// Describes a table; `None` when it is not there.
    ///
    /// # Errors
    /// The server's.
    pub async fn describe(client: &Client, schema: &str, name: &str) -> Result<Option<Self>, SinkError> {
        // Domains are followed to their base; the modifier is the innermost that is set.
        let rows = client
            .query(
                "WITH RECURSIVE base AS (
                     SELECT a.attnum, a.attname, a.atttypid AS declared, a.atttypid AS type, a.atttypmod AS typmod
                     FROM pg_attribute a
                     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                     UNION ALL
                     SELECT b.attnum, b.attname, b.declared, t.typbasetype,
                            CASE WHEN b.typmod >= 0 THEN b.typmod ELSE t.typtypmod END
                     FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
                 SELECT b.attnum, b.attname::text, dn.nspname::text, d.typname::text, b.typmod,
                        n.nspname::text, t.typname::text, t.typtype::text,
                        en.nspname::text, e.typname::text, e.typtype::text
                 FROM base b
                 JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
                 JOIN pg_namespace n ON n.oid = t.typnamespace
                 JOIN pg_type d ON d.oid = b.declared
                 JOIN pg_namespace dn ON dn.oid = d.typnamespace
                 LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
                 LEFT JOIN pg_namespace en ON en.oid = e.typnamespace
                 ORDER BY b.attnum",
                &[&qualified(schema, name)],
            )
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(rows.len());
        let mut numbers: Vec<i16> = Vec::with_capacity(rows.len());
        for row in &rows {
            let typmod: i32 = row.get(4);
            let of = |schema: String, name: String, typtype: &str| ColumnType {
                schema,
                name,
                typmod,
                kind: if typtype == "b" { TypeKind::Base } else { TypeKind::Other },
            };
            let mut column_type = of(row.get(5), row.get(6), row.get::<_, &str>(7));
            if let Some(element_type) = row.get::<_, Option<&str>>(10) {
                column_type.kind = TypeKind::Array(Box::new(of(row.get(8), row.get(9), element_type)));
            }
            let cast = qualified(row.get(2), row.get(3));
            columns.push(TargetColumn { name: row.get(1), column_type, cast });
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
        Ok(Some(Self { schema: schema.to_owned(), name: name.to_owned(), columns, key, passed_over: Vec::new() }))
    }

    /// Its name in SQL.
    pub fn sql_name(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

/// `"schema"."name"`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}
