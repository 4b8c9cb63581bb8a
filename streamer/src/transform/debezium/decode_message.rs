//! `io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent`: the JSON text of a logical message as
//! the row of an insert.

use std::sync::Arc;

use proto::connect::avro_names::NameAdjustment;
use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::struct_of;
use super::json_payload::{Interned, JsonPayloads};
use super::schemas::{or_default, structure};
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::with_default("fields.null.include", Kind::Boolean, "false")];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let payloads = JsonPayloads::new(settings.flag("fields.null.include"), NameAdjustment::None);
    Ok(Box::new(DecodeMessage { payloads, schemas: Interned::default() }))
}

#[derive(Debug)]
struct DecodeMessage {
    payloads: JsonPayloads,
    /// By the content's schema.
    schemas: Interned,
}

/// The value schema of logical messages.
const MESSAGE_VALUE: &str = "io.debezium.connector.postgresql.MessageValue";

impl Transform for DecodeMessage {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let name = record.value.schema.as_ref().and_then(|schema| schema.name.as_deref());
        if name != Some(MESSAGE_VALUE) {
            return Ok(Some(record));
        }
        let (schema, values) = struct_of(&record.value, "Retrieve a record value")?;
        let content = match record.value.field("message") {
            Some((message, Value::Struct(values))) => {
                message.field_index("content").and_then(|index| values.get(index))
            }
            _ => None,
        };
        let Some(Value::Bytes(content)) = content else {
            return Err(TransformError::new("The content of a logical decoding message is non-binary"));
        };
        let content = self.payloads.expand(None, &String::from_utf8_lossy(content)).map_err(|why| {
            TransformError::new(format!("the content of a logical decoding message cannot be read as JSON: {why}"))
        })?;
        let content_schema = content.schema.filter(|schema| matches!(schema.kind, SchemaKind::Struct(_)));
        let content_schema = content_schema
            .ok_or_else(|| TransformError::new("the content of a logical decoding message is no JSON object"))?;
        let rest = || schema.fields().iter().zip(values).filter(|(field, _)| field.name != "message");
        let decoded: Arc<Schema> = self.schemas.under(&content_schema, || {
            let mut fields: Vec<Field> = rest().map(|(field, _)| field.clone()).collect();
            fields.push(Field { name: "after".to_owned(), schema: content_schema.as_ref().clone() });
            let name = Some(format!("{MESSAGE_VALUE}.Envelope"));
            Ok::<_, TransformError>(Schema { name, ..structure(&Schema::new(SchemaKind::Boolean), fields)? })
        })?;
        let value = |(field, value): (&Field, &Value)| match field.name.as_str() {
            // So that the record looks like an insert.
            "op" => Value::String("c".to_owned()),
            _ => or_default(value.clone(), &field.schema),
        };
        let values = rest().map(value).chain(std::iter::once(content.value)).collect();
        record.value = SchemaAndValue::new(decoded, Value::Struct(values));
        // The prefix goes.
        record.key = SchemaAndValue::default();
        Ok(Some(record))
    }
}
