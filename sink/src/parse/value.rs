//! A JSON value into the text that the column's type reads: the way back from Debezium's default handling of types.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::types::array::name_uuid;
use proto::types::decimal::Decimal;
use serde::Deserialize as _;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::datetime::{date, time, timestamp, zoned_timestamp};
use super::{Unreadable, array};
use crate::plan::table::{ColumnType, TypeKind};

/// What a field's value means for its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Its text, which was appended.
    Text,
    /// NULL.
    Null,
    /// A TOASTed value that the change did not touch: it stays.
    Unchanged,
}

/// Debezium's mark for values that were not sent (`unavailable.value.placeholder`).
pub const PLACEHOLDER: &str = "__debezium_unavailable_value";

/// The same as a `bytea` comes.
const PLACEHOLDER_BYTES: &str = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";

/// Reads a field's value into the text that its column's type reads, at the end of `text`. Where the value is
/// [`Unreadable`], of a form that Debezium does not give the type, something may be there already.
pub struct ValueOf<'a> {
    /// The column's type.
    pub column: &'a ColumnType,
    /// Where the text goes.
    pub text: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Result<Written, Unreadable>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Strings and numbers are not copied on their way; arrays and objects are few, and become a [`Value`] first.
impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Result<Written, Unreadable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ok(Written::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(flag(value, self.column, self.text))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(number(&value.into(), self.column, self.text))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(number(&value.into(), self.column, self.text))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        // JSON has no others than finite numbers.
        let value = Number::from_f64(value).ok_or_else(|| unexpected(self.column));
        Ok(value.and_then(|value| number(&value, self.column, self.text)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(match is_placeholder(value, self.column) {
            true => Ok(Written::Unchanged),
            false => string(value, self.column, self.text),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        let elements = Vec::<Value>::deserialize(SeqAccessDeserializer::new(elements))?;
        Ok(match is_placeholder_array(&elements, self.column) {
            true => Ok(Written::Unchanged),
            false => array(&elements, self.column, self.text),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let fields = Map::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(object(&fields, self.column, self.text))
    }
}

fn is_placeholder(text: &str, column: &ColumnType) -> bool {
    match (&column.kind, column.name.as_str()) {
        (TypeKind::Base, "bytea") => text == PLACEHOLDER_BYTES,
        (TypeKind::Base, "hstore") => {
            text.starts_with("{\"") && text.contains(PLACEHOLDER) && text.matches(PLACEHOLDER).count() == 2
        }
        _ => text == PLACEHOLDER,
    }
}

fn is_placeholder_array(elements: &[Value], column: &ColumnType) -> bool {
    let TypeKind::Array(element) = &column.kind else { return false };
    match elements {
        [Value::String(only)] if element.name == "uuid" => *only == name_uuid(PLACEHOLDER.as_bytes()),
        [Value::String(only)] => only == PLACEHOLDER,
        bytes => {
            bytes.len() == PLACEHOLDER.len()
                && bytes.iter().zip(PLACEHOLDER.bytes()).all(|(value, byte)| value.as_u64() == Some(byte.into()))
        }
    }
}

/// An element of an array as the text that its type's input function reads; `None` for NULL.
pub(super) fn element(value: &Value, column: &ColumnType) -> Result<Option<String>, Unreadable> {
    let mut text = String::new();
    let written = match value {
        Value::Null => Ok(Written::Null),
        Value::Bool(value) => flag(*value, column, &mut text),
        Value::Number(value) => number(value, column, &mut text),
        Value::String(value) => string(value, column, &mut text),
        Value::Array(elements) => array(elements, column, &mut text),
        Value::Object(fields) => object(fields, column, &mut text),
    };
    Ok((written? == Written::Text).then_some(text))
}

fn flag(value: bool, column: &ColumnType, text: &mut String) -> Result<Written, Unreadable> {
    text.push_str(match (base_name(column)?, value) {
        ("bit" | "varbit", true) => "1",
        ("bit" | "varbit", false) => "0",
        (_, true) => "true",
        (_, false) => "false",
    });
    Ok(Written::Text)
}

fn number(value: &Number, column: &ColumnType, text: &mut String) -> Result<Written, Unreadable> {
    let integer = || value.as_i64().ok_or_else(|| unexpected(column));
    match base_name(column)? {
        "date" => text.push_str(&i32::try_from(integer()?).map(date).map_err(|_| unexpected(column))?),
        "time" => {
            let micros = integer()?.checked_mul(column.micros_per_unit());
            text.push_str(&micros.map(time).ok_or_else(|| unexpected(column))?);
        }
        "timestamp" => text.push_str(&timestamp(integer()?, column.micros_per_unit())?),
        "interval" => append(text, format_args!("{} microseconds", integer()?)),
        _ => append(text, format_args!("{value}")),
    }
    Ok(Written::Text)
}

fn string(value: &str, column: &ColumnType, text: &mut String) -> Result<Written, Unreadable> {
    let name = match &column.kind {
        TypeKind::Base => column.name.as_str(),
        TypeKind::Array(_) => return Err(no_array(column)),
        TypeKind::Other => "",
    };
    match name {
        "numeric" => decimal(value, column.numeric_scale(), column, text)?,
        "money" => decimal(value, 2, column, text)?,
        "bytea" => hex(&bytes(value, column)?, text),
        "bit" | "varbit" => text.push_str(&bits(&bytes(value, column)?, column)),
        "timestamptz" => text.push_str(&zoned_timestamp(value)),
        "hstore" => text.push_str(&hstore(value, column)?),
        _ => text.push_str(value),
    }
    Ok(Written::Text)
}

fn array(elements: &[Value], column: &ColumnType, text: &mut String) -> Result<Written, Unreadable> {
    let TypeKind::Array(element) = &column.kind else { return Err(unexpected(column)) };
    match column.name.as_str() {
        "int2vector" | "oidvector" => text.push_str(&array::words(elements, element)?),
        _ => array::literal(elements, element, text)?,
    }
    Ok(Written::Text)
}

fn object(fields: &Map<String, Value>, column: &ColumnType, text: &mut String) -> Result<Written, Unreadable> {
    match base_name(column)? {
        "numeric" => {
            let scale = fields.get("scale").and_then(Value::as_u64).and_then(|scale| u32::try_from(scale).ok());
            let scale = scale.filter(|scale| *scale <= Decimal::MOST_BEHIND_POINT);
            let (Some(scale), Some(encoded)) = (scale, fields.get("value").and_then(Value::as_str)) else {
                return Err(unexpected(column));
            };
            decimal(encoded, scale, column, text)?;
        }
        "point" => {
            let coordinate = |name| fields.get(name).and_then(plain).ok_or_else(|| unexpected(column));
            append(text, format_args!("({},{})", coordinate("x")?, coordinate("y")?));
        }
        _ => return Err(unexpected(column)),
    }
    Ok(Written::Text)
}

/// Numbers, booleans and texts as they are.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The name of a type that values other than texts may be of.
fn base_name(column: &ColumnType) -> Result<&str, Unreadable> {
    match column.kind {
        TypeKind::Base => Ok(&column.name),
        TypeKind::Array(_) => Err(no_array(column)),
        TypeKind::Other => Err(unexpected(column)),
    }
}

fn no_array(column: &ColumnType) -> Unreadable {
    Unreadable::new(format!("a value of type {} is no JSON array", column.name))
}

fn append(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _infallible = fmt::Write::write_fmt(text, what);
}

fn unexpected(column: &ColumnType) -> Unreadable {
    Unreadable::new(format!(
        "a value of type {} has a form that Debezium's default handling does not give it",
        column.name
    ))
}

fn bytes(encoded: &str, column: &ColumnType) -> Result<Vec<u8>, Unreadable> {
    STANDARD.decode(encoded).map_err(|_| unexpected(column))
}

fn decimal(encoded: &str, scale: u32, column: &ColumnType, text: &mut String) -> Result<(), Unreadable> {
    // Most have no more than eight bytes, and go without big numbers.
    let mut short = [0; 12];
    let fits = STANDARD.decode_slice(encoded, &mut short).ok().filter(|length| *length <= size_of::<i64>());
    match fits.and_then(|length| short.get(..length)) {
        Some(bytes) => {
            let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
            let start = if negative { -1 } else { 0 };
            let unscaled = bytes.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte));
            small_decimal(unscaled, scale as usize, text);
        }
        None => append(text, format_args!("{}", Decimal::from_unscaled_bytes(&bytes(encoded, column)?, scale))),
    }
    Ok(())
}

fn small_decimal(unscaled: i64, scale: usize, text: &mut String) {
    let sign = if unscaled < 0 { "-" } else { "" };
    // At least a digit in front of the point.
    append(text, format_args!("{sign}{:0>width$}", unscaled.unsigned_abs(), width = scale + 1));
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
}

fn hex(bytes: &[u8], text: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    text.reserve(2 + bytes.len() * 2);
    text.push_str("\\x");
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(digits.filter_map(|digit| DIGITS.get(usize::from(digit))));
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

    fn read(value: &Value, column: &ColumnType) -> Result<(Written, String), Unreadable> {
        let (mut text, json) = (String::new(), value.to_string());
        let written = ValueOf { column, text: &mut text }.deserialize(&mut serde_json::Deserializer::from_str(&json));
        written.unwrap().map(|written| (written, text))
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
            assert_eq!(read(&value, &column), Ok((Written::Text, text.to_owned())), "{}", column.name);
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
            assert_eq!(read(&value, &column), Ok((Written::Unchanged, String::new())), "{}", column.name);
        }
    }

    #[test]
    fn a_value_of_another_form_is_refused_without_being_shown() {
        let error = read(&json!("secret!"), &of("bytea", -1)).unwrap_err().to_string();
        assert!(error.contains("bytea") && !error.contains("secret"), "{error}");
        assert!(read(&json!({"a": 1}), &of("int4", -1)).is_err());
        for (value, column) in [
            (json!({"scale": u32::MAX, "value": "AQ=="}), of("numeric", -1)),
            (json!(i64::MAX), of("date", -1)),
            (json!(i64::MAX), of("time", 3)),
        ] {
            assert!(read(&value, &column).is_err(), "{}", column.name);
        }
    }

    #[test]
    fn a_number_without_a_type_of_its_own_keeps_its_value() {
        for (json, text) in [
            ("1.0E10", "10000000000.0"),
            ("-0", "-0.0"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("12345678901234567890.123", "1.2345678901234567e+19"),
            ("3.4028235E38", "3.4028235e+38"),
        ] {
            let (column, mut text_found) = (of("float8", -1), String::new());
            let value = ValueOf { column: &column, text: &mut text_found };
            value.deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap().unwrap();
            assert_eq!(text_found, text);
            // As it was, and is where a number stands in an array.
            assert_eq!(text_found, serde_json::from_str::<Value>(json).unwrap().to_string());
        }
    }

    proptest::proptest! {
        #[test]
        fn a_small_decimal_is_written_as_a_large_one(bytes: Vec<u8>, scale in 0..40_u32) {
            let mut text = String::new();
            let encoded = STANDARD.encode(&bytes);
            decimal(&encoded, scale, &of("numeric", -1), &mut text).unwrap();
            proptest::prop_assert_eq!(text, Decimal::from_unscaled_bytes(&bytes, scale).to_string());
        }

        #[test]
        fn a_decimal_of_eight_bytes_too(number: i64, scale in 0..40_u32) {
            let (mut text, bytes) = (String::new(), number.to_be_bytes());
            decimal(&STANDARD.encode(bytes), scale, &of("numeric", -1), &mut text).unwrap();
            proptest::prop_assert_eq!(text, Decimal::from_unscaled_bytes(&bytes, scale).to_string());
        }
    }
}
