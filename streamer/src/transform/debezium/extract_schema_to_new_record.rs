//! `io.debezium.transforms.ExtractSchemaToNewRecord`: the source columns' types beside the row.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::{envelope_value, is_envelope, struct_of};
use super::options::{ADJUSTMENTS, choice};
use super::schemas::{Made, or_default, structure};
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};
use proto::connect::avro_names::NameAdjustment;

/// Its settings: Debezium reads this one without declaring it.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::with_default("schema.name.adjustment.mode", Kind::String, "none")];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let names = choice(settings, "schema.name.adjustment.mode", &ADJUSTMENTS)?;
    Ok(Box::new(ExtractSchemaToNewRecord { names, tables: Made::default() }))
}

#[derive(Debug)]
struct ExtractSchemaToNewRecord {
    names: NameAdjustment,
    tables: Made<(), (Arc<Schema>, Value)>,
}

impl Transform for ExtractSchemaToNewRecord {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if record.value.value == Value::Null || !is_envelope(record.value.schema.as_ref()) {
            return Ok(Some(record));
        }
        let (envelope, values) = struct_of(&record.value, "source schema")?;
        if ["before", "after"].iter().all(|name| envelope_value(envelope, values, name) == Some(&Value::Null)) {
            return Ok(Some(record));
        }
        let names = self.names;
        let (schema, columns) = self.tables.of(envelope, &(), || described(envelope, values, names))?;
        let mut described: Vec<Value> = Vec::with_capacity(values.len() + 1);
        for (field, value) in envelope.fields().iter().zip(values) {
            described.push(or_default(value.clone(), &field.schema));
        }
        described.push(columns.clone());
        record.value = SchemaAndValue::new(schema.clone(), Value::Struct(described));
        Ok(Some(record))
    }
}

/// The envelope with the field `sourceSchema`, and that field's value.
fn described(
    envelope: &Schema,
    values: &[Value],
    names: NameAdjustment,
) -> Result<(Arc<Schema>, Value), TransformError> {
    let unknown = |name: &str| TransformError::new(format!("Unknown field: {name}"));
    let field = |name: &str| envelope.fields().iter().find(|field| field.name == name).ok_or_else(|| unknown(name));
    let source = SchemaAndValue::new(
        field("source")?.schema.clone(),
        envelope_value(envelope, values, "source").cloned().unwrap_or_default(),
    );
    let table = source.field("table").map(|(_, table)| table.clone()).ok_or_else(|| unknown("table"))?;
    let mut columns = Vec::new();
    for column in field("after")?.schema.fields() {
        let parameter = |name: &str| column.schema.parameter(&format!("__debezium.source.column.{name}"));
        let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::String(text.to_owned()));
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).map_or(Value::Null, Value::Int32);
        let (Some(name), Some(type_name)) = (parameter("name"), parameter("type")) else {
            return Err(TransformError::new(
                "Ensure that enable configurations \"column.propagate.source.type\" or \
                 \"datatype.propagate.source.type\" and the value is set to \".*\"",
            ));
        };
        columns.push(Value::Struct(vec![
            text(Some(name)),
            text(Some(type_name)),
            number(parameter("length")),
            number(parameter("scale")),
            text(parameter("comment")),
        ]));
    }
    let mut fields = envelope.fields().to_vec();
    fields.push(Field { name: "sourceSchema".to_owned(), schema: source_schema(names) });
    let schema = Schema { optional: envelope.optional, ..structure(envelope, fields)? };
    Ok((Arc::new(schema), Value::Struct(vec![table, Value::Struct(vec![Value::Array(columns)])])))
}

/// `SchemaFactory.sourceSchemaBlockSchema`.
fn source_schema(names: NameAdjustment) -> Schema {
    let string = || Schema::new(SchemaKind::String);
    let int32 = || Schema::new(SchemaKind::Int32);
    let column = Schema::structure([
        ("name", string()),
        ("typeName", string()),
        ("length", int32().optional()),
        ("scale", int32().optional()),
        ("comment", string().optional()),
    ])
    .named(names.schema("io.debezium.connector.source.schema.Column"), 1);
    let columns = Schema::new(SchemaKind::Array(Box::new(column)));
    let table = Schema::structure([("columns", columns)]).named("io.debezium.connector.source.schema.Table", 1);
    let name = names.schema("io.debezium.connector.source.Schema");
    Schema::structure([("id", string()), ("table", table)]).named(name, 1)
}
