//! Converters of one value: `ByteArrayConverter` and `org.apache.kafka.connect.converters.{Boolean,…}Converter`, in the
//! formats of Kafka's serializers.

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

/// Which value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    /// `BooleanConverter`: one byte.
    Boolean,
    /// `ShortConverter`: two bytes, big-endian.
    Short,
    /// `IntegerConverter`: four bytes, big-endian.
    Integer,
    /// `LongConverter`: eight bytes, big-endian.
    Long,
    /// `FloatConverter`: IEEE 754's four bytes.
    Float,
    /// `DoubleConverter`: IEEE 754's eight bytes.
    Double,
    /// `ByteArrayConverter`: the bytes themselves.
    Bytes,
}

impl Primitive {
    /// Appends the value's bytes; `false` for a null.
    ///
    /// # Errors
    /// What the value is instead, in the converter's words.
    pub(super) fn write(self, data: &SchemaAndValue, out: &mut Vec<u8>) -> Result<bool, String> {
        let kind = data.schema.as_deref().map(|schema| &schema.kind);
        match (self, kind) {
            (Self::Boolean, Some(kind)) if *kind != SchemaKind::Boolean => {
                return Err(format!("Invalid schema type for BooleanConverter: {}", type_name(kind)));
            }
            (Self::Bytes, Some(kind)) if *kind != SchemaKind::Bytes => {
                return Err(format!("Invalid schema type for ByteArrayConverter: {}", type_name(kind)));
            }
            _ => {}
        }
        match (self, &data.value) {
            (_, Value::Null) => return Ok(false),
            (Self::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
            (Self::Short, Value::Int16(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Integer, Value::Int32(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Long, Value::Int64(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Float, Value::Float32(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Double, Value::Float64(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Bytes, Value::Bytes(value)) if !is_decimal(data.schema.as_deref()) => out.extend_from_slice(value),
            (Self::Boolean | Self::Bytes, value) => {
                let converter = if self == Self::Boolean { "BooleanConverter" } else { "ByteArrayConverter" };
                let class = java_class(value, data.schema.as_deref());
                return Err(format!("{converter} is not compatible with objects of type class {class}"));
            }
            (_, value) => {
                let class = java_class(value, data.schema.as_deref());
                return Err(format!("Failed to serialize to {} (was class {class}): ", self.java_name()));
            }
        }
        Ok(true)
    }

    fn java_name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "byte array",
        }
    }
}

/// Whether the value is a number with a scale, which is no bytes in Connect.
pub(super) fn is_decimal(schema: Option<&Schema>) -> bool {
    schema.and_then(Schema::decimal_scale).is_some()
}

/// `Schema.Type`'s names.
pub(super) fn type_name(kind: &SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Boolean => "BOOLEAN",
        SchemaKind::Int8 => "INT8",
        SchemaKind::Int16 => "INT16",
        SchemaKind::Int32 => "INT32",
        SchemaKind::Int64 => "INT64",
        SchemaKind::Float32 => "FLOAT32",
        SchemaKind::Float64 => "FLOAT64",
        SchemaKind::String => "STRING",
        SchemaKind::Bytes => "BYTES",
        SchemaKind::Struct(_) => "STRUCT",
        SchemaKind::Array(_) => "ARRAY",
        SchemaKind::Map(..) => "MAP",
    }
}

/// The class that Connect has for a value.
fn java_class(value: &Value, schema: Option<&Schema>) -> &'static str {
    let is_date = schema.and_then(|schema| schema.name.as_deref()).is_some_and(super::string::is_java_date);
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Int8(_) => "java.lang.Byte",
        Value::Int16(_) => "java.lang.Short",
        Value::Int32(_) | Value::Int64(_) if is_date => "java.util.Date",
        Value::Int32(_) => "java.lang.Integer",
        Value::Int64(_) => "java.lang.Long",
        Value::Float32(_) => "java.lang.Float",
        Value::Float64(_) => "java.lang.Double",
        Value::String(_) => "java.lang.String",
        Value::Bytes(_) if is_decimal(schema) => "java.math.BigDecimal",
        Value::Bytes(_) => "java.nio.HeapByteBuffer",
        Value::Array(_) => "java.util.ArrayList",
        Value::Map(_) => "java.util.HashMap",
        Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(primitive: Primitive, data: &SchemaAndValue) -> Result<Option<Vec<u8>>, String> {
        let mut out = Vec::new();
        Ok(primitive.write(data, &mut out)?.then_some(out))
    }

    #[test]
    fn a_number_is_its_bytes_big_endian() {
        for (primitive, value, bytes) in [
            (Primitive::Boolean, Value::Boolean(true), vec![1]),
            (Primitive::Short, Value::Int16(-2), vec![0xff, 0xfe]),
            (Primitive::Integer, Value::Int32(258), vec![0, 0, 1, 2]),
            (Primitive::Long, Value::Int64(-1), vec![0xff; 8]),
            (Primitive::Float, Value::Float32(1.5), vec![0x3f, 0xc0, 0, 0]),
            (Primitive::Double, Value::Float64(-2.0), vec![0xc0, 0, 0, 0, 0, 0, 0, 0]),
            (Primitive::Bytes, Value::Bytes(vec![0, 7]), vec![0, 7]),
        ] {
            assert_eq!(written(primitive, &SchemaAndValue { schema: None, value }), Ok(Some(bytes)));
        }
        assert_eq!(written(Primitive::Long, &SchemaAndValue::default()), Ok(None));
    }

    #[test]
    fn what_is_no_bytes_is_refused_as_connect_words_it() {
        let row = SchemaAndValue::new(Schema::structure([]), Value::Struct(Vec::new()));
        let error = written(Primitive::Bytes, &row).unwrap_err();
        assert_eq!(error, "Invalid schema type for ByteArrayConverter: STRUCT");
        let text = SchemaAndValue { schema: None, value: Value::String("a".to_owned()) };
        let error = written(Primitive::Bytes, &text).unwrap_err();
        assert_eq!(error, "ByteArrayConverter is not compatible with objects of type class java.lang.String");
        let error = written(Primitive::Integer, &text).unwrap_err();
        assert_eq!(error, "Failed to serialize to integer (was class java.lang.String): ");
    }
}
