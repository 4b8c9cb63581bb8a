//! `io.debezium.converters.CloudEventsConverter`: a row's change as a CloudEvent (structured mode, specification 1.0), in
//! JSON or Avro, its data in JSON or Avro (`CloudEventsMaker`, `PostgresCloudEventsMaker`).

use std::sync::Arc;

use proto::connect::avro_names::NameAdjustment;
use proto::connect::json::JsonConverter;
use proto::connect::record::{RecordHeader, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;
use proto::types::datetime::civil;

use super::avro::{AvroConfig, AvroConverter};
use super::settings::Settings;
use super::{json, unconvertible, write_json};
use crate::error::TaskError;

/// The converter's own settings; those of `json.` and `avro.` are those formats'.
pub(super) const SETTINGS: &[&str] = &[
    "serializer.type",
    "data.serializer.type",
    "extension.attributes.enable",
    "opentelemetry.tracing.attributes.enable",
    "schema.name.adjustment.mode",
    "schema.cloudevents.name",
    "schema.data.name.source.header.enable",
    "metadata.source",
];

/// `CloudEventsConverterConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEventsConfig {
    event_in_avro: bool,
    data_in_avro: bool,
    /// `json.*`: of the data, and, without schemas, of the event.
    json: JsonConverter,
    /// `avro.*`, where anything is in Avro.
    avro: Option<AvroConfig>,
    extension_attributes: bool,
    schema_name: Option<String>,
    names: NameAdjustment,
    metadata: MetadataSource,
}

/// `metadata.source`: what is taken from headers instead of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MetadataSource {
    /// Source, operation and transaction.
    everything: bool,
    id: bool,
    type_: bool,
    data_schema_name: bool,
}

impl CloudEventsConfig {
    pub(super) fn parse(settings: &mut Settings<'_>) -> Self {
        let formats = [("json", false), ("avro", true)];
        let event_in_avro = settings.word("serializer.type", &formats, false);
        let data_in_avro = settings.word("data.serializer.type", &formats, false);
        if event_in_avro && !data_in_avro {
            let why = "Cannot use 'application/json' data content type within Avro events";
            settings.refuse("data.serializer.type", "json", why);
        }
        if settings.flag("opentelemetry.tracing.attributes.enable", false) {
            let why = "not supported by this worker (records carry no trace)";
            settings.refuse("opentelemetry.tracing.attributes.enable", "true", why);
        }
        let modes = [
            ("avro", NameAdjustment::Avro),
            ("none", NameAdjustment::None),
            ("avro_unicode", NameAdjustment::AvroUnicode),
        ];
        let names = settings.word("schema.name.adjustment.mode", &modes, NameAdjustment::Avro);
        let json = settings.below("json", json);
        let avro =
            (event_in_avro || data_in_avro).then(|| settings.below("avro", |avro| AvroConfig::parse(avro, false)));
        Self {
            event_in_avro,
            data_in_avro,
            json,
            avro,
            extension_attributes: settings.flag("extension.attributes.enable", true),
            schema_name: settings.text("schema.cloudevents.name").map(str::to_owned),
            names,
            metadata: MetadataSource::parse(settings),
        }
    }
}

impl MetadataSource {
    fn parse(settings: &mut Settings<'_>) -> Self {
        const KEY: &str = "metadata.source";
        let from_header_enabled = settings.flag("schema.data.name.source.header.enable", false);
        let list =
            settings.text(KEY).unwrap_or("value,id:generate,type:generate,traceparent:header,dataSchemaName:generate");
        let mut entries = list.split(',').map(str::trim);
        let everything = match entries.next() {
            Some(global) if global.eq_ignore_ascii_case("header") => true,
            Some(global) if global.eq_ignore_ascii_case("value") => false,
            global => {
                settings.refuse(KEY, global.unwrap_or_default(), "Global metadata source must be value or header");
                false
            }
        };
        let mut read = Self { everything, id: everything, type_: everything, data_schema_name: everything };
        for entry in entries {
            let (field, source) = entry.split_once(':').unwrap_or((entry, ""));
            let from_header = match source.trim() {
                source if source.eq_ignore_ascii_case("header") => true,
                source if source.eq_ignore_ascii_case("generate") => false,
                source => {
                    settings.refuse(KEY, list, &format!("Field source `{source}` is not valid"));
                    continue;
                }
            };
            match field {
                "id" => read.id = from_header,
                "type" => read.type_ = from_header,
                "dataSchemaName" => read.data_schema_name = from_header,
                // Only with tracing attributes.
                "traceparent" => {}
                _ => settings.refuse(KEY, list, &format!("Field `{field}` is not allowed to set custom source")),
            }
        }
        Self { data_schema_name: read.data_schema_name && from_header_enabled, ..read }
    }
}

/// The converter.
#[derive(Debug)]
pub struct CloudEventsConverter {
    config: CloudEventsConfig,
    avro: Option<AvroConverter>,
}

/// What a CloudEvent is made of.
struct Change<'a> {
    source: (&'a Schema, &'a [Value]),
    operation: &'a Value,
    transaction: Option<(&'a Schema, &'a [Value])>,
}

impl CloudEventsConverter {
    pub(super) fn new(config: &CloudEventsConfig) -> Self {
        Self { config: config.clone(), avro: config.avro.as_ref().map(AvroConverter::new) }
    }

    pub(super) async fn convert(
        &self,
        topic: &str,
        data: &SchemaAndValue,
        headers: &[RecordHeader],
        out: &mut Vec<u8>,
    ) -> Result<bool, TaskError> {
        let refuse = |why: String| unconvertible(topic, &why);
        let Some(schema) = data.schema.as_deref() else { return Ok(false) };
        // What is no row's change, a heartbeat for one, has no form as an event and becomes nothing.
        let is_change = if self.config.metadata.everything {
            header(headers, "source").is_some() && header(headers, "op").is_some()
        } else {
            schema.name.as_deref().is_some_and(|name| name.ends_with(".Envelope"))
        };
        if data.value == Value::Null || !is_change {
            return Ok(false);
        }
        let Some((_, values)) = data.as_struct() else { return Err(refuse("Mismatching schema".to_owned())) };
        let change = self.change(data, headers).map_err(refuse)?;
        let payload = self.data(schema, values, headers).map_err(refuse)?;
        let Some(avro) = self.avro.as_ref().filter(|_| self.config.data_in_avro) else {
            if !self.config.json.schemas_enable {
                let event = self.event(&change, headers, None, payload).map_err(refuse)?;
                return write_json(self.config.json, &event, out).map_err(refuse);
            }
            // The event itself has no schema, its data has: the data's place at the end is filled afterwards.
            let empty = SchemaAndValue::new(Schema::structure([]), Value::Struct(Vec::new()));
            let event = self.event(&change, headers, None, empty).map_err(refuse)?;
            write_json(JsonConverter { schemas_enable: false, ..self.config.json }, &event, out).map_err(refuse)?;
            out.truncate(out.len().saturating_sub(b"{}}".len()));
            write_json(self.config.json, &payload, out).map_err(refuse)?;
            out.push(b'}');
            return Ok(true);
        };
        let data_topic = if self.config.event_in_avro { format!("{topic}-data") } else { topic.to_owned() };
        let mut bytes = Vec::new();
        Box::pin(avro.convert(&data_topic, &payload, &mut bytes)).await?;
        let id = bytes.get(1..5).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes).unwrap_or_default();
        let data_schema = format!("{}/schemas/ids/{id}", avro.registry_urls().join(","));
        let bytes = SchemaAndValue::new(Schema::new(SchemaKind::Bytes), Value::Bytes(bytes));
        let event = self.event(&change, headers, Some(data_schema), bytes).map_err(refuse)?;
        if self.config.event_in_avro {
            return Box::pin(avro.convert(topic, &event, out)).await;
        }
        write_json(JsonConverter { schemas_enable: false, ..self.config.json }, &event, out).map_err(refuse)
    }

    fn change<'a>(&self, data: &'a SchemaAndValue, headers: &'a [RecordHeader]) -> Result<Change<'a>, String> {
        let field = |name: &str| {
            if self.config.metadata.everything {
                let value = header(headers, name)?;
                Some((value.schema.as_deref()?, &value.value))
            } else {
                data.field(name)
            }
        };
        let structure = |name: &str| match field(name) {
            Some((schema, Value::Struct(values))) => Some((schema, values.as_slice())),
            _ => None,
        };
        Ok(Change {
            source: structure("source").ok_or("the change has no source")?,
            operation: field("op").ok_or("the change has no op")?.1,
            transaction: structure("transaction"),
        })
    }

    /// Schema and value of the event's data: the row before and after, or, with the metadata in headers, the value.
    fn data(&self, schema: &Schema, values: &[Value], headers: &[RecordHeader]) -> Result<SchemaAndValue, String> {
        let name = if self.config.metadata.data_schema_name {
            text_header(headers, "dataSchemaName")?
        } else {
            "io.debezium.connector.postgresql.Data".to_owned()
        };
        let is_data =
            |field: &Field| self.config.metadata.everything || matches!(field.name.as_str(), "before" | "after");
        let (fields, values): (Vec<Field>, Vec<Value>) = schema
            .fields()
            .iter()
            .zip(values)
            .filter(|(field, _)| is_data(field))
            .map(|(field, value)| (field.clone(), or_default(value, &field.schema).clone()))
            .unzip();
        let schema = Schema { name: Some(name), ..Schema::new(SchemaKind::Struct(fields)) };
        Ok(SchemaAndValue::new(schema, Value::Struct(values)))
    }

    /// The event around its data.
    fn event(
        &self,
        change: &Change<'_>,
        headers: &[RecordHeader],
        data_schema: Option<String>,
        data: SchemaAndValue,
    ) -> Result<SchemaAndValue, String> {
        let (source_schema, source) = change.source;
        let of_source = |name: &str| {
            let index = source_schema.field_index(name).ok_or_else(|| format!("the change's source has no {name}"))?;
            let field = source_schema.fields().get(index).ok_or("a struct without its field")?;
            Ok::<_, String>(or_default(source.get(index).unwrap_or(&Value::Null), &field.schema))
        };
        let (name, connector) = (shown(of_source("name")?), shown(of_source("connector")?));
        let id = if self.config.metadata.id {
            text_header(headers, "id")?
        } else {
            let (lsn, tx_id, sequence) = (of_source("lsn")?, of_source("txId")?, of_source("sequence")?);
            format!("name:{name};lsn:{};txId:{};sequence:{}", shown(lsn), shown(tx_id), shown(sequence))
        };
        let kind = if self.config.metadata.type_ {
            text_header(headers, "type")?
        } else {
            format!("io.debezium.connector.{connector}.DataChangeEvent")
        };
        let content = if self.config.data_in_avro { "application/avro" } else { "application/json" };
        let mut event = Event::default();
        event.text("id", id);
        event.text("source", format!("/debezium/{connector}/{name}"));
        event.text("specversion", "1.0".to_owned());
        event.text("type", kind);
        event.text("time", time(of_source("ts_ms")?)?);
        event.text("datacontenttype", content.to_owned());
        if let Some(data_schema) = data_schema {
            event.text("dataschema", data_schema);
        }
        if self.config.extension_attributes {
            event.push(&extension("op"), Schema::new(SchemaKind::String), change.operation.clone());
            for (field, value) in source_schema.fields().iter().zip(source) {
                let schema = extension_schema(&field.schema)?;
                event.push(&extension(&field.name), schema, extension_value(or_default(value, &field.schema)));
            }
            for name in ["id", "total_order", "data_collection_order"] {
                let value = change.transaction.and_then(|(schema, values)| values.get(schema.field_index(name)?));
                let schema = Schema::new(SchemaKind::String).optional();
                event.push(&extension(&format!("tx{name}")), schema, value.map_or(Value::Null, extension_value));
            }
        }
        let schema = data.schema.map_or_else(|| Schema::new(SchemaKind::Bytes), Arc::unwrap_or_clone);
        event.push("data", schema, data.value);
        let schema_name = match &self.config.schema_name {
            Some(name) => name.clone(),
            None => format!("{name}.{}.CloudEvents.Envelope", shown(of_source("db")?)),
        };
        let schema = Schema {
            name: Some(self.config.names.schema(&schema_name)),
            ..Schema::new(SchemaKind::Struct(event.fields))
        };
        Ok(SchemaAndValue::new(schema, Value::Struct(event.values)))
    }
}

#[derive(Default)]
struct Event {
    fields: Vec<Field>,
    values: Vec<Value>,
}

impl Event {
    fn text(&mut self, name: &str, value: String) {
        self.push(name, Schema::new(SchemaKind::String), Value::String(value));
    }

    fn push(&mut self, name: &str, schema: Schema, value: Value) {
        self.fields.push(Field { name: name.to_owned(), schema });
        self.values.push(value);
    }
}

/// `Struct.get`: the default in place of a null.
fn or_default<'a>(value: &'a Value, schema: &'a Schema) -> &'a Value {
    match value {
        Value::Null => schema.default.as_ref().unwrap_or(value),
        value => value,
    }
}

/// The last header of a name.
fn header<'a>(headers: &'a [RecordHeader], name: &str) -> Option<&'a SchemaAndValue> {
    headers.iter().rev().find(|header| header.key == name).map(|header| &header.value)
}

fn text_header(headers: &[RecordHeader], name: &str) -> Result<String, String> {
    let value = header(headers, name).and_then(|value| value.value.as_str());
    value.map(str::to_owned).ok_or_else(|| format!("Header `{name}` was not provided"))
}

/// Java's text of a source field.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Int64(number) => number.to_string(),
        Value::Int32(number) => number.to_string(),
        _ => "null".to_owned(),
    }
}

/// RFC 3339 in UTC.
fn time(value: &Value) -> Result<String, String> {
    let Value::Int64(milliseconds) = value else { return Err("the change's source has no ts_ms".to_owned()) };
    let (days, of_day) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000))
}

/// `CloudEventsConverter.adjustExtensionName`: letters and digits behind a prefix.
fn extension(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    "iodebezium".chars().chain(letters).collect()
}

/// CloudEvents know booleans, 32-bit numbers and texts; a longer number is a text.
fn extension_schema(schema: &Schema) -> Result<Schema, String> {
    let kind = match &schema.kind {
        SchemaKind::Boolean => SchemaKind::Boolean,
        SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 => SchemaKind::Int32,
        SchemaKind::String | SchemaKind::Int64 => SchemaKind::String,
        kind => {
            let kind = super::primitive::type_name(kind);
            return Err(format!(
                "Source field of type {kind} cannot be converted into CloudEvents extension attribute."
            ));
        }
    };
    Ok(Schema { optional: schema.optional, ..Schema::new(kind) })
}

fn extension_value(value: &Value) -> Value {
    match value {
        Value::Int64(number) => Value::String(number.to_string()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests;
