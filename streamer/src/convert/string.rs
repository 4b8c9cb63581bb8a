//! `org.apache.kafka.connect.storage.StringConverter`: Java's `toString` of the value.

use proto::connect::java;
use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;
use proto::types::datetime::civil;

/// `converter.encoding`: the Java character sets that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `UTF-8`.
    #[default]
    Utf8,
    /// `US-ASCII`; what it lacks becomes a question mark.
    Ascii,
    /// `ISO-8859-1`; what it lacks becomes a question mark.
    Latin1,
    /// `UTF-16`: big-endian behind a byte order mark.
    Utf16,
    /// `UTF-16BE`.
    Utf16Be,
    /// `UTF-16LE`.
    Utf16Le,
}

impl Encoding {
    /// By Java's name or alias of it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Some(Self::Utf8),
            "US-ASCII" | "ASCII" | "ISO646-US" => Some(Self::Ascii),
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "ISO_8859-1" | "LATIN1" | "L1" => Some(Self::Latin1),
            "UTF-16" | "UTF16" | "UTF_16" => Some(Self::Utf16),
            "UTF-16BE" | "UTF_16BE" => Some(Self::Utf16Be),
            "UTF-16LE" | "UTF_16LE" => Some(Self::Utf16Le),
            _ => None,
        }
    }

    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let single = |last: char, out: &mut Vec<u8>| {
            out.extend(text.chars().map(|letter| match u8::try_from(letter) {
                Ok(byte) if letter <= last => byte,
                _ => b'?',
            }));
        };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Ascii => single('\u{7f}', out),
            Self::Latin1 => single('\u{ff}', out),
            Self::Utf16 => {
                out.extend_from_slice(&[0xfe, 0xff]);
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
    }
}

/// Appends the value's text; `false` for a null.
pub(super) fn write(data: &SchemaAndValue, encoding: Encoding, out: &mut Vec<u8>) -> bool {
    match &data.value {
        Value::Null => return false,
        Value::String(text) => encoding.encode(text, out),
        value => {
            let mut text = String::new();
            append(value, data.schema.as_deref(), &mut text);
            encoding.encode(&text, out);
        }
    }
    true
}

/// `toString` of the Java object that Connect has for the value.
fn append(value: &Value, schema: Option<&Schema>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int8(value) => out.push_str(&value.to_string()),
        Value::Int16(value) => out.push_str(&value.to_string()),
        Value::Int32(value) => match milliseconds(i64::from(*value), schema) {
            Some(milliseconds) => out.push_str(&date(milliseconds)),
            None => out.push_str(&value.to_string()),
        },
        Value::Int64(value) => match milliseconds(*value, schema) {
            Some(milliseconds) => out.push_str(&date(milliseconds)),
            None => out.push_str(&value.to_string()),
        },
        Value::Float32(value) => out.push_str(&java::float(*value)),
        Value::Float64(value) => out.push_str(&java::double(*value)),
        Value::String(text) => out.push_str(text),
        Value::Bytes(bytes) => match schema.and_then(Schema::decimal_scale) {
            Some(scale) => out.push_str(&java::big_decimal(bytes, scale)),
            // An array says where in memory it was, which nobody can use.
            None if schema.and_then(|schema| schema.name.as_deref()) == Some("io.debezium.data.Bits") => {
                out.push_str("[B@0")
            }
            // A buffer says how long it is and nothing about what it holds.
            None => {
                let length = bytes.len();
                out.push_str(&format!("java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]"));
            }
        },
        Value::Array(elements) => {
            let element_schema = match schema.map(|schema| &schema.kind) {
                Some(SchemaKind::Array(element)) => Some(element.as_ref()),
                _ => None,
            };
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                append(element, element_schema, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let (key_schema, value_schema) = match schema.map(|schema| &schema.kind) {
                Some(SchemaKind::Map(key, value)) => (Some(key.as_ref()), Some(value.as_ref())),
                _ => (None, None),
            };
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                append(key, key_schema, out);
                out.push('=');
                append(value, value_schema, out);
            }
            out.push('}');
        }
        // `Struct.toString` leaves out what is null.
        Value::Struct(values) => {
            let fields = schema.map(Schema::fields).unwrap_or_default();
            out.push_str("Struct{");
            let mut first = true;
            for (field, value) in fields.iter().zip(values).filter(|(_, value)| **value != Value::Null) {
                if !first {
                    out.push(',');
                }
                first = false;
                out.push_str(&field.name);
                out.push('=');
                match value {
                    Value::Bytes(_) if holds_arrays(schema) => out.push_str("[B@0"),
                    value => append(value, Some(&field.schema), out),
                }
            }
            out.push('}');
        }
    }
}

/// Whether a struct's bytes are an array in Debezium, not a buffer: those of its own types are.
fn holds_arrays(schema: Option<&Schema>) -> bool {
    schema.and_then(|schema| schema.name.as_deref()).is_some_and(|name| name.starts_with("io.debezium.data."))
}

const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DAY: i64 = 86_400_000;

/// Whether a schema's values are a `java.util.Date` in Connect.
pub(super) fn is_java_date(schema_name: &str) -> bool {
    matches!(schema_name, DATE | TIME | TIMESTAMP)
}

/// The `java.util.Date` that Connect has for a value, in Unix milliseconds; `None` where it is a plain number.
pub(super) fn milliseconds(value: i64, schema: Option<&Schema>) -> Option<i64> {
    match schema?.name.as_deref()? {
        DATE => Some(value * DAY),
        TIME | TIMESTAMP => Some(value),
        _ => None,
    }
}

/// `java.util.Date.toString` in UTC: `Thu Jan 01 00:00:00 UTC 1970`, in the Julian calendar before 1582-10-15.
fn date(milliseconds: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, of_day) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let (year, month, day) = if days < FIRST_GREGORIAN_DAY { julian(days) } else { civil(days) };
    let name =
        |names: &[&'static str], index: i64| usize::try_from(index).ok().and_then(|index| names.get(index)).copied();
    let weekday = name(&WEEKDAYS, days.rem_euclid(7)).unwrap_or_default();
    let month = name(&MONTHS, month - 1).unwrap_or_default();
    // A year before the first is counted back from it.
    let year = if year > 0 { year } else { 1 - year };
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// 1582-10-15.
const FIRST_GREGORIAN_DAY: i64 = -141_427;

/// Year, month and day in the Julian calendar of a number of days since 1970-01-01.
fn julian(days: i64) -> (i64, i64, i64) {
    // 0000-03-01 of the Julian calendar is day -719 470; four years have 1461 days.
    let days = days + 719_470;
    let (era, of_era) = (days.div_euclid(1461), days.rem_euclid(1461));
    let year_of_era = (of_era - of_era / 1460) / 365;
    let of_year = of_era - 365 * year_of_era;
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 4 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(schema: Schema, value: Value) -> String {
        let mut out = Vec::new();
        assert!(write(&SchemaAndValue::new(schema, value), Encoding::Utf8, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_struct_leaves_out_its_nulls_and_quotes_nothing() {
        let string = Schema::new(SchemaKind::String);
        let inner = Schema::structure([("id", Schema::new(SchemaKind::Int32)), ("n", string.clone().optional())]);
        let array = Schema::new(SchemaKind::Array(Box::new(string.clone().optional())));
        let map = Schema::new(SchemaKind::Map(Box::new(string.clone()), Box::new(string.clone())));
        let decimal = Schema::logical(SchemaKind::Bytes, proto::connect::schema::DECIMAL).with("scale", "2");
        let bytes = Schema::new(SchemaKind::Bytes);
        let schema = Schema::structure([("a", inner), ("l", array), ("m", map), ("d", decimal), ("b", bytes)]);
        let owned = |text: &str| Value::String(text.to_owned());
        let value = Value::Struct(vec![
            Value::Struct(vec![Value::Int32(1), Value::Null]),
            Value::Array(vec![owned("x,\""), Value::Null]),
            Value::Map(vec![(owned("k"), owned("v")), (owned("l"), owned(""))]),
            Value::Bytes(vec![0x30, 0x39]),
            Value::Bytes(vec![1, 2, 3]),
        ]);
        let expected = "Struct{a=Struct{id=1},l=[x,\", null],m={k=v, l=},d=123.45,\
                        b=java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]}";
        assert_eq!(text(schema, value), expected);
    }

    #[test]
    fn bytes_of_debeziums_own_types_are_an_array_of_which_only_a_place_is_shown() {
        let bits = Schema::logical(SchemaKind::Bytes, "io.debezium.data.Bits");
        assert_eq!(text(bits, Value::Bytes(vec![5])), "[B@0");
        let decimal =
            Schema::structure([("scale", Schema::new(SchemaKind::Int32)), ("value", Schema::new(SchemaKind::Bytes))]);
        let value = Value::Struct(vec![Value::Int32(2), Value::Bytes(vec![125])]);
        assert_eq!(
            text(decimal.named("io.debezium.data.VariableScaleDecimal", 1), value),
            "Struct{scale=2,value=[B@0}"
        );
    }

    #[test]
    fn a_date_is_written_as_java_writes_it() {
        let date = |days| text(Schema::logical(SchemaKind::Int32, DATE), Value::Int32(days));
        assert_eq!(date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(date(19_782), "Thu Feb 29 00:00:00 UTC 2024");
        assert_eq!(date(-141_427), "Fri Oct 15 00:00:00 UTC 1582");
        assert_eq!(date(-141_428), "Thu Oct 04 00:00:00 UTC 1582");
        let timestamp = Schema::logical(SchemaKind::Int64, TIMESTAMP);
        assert_eq!(text(timestamp, Value::Int64(-1)), "Wed Dec 31 23:59:59 UTC 1969");
    }

    #[test]
    fn an_encoding_has_a_question_mark_for_what_it_lacks() {
        let encoded = |name: &str| {
            let mut out = Vec::new();
            Encoding::named(name).unwrap().encode("aé€🦀", &mut out);
            out
        };
        assert_eq!(encoded("ascii"), b"a???");
        assert_eq!(encoded("ISO-8859-1"), b"a\xe9??");
        assert_eq!(encoded("UTF-16"), [0xfe, 0xff, 0, b'a', 0, 0xe9, 0x20, 0xac, 0xd8, 0x3e, 0xdd, 0x80]);
        assert_eq!(encoded("utf-16le")[..4], [b'a', 0, 0xe9, 0]);
        assert_eq!(Encoding::named("EBCDIC"), None);
    }
}
