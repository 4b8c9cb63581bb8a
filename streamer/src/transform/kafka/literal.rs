//! A value written as a text (`org.apache.kafka.connect.data.Values.parseString`): a number, a date, a truth value, or else
//! the text itself.

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{DECIMAL, Schema, SchemaKind};
use proto::connect::value::Value;

use super::{DATE, TIME, TIMESTAMP};
use crate::transform::java_date::{DAY, DatePattern};
use crate::transform::java_decimal::BigDecimal;

/// Reads a text.
///
/// # Errors
/// For a list or a map, which Connect reads too.
pub(super) fn parse(text: &str) -> Result<SchemaAndValue, String> {
    let whole = || SchemaAndValue::new(Schema::new(SchemaKind::String), Value::String(text.to_owned()));
    let tokens = tokens(text);
    let Some(first) = tokens.first().copied() else { return Ok(whole()) };
    let token = first.trim();
    if tokens.len() == 1 {
        match token {
            "null" => return Ok(SchemaAndValue::default()),
            "true" | "false" => {
                return Ok(SchemaAndValue::new(Schema::new(SchemaKind::Boolean), Value::Boolean(token == "true")));
            }
            _ => {}
        }
    }
    let is_closed = match token {
        "[" => text.contains(']'),
        "{" => text.contains('}'),
        _ => false,
    };
    if is_closed {
        return Err("lists and maps are not supported".to_owned());
    }
    if token.starts_with(|first: char| first.is_ascii_digit()) {
        // A time has colons, which stand between tokens.
        let several = tokens.get(1..5).map(|behind| format!("{token}{}", behind.concat()));
        if let Some(value) = several.as_deref().and_then(temporal).or_else(|| temporal(token)) {
            return Ok(value);
        }
    }
    // Connect reads the first token's number whatever follows it.
    if token.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-'))
        && let Some(number) = BigDecimal::parse(token)
    {
        return Ok(number_of(&number));
    }
    Ok(whole())
}

/// The text cut before and behind `:`, `,`, brackets and quotes that no backslash escapes.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, character) in text.char_indices() {
        if character == '\\' {
            escaped = !escaped;
            continue;
        }
        if !escaped && matches!(character, ':' | ',' | '{' | '}' | '[' | ']' | '"') {
            tokens.extend(text.get(start..at).filter(|token| !token.is_empty()));
            tokens.extend(text.get(at..=at));
            start = at + 1;
        }
        escaped = false;
    }
    tokens.extend(text.get(start..).filter(|token| !token.is_empty()));
    tokens
}

fn temporal(text: &str) -> Option<SchemaAndValue> {
    let text = text.replace("\\:", ":");
    let read = |pattern: &str| DatePattern::new(pattern).ok()?.parse(&text);
    Some(match text.len() {
        10 => {
            let days = i32::try_from(read("yyyy-MM-dd")?.div_euclid(DAY)).ok()?;
            SchemaAndValue::new(Schema::logical(SchemaKind::Int32, DATE), Value::Int32(days))
        }
        13 => {
            let time = i32::try_from(read("HH:mm:ss.SSS'Z'")?).ok()?;
            SchemaAndValue::new(Schema::logical(SchemaKind::Int32, TIME), Value::Int32(time))
        }
        24 => {
            let time = read("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")?;
            SchemaAndValue::new(Schema::logical(SchemaKind::Int64, TIMESTAMP), Value::Int64(time))
        }
        _ => return None,
    })
}

/// A number in the smallest type that holds it.
fn number_of(number: &BigDecimal) -> SchemaAndValue {
    let of = |kind, value| SchemaAndValue::new(Schema::new(kind), value);
    if let Some((whole, true)) = number.truncated()
        && let Ok(whole) = i64::try_from(whole)
    {
        return if let Ok(whole) = i8::try_from(whole) {
            of(SchemaKind::Int8, Value::Int8(whole))
        } else if let Ok(whole) = i16::try_from(whole) {
            of(SchemaKind::Int16, Value::Int16(whole))
        } else if let Ok(whole) = i32::try_from(whole) {
            of(SchemaKind::Int32, Value::Int32(whole))
        } else {
            of(SchemaKind::Int64, Value::Int64(whole))
        };
    }
    let (float, double) = (number.float(), number.double());
    if float.is_finite() && number.scale != 0 {
        of(SchemaKind::Float32, Value::Float32(float))
    } else if double.is_finite() && number.scale != 0 {
        of(SchemaKind::Float64, Value::Float64(double))
    } else {
        let schema = Schema::logical(SchemaKind::Bytes, DECIMAL).with("scale", number.scale.to_string());
        SchemaAndValue::new(schema, Value::Bytes(number.unscaled.to_signed_bytes_be()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
    }

    #[test]
    fn a_text_is_taken_for_the_smallest_type_that_it_can_be() {
        assert_eq!(value("1"), Value::Int8(1));
        assert_eq!(value("-300"), Value::Int16(-300));
        assert_eq!(value("70000.0"), Value::Int32(70_000));
        assert_eq!(value("5000000000"), Value::Int64(5_000_000_000));
        assert_eq!(value("1.50"), Value::Float32(1.5));
        assert_eq!(value("1e300").as_str(), None);
        assert_eq!(value("true"), Value::Boolean(true));
        assert_eq!(value("null"), Value::Null);
        assert_eq!(value("1970-01-03"), Value::Int32(2));
        assert_eq!(value("00:00:01.000Z"), Value::Int32(1000));
        assert_eq!(value("1970-01-01T00:00:01.000Z"), Value::Int64(1000));
    }

    #[test]
    fn what_is_nothing_else_is_a_text_as_it_stands() {
        for text in ["", "abc", "true}", "[abc", "a:b", " ", "1a", "-", "\"x\""] {
            assert_eq!(value(text), Value::String(text.to_owned()));
        }
        assert_eq!(value("12:a"), Value::Int8(12), "as Connect has it");
        assert!(parse("[1,2]").is_err());
    }
}
