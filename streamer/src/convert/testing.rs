//! Records for the tests of the formats.

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;
use serde_json::Value as Json;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A record as `JsonConverter` with schemas writes it.
pub(super) fn connect(text: &str) -> SchemaAndValue {
    let json: Json = serde_json::from_str(text).unwrap();
    let schema = schema(&json["schema"]);
    let value = value(&json["payload"], &schema);
    SchemaAndValue::new(schema, value)
}

fn schema(json: &Json) -> Schema {
    let kind = match json["type"].as_str().unwrap() {
        "boolean" => SchemaKind::Boolean,
        "int8" => SchemaKind::Int8,
        "int16" => SchemaKind::Int16,
        "int32" => SchemaKind::Int32,
        "int64" => SchemaKind::Int64,
        "float" => SchemaKind::Float32,
        "double" => SchemaKind::Float64,
        "string" => SchemaKind::String,
        "bytes" => SchemaKind::Bytes,
        "array" => SchemaKind::Array(Box::new(schema(&json["items"]))),
        "map" => SchemaKind::Map(Box::new(schema(&json["keys"])), Box::new(schema(&json["values"]))),
        "struct" => {
            let field = |json: &Json| Field { name: json["field"].as_str().unwrap().to_owned(), schema: schema(json) };
            SchemaKind::Struct(json["fields"].as_array().unwrap().iter().map(field).collect())
        }
        other => panic!("{other}"),
    };
    let mut schema = Schema::new(kind);
    schema.optional = json["optional"].as_bool().unwrap();
    schema.name = json["name"].as_str().map(str::to_owned);
    schema.version = json["version"].as_i64().map(|version| i32::try_from(version).unwrap());
    schema.doc = json["doc"].as_str().map(|doc| doc.to_owned().into());
    for (name, value) in json["parameters"].as_object().into_iter().flatten() {
        schema = schema.with(name.clone(), value.as_str().unwrap());
    }
    if !json["default"].is_null() {
        schema.default = Some(value(&json["default"], &schema));
    }
    schema
}

fn value(json: &Json, schema: &Schema) -> Value {
    if json.is_null() {
        return Value::Null;
    }
    match &schema.kind {
        SchemaKind::Boolean => Value::Boolean(json.as_bool().unwrap()),
        SchemaKind::Int8 => Value::Int8(json.as_i64().unwrap().try_into().unwrap()),
        SchemaKind::Int16 => Value::Int16(json.as_i64().unwrap().try_into().unwrap()),
        SchemaKind::Int32 => Value::Int32(json.as_i64().unwrap().try_into().unwrap()),
        SchemaKind::Int64 => Value::Int64(json.as_i64().unwrap()),
        SchemaKind::Float32 => Value::Float32(json.as_f64().unwrap() as f32),
        SchemaKind::Float64 => Value::Float64(json.as_f64().unwrap()),
        SchemaKind::String => Value::String(json.as_str().unwrap().to_owned()),
        SchemaKind::Bytes => Value::Bytes(STANDARD.decode(json.as_str().unwrap()).unwrap()),
        SchemaKind::Array(element) => {
            Value::Array(json.as_array().unwrap().iter().map(|json| value(json, element)).collect())
        }
        SchemaKind::Map(key, map_value) => match json {
            Json::Object(entries) => {
                let entry = |(key, json): (&String, &Json)| (Value::String(key.clone()), value(json, map_value));
                Value::Map(entries.iter().map(entry).collect())
            }
            _ => {
                let entry = |json: &Json| (value(&json[0], key), value(&json[1], map_value));
                Value::Map(json.as_array().unwrap().iter().map(entry).collect())
            }
        },
        SchemaKind::Struct(fields) => {
            Value::Struct(fields.iter().map(|field| value(&json[&field.name], &field.schema)).collect())
        }
    }
}
