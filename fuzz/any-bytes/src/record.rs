//! Debezium's records as the sink reads them.

use std::sync::{Arc, LazyLock};

use proto::oid::Oid;
use proto::table::{PgType, PgTypeKind};
use serde::de::DeserializeSeed as _;
use serde_json::{Value as Json, json};
use sink::avro;
use sink::consume::record::Record;
use sink::jdbc::settings::Settings;
use sink::jdbc::topic::Topic;
use sink::parse::handling::Handling;
use sink::parse::head::{Heads, Value};
use sink::parse::reader::Reader;
use sink::parse::record::{self, Change};
use sink::parse::row;
use sink::parse::value::ValueOf;
use sink::plan::rows::Rows;
use sink::plan::table::{TargetColumn, TargetTable, Writes};

/// The types that have a form of their own in a record, and one that has not.
const BASE: [&str; 22] = [
    "bool",
    "int4",
    "float8",
    "numeric",
    "money",
    "bytea",
    "bit",
    "varbit",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "hstore",
    "point",
    "geometry",
    "vector",
    "sparsevec",
    "line",
    "uuid",
    "text",
];

/// Every form of values, over three configurations, and rows with and without their envelope.
fn configurations() -> [Json; 3] {
    [
        json!({}),
        json!({
            "decimal.handling.mode": "string", "time.precision.mode": "isostring", "interval.handling.mode": "string",
            "binary.handling.mode": "hex", "hstore.handling.mode": "map", "include.unknown.datatypes": "true",
            "unavailable.value.placeholder": "gone", "topic.prefix": "p", "transforms": "u",
            "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
        }),
        json!({
            "decimal.handling.mode": "double", "time.precision.mode": "nanoseconds", "money.fraction.digits": "4",
            "binary.handling.mode": "base64-url-safe", "include.unknown.datatypes": "true",
            "headwater.value.fidelity": "exact", "unavailable.value.placeholder": "hex:00ff41", "topic.prefix": "p",
            "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.u.delete.tombstone.handling.mode": "rewrite",
            "transforms.u.replace.null.with.default": "false", "transforms.u.add.fields": "op,source.ts_ms",
        }),
    ]
}

static HANDLINGS: LazyLock<Vec<Handling>> = LazyLock::new(|| {
    let handling = |config: Json| Handling::of(config.as_object()?).ok();
    let handlings: Vec<Handling> = configurations().into_iter().filter_map(handling).collect();
    assert_eq!(handlings.len(), configurations().len(), "a configuration that is none");
    handlings
});

fn types() -> Vec<(PgType, i32)> {
    let of = |name: &str, kind: PgTypeKind| PgType {
        oid: Oid::from(0),
        schema: "pg_catalog".to_owned(),
        name: name.to_owned(),
        kind,
    };
    let base = |name: &str| of(name, PgTypeKind::Base);
    let array = |element: PgType| of("_array", PgTypeKind::Array { element: Box::new(element) });
    let mood = || of("mood", PgTypeKind::Enum { labels: Vec::new() });
    let mut types: Vec<(PgType, i32)> =
        BASE.iter().flat_map(|name| [(base(name), -1), (array(base(name)), -1)]).collect();
    types.extend([
        (base("numeric"), (10 << 16 | 2) + 4),
        (array(base("numeric")), (10 << 16 | 2) + 4),
        (base("bit"), 1),
        (base("bit"), 12),
        (base("time"), 3),
        (base("timestamp"), 3),
        (of("int2vector", PgTypeKind::Array { element: Box::new(base("int2")) }), -1),
        (mood(), -1),
        (array(mood()), -1),
    ]);
    types
}

/// For each configuration a table with a column of every type, whose names are their numbers; the first is its key.
static TABLES: LazyLock<Vec<TargetTable>> = LazyLock::new(|| {
    let table = |handling: &Handling| {
        let columns = types().into_iter().enumerate().map(|(number, (pg_type, typmod))| TargetColumn {
            name: number.to_string(),
            field: number.to_string(),
            reader: Reader::new(&pg_type, typmod, handling),
            cast: pg_type.name,
            is_always_identity: false,
        });
        TargetTable {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            columns: columns.collect(),
            key: vec![0],
            passed_over: vec!["__op".to_owned()],
            writes: Writes::Upsert,
            copied_in: None,
        }
    };
    HANDLINGS.iter().map(table).collect()
});

/// A record: the value, and in further lines the key and the header with the new key.
pub fn sink_record(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (value, key, new_key) = (lines.next(), lines.next(), lines.next());
    let mut heads = Heads::default();
    let alone = value.map(Value::alone);
    let value = value.map(|value| heads.value("t", value));
    assert_eq!(value.as_ref().map(Value::whole), alone.as_ref().map(Value::whole), "the same value");
    for (handling, table) in HANDLINGS.iter().zip(TABLES.iter()) {
        let (shape, mut rows) = (handling.shape("p.public.t"), Rows::new(table.columns.len()));
        let read = record::read(&shape, key, value.as_ref(), new_key);
        assert_eq!(read, record::read(&shape, key, alone.as_ref(), new_key), "the same record says the same");
        match read {
            Ok(Change::Upsert(change)) => {
                let _row = row::row(change.row, table, &mut rows);
            }
            Ok(Change::Delete(change)) => {
                let _key = row::key(change.row, table, &mut rows);
            }
            Ok(Change::Definition(content, _)) => {
                let _told = sink::evolve::definition::Told::read(&content);
            }
            _ => {}
        }
    }
}

/// A field's value, for columns of every type under every configuration.
pub fn sink_value(data: &[u8]) {
    for column in TABLES.iter().flat_map(|table| &table.columns) {
        let mut text = String::new();
        let value = ValueOf { reader: &column.reader, text: &mut text };
        let _written = value.deserialize(&mut serde_json::Deserializer::from_slice(data));
    }
}

/// An Avro schema in the first line, and a value that is to be of it behind.
pub fn sink_avro(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (schema, value) = data.split_at(end);
    let Some(schema) = std::str::from_utf8(schema).ok().and_then(|schema| avro::schema::Schema::parse(schema).ok())
    else {
        return;
    };
    if let Some(json) = avro::decode::json(&schema, value.get(1..).unwrap_or_default()) {
        assert!(serde_json::from_str::<Json>(&json).is_ok(), "JSON: {json}");
    }
    assert!(Heads::default().value("t", &[&schema.head, b"null}".as_slice()].concat()).head().is_some(), "a head");
}

static CONNECTORS: LazyLock<Vec<Arc<Settings>>> = LazyLock::new(|| {
    let of = |more: &[(&str, &str)]| {
        let all = [
            ("name", "n"),
            ("connection.url", "jdbc:postgresql://h/d"),
            ("connection.username", "u"),
            ("topics", "t"),
            ("schema.evolution", "basic"),
        ];
        let properties = all.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::of(&properties).ok().map(Arc::new)
    };
    let settings = [
        of(&[
            ("primary.key.mode", "record_key"),
            ("insert.mode", "upsert"),
            ("delete.enabled", "true"),
            ("truncate.enabled", "true"),
        ]),
        of(&[("primary.key.mode", "kafka"), ("collection.name.format", "${source.schema}.${source.db}")]),
        of(&[
            ("primary.key.mode", "record_key"),
            ("primary.key.fields", "k"),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ]),
    ];
    settings.into_iter().flatten().collect()
});

/// A record of a topic of a JDBC sink connector: the value, and in a further line the key.
pub fn jdbc_record(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let (value, key) = (lines.next().filter(|value| !value.is_empty()), lines.next());
    assert_eq!(CONNECTORS.len(), 3, "a configuration that is none");
    for settings in CONNECTORS.iter() {
        let mut topic = Topic::new(settings.clone(), "public", "t");
        let record = Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: key.map(<[u8]>::to_vec),
            value: value.map(|value| Heads::default().value("t", value)),
            new_key: None,
            traced: None,
        };
        if topic.look(&record).is_err() {
            continue;
        }
        if let Ok(Some(said)) = topic.read(&record) {
            let mut rows = Rows::new(TABLES.first().map_or(0, |table| table.columns.len()));
            for table in TABLES.iter() {
                let _step = topic.step(&record, &said.what, table, &mut rows);
            }
        }
    }
}
