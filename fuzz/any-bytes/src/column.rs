//! PostgreSQL's texts of values and defaults, read as every type that has a conversion, and as arrays of it.

use std::sync::LazyLock;

use proto::connect::json::JsonWriter;
use proto::oid::Oid;
use proto::table::{Column, PgType, PgTypeKind};
use proto::types::{
    BinaryMode, ColumnCodec, ConversionFailure, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, TimePrecision,
    ValueModes,
};

/// The base types that a conversion knows, and one that it does not know.
const BASE: [&str; 49] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "money",
    "text",
    "varchar",
    "bpchar",
    "char",
    "citext",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "isbn",
    "name",
    "uuid",
    "json",
    "jsonb",
    "xml",
    "tsvector",
    "ltree",
    "hstore",
    "bytea",
    "bit",
    "varbit",
    "date",
    "time",
    "timestamp",
    "timetz",
    "timestamptz",
    "interval",
    "point",
    "geometry",
    "geography",
    "vector",
    "halfvec",
    "sparsevec",
    "line",
    "box",
    "path",
    "polygon",
    "circle",
    "tsquery",
    "pg_lsn",
];

/// Every form that a value can be asked for in, over three configurations.
fn modes() -> [ValueModes; 3] {
    let texts = ValueModes {
        decimal: DecimalMode::String,
        time: TimePrecision::IsoString,
        interval: IntervalMode::String,
        binary: BinaryMode::Hex,
        hstore: HstoreMode::Map,
        include_unknown: true,
        failure: ConversionFailure::Null,
        ..ValueModes::default()
    };
    let exact = ValueModes {
        decimal: DecimalMode::Double,
        time: TimePrecision::Nanoseconds,
        binary: BinaryMode::Base64,
        include_unknown: true,
        fidelity: Fidelity::Exact,
        ..ValueModes::default()
    };
    [ValueModes::default(), texts, exact]
}

fn pg_type(name: &str, kind: PgTypeKind) -> PgType {
    PgType { oid: Oid::from(1), schema: "pg_catalog".to_owned(), name: name.to_owned(), kind }
}

fn types() -> Vec<(PgType, i32)> {
    let base = |name: &str| pg_type(name, PgTypeKind::Base);
    let array = |element: PgType| pg_type("_array", PgTypeKind::Array { element: Box::new(element) });
    let words = |name: &str, element: &str| pg_type(name, PgTypeKind::Array { element: Box::new(base(element)) });
    let mood = || pg_type("mood", PgTypeKind::Enum { labels: vec!["sad".to_owned(), "ok".to_owned()] });
    let mut types: Vec<(PgType, i32)> =
        BASE.iter().flat_map(|name| [(base(name), -1), (array(base(name)), -1)]).collect();
    types.extend([
        (base("numeric"), (10 << 16 | 2) + 4),
        (array(base("numeric")), (10 << 16 | 2) + 4),
        (base("bit"), 1),
        (base("varbit"), 1),
        (base("time"), 3),
        (base("timestamp"), 3),
        (base("timestamptz"), 3),
        (words("int2vector", "int2"), -1),
        (words("oidvector", "oid"), -1),
        (mood(), -1),
        (array(mood()), -1),
        (pg_type("int4range", PgTypeKind::Range), -1),
        (array(pg_type("int4range", PgTypeKind::Range)), -1),
        (pg_type("int4multirange", PgTypeKind::Multirange), -1),
        (pg_type("address", PgTypeKind::Composite), -1),
        (array(pg_type("address", PgTypeKind::Composite)), -1),
        (pg_type("positive", PgTypeKind::Domain { base: Box::new(base("numeric")), typmod: -1 }), -1),
    ]);
    types
}

fn column((pg_type, typmod): (PgType, i32), default: Option<&str>) -> Column {
    Column {
        name: "c".to_owned(),
        typmod,
        pg_type,
        not_null: false,
        default: default.map(str::to_owned),
        generated: false,
    }
}

static CODECS: LazyLock<Vec<ColumnCodec>> = LazyLock::new(|| {
    let compiled = |modes: ValueModes| {
        types().into_iter().filter_map(move |of| ColumnCodec::compile(&column(of, None), Phase::Streaming, &modes))
    };
    modes().into_iter().flat_map(compiled).collect()
});

/// A value's text, streamed and of a snapshot.
pub fn column_text(data: &[u8]) {
    let mut out = Vec::new();
    for codec in CODECS.iter() {
        for phase in [Phase::Streaming, Phase::Snapshot] {
            out.clear();
            let _written = codec.write(data, phase, &mut JsonWriter::new(&mut out));
        }
    }
}

/// A default's expression.
pub fn column_default(data: &[u8]) {
    let Ok(expression) = std::str::from_utf8(data) else { return };
    for modes in modes() {
        for of in types() {
            let _codec = ColumnCodec::compile(&column(of, Some(expression)), Phase::Streaming, &modes);
        }
    }
}
