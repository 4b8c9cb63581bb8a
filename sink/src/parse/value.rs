//! A JSON value into the text that the column's type reads: the way back from Debezium's default handling of types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::types::array::name_uuid;
use proto::types::datetime::{DATE_INFINITY, TIMESTAMP_INFINITY, civil};
use proto::types::decimal::Decimal;
use serde_json::Value;

use super::{Unreadable, array};
use crate::plan::table::{ColumnType, TypeKind};

/// A column's new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// This text, or NULL.
    Value(Option<String>),
    /// A TOASTed value that the change did not touch: it stays.
    Unchanged,
}

/// Debezium's mark for values that were not sent (`unavailable.value.placeholder`).
pub const PLACEHOLDER: &str = "__debezium_unavailable_value";

/// The cell that a field's value means for its column.
///
/// # Errors
/// When the value is not of a form that Debezium gives the type.
pub fn cell(value: &Value, column: &ColumnType) -> Result<Cell, Unreadable> {
    if is_placeholder(value, column) {
        return Ok(Cell::Unchanged);
    }
    text(value, column).map(Cell::Value)
}

fn is_placeholder(value: &Value, column: &ColumnType) -> bool {
    match (value, &column.kind) {
        (Value::String(text), TypeKind::Base) => match column.name.as_str() {
            "bytea" => STANDARD.decode(text).is_ok_and(|bytes| bytes == PLACEHOLDER.as_bytes()),
            "hstore" => text.starts_with("{\"") && text.contains(PLACEHOLDER) && text.matches(PLACEHOLDER).count() == 2,
            _ => text == PLACEHOLDER,
        },
        (Value::String(text), _) => text == PLACEHOLDER,
        (Value::Array(elements), TypeKind::Array(element)) => match elements.as_slice() {
            [Value::String(only)] if element.name == "uuid" => *only == name_uuid(PLACEHOLDER.as_bytes()),
            [Value::String(only)] => only == PLACEHOLDER,
            bytes => {
                bytes.len() == PLACEHOLDER.len()
                    && bytes.iter().zip(PLACEHOLDER.bytes()).all(|(value, byte)| value.as_u64() == Some(byte.into()))
            }
        },
        _ => false,
    }
}

/// A value as the text that its type's input function reads; `None` for NULL.
pub(super) fn text(value: &Value, column: &ColumnType) -> Result<Option<String>, Unreadable> {
    if value.is_null() {
        return Ok(None);
    }
    match &column.kind {
        TypeKind::Array(element) if matches!(column.name.as_str(), "int2vector" | "oidvector") => {
            array::words(value, element).map(Some)
        }
        TypeKind::Array(element) => array::literal(value, element).map(Some),
        TypeKind::Other => string(value, column).map(Some),
        TypeKind::Base => base(value, column).map(Some),
    }
}

fn base(value: &Value, column: &ColumnType) -> Result<String, Unreadable> {
    match (column.name.as_str(), value) {
        ("numeric", Value::String(encoded)) => decimal(encoded, column.numeric_scale(), column),
        ("numeric", Value::Object(variable)) => {
            let scale = variable.get("scale").and_then(Value::as_u64).and_then(|scale| u32::try_from(scale).ok());
            let scale = scale.filter(|scale| *scale <= Decimal::MOST_BEHIND_POINT);
            let encoded = variable.get("value").and_then(Value::as_str);
            match (scale, encoded) {
                (Some(scale), Some(encoded)) => decimal(encoded, scale, column),
                _ => Err(unexpected(column)),
            }
        }
        ("money", Value::String(encoded)) => decimal(encoded, 2, column),
        ("bytea", Value::String(encoded)) => Ok(format!("\\x{}", hex(&bytes(encoded, column)?))),
        ("bit" | "varbit", Value::String(encoded)) => Ok(bits(&bytes(encoded, column)?, column)),
        ("bit" | "varbit", Value::Bool(set)) => Ok(if *set { "1" } else { "0" }.to_owned()),
        ("date", Value::Number(_)) => i32::try_from(integer(value, column)?).map(date).map_err(|_| unexpected(column)),
        ("time", Value::Number(_)) => {
            let micros = integer(value, column)?.checked_mul(column.micros_per_unit());
            micros.map(time).ok_or_else(|| unexpected(column))
        }
        ("timestamp", Value::Number(_)) => timestamp(integer(value, column)?, column.micros_per_unit()),
        ("timestamptz", Value::String(iso)) => Ok(zoned_timestamp(iso)),
        ("interval", Value::Number(_)) => Ok(format!("{} microseconds", integer(value, column)?)),
        ("hstore", Value::String(json)) => hstore(json, column),
        ("point", Value::Object(point)) => match (point.get("x"), point.get("y")) {
            (Some(x), Some(y)) => Ok(format!("({},{})", plain(x, column)?, plain(y, column)?)),
            _ => Err(unexpected(column)),
        },
        _ => plain(value, column),
    }
}

/// Numbers, booleans and texts as they are.
fn plain(value: &Value, column: &ColumnType) -> Result<String, Unreadable> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(unexpected(column)),
    }
}

fn string(value: &Value, column: &ColumnType) -> Result<String, Unreadable> {
    value.as_str().map(str::to_owned).ok_or_else(|| unexpected(column))
}

fn unexpected(column: &ColumnType) -> Unreadable {
    Unreadable::new(format!(
        "a value of type {} has a form that Debezium's default handling does not give it",
        column.name
    ))
}

fn integer(value: &Value, column: &ColumnType) -> Result<i64, Unreadable> {
    value.as_i64().ok_or_else(|| unexpected(column))
}

fn bytes(encoded: &str, column: &ColumnType) -> Result<Vec<u8>, Unreadable> {
    STANDARD.decode(encoded).map_err(|_| unexpected(column))
}

fn decimal(encoded: &str, scale: u32, column: &ColumnType) -> Result<String, Unreadable> {
    Ok(Decimal::from_unscaled_bytes(&bytes(encoded, column)?, scale).to_string())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Lowest bit first, to the column's length. A `varbit` has lost the zeros in front of its first one.
fn bits(bytes: &[u8], column: &ColumnType) -> String {
    let bit = |position: usize| bytes.get(position / 8).is_some_and(|byte| byte >> (position % 8) & 1 == 1);
    let used = (0..bytes.len() * 8).rev().find(|position| bit(*position)).map_or(0, |highest| highest + 1);
    let length = match usize::try_from(column.typmod) {
        Ok(length) if column.name == "bit" => length,
        _ => used,
    };
    (0..length).rev().map(|position| if bit(position) { '1' } else { '0' }).collect()
}

fn date(days: i32) -> String {
    if days == DATE_INFINITY.0 {
        return "infinity".to_owned();
    }
    if days == DATE_INFINITY.1 {
        return "-infinity".to_owned();
    }
    let (date, era) = calendar(days.into());
    format!("{date}{era}")
}

/// Year, month and day, and the era behind them; there is no year 0.
fn calendar(days: i64) -> (String, &'static str) {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

fn timestamp(number: i64, micros_per_unit: i64) -> Result<String, Unreadable> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    for (mark, name) in [(TIMESTAMP_INFINITY.0, "infinity"), (TIMESTAMP_INFINITY.1, "-infinity")] {
        if number == mark / micros_per_unit {
            return Ok(name.to_owned());
        }
    }
    // Years beyond 294247 have overflowed on the way here.
    let micros = i128::from(number) * i128::from(micros_per_unit);
    let day = micros.div_euclid(MICROS_PER_DAY.into());
    let of_day = micros.rem_euclid(MICROS_PER_DAY.into());
    let small = |number: i128| i64::try_from(number).map_err(|_| Unreadable::new("a timestamp is out of range"));
    let (date, era) = calendar(small(day)?);
    Ok(format!("{date} {}{era}", time(small(of_day)?)))
}

/// Java's years: a sign in front of those beyond 9999, and those before 1 counted from 0.
fn zoned_timestamp(iso: &str) -> String {
    if let Some(rest) = iso.strip_prefix('+') {
        return rest.to_owned();
    }
    let before = |year: &str| Some(format!("{:04}", year.parse::<i64>().ok()?.checked_add(1)?));
    match iso.strip_prefix('-').and_then(|rest| rest.split_once('-')) {
        Some((year, rest)) => before(year).map_or_else(|| iso.to_owned(), |year| format!("{year}-{rest} BC")),
        None if iso.starts_with("0000-") => format!("0001{} BC", iso.trim_start_matches("0000")),
        None => iso.to_owned(),
    }
}

fn hstore(json: &str, column: &ColumnType) -> Result<String, Unreadable> {
    let pairs: serde_json::Map<String, Value> = serde_json::from_str(json).map_err(|_| unexpected(column))?;
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let pairs = pairs.iter().map(|(key, value)| match value {
        Value::Null => Ok(format!("{}=>NULL", quoted(key))),
        Value::String(text) => Ok(format!("{}=>{}", quoted(key), quoted(text))),
        _ => Err(unexpected(column)),
    });
    Ok(pairs.collect::<Result<Vec<_>, _>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, typmod: i32) -> ColumnType {
        ColumnType { schema: "pg_catalog".to_owned(), name: name.to_owned(), typmod, kind: TypeKind::Base }
    }

    fn array_of(element: ColumnType) -> ColumnType {
        let name = format!("_{}", element.name);
        ColumnType { schema: "pg_catalog".to_owned(), name, typmod: -1, kind: TypeKind::Array(Box::new(element)) }
    }

    fn written(value: &Value, column: &ColumnType) -> String {
        match cell(value, column) {
            Ok(Cell::Value(Some(text))) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_type_finds_back_to_postgres_form() {
        for (value, column, text) in [
            (json!("SZYC0g=="), of("numeric", (10 << 16 | 2) + 4), "12345678.90"),
            (json!({"scale": 5, "value": "BMsv"}), of("numeric", -1), "3.14159"),
            (json!("AeJA"), of("money", -1), "1234.56"),
            (json!("3q2+7wD/"), of("bytea", -1), "\\xdeadbeef00ff"),
            (json!(19782), of("date", -1), "2024-02-29"),
            (json!(-735_160), of("date", -1), "0044-03-15 BC"),
            (json!(-2_147_472_692), of("date", -1), "infinity"),
            (json!(47_655_123_456_i64), of("time", -1), "13:14:15.123456"),
            (json!(86_400_000), of("time", 3), "24:00:00.000000"),
            (json!(1_709_212_455_123_456_i64), of("timestamp", -1), "2024-02-29 13:14:15.123456"),
            (json!(-1), of("timestamp", 3), "1969-12-31 23:59:59.999000"),
            (json!(9_223_372_036_825_200_i64), of("timestamp", 3), "infinity"),
            (json!("2024-02-29T07:44:15.123456Z"), of("timestamptz", -1), "2024-02-29T07:44:15.123456Z"),
            (json!("-0043-03-15T12:00:00.000000Z"), of("timestamptz", -1), "0044-03-15T12:00:00.000000Z BC"),
            (json!("+12345-06-07T01:02:03Z"), of("timestamptz", -1), "12345-06-07T01:02:03Z"),
            (json!("Aw=="), of("bit", 3), "011"),
            (json!(true), of("bit", 1), "1"),
            (json!("NaN"), of("float8", -1), "NaN"),
            (json!({"x": 1.5, "y": -2.0, "wkb": "", "srid": null}), of("point", -1), "(1.5,-2.0)"),
            (json!("{\"a\":\"1\",\"b\":null}"), of("hstore", -1), "\"a\"=>\"1\",\"b\"=>NULL"),
            (json!([1, null, 3]), array_of(of("int4", -1)), "{1,NULL,3}"),
            (json!([1, -2]), ColumnType { name: "int2vector".to_owned(), ..array_of(of("int2", -1)) }, "1 -2"),
            (json!(["a b", "NULL", "q\"\\", ""]), array_of(of("text", -1)), r#"{"a b","NULL","q\"\\",""}"#),
            (json!(["bg=="]), array_of(of("numeric", (5 << 16 | 2) + 4)), r#"{"1.10"}"#),
        ] {
            assert_eq!(written(&value, &column), text, "{}", column.name);
        }
    }

    #[test]
    fn what_toast_left_out_stays_as_it_is() {
        let bytes: Vec<u8> = PLACEHOLDER.bytes().collect();
        for (value, column) in [
            (json!(PLACEHOLDER), of("text", -1)),
            (json!("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="), of("bytea", -1)),
            (json!([PLACEHOLDER]), array_of(of("text", -1))),
            (json!(bytes), array_of(of("int4", -1))),
            (json!(["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]), array_of(of("uuid", -1))),
        ] {
            assert_eq!(cell(&value, &column), Ok(Cell::Unchanged), "{}", column.name);
        }
    }

    #[test]
    fn a_value_of_another_form_is_refused_without_being_shown() {
        let error = cell(&json!("secret!"), &of("bytea", -1)).unwrap_err().to_string();
        assert!(error.contains("bytea") && !error.contains("secret"), "{error}");
        assert!(cell(&json!({"a": 1}), &of("int4", -1)).is_err());
        for (value, column) in [
            (json!({"scale": u32::MAX, "value": "AQ=="}), of("numeric", -1)),
            (json!(i64::MAX), of("date", -1)),
            (json!(i64::MAX), of("time", 3)),
        ] {
            assert!(cell(&value, &column).is_err(), "{}", column.name);
        }
    }
}
