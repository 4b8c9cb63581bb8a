use proto::oid::Oid;
use proto::table::{PgType, PgTypeKind};
use proto::types::{Placeholder, ValueModes};
use serde_json::{Value, json};

use super::super::handling::Handling;
use super::super::reader::Unavailable;
use super::*;

pub(super) fn pg_type(name: &str, kind: PgTypeKind) -> PgType {
    PgType { oid: Oid::from(0), schema: "pg_catalog".to_owned(), name: name.to_owned(), kind }
}

fn base(name: &str) -> PgType {
    pg_type(name, PgTypeKind::Base)
}

pub(super) fn array_of(element: PgType) -> PgType {
    pg_type(&format!("_{}", element.name), PgTypeKind::Array { element: Box::new(element) })
}

pub(super) fn under(modes: ValueModes) -> Handling {
    Handling { modes, ..Handling::default() }
}

pub(super) fn read_json(json: &str, reader: &Reader) -> Result<(Written, String), Unreadable> {
    let mut text = String::new();
    let written = ValueOf { reader, text: &mut text }.deserialize(&mut serde_json::Deserializer::from_str(json));
    written.unwrap().map(|written| (written, text))
}

fn read(value: &Value, pg_type: &PgType, typmod: i32, handling: &Handling) -> Result<(Written, String), Unreadable> {
    read_json(&value.to_string(), &Reader::new(pg_type, typmod, handling))
}

fn texts() -> Handling {
    under(ValueModes {
        decimal: DecimalMode::String,
        time: proto::types::TimePrecision::IsoString,
        interval: IntervalMode::String,
        binary: proto::types::BinaryMode::Hex,
        hstore: HstoreMode::Map,
        include_unknown: true,
        ..ValueModes::default()
    })
}

#[test]
fn every_type_finds_back_to_postgres_form() {
    let words = PgType { name: "int2vector".to_owned(), ..array_of(base("int2")) };
    let handling = Handling::default();
    for (value, of, typmod, text) in [
        (json!("SZYC0g=="), base("numeric"), (10 << 16 | 2) + 4, "12345678.90"),
        (json!({"scale": 5, "value": "BMsv"}), base("numeric"), -1, "3.14159"),
        (json!("AeJA"), base("money"), -1, "1234.56"),
        (json!("3q2+7wD/"), base("bytea"), -1, "\\xdeadbeef00ff"),
        (json!(19782), base("date"), -1, "2024-02-29"),
        (json!(-735_160), base("date"), -1, "0044-03-15 BC"),
        (json!(-2_147_472_692), base("date"), -1, "infinity"),
        (json!(47_655_123_456_i64), base("time"), -1, "13:14:15.123456"),
        (json!(86_400_000), base("time"), 3, "24:00:00.000000"),
        (json!(1_709_212_455_123_456_i64), base("timestamp"), -1, "2024-02-29 13:14:15.123456"),
        (json!(-1), base("timestamp"), 3, "1969-12-31 23:59:59.999000"),
        (json!(9_223_372_036_825_200_i64), base("timestamp"), 3, "infinity"),
        (json!("2024-02-29T07:44:15.123456Z"), base("timestamptz"), -1, "2024-02-29T07:44:15.123456Z"),
        (json!("-0043-03-15T12:00:00.000000Z"), base("timestamptz"), -1, "0044-03-15T12:00:00.000000Z BC"),
        (json!("+12345-06-07T01:02:03Z"), base("timestamptz"), -1, "12345-06-07T01:02:03Z"),
        (json!("Aw=="), base("bit"), 3, "011"),
        (json!(true), base("bit"), 1, "1"),
        (json!("NaN"), base("float8"), -1, "NaN"),
        (json!({"x": 1.5, "y": -2.0, "wkb": "", "srid": null}), base("point"), -1, "(1.5,-2.0)"),
        (json!({"x": "NaN", "y": "-Infinity"}), base("point"), -1, "(NaN,-Infinity)"),
        (json!("{\"a\":\"1\",\"b\":null}"), base("hstore"), -1, "\"a\"=>\"1\",\"b\"=>NULL"),
        (json!("{}"), base("hstore"), -1, ""),
        (
            json!({"wkb": "AQEAAAAAAAAAAAD4PwAAAAAAAABA", "srid": 7}),
            base("geometry"),
            -1,
            "0101000000000000000000f83f0000000000000040",
        ),
        (json!([1.0, "NaN", -2.5]), base("vector"), -1, "[1.0,NaN,-2.5]"),
        (json!({"dimensions": 9, "vector": [[8, 3.0], [5, 2.0]]}), base("sparsevec"), -1, "{5:2.0,8:3.0}/9"),
        (json!([1, null, 3]), array_of(base("int4")), -1, "{1,NULL,3}"),
        (json!([]), array_of(base("int4")), -1, "{}"),
        (json!([1, -2]), words, -1, "1 -2"),
        (json!(["a b", "NULL", "q\"\\", ""]), array_of(base("text")), -1, r#"{"a b","NULL","q\"\\",""}"#),
        (json!(["bg=="]), array_of(base("numeric")), (5 << 16 | 2) + 4, r#"{"1.10"}"#),
        (json!([1.5, "Infinity", null]), array_of(base("float8")), -1, r#"{"1.5","Infinity",NULL}"#),
    ] {
        assert_eq!(read(&value, &of, typmod, &handling), Ok((Written::Text, text.to_owned())), "{}", of.name);
    }
}

#[test]
fn every_type_finds_back_from_texts() {
    let handling = texts();
    for (value, of, typmod, text) in [
        (json!("-123.4500"), base("numeric"), -1, "-123.4500"),
        (json!("NAN"), base("numeric"), (10 << 16 | 2) + 4, "NaN"),
        (json!("NEGATIVE_INFINITY"), base("numeric"), -1, "-Infinity"),
        (json!("12.5"), base("money"), -1, "12.5"),
        (json!("deadBEEF"), base("bytea"), -1, "\\xdeadBEEF"),
        (json!("2024-02-29Z"), base("date"), -1, "2024-02-29"),
        (json!("13:14:15.123456Z"), base("time"), -1, "13:14:15.123456"),
        (json!("-0043-03-15T12:00:00Z"), base("timestamp"), -1, "0044-03-15T12:00:00 BC"),
        (json!("+294247-01-10T04:00:25.2Z"), base("timestamp"), -1, "infinity"),
        (json!("P1Y2M3DT4H5M6.789S"), base("interval"), -1, "P1Y2M3DT4H5M6.789S"),
        (json!(1_000_000), base("interval"), -1, "1000000 microseconds"),
        (json!({"a": "1", "b": null}), base("hstore"), -1, "\"a\"=>\"1\",\"b\"=>NULL"),
        (json!([{"a": "1"}, null]), array_of(base("hstore")), -1, r#"{"\"a\"=>\"1\"",NULL}"#),
        (json!("7b312e302c2d312e302c302e307d"), base("line"), -1, "{1.0,-1.0,0.0}"),
        (json!(["28312c32292c28302c3029"]), array_of(base("box")), -1, r#"{"(1,2),(0,0)"}"#),
        (json!(["28312c32292c28302c3029", null]), array_of(base("box")), -1, r#"{"(1,2),(0,0)";NULL}"#),
    ] {
        assert_eq!(read(&value, &of, typmod, &handling), Ok((Written::Text, text.to_owned())), "{}", of.name);
    }
}

#[test]
fn decimals_written_as_json_numbers_keep_their_digits() {
    let handling = Handling::default();
    let digits = "12345678901234567890123456789012345.67";
    for (of, typmod) in [(base("numeric"), (38 << 16 | 2) + 4), (base("money"), -1)] {
        let found = read_json(digits, &Reader::new(&of, typmod, &handling));
        assert_eq!(found, Ok((Written::Text, digits.to_owned())));
    }
    let list = format!("[{digits},null]");
    let found = read_json(&list, &Reader::new(&array_of(base("numeric")), (38 << 16 | 2) + 4, &handling));
    assert_eq!(found, Ok((Written::Text, format!("{{\"{digits}\",NULL}}"))));
}

#[test]
fn what_toast_left_out_stays_as_it_is() {
    let placeholder = "__debezium_unavailable_value";
    let bytes: Vec<u8> = placeholder.bytes().collect();
    let pair = json!({ placeholder: placeholder });
    for (value, of, handling) in [
        (json!(placeholder), base("text"), Handling::default()),
        (json!("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="), base("bytea"), Handling::default()),
        (json!(placeholder), base("bytea"), texts()),
        (json!(pair.to_string()), base("hstore"), Handling::default()),
        (pair, base("hstore"), texts()),
        (json!([placeholder]), array_of(base("text")), Handling::default()),
        (json!([placeholder]), array_of(base("bytea")), texts()),
        (json!(bytes), array_of(base("int4")), Handling::default()),
        (json!(bytes), array_of(base("date")), Handling::default()),
        (json!(["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]), array_of(base("uuid")), Handling::default()),
    ] {
        assert_eq!(read(&value, &of, -1, &handling), Ok((Written::Unchanged, String::new())), "{}", of.name);
    }
    let longer = json!([placeholder, "b"]);
    let expected = format!("{{\"{placeholder}\",\"b\"}}");
    assert_eq!(read(&longer, &array_of(base("text")), -1, &Handling::default()), Ok((Written::Text, expected)));
}

#[test]
fn a_placeholder_of_ones_own_stands_for_what_toast_left_out() {
    let placeholder = Placeholder::parse("hex:00ff41").unwrap();
    let handling = Handling { unavailable: Unavailable::from(&placeholder), ..Handling::default() };
    for (value, of) in [
        (json!("\0\u{fffd}A"), base("text")),
        (json!("AP9B"), base("bytea")),
        (json!(["\0\u{fffd}A"]), array_of(base("varchar"))),
        (json!([0, -1, 65]), array_of(base("int8"))),
    ] {
        assert_eq!(read(&value, &of, -1, &handling), Ok((Written::Unchanged, String::new())), "{}", of.name);
    }
    let other = json!("__debezium_unavailable_value");
    assert_eq!(read(&other, &base("text"), -1, &handling).map(|(written, _)| written), Ok(Written::Text));
    assert_eq!(
        read(&json!([0, -1, 65, 1]), &array_of(base("int4")), -1, &handling),
        Ok((Written::Text, "{0,-1,65,1}".to_owned()))
    );
}

#[test]
fn a_value_of_another_form_is_refused_without_being_shown() {
    let read = |value: Value, of: &PgType, typmod| read(&value, of, typmod, &Handling::default());
    let error = read(json!("secret!"), &base("bytea"), -1).unwrap_err().to_string();
    assert!(error.contains("bytea") && !error.contains("secret"), "{error}");
    for (value, of, typmod) in [
        (json!({"a": 1}), base("int4"), -1),
        (json!({"scale": u32::MAX, "value": "AQ=="}), base("numeric"), -1),
        (json!(i64::MAX), base("date"), -1),
        (json!(i64::MAX), base("time"), 3),
        (json!("2024-02-29Z"), base("date"), -1),
        (json!(true), base("numeric"), (5 << 16 | 2) + 4),
        (json!([1]), base("text"), -1),
        (json!("a"), array_of(base("text")), -1),
        (json!(["!"]), array_of(base("bytea")), -1),
        (json!([[1]]), array_of(base("int4")), -1),
        (json!([null]), base("vector"), -1),
        (json!("[1]"), base("hstore"), -1),
    ] {
        assert!(read(value, &of, typmod).is_err(), "{}", of.name);
    }
}

#[test]
fn a_number_without_a_type_of_its_own_keeps_its_value() {
    let reader = Reader::new(&base("float8"), -1, &Handling::default());
    for (json, text) in [
        ("1.0E10", "10000000000.0"),
        ("-0", "-0.0"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("12345678901234567890.123", "1.2345678901234567e+19"),
        ("3.4028235E38", "3.4028235e+38"),
    ] {
        assert_eq!(read_json(json, &reader), Ok((Written::Text, text.to_owned())));
    }
}

mod round_trip;
