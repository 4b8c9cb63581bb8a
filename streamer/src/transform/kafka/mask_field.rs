//! `MaskField`: nothing, or a fixed text, in place of fields' values.

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::{REPLACE_NULL_WITH_DEFAULT, java_date};
use crate::config::properties::Kind;
use crate::transform::data::{Data, Side, field_value, get, java_class, put};
use crate::transform::java_decimal::BigDecimal;
use crate::transform::settings::{Setting, Settings, not_empty, not_empty_list};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "mask fields";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::required("fields", Kind::List).checked(not_empty_list),
    Setting::optional("replacement", Kind::String).checked(not_empty),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct MaskField {
    side: Side,
    fields: Vec<String>,
    replacement: Option<String>,
    defaults: bool,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(MaskField {
        side,
        fields: settings.list("fields"),
        replacement: settings.text("replacement").map(str::to_owned),
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
    }))
}

impl MaskField {
    fn masked(&self, value: &Value, schema: Option<&Schema>) -> Result<Value, TransformError> {
        match &self.replacement {
            Some(replacement) => replaced(value, schema, replacement),
            None => emptied(value, schema),
        }
    }
}

/// What stands for nothing in a value's type.
fn emptied(value: &Value, schema: Option<&Schema>) -> Result<Value, TransformError> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::String(_) => Value::String(String::new()),
        Value::Bytes(_) if is_decimal(schema) => decimal("0", schema)?,
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        Value::Bytes(_) | Value::Struct(_) => {
            return Err(TransformError::new(format!("Cannot mask value of type: class {}", java_class(value))));
        }
    })
}

/// The replacement in a value's type.
fn replaced(value: &Value, schema: Option<&Schema>, replacement: &str) -> Result<Value, TransformError> {
    let no_number =
        || TransformError::new(format!("Unable to convert {replacement} (class java.lang.String) to number"));
    let unmasked = |class: &str| {
        Err(TransformError::new(format!("Cannot mask value of type class {class} with custom replacement.")))
    };
    if java_date(schema, value).is_some() {
        return unmasked("java.util.Date");
    }
    let number = || BigDecimal::parse(replacement).ok_or_else(no_number);
    // Connect cuts a number that is too large.
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int8(_) => Value::Int8(number()?.low_bits() as i8),
        Value::Int16(_) => Value::Int16(number()?.low_bits() as i16),
        Value::Int32(_) => Value::Int32(number()?.low_bits() as i32),
        Value::Int64(_) => Value::Int64(number()?.low_bits()),
        Value::Float32(_) => Value::Float32(number()?.double() as f32),
        Value::Float64(_) => Value::Float64(number()?.double()),
        Value::String(_) => Value::String(replacement.to_owned()),
        Value::Bytes(_) if is_decimal(schema) => decimal(replacement, schema)?,
        other => return unmasked(java_class(other)),
    })
}

fn is_decimal(schema: Option<&Schema>) -> bool {
    schema.and_then(Schema::decimal_scale).is_some()
}

/// A decimal for a schema, which wants its own number of digits behind the point.
fn decimal(text: &str, schema: Option<&Schema>) -> Result<Value, TransformError> {
    let wanted = schema.and_then(Schema::decimal_scale).unwrap_or_default();
    let number = BigDecimal::parse(text)
        .ok_or_else(|| TransformError::new(format!("Unable to convert {text} (class java.lang.String) to number")))?;
    if number.scale != i64::from(wanted) {
        return Err(TransformError::new(format!(
            "Decimal value has mismatching scale for given Decimal. Schema has scale {wanted}, value has scale {}.",
            number.scale
        )));
    }
    Ok(Value::Bytes(number.unscaled.to_signed_bytes_be()))
}

impl Transform for MaskField {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Struct(schema, values) => {
                let mut masked = Vec::with_capacity(values.len());
                for (value, field) in values.into_iter().zip(schema.fields()) {
                    let value = field_value(value, &field.schema, self.defaults);
                    let is_masked = self.fields.contains(&field.name);
                    masked.push(if is_masked { self.masked(&value, Some(&field.schema))? } else { value });
                }
                SchemaAndValue { schema: Some(schema), value: Value::Struct(masked) }
            }
            Data::Map(mut entries) => {
                for name in &self.fields {
                    let masked = self.masked(get(&entries, name).unwrap_or(&Value::Null), None)?;
                    put(&mut entries, name, masked);
                }
                SchemaAndValue { schema: None, value: Value::Map(entries) }
            }
            other => return Err(other.refused(PURPOSE)),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
