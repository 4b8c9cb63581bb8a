//! `ReplaceField`: leaves fields out, or gives them other names.

use std::collections::HashMap;

use proto::connect::record::{ConnectRecord, SchemaAndValue};
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::REPLACE_NULL_WITH_DEFAULT;
use crate::config::properties::Kind;
use crate::transform::data::{Data, Fields, SchemaCache, Side, basics, field_value, put};
use crate::transform::settings::{Setting, Settings, entries, invalid};
use crate::transform::{Transform, TransformError};

const PURPOSE: &str = "field replacement";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::with_default("exclude", Kind::List, ""),
    Setting::with_default("include", Kind::List, ""),
    Setting::with_default("renames", Kind::List, "")
        .checked(|name, value| renames(name, &entries(value.unwrap_or_default())).map(|_| ())),
    REPLACE_NULL_WITH_DEFAULT,
];

#[derive(Debug)]
struct ReplaceField {
    side: Side,
    exclude: Vec<String>,
    include: Vec<String>,
    renames: HashMap<String, String>,
    originals: HashMap<String, String>,
    defaults: bool,
    schemas: SchemaCache,
}

/// Of its settings.
pub(in crate::transform) fn make(side: Side, settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let list = settings.list("renames");
    let renames = renames("renames", &list.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(Box::new(ReplaceField {
        side,
        exclude: settings.list("exclude"),
        include: settings.list("include"),
        originals: renames.iter().map(|(from, to)| (to.clone(), from.clone())).collect(),
        renames,
        defaults: settings.flag(REPLACE_NULL_WITH_DEFAULT.name),
        schemas: SchemaCache::default(),
    }))
}

/// `from:to` pairs. Java's split leaves out what is empty at the end.
fn renames(name: &str, pairs: &[&str]) -> Result<HashMap<String, String>, String> {
    let pair = |pair: &&str| {
        let parts: Vec<&str> = pair.trim_end_matches(':').split(':').collect();
        match parts.as_slice() {
            [from, to] => Ok(((*from).to_owned(), (*to).to_owned())),
            _ => {
                let list = format!("[{}]", pairs.join(", "));
                Err(invalid(name, list, format_args!("Invalid rename mapping: {pair}")))
            }
        }
    };
    pairs.iter().map(pair).collect()
}

impl ReplaceField {
    fn keeps(&self, name: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|listed| listed == name);
        !has(&self.exclude) && (self.include.is_empty() || has(&self.include))
    }

    fn renamed<'a>(&'a self, name: &'a str) -> &'a str {
        self.renames.get(name).map_or(name, String::as_str)
    }

    fn schema(&self, schema: &Schema) -> Result<Schema, TransformError> {
        let mut fields = Fields::default();
        for field in schema.fields().iter().filter(|field| self.keeps(&field.name)) {
            fields.add(self.renamed(&field.name), field.schema.clone())?;
        }
        Ok(basics(schema, fields.finish()))
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let changed = match Data::from(self.side.take(&mut record)) {
            Data::Null(schema) => SchemaAndValue { schema, value: Value::Null },
            Data::Struct(schema, values) => {
                let mut schemas = std::mem::take(&mut self.schemas);
                let updated = schemas.get(&schema, |schema| self.schema(schema));
                self.schemas = schemas;
                let updated = updated?;
                let value_of = |name: &str| {
                    let original = self.originals.get(name).map_or(name, String::as_str);
                    let index = schema.field_index(original);
                    let found = index.and_then(|index| Some((schema.fields().get(index)?, values.get(index)?)));
                    let (field, value) =
                        found.ok_or_else(|| TransformError::new(format!("{original} is not a valid field name")))?;
                    Ok(field_value(value.clone(), &field.schema, self.defaults))
                };
                let values = updated.fields().iter().map(|field| value_of(&field.name)).collect::<Result<_, _>>()?;
                SchemaAndValue { schema: Some(updated), value: Value::Struct(values) }
            }
            Data::Map(entries) => {
                let mut kept = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    match key.as_str() {
                        Some(name) if self.keeps(name) => put(&mut kept, self.renamed(name), value),
                        _ => {}
                    }
                }
                SchemaAndValue { schema: None, value: Value::Map(kept) }
            }
            other => return Err(other.refused(PURPOSE)),
        };
        *self.side.of_mut(&mut record) = changed;
        Ok(Some(record))
    }
}
