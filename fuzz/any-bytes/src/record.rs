//! Debezium's records as the sink reads them.

use std::sync::LazyLock;

use serde::de::DeserializeSeed as _;
use sink::parse::head::{Heads, Value};
use sink::parse::record::{self, Change};
use sink::parse::row;
use sink::parse::value::ValueOf;
use sink::plan::rows::Rows;
use sink::plan::table::{ColumnType, TargetColumn, TargetTable, TypeKind};

/// The types that have a form of their own in a record, and one that has not.
const BASE: [&str; 13] = [
    "numeric",
    "money",
    "bytea",
    "bit",
    "varbit",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "hstore",
    "point",
    "text",
];

static COLUMNS: LazyLock<Vec<ColumnType>> = LazyLock::new(|| {
    let of = |name: &str, typmod: i32, kind: TypeKind| ColumnType {
        schema: "pg_catalog".to_owned(),
        name: name.to_owned(),
        typmod,
        kind,
    };
    let base = |name: &str| of(name, -1, TypeKind::Base);
    let array = |element: ColumnType| of(&format!("_{}", element.name), -1, TypeKind::Array(Box::new(element)));
    let mut columns: Vec<ColumnType> = BASE.iter().flat_map(|name| [base(name), array(base(name))]).collect();
    columns.extend([
        of("numeric", (10 << 16 | 2) + 4, TypeKind::Base),
        of("bit", 12, TypeKind::Base),
        of("time", 3, TypeKind::Base),
        of("timestamp", 3, TypeKind::Base),
        of("int2vector", -1, TypeKind::Array(Box::new(base("int2")))),
        of("mood", -1, TypeKind::Other),
        array(of("mood", -1, TypeKind::Other)),
        array(base("uuid")),
    ]);
    columns
});

/// A table with a column of every type, whose names are their numbers; the first is its key.
static TABLE: LazyLock<TargetTable> = LazyLock::new(|| {
    let columns = COLUMNS.iter().enumerate().map(|(number, column_type)| TargetColumn {
        name: number.to_string(),
        column_type: column_type.clone(),
        cast: column_type.name.clone(),
    });
    TargetTable {
        schema: "public".to_owned(),
        name: "t".to_owned(),
        columns: columns.collect(),
        key: vec![0],
        passed_over: Vec::new(),
    }
});

/// A record: the value, and in further lines the key and the header with the new key.
pub fn sink_record(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (value, key, new_key) = (lines.next(), lines.next(), lines.next());
    let (mut heads, mut rows) = (Heads::default(), Rows::new(TABLE.columns.len()));
    let alone = value.map(Value::alone);
    let value = value.map(|value| heads.value("t", value));
    assert_eq!(value.as_ref().map(Value::whole), alone.as_ref().map(Value::whole), "the same value");
    let read = record::read(key, value.as_ref(), new_key);
    assert_eq!(read, record::read(key, alone.as_ref(), new_key), "the same record says the same");
    match read {
        Ok(Change::Upsert(change)) => {
            let _row = row::row(change.row, &TABLE, &mut rows);
        }
        Ok(Change::Delete(change)) => {
            let _key = row::key(change.row, &TABLE, &mut rows);
        }
        Ok(Change::Definition(content)) => {
            let _told = sink::evolve::definition::Told::read(&content);
        }
        _ => {}
    }
}

/// A field's value, for columns of every type.
pub fn sink_value(data: &[u8]) {
    for column in COLUMNS.iter() {
        let mut text = String::new();
        let value = ValueOf { column, text: &mut text };
        let _written = value.deserialize(&mut serde_json::Deserializer::from_slice(data));
    }
}
