//! Schemas made from other schemas, kept by what they were made from: a transform runs on every record, its schemas change
//! with the table.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use crate::transform::TransformError;

/// How many are kept; beyond that they are all made anew.
const KEPT: usize = 1024;

/// What was made of a schema, found again by the schema's address. The schema is kept with it, so that the address stays
/// its own.
#[derive(Debug)]
pub(super) struct Made<K, T> {
    made: HashMap<(usize, K), (Arc<Schema>, T)>,
}

impl<K, T> Default for Made<K, T> {
    fn default() -> Self {
        Self { made: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone, T> Made<K, T> {
    /// Something made of `schema` under a key that will do.
    pub(super) fn known(&self, schema: &Arc<Schema>, will_do: impl Fn(&K) -> bool) -> Option<&T> {
        let address = Arc::as_ptr(schema).addr();
        let known = self.made.iter().find(|((of, key), _)| *of == address && will_do(key));
        known.map(|(_, (_, made))| made)
    }

    /// What `make` makes of `schema` under `key`, made once.
    pub(super) fn of(
        &mut self,
        schema: &Arc<Schema>,
        key: &K,
        make: impl FnOnce() -> Result<T, TransformError>,
    ) -> Result<&T, TransformError> {
        let place = (Arc::as_ptr(schema).addr(), key.clone());
        if self.made.len() >= KEPT && !self.made.contains_key(&place) {
            self.made.clear();
        }
        match self.made.entry(place) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(&entry.into_mut().1),
            std::collections::hash_map::Entry::Vacant(entry) => Ok(&entry.insert((schema.clone(), make()?)).1),
        }
    }
}

/// What Connect's `SchemaUtil.copySchemaBasics` keeps: name, version, doc and parameters, but neither default nor
/// optionality. The kind is `kind`.
pub(super) fn basics(schema: &Schema, kind: SchemaKind) -> Schema {
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

/// A struct of `fields` with another's basics.
///
/// # Errors
/// Stop when two fields have one name (`SchemaBuilder.field`).
pub(super) fn structure(like: &Schema, fields: Vec<Field>) -> Result<Schema, TransformError> {
    for (index, field) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|before| before.name == field.name) {
            return Err(TransformError::new(format!(
                "Cannot create field because of field name duplication {}: the transform's result would have it twice; \
                 rename one in the transform's options",
                field.name
            )));
        }
    }
    Ok(basics(like, SchemaKind::Struct(fields)))
}

/// A value as `Struct.get` reads it: the schema's default in a null's place.
pub(super) fn or_default(value: Value, schema: &Schema) -> Value {
    match (value, &schema.default) {
        (Value::Null, Some(default)) => default.clone(),
        (value, _) => value,
    }
}
