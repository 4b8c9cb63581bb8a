//! Values that Kafka Connect writes as numbers and bytes, as a person reads them. Only a record with its schema says which they are.

use base64::Engine as _;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, ToSpan as _};
use num_bigint::BigInt;
use serde_json::Value;

/// A row, by its struct's schema.
pub(super) fn row(schema: &Value, row: Value) -> Value {
    let Value::Object(mut columns) = row else { return row };
    for field in fields(schema) {
        let name = field.get("field").and_then(Value::as_str).unwrap_or_default();
        if let Some(value) = columns.get_mut(name)
            && let Some(readable) = value_of(field, value)
        {
            *value = Value::String(readable);
        }
    }
    Value::Object(columns)
}

/// The schema of a struct's field.
pub(super) fn field<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let is_it = |field: &&Value| field.get("field").and_then(Value::as_str) == Some(name);
    fields(schema).find(is_it).unwrap_or(&Value::Null)
}

fn fields(schema: &Value) -> impl Iterator<Item = &Value> {
    schema.get("fields").and_then(Value::as_array).into_iter().flatten()
}

/// `None` for what is readable as it is, and what is out of any range.
fn value_of(schema: &Value, value: &Value) -> Option<String> {
    let name = schema.get("name")?.as_str()?;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let moment =
        |since: SignedDuration| epoch.checked_add(since).ok().map(|moment| moment.to_string().replace('T', " "));
    let time = |since: SignedDuration| Time::midnight().checked_add(since).ok().map(|time| time.to_string());
    let number = || value.as_i64();
    match name.rsplit('.').next()? {
        "Date" => Date::constant(1970, 1, 1)
            .checked_add(i32::try_from(number()?).ok()?.days())
            .ok()
            .map(|day| day.to_string()),
        "Timestamp" => moment(SignedDuration::from_millis(number()?)),
        "MicroTimestamp" => moment(SignedDuration::from_micros(number()?)),
        "NanoTimestamp" => moment(SignedDuration::from_nanos(number()?)),
        "Time" => time(SignedDuration::from_millis(number()?)),
        "MicroTime" => time(SignedDuration::from_micros(number()?)),
        "NanoTime" => time(SignedDuration::from_nanos(number()?)),
        "Decimal" => decimal(value, schema.get("parameters")?.get("scale")?.as_str()?.parse().ok()?),
        "VariableScaleDecimal" => decimal(value.get("value")?, value.get("scale")?.as_u64()?.try_into().ok()?),
        _ => None,
    }
}

/// A number of big-endian bytes in base64, with so many digits behind the point.
fn decimal(unscaled: &Value, scale: usize) -> Option<String> {
    /// No column has more.
    const SCALE: usize = 16_383;
    if scale > SCALE {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(unscaled.as_str()?).ok()?;
    let number = BigInt::from_signed_bytes_be(&bytes);
    let digits = format!("{:0>width$}", number.magnitude().to_string(), width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale)?;
    let sign = if number.sign() == num_bigint::Sign::Minus { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_decimals_are_written_out_where_the_schema_tells_them() {
        for (name, given, shown) in [
            ("io.debezium.time.Date", json!(20_000), Some("2024-10-04")),
            ("io.debezium.time.MicroTimestamp", json!(1_700_000_000_123_456_i64), Some("2023-11-14 22:13:20.123456")),
            ("org.apache.kafka.connect.data.Timestamp", json!(0), Some("1970-01-01 00:00:00")),
            ("io.debezium.time.MicroTime", json!(3_661_000_000_i64), Some("01:01:01")),
            ("io.debezium.time.ZonedTimestamp", json!("2024-01-01T00:00:00Z"), None),
            ("io.debezium.time.Date", json!(null), None),
            ("io.debezium.time.NanoTimestamp", json!("x"), None),
            ("io.debezium.data.VariableScaleDecimal", json!({"scale": 1, "value": "DA=="}), Some("1.2")),
        ] {
            assert_eq!(value_of(&json!({ "name": name }), &given).as_deref(), shown, "{name}");
        }
        let decimal = |scale: &str, bytes: &str| {
            value_of(
                &json!({"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": scale}}),
                &json!(bytes),
            )
        };
        assert_eq!(decimal("2", "B8Y=").as_deref(), Some("19.90"));
        assert_eq!(decimal("2", "/w==").as_deref(), Some("-0.01"));
        assert_eq!(decimal("0", "ZA==").as_deref(), Some("100"));
        assert_eq!(decimal("99999999", "ZA=="), None);
    }

    #[test]
    fn only_columns_of_the_schema_change() {
        let schema = json!({"fields": [{"field": "d", "name": "io.debezium.time.Date"}, {"field": "n"}]});
        assert_eq!(row(&schema, json!({"d": 1, "n": 1, "x": 1})), json!({"d": "1970-01-02", "n": 1, "x": 1}));
        assert_eq!(row(&schema, json!(null)), json!(null));
    }
}
