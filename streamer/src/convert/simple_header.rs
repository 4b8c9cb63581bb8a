//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`: `Values.convertToString` of the value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::connect::java;
use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;
use proto::types::datetime::civil;

use super::string::milliseconds;

/// Appends the header's text; `false` for a null.
pub(super) fn write(data: &SchemaAndValue, out: &mut Vec<u8>) -> bool {
    if data.value == Value::Null {
        return false;
    }
    append(&data.value, data.schema.as_deref(), false, out);
    true
}

/// `Values.append`: what stands inside of something else is quoted.
fn append(value: &Value, schema: Option<&Schema>, embedded: bool, out: &mut Vec<u8>) {
    let quoted = |text: &str, out: &mut Vec<u8>| {
        if embedded {
            out.push(b'"');
            out.extend_from_slice(text.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    };
    match value {
        // `Struct.get` gives the default in place of a null.
        Value::Null => match schema.and_then(|schema| schema.default.as_ref()) {
            Some(default) => append(default, schema, embedded, out),
            None => out.extend_from_slice(b"null"),
        },
        Value::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int8(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int16(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int32(value) => integer(i64::from(*value), schema, out),
        Value::Int64(value) => integer(*value, schema, out),
        Value::Float32(value) => out.extend_from_slice(java::float(*value).as_bytes()),
        Value::Float64(value) => out.extend_from_slice(java::double(*value).as_bytes()),
        Value::String(text) => quoted(text, out),
        Value::Bytes(bytes) => match schema.and_then(Schema::decimal_scale) {
            Some(scale) => out.extend_from_slice(java::big_decimal(bytes, scale).as_bytes()),
            None => quoted(&STANDARD.encode(bytes), out),
        },
        Value::Array(elements) => {
            let element_schema = match schema.map(|schema| &schema.kind) {
                Some(SchemaKind::Array(element)) => Some(element.as_ref()),
                _ => None,
            };
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                comma(index, out);
                append(element, element_schema, true, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let (key_schema, value_schema) = match schema.map(|schema| &schema.kind) {
                Some(SchemaKind::Map(key, value)) => (Some(key.as_ref()), Some(value.as_ref())),
                _ => (None, None),
            };
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                comma(index, out);
                append(key, key_schema, true, out);
                out.push(b':');
                append(value, value_schema, true, out);
            }
            out.push(b'}');
        }
        Value::Struct(values) => {
            let fields = schema.map(Schema::fields).unwrap_or_default();
            out.push(b'{');
            for (index, (field, value)) in fields.iter().zip(values).enumerate() {
                comma(index, out);
                append(&Value::String(field.name.clone()), None, true, out);
                out.push(b':');
                append(value, Some(&field.schema), true, out);
            }
            out.push(b'}');
        }
    }
}

/// A whole number, or the date or time that it stands for.
fn integer(value: i64, schema: Option<&Schema>, out: &mut Vec<u8>) {
    let text = milliseconds(value, schema).map_or_else(|| value.to_string(), date);
    out.extend_from_slice(text.as_bytes());
}

/// `Values.dateFormatFor`: what is before 1970-01-02 is taken for a time of day, a midnight for a date.
fn date(milliseconds: i64) -> String {
    const DAY: i64 = 86_400_000;
    let of_day = milliseconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000);
    if milliseconds < DAY {
        return time;
    }
    let (year, month, day) = civil(milliseconds.div_euclid(DAY));
    if of_day == 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{year:04}-{month:02}-{day:02}T{time}") }
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_as_it_is_and_quoted_inside_a_struct() {
        let mut out = Vec::new();
        assert!(write(&SchemaAndValue { schema: None, value: Value::String("a\"🦀".to_owned()) }, &mut out));
        assert_eq!(out, "a\"🦀".as_bytes());
        let schema = Schema::structure([("a", Schema::new(SchemaKind::String)), ("b", Schema::new(SchemaKind::Int32))]);
        let value = Value::Struct(vec![Value::String("k\"🦀".to_owned()), Value::Int32(3)]);
        out.clear();
        assert!(write(&SchemaAndValue::new(schema, value), &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":\"k\\\"🦀\",\"b\":3}");
    }

    #[test]
    fn a_date_before_the_second_of_january_1970_is_a_time() {
        let header = |kind, name, value| {
            let mut out = Vec::new();
            assert!(write(&SchemaAndValue::new(Schema::logical(kind, name), value), &mut out));
            String::from_utf8(out).unwrap()
        };
        let date = |days| header(SchemaKind::Int32, "org.apache.kafka.connect.data.Date", Value::Int32(days));
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(-1), "00:00:00.000Z");
        let timestamp =
            |value| header(SchemaKind::Int64, "org.apache.kafka.connect.data.Timestamp", Value::Int64(value));
        assert_eq!(timestamp(1_709_211_661_005), "2024-02-29T13:01:01.005Z");
    }
}
