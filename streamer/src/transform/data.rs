//! What transforms do to a record's key or value: `org.apache.kafka.connect.data` and
//! `org.apache.kafka.connect.transforms.util`.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::TransformError;

/// Which half of a record a transform works on: `…$Key` or `…$Value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Side {
    /// The half.
    pub fn of(self, record: &ConnectRecord) -> &SchemaAndValue {
        match self {
            Self::Key => &record.key,
            Self::Value => &record.value,
        }
    }

    /// The half, to be changed.
    pub fn of_mut(self, record: &mut ConnectRecord) -> &mut SchemaAndValue {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }

    /// The half, taken out of the record.
    pub fn take(self, record: &mut ConnectRecord) -> SchemaAndValue {
        std::mem::take(self.of_mut(record))
    }
}

/// A key or value as transforms tell them apart.
#[derive(Debug)]
pub enum Data {
    /// Null, with its schema if it has one.
    Null(Option<Arc<Schema>>),
    /// A struct's values and its schema.
    Struct(Arc<Schema>, Vec<Value>),
    /// A map without a schema.
    Map(Vec<(Value, Value)>),
    /// Anything else.
    Other(SchemaAndValue),
}

impl From<SchemaAndValue> for Data {
    fn from(data: SchemaAndValue) -> Self {
        match (data.schema, data.value) {
            (schema, Value::Null) => Self::Null(schema),
            (Some(schema), Value::Struct(values)) => Self::Struct(schema, values),
            (None, Value::Map(entries)) => Self::Map(entries),
            (schema, value) => Self::Other(SchemaAndValue { schema, value }),
        }
    }
}

impl Data {
    /// That this is neither a struct nor a map, as `Requirements` says it.
    pub fn refused(&self, purpose: &str) -> TransformError {
        let (has_schema, found) = match self {
            Self::Null(schema) => (schema.is_some(), "null"),
            Self::Struct(..) => (true, "org.apache.kafka.connect.data.Struct"),
            Self::Map(_) => (false, "java.util.HashMap"),
            Self::Other(data) => (data.schema.is_some(), java_class(&data.value)),
        };
        TransformError::new(if has_schema {
            format!("Only Struct objects supported for [{purpose}], found: {found}")
        } else {
            format!("Only Map objects supported in absence of schema for [{purpose}], found: {found}")
        })
    }
}

/// The Java class of a value.
pub fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Int8(_) => "java.lang.Byte",
        Value::Int16(_) => "java.lang.Short",
        Value::Int32(_) => "java.lang.Integer",
        Value::Int64(_) => "java.lang.Long",
        Value::Float32(_) => "java.lang.Float",
        Value::Float64(_) => "java.lang.Double",
        Value::String(_) => "java.lang.String",
        Value::Bytes(_) => "java.nio.HeapByteBuffer",
        Value::Array(_) => "java.util.ArrayList",
        Value::Map(_) => "java.util.HashMap",
        Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
    }
}

/// Puts an entry into a map without a schema.
pub fn put(entries: &mut Vec<(Value, Value)>, name: &str, value: Value) {
    match entries.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
        Some((_, old)) => *old = value,
        None => entries.push((Value::String(name.to_owned()), value)),
    }
}

/// An entry of a map without a schema.
pub fn get<'a>(entries: &'a [(Value, Value)], name: &str) -> Option<&'a Value> {
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// A field's value as `Struct.get` gives it: the default in place of a null, unless `defaults` is off.
pub fn field_value(value: Value, schema: &Schema, defaults: bool) -> Value {
    match (&value, &schema.default) {
        (Value::Null, Some(default)) if defaults => default.clone(),
        _ => value,
    }
}

/// All of a struct's values, as [`field_value`] gives them.
pub fn field_values(values: Vec<Value>, schema: &Schema, defaults: bool) -> Vec<Value> {
    values.into_iter().zip(schema.fields()).map(|(value, field)| field_value(value, &field.schema, defaults)).collect()
}

/// A required schema of another kind with the name, version, doc and parameters of this one (`SchemaUtil.copySchemaBasics`).
pub fn basics(schema: &Schema, kind: SchemaKind) -> Schema {
    Schema {
        kind,
        optional: false,
        name: schema.name.clone(),
        version: schema.version,
        doc: schema.doc.clone(),
        parameters: schema.parameters.clone(),
        default: None,
    }
}

/// A struct's schema while it is built: no two fields have the same name (`SchemaBuilder.field`).
#[derive(Debug, Default)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Adds a field.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn add(&mut self, name: &str, schema: Schema) -> Result<(), TransformError> {
        if self.0.iter().any(|field| field.name == name) {
            return Err(TransformError::new(format!("Cannot create field because of field name duplication {name}")));
        }
        self.0.push(Field { name: name.to_owned(), schema });
        Ok(())
    }

    /// The struct's kind.
    pub fn finish(self) -> SchemaKind {
        SchemaKind::Struct(self.0)
    }
}

/// Schemas that were made of others, so that a table's is made once (`LRUCache`).
#[derive(Debug, Default)]
pub struct SchemaCache(Vec<(Arc<Schema>, Arc<Schema>)>);

impl SchemaCache {
    /// As many as Kafka's transforms keep.
    const SIZE: usize = 16;

    /// The schema that was made of this one, or is made now.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get(
        &mut self,
        schema: &Arc<Schema>,
        make: impl FnOnce(&Schema) -> Result<Schema, TransformError>,
    ) -> Result<Arc<Schema>, TransformError> {
        if let Some(index) = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, schema)) {
            let entry = self.0.remove(index);
            let made = entry.1.clone();
            self.0.push(entry);
            return Ok(made);
        }
        let made = Arc::new(make(schema)?);
        if self.0.len() >= Self::SIZE {
            self.0.remove(0);
        }
        self.0.push((schema.clone(), made.clone()));
        Ok(made)
    }
}
