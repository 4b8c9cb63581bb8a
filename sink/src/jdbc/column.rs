//! A field's schema into the form of its values, and into the type of a column that is made for it (`GeneralDatabaseDialect.getSchemaType`,
//! `PostgresDatabaseDialect` and the classes of `io.debezium.connector.jdbc.type`).

use proto::oid::Oid;
use proto::table::{PgType, PgTypeKind};
use proto::types::{BinaryMode, DecimalMode, Form, HstoreMode, IntervalMode, Temporal};
use serde::de::DeserializeSeed as _;

use super::schema::Schema;
use crate::parse::handling::Handling;
use crate::parse::reader::Reader;
use crate::parse::value::{ValueOf, Written};
use crate::postgres::literal;

/// What the source called the column's type, its length and its digits behind the point, where `column.propagate.source.type` is set.
const SOURCE_TYPE: &str = "__debezium.source.column.type";
const SOURCE_LENGTH: &str = "__debezium.source.column.length";
const SOURCE_SCALE: &str = "__debezium.source.column.scale";

/// PostgreSQL's times have no more digits.
const MOST_DIGITS: u32 = 6;

/// `DefaultDecimalPrecision` of Hibernate's PostgreSQL dialect.
const DECIMAL_DIGITS: u32 = 38;

/// A bit string without a length.
const ANY_LENGTH: &str = "2147483647";

/// The form of a field's values in a column of this type.
pub(super) fn form(schema: &Schema, column_type: &str) -> Form {
    let by_name = schema.name.as_deref().and_then(|name| of_name(name, schema, column_type));
    by_name.unwrap_or_else(|| match schema.kind.as_str() {
        "boolean" if matches!(column_type, "bit" | "varbit") => Form::Bit,
        "boolean" => Form::Boolean,
        "int8" | "int16" | "int32" | "int64" | "float" | "float32" | "double" | "float64" => Form::Number,
        "bytes" => Form::Binary(BinaryMode::Bytes),
        "array" => {
            let element = schema.items.as_ref().map_or(Form::Text, |items| form(items, element_of(column_type)));
            Form::Array { element: Box::new(element), delimiter: if column_type == "_box" { ';' } else { ',' } }
        }
        "map" => Form::Hstore(HstoreMode::Map),
        _ => Form::Text,
    })
}

/// The catalog's name of an array's elements' type.
fn element_of(column_type: &str) -> &str {
    column_type.strip_prefix('_').unwrap_or(column_type)
}

fn of_name(name: &str, schema: &Schema, column_type: &str) -> Option<Form> {
    if let Some(time) = name.strip_prefix("io.debezium.time.") {
        return Some(match time {
            "Date" => Form::Date(Temporal::Days),
            "IsoDate" => Form::Date(Temporal::Iso),
            "Time" => Form::Time(Temporal::Milliseconds),
            "MicroTime" => Form::Time(Temporal::Microseconds),
            "NanoTime" => Form::Time(Temporal::Nanoseconds),
            "IsoTime" => Form::Time(Temporal::Iso),
            "Timestamp" => Form::Timestamp(Temporal::Milliseconds),
            "MicroTimestamp" => Form::Timestamp(Temporal::Microseconds),
            "NanoTimestamp" => Form::Timestamp(Temporal::Nanoseconds),
            "IsoTimestamp" => Form::Timestamp(Temporal::Iso),
            "ZonedTime" => Form::ZonedTime,
            "ZonedTimestamp" => Form::ZonedTimestamp,
            "MicroDuration" if column_type == "interval" => Form::Interval(IntervalMode::Numeric),
            "Interval" => Form::Interval(IntervalMode::String),
            _ => return None,
        });
    }
    Some(match name {
        "org.apache.kafka.connect.data.Date" => Form::Date(Temporal::Days),
        "org.apache.kafka.connect.data.Time" => Form::Time(Temporal::Milliseconds),
        "org.apache.kafka.connect.data.Timestamp" => Form::Timestamp(Temporal::Milliseconds),
        "org.apache.kafka.connect.data.Decimal" => {
            let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).unwrap_or_default();
            Form::Decimal { scale: Some(scale), mode: DecimalMode::Precise }
        }
        "io.debezium.data.VariableScaleDecimal" => Form::Decimal { scale: None, mode: DecimalMode::Precise },
        "io.debezium.data.Bits" => {
            let length = schema.parameter("length").filter(|length| *length != ANY_LENGTH);
            // Of a bit string that may have any length, only the column says whether it has one.
            Form::Bits { length: length.and_then(|length| length.parse().ok()).filter(|_| column_type != "varbit") }
        }
        "io.debezium.data.geometry.Point" if column_type == "point" => Form::Point,
        "io.debezium.data.geometry.Point"
        | "io.debezium.data.geometry.Geometry"
        | "io.debezium.data.geometry.Geography" => Form::PostGis,
        "io.debezium.data.DoubleVector" | "io.debezium.data.FloatVector" => Form::Vector,
        "io.debezium.data.SparseDoubleVector" => Form::SparseVector,
        "io.debezium.data.Json" if column_type == "hstore" => Form::Hstore(HstoreMode::Json),
        _ => return None,
    })
}

/// The type of a column that is made for a field.
pub(super) fn type_of(schema: &Schema) -> Result<String, String> {
    if let Some(of) = schema.name.as_deref().and_then(|name| type_of_name(name, schema)) {
        return Ok(of);
    }
    if let Some(of) = schema.parameter(SOURCE_TYPE).and_then(type_of_source) {
        return Ok(of);
    }
    Ok(match schema.kind.as_str() {
        "boolean" if is_one_bit(schema) => "bit".to_owned(),
        "boolean" => "boolean".to_owned(),
        "int8" | "int16" => "smallint".to_owned(),
        "int32" => "integer".to_owned(),
        "int64" => "bigint".to_owned(),
        "float" | "float32" => "real".to_owned(),
        "double" | "float64" => "double precision".to_owned(),
        "string" => text_type(schema),
        "bytes" => "bytea".to_owned(),
        "map" => "hstore".to_owned(),
        "array" => {
            let items = schema.items.as_ref().ok_or("an array whose elements have no schema")?;
            format!("{}[]", type_of(items)?)
        }
        other => {
            let name = schema.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            return Err(format!("a field of type {other}{name}, for which there is no type of PostgreSQL"));
        }
    })
}

fn type_of_name(name: &str, schema: &Schema) -> Option<String> {
    let bits = |length: &str| match schema.parameter(SOURCE_TYPE) {
        _ if length == ANY_LENGTH => "bit varying".to_owned(),
        Some("VARBIT") => format!("bit varying({length})"),
        _ => format!("bit({length})"),
    };
    if let Some(time) = name.strip_prefix("io.debezium.time.") {
        return match time {
            "Date" | "IsoDate" => Some("date".to_owned()),
            "Time" | "MicroTime" | "NanoTime" | "IsoTime" => Some(with_digits("time", "", schema)),
            "Timestamp" | "MicroTimestamp" | "NanoTimestamp" | "IsoTimestamp" => {
                Some(with_digits("timestamp", "", schema))
            }
            "ZonedTime" => Some(with_digits("time", " with time zone", schema)),
            "ZonedTimestamp" => Some(with_digits("timestamp", " with time zone", schema)),
            "MicroDuration" => Some("interval".to_owned()),
            _ => None,
        };
    }
    Some(match name {
        "org.apache.kafka.connect.data.Date" => "date".to_owned(),
        "org.apache.kafka.connect.data.Time" => with_digits("time", "", schema),
        "org.apache.kafka.connect.data.Timestamp" => with_digits("timestamp", "", schema),
        "org.apache.kafka.connect.data.Decimal" => decimal(schema),
        "io.debezium.data.VariableScaleDecimal" => "double precision".to_owned(),
        "io.debezium.data.Bits" => bits(schema.parameter("length")?),
        "io.debezium.data.Json" => json(schema),
        "io.debezium.data.Uuid" => "uuid".to_owned(),
        "io.debezium.data.Xml" => "xml".to_owned(),
        "io.debezium.data.Ltree" => "ltree".to_owned(),
        "io.debezium.data.Tsvector" => "tsvector".to_owned(),
        "io.debezium.data.Enum" => text_type(schema),
        "io.debezium.data.DoubleVector" => "vector".to_owned(),
        "io.debezium.data.FloatVector" => "halfvec".to_owned(),
        "io.debezium.data.SparseDoubleVector" => "sparsevec".to_owned(),
        "io.debezium.data.geometry.Point" => "point".to_owned(),
        "io.debezium.data.geometry.Geometry" => "geometry".to_owned(),
        "io.debezium.data.geometry.Geography" => "geography".to_owned(),
        _ => return None,
    })
}

/// Types that the connector knows by what the source calls them.
fn type_of_source(name: &str) -> Option<String> {
    let known = [
        "MONEY",
        "SMALLSERIAL",
        "SERIAL",
        "BIGSERIAL",
        "INT4RANGE",
        "INT8RANGE",
        "NUMRANGE",
        "TSRANGE",
        "TSTZRANGE",
        "DATERANGE",
        "CIDR",
        "MACADDR",
        "MACADDR8",
        "INET",
        "CITEXT",
        "OID",
        "XML",
    ];
    known.contains(&name).then(|| name.to_ascii_lowercase())
}

fn is_one_bit(schema: &Schema) -> bool {
    matches!(schema.parameter(SOURCE_TYPE), Some("BIT" | "VARBIT"))
}

/// A text, as long as the source says that it is.
fn text_type(schema: &Schema) -> String {
    let length = schema.parameter(SOURCE_LENGTH).and_then(|length| length.parse::<u32>().ok()).unwrap_or_default();
    match (schema.parameter(SOURCE_TYPE).unwrap_or_default(), length) {
        ("CHAR" | "CHARACTER" | "BPCHAR" | "NCHAR", length) => format!("char({})", length.max(1)),
        ("VARCHAR" | "VARCHAR2" | "CHARACTER VARYING" | "NVARCHAR" | "NVARCHAR2", length @ 1..10_485_761) => {
            format!("varchar({length})")
        }
        _ => "text".to_owned(),
    }
}

/// A time with as many digits behind the second as the source's.
fn with_digits(name: &str, zone: &str, schema: &Schema) -> String {
    let digits = schema.parameter(SOURCE_SCALE).or_else(|| schema.parameter(SOURCE_LENGTH));
    let digits = digits.and_then(|digits| digits.parse().ok()).filter(|digits| (1..=MOST_DIGITS).contains(digits));
    format!("{name}({}){zone}", digits.unwrap_or(MOST_DIGITS))
}

fn decimal(schema: &Schema) -> String {
    let number = |name: &str| schema.parameter(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    let scale = number("scale").max(0);
    match number("connect.decimal.precision") {
        // PostgreSQL's own are not cut down to what other databases have.
        precision @ 1.. => format!("numeric({precision},{scale})"),
        _ if scale > 0 => format!("numeric({DECIMAL_DIGITS},{scale})"),
        _ => "numeric".to_owned(),
    }
}

fn json(schema: &Schema) -> String {
    match schema.parameter(SOURCE_TYPE) {
        Some("JSONB") => "jsonb".to_owned(),
        Some("HSTORE") => "hstore".to_owned(),
        _ => "json".to_owned(),
    }
}

/// A column's default as SQL.
pub(super) fn default_of(schema: &Schema) -> Option<String> {
    let default = schema.default.as_ref()?;
    // The connector gives bit strings none.
    let form = match form(schema, "") {
        Form::Number | Form::Boolean => return Some(default.to_string()).filter(|_| !default.is_string()),
        Form::Bits { .. } | Form::Array { .. } => return None,
        form => form,
    };
    let text_type =
        PgType { oid: Oid::from(0), schema: "pg_catalog".to_owned(), name: "text".to_owned(), kind: PgTypeKind::Base };
    let (reader, mut text, json) =
        (Reader::in_column(form, &text_type, &Handling::default()), String::new(), default.to_string());
    let value = ValueOf { reader: &reader, text: &mut text };
    let written = value.deserialize(&mut serde_json::Deserializer::from_str(&json)).ok()?.ok()?;
    (written == Written::Text).then(|| literal(&text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(json: serde_json::Value) -> Schema {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_column_is_made_of_what_the_schema_says() {
        let type_of = |json| type_of(&schema(json)).unwrap();
        assert_eq!(type_of(json!({ "type": "int32" })), "integer");
        assert_eq!(type_of(json!({ "type": "array", "items": { "type": "string" } })), "text[]");
        let decimal = |parameters| {
            type_of(
                json!({ "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": parameters }),
            )
        };
        assert_eq!(decimal(json!({ "scale": "2", "connect.decimal.precision": "10" })), "numeric(10,2)");
        assert_eq!(decimal(json!({ "scale": "2" })), "numeric(38,2)");
        assert_eq!(decimal(json!({ "scale": "0" })), "numeric");
        let source = |of: &str, length: &str| {
            type_of(json!({ "type": "string", "parameters": { SOURCE_TYPE: of, SOURCE_LENGTH: length } }))
        };
        assert_eq!(source("VARCHAR", "20"), "varchar(20)");
        assert_eq!(source("BPCHAR", "3"), "char(3)");
        assert_eq!(source("TEXT", "2147483647"), "text");
        assert_eq!(source("INET", "0"), "inet");
        assert!(super::type_of(&schema(json!({ "type": "struct", "name": "a.B" }))).unwrap_err().contains("a.B"));
    }

    #[test]
    fn a_default_is_sql_and_no_more() {
        let default_of = |json| default_of(&schema(json));
        assert_eq!(default_of(json!({ "type": "int32", "default": 7 })).as_deref(), Some("7"));
        assert_eq!(default_of(json!({ "type": "string", "default": "it's" })).as_deref(), Some("'it''s'"));
        assert_eq!(default_of(json!({ "type": "boolean", "default": true })).as_deref(), Some("true"));
        let date = json!({ "type": "int32", "name": "io.debezium.time.Date", "default": 1 });
        assert_eq!(default_of(date).as_deref(), Some("'1970-01-02'"));
        assert_eq!(default_of(json!({ "type": "string", "default": null })), None);
    }
}
