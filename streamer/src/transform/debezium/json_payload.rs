//! A JSON text as a value with a schema of its own (`io.debezium.transforms.outbox.JsonSchemaData`).

use std::collections::HashMap;
use std::sync::Arc;

use proto::connect::avro_names::NameAdjustment;
use proto::connect::json::JsonConverter;
use proto::connect::record::SchemaAndValue;
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;
use serde::Deserialize;
use serde_json::Value as Json;

/// How many schemas are kept, as by Debezium.
const KEPT: usize = 10_000;

/// Reads JSON texts.
#[derive(Debug)]
pub(super) struct JsonPayloads {
    /// A null is a field of optional bytes instead of no field.
    keeps_nulls: bool,
    names: NameAdjustment,
    schemas: Interned,
}

/// Schemas that were made before, found by their text: so that equal ones are one.
#[derive(Debug, Default)]
pub(super) struct Interned(HashMap<Vec<u8>, Arc<Schema>>);

impl Interned {
    /// What `make` makes for `key`, made once.
    pub(super) fn under<E>(
        &mut self,
        key: &Schema,
        make: impl FnOnce() -> Result<Schema, E>,
    ) -> Result<Arc<Schema>, E> {
        let mut text = Vec::new();
        key.write_json(&JsonConverter::default(), None, &mut text);
        if let Some(known) = self.0.get(&text) {
            return Ok(known.clone());
        }
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        let made = Arc::new(make()?);
        self.0.insert(text, made.clone());
        Ok(made)
    }
}

impl JsonPayloads {
    pub(super) fn new(keeps_nulls: bool, names: NameAdjustment) -> Self {
        Self { keeps_nulls, names, schemas: Interned::default() }
    }

    /// The text's value, its schema under the name `key`. An empty array has no schema, and stays the text that it is.
    ///
    /// # Errors
    /// Why the text has none, without the text.
    pub(super) fn expand(&mut self, key: Option<&str>, text: &str) -> Result<SchemaAndValue, String> {
        if !text.starts_with(['{', '[']) {
            return Err("it begins neither an object nor an array".to_owned());
        }
        // What is behind the first value does not count.
        let json = Json::deserialize(&mut serde_json::Deserializer::from_str(text));
        let json = json.map_err(|error| format!("it is no JSON at line {} column {}", error.line(), error.column()))?;
        let Some(schema) = self.schema(key, &json)? else {
            return Ok(SchemaAndValue { schema: None, value: Value::String(text.to_owned()) });
        };
        if json.is_array() {
            return Err("it is an array".to_owned());
        }
        let value = value(&json, &schema)?;
        let schema = self.schemas.under(&schema, || Ok::<_, String>(schema.clone()))?;
        Ok(SchemaAndValue { schema: Some(schema), value })
    }

    fn schema(&self, key: Option<&str>, json: &Json) -> Result<Option<Schema>, String> {
        let kind = match json {
            Json::Null if self.keeps_nulls => SchemaKind::Bytes,
            Json::Null => return Ok(None),
            Json::Bool(_) => SchemaKind::Boolean,
            Json::String(_) => SchemaKind::String,
            Json::Number(number) => match number.as_i64() {
                Some(number) if i32::try_from(number).is_ok() => SchemaKind::Int32,
                Some(_) => SchemaKind::Int64,
                None => SchemaKind::Float64,
            },
            Json::Array(elements) if elements.is_empty() => return Ok(None),
            Json::Array(elements) => SchemaKind::Array(Box::new(self.element_schema(key, elements)?)),
            Json::Object(members) => {
                let mut fields: Vec<Field> = Vec::new();
                for (name, member) in members {
                    let name = self.names.field(name);
                    let path = match key.filter(|key| !key.trim().is_empty()) {
                        Some(key) => format!("{key}.{name}"),
                        None => name.clone(),
                    };
                    if let Some(schema) = self.schema(Some(&path), member)?
                        && !fields.iter().any(|field| field.name == name)
                    {
                        fields.push(Field { name, schema });
                    }
                }
                let name = key.map(str::to_owned);
                return Ok(Some(Schema { name, ..Schema::new(SchemaKind::Struct(fields)) }.optional()));
            }
        };
        Ok(Some(Schema::new(kind).optional()))
    }

    /// One schema for all elements: they must be of one kind.
    fn element_schema(&self, key: Option<&str>, elements: &[Json]) -> Result<Schema, String> {
        let present: Vec<&Json> = elements.iter().filter(|element| !element.is_null()).collect();
        let sample = present.first().copied().unwrap_or(&Json::Null);
        if present.iter().any(|element| std::mem::discriminant(*element) != std::mem::discriminant(sample)) {
            return Err("an array has elements of different kinds".to_owned());
        }
        if sample.is_object() {
            let mut merged: Option<Schema> = None;
            for element in present {
                let Some(schema) = self.schema(key, element)? else { continue };
                merged = Some(match merged {
                    None => schema,
                    Some(merged) if merged == schema => merged,
                    Some(left) => merge(&left, &schema),
                });
            }
            return merged.ok_or_else(|| "an array has no element".to_owned());
        }
        let schema = self.schema(None, sample)?.ok_or("an array's elements have no schema")?;
        for element in present.iter().filter(|element| element.is_number()) {
            if self.schema(None, element)?.as_ref() != Some(&schema) {
                return Err("an array has numbers of different kinds".to_owned());
            }
        }
        Ok(schema)
    }
}

/// The fields of both; what was only null in one has the other's schema.
fn merge(left: &Schema, right: &Schema) -> Schema {
    let mut fields = left.fields().to_vec();
    for field in right.fields() {
        match fields.iter_mut().find(|known| known.name == field.name) {
            None => fields.push(field.clone()),
            Some(known) if known.schema.kind == SchemaKind::Bytes => known.schema = field.schema.clone(),
            Some(_) => {}
        }
    }
    Schema { optional: false, ..super::schemas::basics(left, SchemaKind::Struct(fields)) }
}

fn value(json: &Json, schema: &Schema) -> Result<Value, String> {
    let value = match (json, &schema.kind) {
        (Json::Null, _) if schema.optional => Value::Null,
        (Json::Bool(value), SchemaKind::Boolean) => Value::Boolean(*value),
        (Json::String(value), SchemaKind::String) => Value::String(value.clone()),
        (Json::Number(number), SchemaKind::Int32) => {
            let narrow = number.as_i64().and_then(|number| i32::try_from(number).ok());
            Value::Int32(narrow.ok_or("a number does not fit the others")?)
        }
        (Json::Number(number), SchemaKind::Int64) => {
            Value::Int64(number.as_i64().ok_or("a number does not fit the others")?)
        }
        (Json::Number(number), SchemaKind::Float64) if number.as_i64().is_none() => {
            Value::Float64(number.as_f64().ok_or("a number is too large")?)
        }
        (Json::Array(elements), SchemaKind::Array(element)) => {
            Value::Array(elements.iter().map(|json| self::value(json, element)).collect::<Result<_, _>>()?)
        }
        (Json::Object(members), SchemaKind::Struct(fields)) => {
            let field = |field: &Field| match members.get(&field.name) {
                Some(member) => self::value(member, &field.schema),
                None => Ok(Value::Null),
            };
            Value::Struct(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        _ => return Err("the elements of an array have fields of different kinds".to_owned()),
    };
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<(String, String), String> {
        let data = JsonPayloads::new(false, NameAdjustment::None).expand(Some("payload"), text)?;
        let schema = data.schema.as_deref();
        let (mut schema_text, mut value_text) = (Vec::new(), Vec::new());
        let converter = JsonConverter::default();
        if let Some(schema) = schema {
            schema.write_json(&converter, None, &mut schema_text);
        }
        data.value.write(schema, &mut converter.writer(&mut value_text));
        Ok((String::from_utf8(schema_text).unwrap(), String::from_utf8(value_text).unwrap()))
    }

    #[test]
    fn an_object_has_the_schema_of_its_members() {
        let (schema, value) = expanded(r#"{"a":1,"b":null,"c":[{"d":5000000000},{"e":1.5}],"f":[]} rest"#).unwrap();
        let element = r#"{"type":"struct","fields":[{"type":"int64","optional":true,"field":"d"},{"type":"double","optional":true,"field":"e"}],"optional":false,"name":"payload.c"}"#;
        let fields = format!(
            r#"{{"type":"int32","optional":true,"field":"a"}},{{"type":"array","items":{element},"optional":true,"field":"c"}}"#
        );
        assert_eq!(schema, format!(r#"{{"type":"struct","fields":[{fields}],"optional":true,"name":"payload"}}"#));
        assert_eq!(value, r#"{"a":1,"c":[{"d":5000000000,"e":null},{"d":null,"e":1.5}]}"#);
    }

    #[test]
    fn what_has_no_one_schema_is_said_to_have_none() {
        for text in [r#"{"a":[1,"x"]}"#, r#"{"a":[1,2.5]}"#, r#"{"a":[null]}"#, "[1]", "text", "{"] {
            assert!(expanded(text).is_err(), "{text}");
        }
        assert_eq!(expanded("[]").unwrap(), (String::new(), r#""[]""#.to_owned()));
    }
}
