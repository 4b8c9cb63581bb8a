//! A row's JSON into the cells of its table's columns.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Unreadable;
use super::value::{ValueOf, Written};
use crate::plan::rows::{Cell, NewRow, Rows};
use crate::plan::table::TargetTable;

/// Why a row cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowError {
    /// The table has no such column.
    NoColumn(String),
    /// It cannot be understood.
    Unreadable(Unreadable),
}

impl From<Unreadable> for RowError {
    fn from(error: Unreadable) -> Self {
        RowError::Unreadable(error)
    }
}

/// Reads a whole row; gives its number among `rows`.
///
/// # Errors
/// When the table lacks a column, a value is not of a form that Debezium gives the type, or the key of a table that has one is not
/// there.
pub fn row(object: &str, table: &TargetTable, rows: &mut Rows) -> Result<usize, RowError> {
    read(object, table, rows, false)
}

/// Reads a row's key, whatever else is there; gives its number among `rows`.
///
/// # Errors
/// When the key is not there.
pub fn key(object: &str, table: &TargetTable, rows: &mut Rows) -> Result<usize, Unreadable> {
    read(object, table, rows, true).map_err(|error| match error {
        RowError::Unreadable(error) => error,
        // Not looked at.
        RowError::NoColumn(_) => no_key(table),
    })
}

/// Reads a row that stands in two objects, with values of its own: the key's beside the row's, where it is not in there, and `more` by
/// their columns' fields.
///
/// # Errors
/// As [`row`].
pub fn of_parts(
    key: Option<&str>,
    object: &str,
    more: &[(&str, String)],
    table: &TargetTable,
    rows: &mut Rows,
) -> Result<usize, RowError> {
    rows.add(|row| {
        if let Some(key) = key {
            fill(key, table, row, true)?;
        }
        fill(object, table, row, false)?;
        for (field, text) in more {
            let column = table.columns.iter().position(|column| column.field == *field);
            let column = column.ok_or_else(|| RowError::NoColumn((*field).to_owned()))?;
            let begin = row.texts.len();
            row.texts.push_str(text);
            row.set(column, Cell::Text(begin, row.texts.len()));
        }
        has_key(table, row)
    })
}

fn read(object: &str, table: &TargetTable, rows: &mut Rows, only_key: bool) -> Result<usize, RowError> {
    rows.add(|row| {
        fill(object, table, row, only_key)?;
        has_key(table, row)
    })
}

fn fill(object: &str, table: &TargetTable, row: &mut NewRow<'_>, only_key: bool) -> Result<(), RowError> {
    let mut failed = None;
    let fields = Fields { table, row, failed: &mut failed, only_key };
    let mut json = serde_json::Deserializer::from_str(object);
    let read = fields.deserialize(&mut json).and_then(|()| json.end());
    if let Some(failed) = failed {
        return Err(failed);
    }
    // That it is JSON was seen; what is in it was not.
    read.map_err(|_| Unreadable::new("a text in the row is no text, or a number is out of range").into())
}

fn has_key(table: &TargetTable, row: &NewRow<'_>) -> Result<(), RowError> {
    let is_there = |index: &usize| matches!(row.cell(*index), Cell::Text(..));
    if table.key.iter().all(is_there) { Ok(()) } else { Err(no_key(table).into()) }
}

fn no_key(table: &TargetTable) -> Unreadable {
    Unreadable::new(format!("it does not bring the primary key of {}.{}", table.schema, table.name))
}

struct Fields<'a, 'r> {
    table: &'a TargetTable,
    row: &'a mut NewRow<'r>,
    failed: &'a mut Option<RowError>,
    only_key: bool,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(found) = fields.next_key_seed(ColumnAt { table: self.table, expected })? {
            let index = match found {
                Found::Column(index) if !self.only_key || self.table.key.contains(&index) => index,
                Found::Nothing(name) if !self.only_key && self.failed.is_none() => {
                    *self.failed = Some(RowError::NoColumn(name));
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            // Fields come in the order of the columns.
            expected = index + 1;
            let Some(column) = self.table.columns.get(index) else { continue };
            let begin = self.row.texts.len();
            let value = ValueOf { reader: &column.reader, text: &mut *self.row.texts };
            let cell = match fields.next_value_seed(value)? {
                Ok(Written::Text) => Cell::Text(begin, self.row.texts.len()),
                Ok(Written::Null) => Cell::Null,
                Ok(Written::Unchanged) => Cell::Unchanged,
                Err(_) if self.only_key => Cell::Null,
                Err(Unreadable(why)) => {
                    let why = Unreadable::new(format!("column {}: {why}", column.name));
                    self.failed.get_or_insert(RowError::Unreadable(why));
                    Cell::Null
                }
            };
            self.row.set(index, cell);
        }
        Ok(())
    }
}

/// A field's name into its column.
struct ColumnAt<'a> {
    table: &'a TargetTable,
    expected: usize,
}

enum Found {
    /// Its index.
    Column(usize),
    /// It is not written.
    PassedOver,
    /// There is none of this name.
    Nothing(String),
}

impl<'de> DeserializeSeed<'de> for ColumnAt<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnAt<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Found, E> {
        let TargetTable { columns, passed_over, .. } = self.table;
        if columns.get(self.expected).is_some_and(|column| column.field == name) {
            return Ok(Found::Column(self.expected));
        }
        Ok(match columns.iter().position(|column| column.field == name) {
            Some(index) => Found::Column(index),
            None if passed_over.iter().any(|known| known == name) => Found::PassedOver,
            None => Found::Nothing(name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use proto::table::PgTypeKind;

    use super::*;
    use crate::plan::table::TargetColumn;

    fn table() -> TargetTable {
        let columns =
            [("id", "int8"), ("second", "text"), ("é \"x\"", "bytea"), ("number", "float8"), ("point", "point")];
        TargetTable {
            columns: columns.map(|(name, of)| TargetColumn::of(name, of, PgTypeKind::Base)).to_vec(),
            key: vec![1, 0],
            passed_over: vec!["generated".to_owned(), "__op".to_owned()],
            ..TargetTable::of_texts([])
        }
    }

    fn texts(rows: &Rows, row: usize) -> Vec<Option<&str>> {
        (0..5).map(|column| rows.text(row, column)).collect()
    }

    #[test]
    fn fields_come_in_any_order_and_the_last_of_a_name_counts() {
        let (table, mut rows) = (table(), Rows::new(5));
        let json = r#"{"number":1.5,"second":"a","é \"x\"":null,"second":"b\u00e9","id":7}"#;
        let read = row(json, &table, &mut rows).unwrap();
        assert_eq!(texts(&rows, read), [Some("7"), Some("bé"), None, Some("1.5"), None]);
        assert_eq!((rows.cell(read, 2), rows.cell(read, 4)), (Cell::Null, Cell::Absent));
    }

    #[test]
    fn nothing_stays_of_a_row_that_fails() {
        let (table, mut rows) = (table(), Rows::new(5));
        for (json, why) in [
            (r#"{"id":1,"second":"a","third":1}"#, RowError::NoColumn("third".to_owned())),
            (r#"{"id":1,"number":1}"#, no_key(&table).into()),
            (r#"{"id":null,"second":"a"}"#, no_key(&table).into()),
            (r#"{"id":1,"second":"__debezium_unavailable_value"}"#, no_key(&table).into()),
        ] {
            assert_eq!(row(json, &table, &mut rows), Err(why), "{json}");
        }
        for json in [r#"{"id":1,"second":"\ud800"}"#, r#"{"id":1,"second":"a","point":[]}"#] {
            assert!(matches!(row(json, &table, &mut rows), Err(RowError::Unreadable(_))), "{json}");
        }
        let first = row(r#"{"id":1,"second":"a"}"#, &table, &mut rows).unwrap();
        assert_eq!((first, rows.cell(0, 0), rows.cell(0, 1)), (0, Cell::Text(0, 1), Cell::Text(1, 2)));
    }

    #[test]
    fn what_is_passed_over_is_no_missing_column() {
        let (table, mut rows) = (table(), Rows::new(5));
        let read = row(r#"{"id":1,"generated":[{}],"second":"a","__op":"c","number":2.5}"#, &table, &mut rows).unwrap();
        assert_eq!(texts(&rows, read), [Some("1"), Some("a"), None, Some("2.5"), None]);
    }

    #[test]
    fn a_key_is_read_whatever_else_is_there() {
        let (table, mut rows) = (table(), Rows::new(5));
        let read = key(r#"{"second":"a","third":[1],"point":true,"id":1}"#, &table, &mut rows).unwrap();
        assert_eq!(texts(&rows, read), [Some("1"), Some("a"), None, None, None]);
        assert_eq!(key(r#"{"second":"a"}"#, &table, &mut rows), Err(no_key(&table)));
    }

    proptest::proptest! {
        /// Against the JSON as a tree.
        #[test]
        fn a_row_is_what_its_json_says(
            fields in proptest::collection::vec((0..5_usize, 0..9_usize, ".{0,8}"), 0..8),
            number: f64,
        ) {
            let table = table();
            let values = |text: &str| [
                Value::Null, Value::from(text), Value::from(text), Value::from(17), Value::from(-1), Value::from(u64::MAX),
                Value::from(number), Value::from(true), serde_json::json!({"x": number, "y": 1}),
            ];
            let mut seen = [false; 5];
            let fields: Vec<(&str, Value)> = fields
                .iter()
                .filter(|(column, ..)| !std::mem::replace(&mut seen[*column], true))
                .map(|(column, value, text)| (table.columns[*column].name.as_str(), values(text)[*value].clone()))
                .collect();
            let json: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
            let json = format!("{{{}}}", json.join(" , "));
            let tree: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            proptest::prop_assert_eq!(&serde_json::from_str::<Map<String, Value>>(&json).unwrap(), &tree);
            let mut rows = Rows::new(5);
            let read = row(&json, &table, &mut rows);
            let text = |column: &TargetColumn| {
                let (value, mut text) = (tree.get(&column.name).unwrap_or(&Value::Null).to_string(), String::new());
                let value_of = ValueOf { reader: &column.reader, text: &mut text };
                let written = value_of.deserialize(&mut serde_json::Deserializer::from_str(&value)).unwrap();
                written.map(|written| (written == Written::Text).then_some(text))
            };
            let expected: Result<Vec<Option<String>>, Unreadable> = table.columns.iter().map(text).collect();
            match (read, expected) {
                (Ok(read), Ok(expected)) => {
                    let expected: Vec<Option<&str>> = expected.iter().map(Option::as_deref).collect();
                    proptest::prop_assert_eq!(texts(&rows, read), expected);
                }
                (Ok(_), Err(error)) => panic!("{error}"),
                (Err(error), Ok(expected)) => {
                    proptest::prop_assert_eq!(error, no_key(&table).into());
                    proptest::prop_assert!(expected[0].is_none() || expected[1].is_none());
                }
                (Err(_), Err(_)) => {}
            }
        }
    }
}
