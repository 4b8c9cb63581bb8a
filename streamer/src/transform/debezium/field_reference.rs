//! `add.fields` and `add.headers`: which of the envelope's fields go into the row, under which names
//! (`AbstractExtractNewRecordState.FieldReference`).

use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::Value;

use super::schemas::basics;
use crate::transform::TransformError;

/// A field to take from the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldReference {
    /// The struct that has it, `None` for the envelope itself.
    parent: Option<String>,
    /// Its name there.
    pub(super) field: String,
    /// Its new name.
    pub(super) new_name: String,
}

/// Where in the envelope a referenced field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    parent: Option<usize>,
    /// In the parent, or in the envelope when the parent does not have it.
    field: usize,
    in_parent: bool,
}

impl FieldReference {
    /// The list's references; `prefix` goes before every new name.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub(super) fn list(prefix: &str, list: &str) -> Result<Vec<Self>, String> {
        if list.is_empty() {
            return Ok(Vec::new());
        }
        java_split(list, ',').into_iter().map(|entry| Self::parse(prefix, entry.trim())).collect()
    }

    fn parse(prefix: &str, entry: &str) -> Result<Self, String> {
        let parts = java_split(entry, ':');
        let path = java_split(parts.first().copied().unwrap_or_default(), '.');
        let (parent, field) = match path.as_slice() {
            [] => (Some("source"), ""),
            [field] => (parent_of(field), *field),
            [parent, field, ..] => (Some(*parent), *field),
        };
        let new_name = match parts.as_slice() {
            [_, alias] => (*alias).to_owned(),
            [] | [_] if path.len() > 1 => format!("{}_{field}", parent.unwrap_or_default()),
            [] | [_] => field.to_owned(),
            _ => return Err(format!("Unexpected field name: {entry}")),
        };
        let new_name = format!("{prefix}{new_name}");
        Ok(Self { parent: parent.map(str::to_owned), field: field.to_owned(), new_name })
    }

    /// Its place in an envelope and its schema there; `None` when the envelope does not have it, which is no error.
    ///
    /// # Errors
    /// Stop when the envelope does not have the parent.
    pub(super) fn find<'a>(&self, envelope: &'a Schema) -> Result<Option<(Place, &'a Schema)>, TransformError> {
        let mut place = Place { parent: None, field: 0, in_parent: true };
        let mut holder = envelope;
        if let Some(parent) = &self.parent {
            let known = envelope.field_index(parent).and_then(|index| Some((index, envelope.fields().get(index)?)));
            let Some((index, field)) = known.filter(|(_, field)| matches!(field.schema.kind, SchemaKind::Struct(_)))
            else {
                return Err(TransformError::new(format!(
                    "ExtractNewRecordState cannot add the field {parent}.{}: the records' envelope has no struct {parent}. \
                     Take it out of add.fields and add.headers",
                    self.field
                )));
            };
            place.parent = Some(index);
            holder = &field.schema;
        }
        let found = match holder.field_index(&self.field) {
            Some(index) => Some((index, holder)),
            None => {
                place.in_parent = false;
                envelope.field_index(&self.field).map(|index| (index, envelope))
            }
        };
        let Some((index, holder)) = found else { return Ok(None) };
        place.field = index;
        Ok(holder.fields().get(index).map(|field| (place, &field.schema)))
    }
}

impl Place {
    /// The value there; null where the parent is not there, as `transaction` often is.
    pub(super) fn value(self, envelope: &[Value]) -> Value {
        let holder = match self.parent {
            None => envelope,
            Some(parent) => match envelope.get(parent) {
                Some(Value::Struct(values)) if self.in_parent => values.as_slice(),
                Some(Value::Struct(_)) => envelope,
                _ => return Value::Null,
            },
        };
        holder.get(self.field).cloned().unwrap_or_default()
    }
}

/// The schema that an added field has: optional, without a default, and a struct without its fields.
pub(super) fn added(schema: &Schema) -> Schema {
    let kind = match &schema.kind {
        SchemaKind::Struct(_) => SchemaKind::Struct(Vec::new()),
        kind => kind.clone(),
    };
    basics(schema, kind).optional()
}

fn parent_of(field: &str) -> Option<&'static str> {
    match field {
        "id" | "data_collection_order" | "total_order" => Some("transaction"),
        "op" | "ts_ms" | "ts_us" | "ts_ns" => None,
        "updateDescription" => Some("updateDescription"),
        _ => Some("source"),
    }
}

/// As Java's `String.split`: empty parts at the end do not count.
fn java_split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_struct_and_a_new_name() {
        let reference = |parent: Option<&str>, field: &str, new_name: &str| FieldReference {
            parent: parent.map(str::to_owned),
            field: field.to_owned(),
            new_name: new_name.to_owned(),
        };
        assert_eq!(
            FieldReference::list("__", "op, table,source.ts_ms,transaction.id:tx,id,before.v:old_v").unwrap(),
            [
                reference(None, "op", "__op"),
                reference(Some("source"), "table", "__table"),
                reference(Some("source"), "ts_ms", "__source_ts_ms"),
                reference(Some("transaction"), "id", "__tx"),
                reference(Some("transaction"), "id", "__id"),
                reference(Some("before"), "v", "__old_v"),
            ]
        );
        assert!(FieldReference::list("__", "a:b:c").is_err());
    }
}
