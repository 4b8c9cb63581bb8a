//! Debezium's records as the sink reads them.

use std::sync::LazyLock;

use serde_json::Value;
use sink::parse::record::read;
use sink::parse::value::cell;
use sink::plan::table::{ColumnType, TypeKind};

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

/// A record: the value, and in further lines the key and the header with the new key.
pub fn sink_record(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (value, key, new_key) = (lines.next(), lines.next(), lines.next());
    let _change = read(key, value, new_key);
}

/// A field's value, for columns of every type.
pub fn sink_value(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    for column in COLUMNS.iter() {
        let _cell = cell(&value, column);
    }
}
