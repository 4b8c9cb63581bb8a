//! `Cast`: fields, or the whole key or value, in another of Connect's simple types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::connect::java;
use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::{MILLISECONDS_A_DAY, REPLACE_NULL_WITH_DEFAULT, java_date};
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_value, get, java_class, put};
use crate::transform::java_date::DatePattern;
use crate::transform::java_decimal::BigDecimal;
use crate::transform::settings::{Setting, Settings, entries, invalid};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "cast types";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::required("spec", Kind::List).checked(|_, value| match entries(value.unwrap_or_default()).as_slice() {
        [] => Err("Must specify at least one field to cast.".to_owned()),
        spec => Casts::parse(spec).map(|_| ()),
    }),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct Cast {
    side: Side,
    casts: Casts,
    defaults: bool,
    schemas: SchemaCache,
}

#[derive(Debug)]
enum Casts {
    Whole(Target),
    Fields(Vec<(String, Target)>),
}

/// The types that can be cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
}

impl Target {
    /// A type of Connect's, whatever the case.
    fn parse(name: &str) -> Result<Self, String> {
        let name = name.trim();
        match name.to_ascii_uppercase().as_str() {
            "INT8" => Ok(Self::Int8),
            "INT16" => Ok(Self::Int16),
            "INT32" => Ok(Self::Int32),
            "INT64" => Ok(Self::Int64),
            "FLOAT32" => Ok(Self::Float32),
            "FLOAT64" => Ok(Self::Float64),
            "BOOLEAN" => Ok(Self::Boolean),
            "STRING" => Ok(Self::String),
            other @ ("BYTES" | "ARRAY" | "MAP" | "STRUCT") => Err(format!(
                "Cast transformation does not support casting to {other}; supported types are [INT8, INT16, INT32, \
                 INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]"
            )),
            other => {
                let why = format!(
                    "java.lang.IllegalArgumentException: No enum constant org.apache.kafka.connect.data.Schema.Type.{other}"
                );
                // So Kafka's exception has it: what is wrong in the key's place.
                Err(format!("Invalid value {why} for configuration Invalid type found in casting spec: {name}"))
            }
        }
    }

    fn schema(self) -> Schema {
        Schema::new(match self {
            Self::Int8 => SchemaKind::Int8,
            Self::Int16 => SchemaKind::Int16,
            Self::Int32 => SchemaKind::Int32,
            Self::Int64 => SchemaKind::Int64,
            Self::Float32 => SchemaKind::Float32,
            Self::Float64 => SchemaKind::Float64,
            Self::Boolean => SchemaKind::Boolean,
            Self::String => SchemaKind::String,
        })
    }
}

impl Casts {
    /// `field:type` pairs, or one type for the whole.
    fn parse(spec: &[&str]) -> Result<Self, String> {
        let mut fields: Vec<(String, Target)> = Vec::new();
        let mut whole = None;
        for cast in spec {
            // Java's split leaves out what is empty at the end.
            match cast.trim_end_matches(':').split(':').collect::<Vec<_>>().as_slice() {
                [target] => whole = Some(Target::parse(target)?),
                [field, target] => {
                    let (field, target) = (field.trim(), Target::parse(target)?);
                    fields.retain(|(known, _)| known != field);
                    fields.push((field.to_owned(), target));
                }
                _ => {
                    let list = format!("[{}]", spec.join(", "));
                    return Err(invalid("renames", list, format_args!("Invalid rename mapping: {cast}")));
                }
            }
        }
        match whole {
            None => Ok(Self::Fields(fields)),
            Some(target) if spec.len() == 1 => Ok(Self::Whole(target)),
            Some(_) => Err("Cast transformations that specify a type to cast the entire value to may only specify a \
                            single cast in their spec"
                .to_owned()),
        }
    }
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let spec = settings.list("spec");
    Ok(Box::new(Cast {
        side,
        casts: Casts::parse(&spec.iter().map(String::as_str).collect::<Vec<_>>())?,
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

impl Casts {
    fn of(&self, field: &str) -> Option<Target> {
        match self {
            Self::Whole(_) => None,
            Self::Fields(fields) => fields.iter().find(|(known, _)| known == field).map(|(_, target)| *target),
        }
    }

    fn schema(&self, schema: &Schema) -> Result<Schema, TransformError> {
        let kind = match self {
            Self::Whole(target) => target.schema().kind,
            Self::Fields(_) => {
                let mut fields = Fields::default();
                for field in schema.fields() {
                    let updated = match self.of(&field.name) {
                        Some(target) => Schema {
                            optional: field.schema.optional,
                            default: field
                                .schema
                                .default
                                .as_ref()
                                .map(|default| cast(default, Some(&field.schema), target))
                                .transpose()?,
                            ..target.schema()
                        },
                        None => field.schema.clone(),
                    };
                    fields.add(&field.name, updated)?;
                }
                fields.finish()
            }
        };
        let default = match (self, &schema.default) {
            (Self::Whole(target), Some(default)) => Some(cast(default, Some(schema), *target)?),
            _ => None,
        };
        Ok(Schema { optional: schema.optional, default, ..basics(schema, kind) })
    }
}

impl Transform for Cast {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let data = self.side.take(&mut record);
        let changed = if data.value == Value::Null {
            data
        } else {
            let casts = &self.casts;
            let updated = match &data.schema {
                Some(schema) => Some(self.schemas.get(schema, |schema| casts.schema(schema))?),
                None => None,
            };
            match (casts, Data::from(data)) {
                (Casts::Whole(target), Data::Other(SchemaAndValue { schema, value })) => {
                    SchemaAndValue { schema: updated, value: cast(&value, schema.as_deref(), *target)? }
                }
                (Casts::Whole(_), Data::Struct(..)) => return Err(unsupported("STRUCT")),
                (Casts::Whole(_), _) => return Err(unsupported("MAP")),
                (Casts::Fields(_), Data::Struct(schema, values)) => {
                    let mut changed = Vec::with_capacity(values.len());
                    for (value, field) in values.into_iter().zip(schema.fields()) {
                        let value = field_value(value, &field.schema, self.defaults);
                        changed.push(match casts.of(&field.name) {
                            Some(target) => cast(&value, Some(&field.schema), target)?,
                            None => value,
                        });
                    }
                    SchemaAndValue { schema: updated, value: Value::Struct(changed) }
                }
                (Casts::Fields(fields), Data::Map(mut entries)) => {
                    for (name, target) in fields {
                        let value = cast(get(&entries, name).unwrap_or(&Value::Null), None, *target)?;
                        put(&mut entries, name, value);
                    }
                    SchemaAndValue { schema: None, value: Value::Map(entries) }
                }
                (Casts::Fields(_), other) => return Err(other.refused(PURPOSE)),
            }
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}

fn unsupported(kind: &str) -> TransformError {
    TransformError::new(format!(
        "Cast transformation does not support casting from {kind}; supported types are [INT8, INT16, INT32, INT64, \
         FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]"
    ))
}

/// What a value is before it is cast.
enum Number<'a> {
    Whole(i64),
    Float(f64),
    Decimal(BigDecimal),
    Text(&'a str),
}

fn cast(value: &Value, schema: Option<&Schema>, target: Target) -> Result<Value, TransformError> {
    if target == Target::String {
        return Ok(text(value, schema)?.map_or(Value::Null, Value::String));
    }
    let number = match value {
        Value::Null => return Ok(Value::Null),
        Value::Boolean(value) => Number::Whole(i64::from(*value)),
        Value::Int8(value) => Number::Whole(i64::from(*value)),
        Value::Int16(value) => Number::Whole(i64::from(*value)),
        Value::Int32(value) => Number::Whole(i64::from(*value)),
        Value::Int64(value) => Number::Whole(*value),
        Value::Float32(value) => Number::Float(f64::from(*value)),
        Value::Float64(value) => Number::Float(*value),
        Value::String(value) => Number::Text(value),
        Value::Bytes(value) => match schema.and_then(Schema::decimal_scale) {
            Some(scale) => Number::Decimal(BigDecimal::of(value, scale)),
            None => {
                let class = java_class(&Value::Bytes(Vec::new()));
                return Err(TransformError::new(format!("Unexpected type in Cast transformation: class {class}")));
            }
        },
        Value::Array(_) => return Err(unsupported("ARRAY")),
        Value::Map(_) => return Err(unsupported("MAP")),
        Value::Struct(_) => return Err(unsupported("STRUCT")),
    };
    let no_number = || TransformError::new("a text was out of range for the requested data type, or no number");
    Ok(match target {
        Target::Int8 => Value::Int8(match &number {
            Number::Text(text) => text.parse().map_err(|_| no_number())?,
            // Java goes over int.
            Number::Float(float) => (*float as i32) as i8,
            other => other.low_bits() as i8,
        }),
        Target::Int16 => Value::Int16(match &number {
            Number::Text(text) => text.parse().map_err(|_| no_number())?,
            Number::Float(float) => (*float as i32) as i16,
            other => other.low_bits() as i16,
        }),
        Target::Int32 => Value::Int32(match &number {
            Number::Text(text) => text.parse().map_err(|_| no_number())?,
            Number::Float(float) => *float as i32,
            other => other.low_bits() as i32,
        }),
        Target::Int64 => Value::Int64(match &number {
            Number::Text(text) => text.parse().map_err(|_| no_number())?,
            other => other.low_bits(),
        }),
        Target::Float32 => Value::Float32(match &number {
            Number::Text(text) => java_float(text).and_then(|text| text.parse().ok()).ok_or_else(no_number)?,
            Number::Whole(whole) => *whole as f32,
            Number::Float(float) => *float as f32,
            Number::Decimal(decimal) => decimal.float(),
        }),
        Target::Float64 => Value::Float64(match &number {
            Number::Text(text) => java_float(text).and_then(|text| text.parse().ok()).ok_or_else(no_number)?,
            Number::Whole(whole) => *whole as f64,
            Number::Float(float) => *float,
            Number::Decimal(decimal) => decimal.double(),
        }),
        Target::Boolean => Value::Boolean(match &number {
            Number::Text(text) => text.eq_ignore_ascii_case("true"),
            other => other.low_bits() != 0,
        }),
        Target::String => Value::Null,
    })
}

impl Number<'_> {
    fn low_bits(&self) -> i64 {
        match self {
            Number::Whole(whole) => *whole,
            Number::Float(float) => *float as i64,
            Number::Decimal(decimal) => decimal.low_bits(),
            Number::Text(_) => 0,
        }
    }
}

/// A text as `Double.parseDouble` reads it, for Rust's parser, which takes other names of infinity.
fn java_float(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return Some(text);
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')).then_some(text)
}

/// A value's text, `None` for null.
fn text(value: &Value, schema: Option<&Schema>) -> Result<Option<String>, TransformError> {
    if let Some(milliseconds) = java_date(schema, value) {
        let pattern = if milliseconds < MILLISECONDS_A_DAY {
            "HH:mm:ss.SSS'Z'"
        } else if milliseconds % MILLISECONDS_A_DAY == 0 {
            "yyyy-MM-dd"
        } else {
            "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
        };
        return DatePattern::new(pattern)
            .map(|pattern| Some(pattern.format(milliseconds)))
            .map_err(TransformError::new);
    }
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Boolean(value) => value.to_string(),
        Value::Int8(value) => value.to_string(),
        Value::Int16(value) => value.to_string(),
        Value::Int32(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float32(value) => java::float(*value),
        Value::Float64(value) => java::double(*value),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => match schema.and_then(Schema::decimal_scale) {
            Some(scale) => java::big_decimal(value, scale),
            None => STANDARD.encode(value),
        },
        Value::Array(_) => return Err(unsupported("ARRAY")),
        Value::Map(_) => return Err(unsupported("MAP")),
        Value::Struct(_) => return Err(unsupported("STRUCT")),
    }))
}
