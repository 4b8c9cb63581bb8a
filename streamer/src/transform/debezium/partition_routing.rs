//! `io.debezium.transforms.partitions.PartitionRouting`: the partition from the values of fields.

use proto::connect::record::ConnectRecord;
use proto::connect::schema::Schema;
use proto::connect::value::Value;

use super::envelope::{envelope_value, is_envelope, struct_of, text_of};
use super::java_hash;
use super::options::required;
use super::schemas::or_default;
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

const FIELDS: &str = "partition.payload.fields";
const PARTITIONS: &str = "partition.topic.num";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional(FIELDS, Kind::List),
    Setting::optional(PARTITIONS, Kind::Int),
    Setting::with_default("partition.hash.function", Kind::String, "java"),
];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let list = required(settings, FIELDS)?;
    let fields = settings.list(FIELDS);
    if fields.iter().any(String::is_empty) {
        return Err(invalid(FIELDS, list, "Empty string element(s) not permitted"));
    }
    let partitions = required(settings, PARTITIONS)?;
    let count = partitions.parse().ok().filter(|count| *count > 0);
    Ok(Box::new(PartitionRouting {
        fields: fields.iter().map(|field| field.split('.').map(|name| name.trim().to_owned()).collect()).collect(),
        partitions: count
            .ok_or_else(|| invalid(PARTITIONS, partitions, "A positive, non-zero integer value is expected"))?,
        // Debezium takes its own function for every other name.
        murmur: settings.string("partition.hash.function").trim().eq_ignore_ascii_case("murmur"),
    }))
}

#[derive(Debug)]
struct PartitionRouting {
    /// Paths into the envelope.
    fields: Vec<Vec<String>>,
    partitions: i32,
    murmur: bool,
}

impl Transform for PartitionRouting {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if record.value.value == Value::Null || !is_envelope(record.value.schema.as_ref()) {
            return Ok(Some(record));
        }
        let (envelope, values) = struct_of(&record.value, "Detect Debezium Operation")?;
        let op = text_of(envelope, values, "op")?;
        if matches!(op, Some("t" | "m")) {
            return Ok(Some(record));
        }
        let image = if op == Some("d") { "before" } else { "after" };
        let mut sum: Option<i32> = None;
        for path in &self.fields {
            let Some((schema, value)) = find(envelope, values, path, image) else { continue };
            let hash =
                if self.murmur { java_hash::murmur(&value, schema) } else { java_hash::hash_code(&value, schema) };
            sum = Some(sum.unwrap_or_default().wrapping_add(hash));
        }
        if let Some(sum) = sum {
            let hash = sum & i32::MAX;
            record.partition = Some(if hash == i32::MAX { 0 } else { hash % self.partitions });
        }
        Ok(Some(record))
    }
}

/// The value at the path, where there is one; `change` stands for the row that the operation is about.
fn find<'a>(schema: &'a Schema, values: &'a [Value], path: &[String], image: &str) -> Option<(&'a Schema, Value)> {
    let (name, rest) = path.split_first()?;
    let name = if name == "change" && !rest.is_empty() { image } else { name };
    let field = &schema.fields().get(schema.field_index(name)?)?.schema;
    let value = envelope_value(schema, values, name)?;
    if rest.is_empty() {
        let value = or_default(value.clone(), field);
        return (value != Value::Null).then_some((field, value));
    }
    match value {
        Value::Struct(values) => find(field, values, rest, image),
        _ => None,
    }
}
