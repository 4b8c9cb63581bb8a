//! `TimestampConverter`: a point in time in another form.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::{DATE, REPLACE_NULL_WITH_DEFAULT, TIME, TIMESTAMP, java_date};
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_value, get, java_class, put};
use crate::transform::java_date::{DAY, DatePattern};
use crate::transform::settings::{Setting, Settings, one_of};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "converting timestamp formats";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::with_default("field", Kind::String, ""),
    Setting::required("target.type", Kind::String)
        .checked(|name, value| one_of(&["string", "unix", "Date", "Time", "Timestamp"], name, value)),
    Setting::with_default("format", Kind::String, ""),
    Setting::with_default("unix.precision", Kind::String, "milliseconds")
        .checked(|name, value| one_of(&["nanoseconds", "microseconds", "milliseconds", "seconds"], name, value)),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct TimestampConverter {
    side: Side,
    field: String,
    convert: Convert,
    defaults: bool,
    schemas: SchemaCache,
}

#[derive(Debug)]
struct Convert {
    target: Target,
    pattern: Option<DatePattern>,
    precision: Precision,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    String,
    Unix,
    Date,
    Time,
    Timestamp,
}

#[derive(Debug, Clone, Copy)]
enum Precision {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let target = match settings.text("target.type") {
        Some("string") => Target::String,
        Some("unix") => Target::Unix,
        Some("Date") => Target::Date,
        Some("Time") => Target::Time,
        _ => Target::Timestamp,
    };
    let text = settings.string("format");
    let pattern = match text.trim() {
        "" if matches!(target, Target::String) => {
            let why = "TimestampConverter requires format option to be specified when using string timestamps";
            return Err(why.to_owned());
        }
        "" => None,
        _ => Some(DatePattern::new(&text).map_err(|_| {
            format!("TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: {text}")
        })?),
    };
    let precision = match settings.text("unix.precision") {
        Some("seconds") => Precision::Seconds,
        Some("microseconds") => Precision::Microseconds,
        Some("nanoseconds") => Precision::Nanoseconds,
        _ => Precision::Milliseconds,
    };
    Ok(Box::new(TimestampConverter {
        side,
        field: settings.string("field"),
        convert: Convert { target, pattern, precision },
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

impl Convert {
    fn schema(&self, optional: bool) -> Schema {
        let schema = match self.target {
            Target::String => Schema::new(SchemaKind::String),
            Target::Unix => Schema::new(SchemaKind::Int64),
            Target::Date => Schema::logical(SchemaKind::Int32, DATE),
            Target::Time => Schema::logical(SchemaKind::Int32, TIME),
            Target::Timestamp => Schema::logical(SchemaKind::Int64, TIMESTAMP),
        };
        Schema { optional, ..schema }
    }

    /// A value of this schema in the wanted form; without a schema its type says what it is.
    fn value(&self, value: &Value, schema: Option<&Schema>) -> Result<Value, TransformError> {
        if let Some(schema) = schema {
            let is_logical = matches!(schema.name.as_deref(), Some(DATE | TIME | TIMESTAMP));
            if !is_logical && !matches!(schema.kind, SchemaKind::String | SchemaKind::Int64) {
                return Err(TransformError::new("the schema does not correspond to a known timestamp type format"));
            }
        }
        let milliseconds = match value {
            Value::Null => return Ok(Value::Null),
            value if java_date(schema, value).is_some() => java_date(schema, value).unwrap_or_default(),
            Value::String(text) => self.parse(text)?,
            Value::Int64(unix) => self.of_unix(*unix),
            other => {
                let class = java_class(other);
                return Err(TransformError::new(format!(
                    "TimestampConverter does not support class {class} objects as timestamps"
                )));
            }
        };
        Ok(match self.target {
            Target::String => {
                Value::String(self.pattern.as_ref().map(|pattern| pattern.format(milliseconds)).unwrap_or_default())
            }
            Target::Unix => Value::Int64(self.to_unix(milliseconds)),
            Target::Date => Value::Int32(fitting(milliseconds.div_euclid(DAY))?),
            Target::Time => Value::Int32(fitting(milliseconds.rem_euclid(DAY))?),
            Target::Timestamp => Value::Int64(milliseconds),
        })
    }

    fn parse(&self, text: &str) -> Result<i64, TransformError> {
        let Some(pattern) = &self.pattern else {
            return Err(TransformError::new(
                "a text is to be read as a timestamp, and there is no format to read it by",
            ));
        };
        if let Some(letter) = pattern.unreadable() {
            return Err(TransformError::new(format!(
                "a text is to be read by a format with the letter {letter}, which this worker does not support"
            )));
        }
        pattern
            .parse(text)
            .ok_or_else(|| TransformError::new("Could not parse timestamp: the value does not match the format"))
    }

    /// As `TimeUnit` converts: what does not divide is cut.
    fn of_unix(&self, unix: i64) -> i64 {
        match self.precision {
            Precision::Seconds => unix.saturating_mul(1000),
            Precision::Milliseconds => unix,
            Precision::Microseconds => unix / 1000,
            Precision::Nanoseconds => unix / 1_000_000,
        }
    }

    fn to_unix(&self, milliseconds: i64) -> i64 {
        match self.precision {
            Precision::Seconds => milliseconds / 1000,
            Precision::Milliseconds => milliseconds,
            Precision::Microseconds => milliseconds.saturating_mul(1000),
            Precision::Nanoseconds => milliseconds.saturating_mul(1_000_000),
        }
    }
}

fn fitting(number: i64) -> Result<i32, TransformError> {
    i32::try_from(number).map_err(|_| TransformError::new("a date is beyond the days that Connect's Date can hold"))
}

impl TimestampConverter {
    fn schema(&mut self, schema: &Arc<Schema>) -> Result<Arc<Schema>, TransformError> {
        let (field, convert) = (self.field.as_str(), &self.convert);
        self.schemas.get(schema, |schema| {
            let mut fields = Fields::default();
            for known in schema.fields() {
                let is_converted = known.name == field;
                fields.add(
                    &known.name,
                    if is_converted { convert.schema(known.schema.optional) } else { known.schema.clone() },
                )?;
            }
            Ok(Schema { optional: schema.optional, ..basics(schema, fields.finish()) })
        })
    }

    fn values(&self, schema: &Schema, values: Vec<Value>) -> Result<Vec<Value>, TransformError> {
        let convert = |(value, field): (Value, &proto::connect::schema::Field)| {
            let value = field_value(value, &field.schema, self.defaults);
            if field.name == self.field { self.convert.value(&value, Some(&field.schema)) } else { Ok(value) }
        };
        values.into_iter().zip(schema.fields()).map(convert).collect()
    }
}

impl Transform for TimestampConverter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let data = self.side.take(&mut record);
        let changed = if self.field.is_empty() {
            let value = self.convert.value(&data.value, data.schema.as_deref())?;
            let schema = match &data.schema {
                Some(schema) => {
                    let convert = &self.convert;
                    Some(self.schemas.get(schema, |schema| Ok(convert.schema(schema.optional)))?)
                }
                None => None,
            };
            SchemaAndValue { schema, value }
        } else {
            match Data::from(data) {
                Data::Null(None) => SchemaAndValue::default(),
                Data::Null(Some(schema)) => SchemaAndValue { schema: Some(self.schema(&schema)?), value: Value::Null },
                Data::Struct(schema, values) => {
                    let updated = self.schema(&schema)?;
                    let values = self.values(&schema, values)?;
                    SchemaAndValue { schema: Some(updated), value: Value::Struct(values) }
                }
                Data::Map(mut entries) => {
                    let value = self.convert.value(get(&entries, &self.field).unwrap_or(&Value::Null), None)?;
                    put(&mut entries, &self.field, value);
                    SchemaAndValue { schema: None, value: Value::Map(entries) }
                }
                other => return Err(other.refused(PURPOSE)),
            }
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
