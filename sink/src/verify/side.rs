//! One side's rows of a table, as SQL asks for them.
//!
//! Every question is a statement of its own: no transaction stays open, which would keep the server from removing what is dead.
//! Keys go as texts, and come back as such; the server's own input and output functions read and write them.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::ranges::Range;
use super::rows::{Hashes, Image, Key, Sum};
use crate::error::SinkError;
use crate::postgres::identifier;

/// How many rows are asked for by their keys at once.
const KEYS: usize = 1000;

/// A column of a key.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    /// Quoted.
    pub(super) name: String,
    /// The name of its type on this side, quoted.
    pub(super) cast: String,
    /// Whether it is to be ordered by its bytes, because the two sides order texts in different ways.
    pub(super) is_in_c_order: bool,
}

/// A table on one side.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    table: String,
    key: Vec<KeyColumn>,
    /// A row's hash.
    hash: String,
}

impl Shape {
    /// A table by its name in SQL; its columns by name, and whether they are numbers whose trailing zeros do not count. Records do not
    /// bring these where the column has no scale (Debezium's `VariableScaleDecimal`), and the value is the same.
    pub(super) fn new(table: String, columns: &[(&str, bool)], key: Vec<KeyColumn>) -> Self {
        let column = |(name, has_loose_scale): &(&str, bool)| match has_loose_scale {
            true => format!("trim_scale(t.{})", identifier(name)),
            false => format!("t.{}", identifier(name)),
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        Self { table, key, hash: format!("hashtextextended(ROW({})::text, 0)", columns.join(", ")) }
    }

    /// The key's columns as texts.
    fn texts(&self) -> String {
        let texts: Vec<String> = self.key.iter().map(|column| format!("t.{}::text", column.name)).collect();
        texts.join(", ")
    }

    /// The key as it is ordered.
    fn order(&self) -> String {
        let column = |column: &KeyColumn| {
            format!("t.{}{}", column.name, if column.is_in_c_order { " COLLATE \"C\"" } else { "" })
        };
        self.key.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// The rows of a range, and what its parameters are.
    fn rows_in<'r>(&self, range: &'r Range) -> (String, Vec<&'r str>) {
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        for (key, is) in [(&range.above, ">"), (&range.up_to, "<=")] {
            let Some(key) = key else { continue };
            let bound = |(position, column): (usize, &KeyColumn)| {
                format!("${}::text::{}", values.len() + position + 1, column.cast)
            };
            let bounds: Vec<String> = self.key.iter().enumerate().map(bound).collect();
            conditions.push(format!("({}) {is} ({})", self.order(), bounds.join(", ")));
            values.extend(key.iter().map(String::as_str));
        }
        let condition =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        (format!("{} AS t{condition}", self.table), values)
    }

    /// The rows with some keys, each with its number among them, `v.n`.
    fn rows_of(&self) -> String {
        let arrays: Vec<String> = (1..=self.key.len()).map(|number| format!("${number}::text[]")).collect();
        let names: Vec<String> = (0..self.key.len()).map(|number| format!("c{number}, ")).collect();
        let is =
            |(position, column): (usize, &KeyColumn)| format!("t.{} = v.c{position}::{}", column.name, column.cast);
        let matches: Vec<String> = self.key.iter().enumerate().map(is).collect();
        format!(
            "unnest({}) WITH ORDINALITY AS v({}n) JOIN {} AS t ON {}",
            arrays.join(", "),
            names.concat(),
            self.table,
            matches.join(" AND ")
        )
    }
}

/// A table on one side, with a session to ask.
#[derive(Clone, Copy)]
pub(super) struct TableSide<'a> {
    /// The session.
    pub(super) client: &'a Client,
    /// How to ask.
    pub(super) shape: &'a Shape,
}

/// A whole row.
pub(super) struct Whole {
    /// What it is.
    pub(super) image: Image,
    /// The texts of the columns that were asked for.
    pub(super) texts: Vec<Option<String>>,
}

impl TableSide<'_> {
    async fn ask(&self, sql: &str, values: &[&str]) -> Result<Vec<Row>, SinkError> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
        self.client.query_typed(sql, &typed).await.map_err(refusal)
    }

    /// What a range's rows come to.
    pub(super) async fn sum(&self, range: &Range) -> Result<Sum, SinkError> {
        let (rows, values) = self.shape.rows_in(range);
        let sql = format!("SELECT count(*), coalesce(sum({}), 0)::text FROM {rows}", self.shape.hash);
        let answer = self.ask(&sql, &values).await?;
        let row = answer.first().ok_or_else(|| SinkError::retry("the server counts no rows"))?;
        // 64 bits for each of at most 2^63 rows.
        let hash = row.get::<_, &str>(1).parse().map_err(|_| SinkError::retry("the server's sum is no number"))?;
        Ok(Sum { count: row.get(0), hash })
    }

    /// The key of the last of so many rows above a key; `None` where there are not so many.
    pub(super) async fn end(&self, above: Option<&Key>, rows: i64) -> Result<Option<Key>, SinkError> {
        let range = Range { above: above.cloned(), up_to: None };
        let (from, values) = self.shape.rows_in(&range);
        let (texts, order) = (self.shape.texts(), self.shape.order());
        let sql = format!("SELECT {texts} FROM {from} ORDER BY {order} OFFSET {} LIMIT 1", rows.max(1) - 1);
        let answer = self.ask(&sql, &values).await?;
        Ok(answer.first().map(|row| self.key(row, 0)))
    }

    /// The key of every so many-th row of a range.
    pub(super) async fn boundaries(&self, range: &Range, every: i64) -> Result<Vec<Key>, SinkError> {
        let (from, values) = self.shape.rows_in(range);
        let Shape { key, .. } = self.shape;
        let texts: Vec<String> =
            key.iter().enumerate().map(|(number, column)| format!("t.{}::text AS c{number}, ", column.name)).collect();
        let names: Vec<String> = (0..key.len()).map(|number| format!("c{number}")).collect();
        let sql = format!(
            "SELECT {} FROM (SELECT {}row_number() OVER (ORDER BY {}) AS n FROM {from}) AS numbered
             WHERE n % {} = 0 ORDER BY n",
            names.join(", "),
            texts.concat(),
            self.shape.order(),
            every.max(1)
        );
        Ok(self.ask(&sql, &values).await?.iter().map(|row| self.key(row, 0)).collect())
    }

    /// A range's rows.
    pub(super) async fn hashes(&self, range: &Range) -> Result<Hashes, SinkError> {
        let (from, values) = self.shape.rows_in(range);
        let sql = format!("SELECT {}, {} FROM {from}", self.shape.hash, self.shape.texts());
        Ok(self.ask(&sql, &values).await?.iter().map(|row| (self.key(row, 1), row.get(0))).collect())
    }

    /// The rows with some keys as they are now, in the order of the keys; `None` for those that are not there.
    pub(super) async fn images(&self, keys: &[Key]) -> Result<Vec<Option<Image>>, SinkError> {
        let rows = self.whole(keys, &[]).await?;
        Ok(rows.into_iter().map(|row| row.map(|row| row.image)).collect())
    }

    /// The same with some columns.
    pub(super) async fn whole(&self, keys: &[Key], columns: &[&str]) -> Result<Vec<Option<Whole>>, SinkError> {
        let columns: Vec<String> = columns.iter().map(|name| format!(", t.{}::text", identifier(name))).collect();
        let sql = format!(
            "SELECT v.n, {}, t.xmin::text::bigint{} FROM {}",
            self.shape.hash,
            columns.concat(),
            self.shape.rows_of()
        );
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            let arrays = by_column(keys, self.shape.key.len());
            let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                arrays.iter().map(|texts| (texts as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect();
            let begin = all.len();
            all.resize_with(begin + keys.len(), || None);
            for row in self.client.query_typed(&sql, &typed).await.map_err(refusal)? {
                let number = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
                let image = Image { hash: row.get(1), version: row.get(2) };
                let texts = (3..3 + columns.len()).map(|column| row.get(column)).collect();
                if let Some(place) = (begin + number).checked_sub(1).and_then(|at| all.get_mut(at)) {
                    *place = Some(Whole { image, texts });
                }
            }
        }
        Ok(all)
    }

    fn key(&self, row: &Row, from: usize) -> Key {
        (from..from + self.shape.key.len()).map(|column| row.get(column)).collect()
    }
}

/// The server's error. What it says about a value that it does not take (class 22) quotes the value.
pub(super) fn refusal(error: tokio_postgres::Error) -> SinkError {
    match error.code().map(|code| code.code()).filter(|code| code.starts_with("22")) {
        Some(code) => {
            SinkError::stop("server-refused", format!("the server does not take a value of a row (SQLSTATE {code})"))
        }
        None => error.into(),
    }
}

/// Keys as an array for each of their columns.
pub(super) fn by_column(keys: &[Key], columns: usize) -> Vec<Vec<&str>> {
    (0..columns).map(|column| keys.iter().filter_map(|key| key.get(column).map(String::as_str)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        let column = |name: &str, cast: &str, is_in_c_order| KeyColumn {
            name: identifier(name),
            cast: cast.to_owned(),
            is_in_c_order,
        };
        let columns = [("a\"b", false), ("c", false), ("n", true)];
        Shape::new("\"s\".\"t\"".to_owned(), &columns, vec![column("a\"b", "int4", false), column("c", "text", true)])
    }

    #[test]
    fn a_range_compares_all_of_the_key_at_once() {
        let range = Range {
            above: Some(vec!["1".to_owned(), "x".to_owned()]),
            up_to: Some(vec!["2".to_owned(), "y".to_owned()]),
        };
        let (rows, values) = shape().rows_in(&range);
        let key = r#"(t."a""b", t."c" COLLATE "C")"#;
        assert_eq!(
            rows,
            format!(
                r#""s"."t" AS t WHERE {key} > ($1::text::int4, $2::text::text) AND {key} <= ($3::text::int4, $4::text::text)"#
            )
        );
        assert_eq!(values, ["1", "x", "2", "y"]);
        assert_eq!(shape().rows_in(&Range::default()), ("\"s\".\"t\" AS t".to_owned(), vec![]));
    }

    #[test]
    fn a_number_without_a_scale_is_compared_without_its_trailing_zeros() {
        assert_eq!(shape().hash, r#"hashtextextended(ROW(t."a""b", t."c", trim_scale(t."n"))::text, 0)"#);
    }

    #[test]
    fn rows_are_asked_for_by_their_keys() {
        assert_eq!(
            shape().rows_of(),
            r#"unnest($1::text[], $2::text[]) WITH ORDINALITY AS v(c0, c1, n) JOIN "s"."t" AS t ON t."a""b" = v.c0::int4 AND t."c" = v.c1::text"#
        );
        let keys = [vec!["1".to_owned(), "x".to_owned()], vec!["2".to_owned(), "y".to_owned()]];
        assert_eq!(by_column(&keys, 2), [["1", "2"], ["x", "y"]]);
    }
}
