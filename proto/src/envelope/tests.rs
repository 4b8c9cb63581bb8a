use bytes::Bytes;

use super::*;
use crate::connect::json::JsonWriter;
use crate::lsn::Lsn;
use crate::oid::Oid;
use crate::pgoutput::ReplicaIdentity;
use crate::table::{Column, PgType, PgTypeKind, Table};
use crate::types::ColumnRule;
use crate::xid::Xid;

fn column(name: &str, type_name: &str, typmod: i32, not_null: bool, default: Option<&str>) -> Column {
    let pg_type = PgType {
        oid: Oid::from(1),
        schema: "pg_catalog".to_owned(),
        name: type_name.to_owned(),
        kind: PgTypeKind::Base,
    };
    let default = default.map(str::to_owned);
    Column { name: name.to_owned(), typmod, pg_type, not_null, default, generated: false }
}

/// `create table toast (id int primary key, small text, nn text not null default 'x', n numeric(10,2))`
fn table() -> Table {
    Table {
        oid: Oid::from(1),
        schema: "public".to_owned(),
        name: "toast".to_owned(),
        described_by: Phase::Streaming,
        identity: ReplicaIdentity::Default,
        columns: vec![
            column("id", "int4", -1, true, None),
            column("small", "text", -1, false, None),
            column("nn", "text", -1, true, Some("'x'::text")),
            column("n", "numeric", (10 << 16 | 2) + 4, false, None),
        ],
        key: vec![0],
    }
}

fn settings(schemas_enable: bool) -> EnvelopeSettings {
    let converter =
        Some(JsonConverter { schemas_enable, replace_null_with_default: false, ..JsonConverter::default() });
    EnvelopeSettings {
        topic_prefix: "srv".to_owned(),
        database: "parity".to_owned(),
        source_version: "3.4.3.Final".to_owned(),
        key_converter: converter,
        value_converter: converter,
        modes: ValueModes::default(),
        column_rules: ColumnRules::default(),
        losses: Losses::default(),
        schema_names: NameAdjustment::None,
        field_names: NameAdjustment::None,
        placeholder: "__debezium_unavailable_value".into(),
    }
}

fn naming() -> RecordNaming {
    RecordNaming { topic: "srv.public.toast".to_owned(), identifier: None }
}

fn envelope(schemas_enable: bool) -> TableEnvelope {
    TableEnvelope::compile(&table(), naming(), &|_| true, &settings(schemas_enable))
}

fn compile(table: &Table, column_rules: ColumnRules) -> TableEnvelope {
    TableEnvelope::compile(table, naming(), &|_| true, &EnvelopeSettings { column_rules, ..settings(false) })
}

fn text(value: &'static str) -> Datum {
    Datum::Text(Bytes::from_static(value.as_bytes()))
}

fn write(envelope: &TableEnvelope, change: &Change<'_>) -> String {
    let source = Source {
        ts_us: 1_795_453_412_253_464,
        snapshot: SnapshotMarker::False,
        last_commit_lsn: None,
        lsn: Some(Lsn::from(3_358_682_608)),
        tx_id: Some(Xid::from(314_064)),
        schema: "public",
        table: "toast",
        xmin: None,
    };
    let mut out = Vec::new();
    envelope.write_change(change, &source, &mut JsonWriter::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

const BEHIND: &str = r#""source":{"version":"3.4.3.Final","connector":"postgresql","name":"srv","ts_ms":1795453412253,"snapshot":null,"db":"parity","sequence":"[null,\"3358682608\"]","ts_us":1795453412253464,"ts_ns":1795453412253464000,"schema":"public","table":"toast","txId":314064,"lsn":3358682608,"xmin":null},"transaction":null,"op":"OP","ts_ms":1795453412299,"ts_us":1795453412299866,"ts_ns":1795453412299866884}"#;
const TS_NS: i64 = 1_795_453_412_299_866_884;

#[test]
fn a_toasted_value_that_was_not_sent_is_the_placeholder() {
    let row = [text("1"), text("s2"), Datum::Unchanged, text("12345678.90")];
    let change = Change { op: Op::Update, before: None, after: Some(&row), ts_ns: TS_NS, transaction: None };
    let expected =
        r#"{"before":null,"after":{"id":1,"small":"s2","nn":"__debezium_unavailable_value","n":"SZYC0g=="},"#;
    assert_eq!(write(&envelope(false), &change), format!("{expected}{}", BEHIND.replace("OP", "u")));
}

#[test]
fn a_toasted_value_that_was_not_sent_comes_from_a_whole_old_row() {
    let old = [text("1"), text("s"), text("long"), Datum::Null];
    let new = [text("1"), text("s2"), Datum::Unchanged, Datum::Null];
    let change =
        Change { op: Op::Update, before: Some(Before::Full(&old)), after: Some(&new), ts_ns: TS_NS, transaction: None };
    let written = write(&envelope(false), &change);
    assert!(written.contains(r#""after":{"id":1,"small":"s2","nn":"long","n":null}"#), "{written}");
}

#[test]
fn the_old_row_of_a_delete_has_defaults_where_null_is_excluded() {
    let old = [text("2"), Datum::Null, Datum::Null, Datum::Null];
    let change =
        Change { op: Op::Delete, before: Some(Before::Key(&old)), after: None, ts_ns: TS_NS, transaction: None };
    let expected = r#"{"before":{"id":2,"small":null,"nn":"x","n":null},"after":null,"#;
    assert_eq!(write(&envelope(false), &change), format!("{expected}{}", BEHIND.replace("OP", "d")));
}

#[test]
fn the_key_carries_its_schema_where_schemas_are_enabled() {
    let row = [text("7"), Datum::Null, text("x"), Datum::Null];
    let envelope = envelope(true);
    let mut out = envelope.key_schema().head().to_vec();
    envelope.write_key(&row, Phase::Streaming, &mut JsonWriter::new(&mut out)).unwrap();
    let expected = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"srv.public.toast.Key"},"payload":{"id":7}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_value_that_cannot_be_read_is_named_by_its_column_and_not_shown() {
    let row = [text("secret"), Datum::Null, text("x"), Datum::Null];
    let error = envelope(false).write_key(&row, Phase::Streaming, &mut JsonWriter::new(&mut Vec::new())).unwrap_err();
    assert_eq!(error.to_string(), "column id is not an integer as PostgreSQL writes it");
}

#[test]
fn a_row_of_another_width_is_refused() {
    let error =
        envelope(false).write_key(&[text("1")], Phase::Streaming, &mut JsonWriter::new(&mut Vec::new())).unwrap_err();
    assert_eq!(error, ValueError::Width { row: 1, table: 4 });
}

#[test]
fn a_record_is_no_smaller_than_its_row_lets_expect() {
    let words = "ab\\x ".repeat(300_000);
    let bytes = format!("\\x{}", "07".repeat(500_000));
    for (type_name, value) in [("text", &words), ("bytea", &bytes), ("jsonb", &words)] {
        let mut table = table();
        table.columns[1] = column("small", type_name, -1, false, None);
        let envelope = compile(&table, ColumnRules::default());
        let row = [text("1"), Datum::Text(value.clone().into()), text("y"), text("3.14")];
        let change = Change { op: Op::Create, before: None, after: Some(&row), ts_ns: 0, transaction: None };
        let expected = envelope.record_at_least(value.len() + 30).unwrap();
        let written = write(&envelope, &change).len();
        assert!(expected > 0 && expected <= written, "{type_name}: {expected} of {written}");
    }
}

#[test]
fn nothing_is_expected_of_a_record_whose_values_may_be_shorter() {
    let cut = ColumnRules::new(|_, column, _| (column == "small").then_some(ColumnRule::Truncate(3)));
    assert_eq!(compile(&table(), cut).record_at_least(1 << 30), None);
    let mut table = table();
    table.columns[1] = column("small", "_numeric", -1, false, None);
    assert_eq!(compile(&table, ColumnRules::default()).record_at_least(1 << 30), None, "1.000000 may become 1.0");
    let left_out = TableEnvelope::compile(&self::table(), naming(), &|column| column != "small", &settings(false));
    assert_eq!(left_out.record_at_least(1 << 30), None);
}
