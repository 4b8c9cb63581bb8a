//! `io.debezium.transforms.ExtractNewRecordState`: the row out of its envelope.

use std::sync::Arc;

use proto::connect::record::{ConnectRecord, RecordHeader, SchemaAndValue};
use proto::connect::schema::{Field, Schema, SchemaKind};
use proto::connect::value::Value;

use super::envelope::{is_envelope, named, struct_of, text_of};
use super::field_reference::{FieldReference, Place, added};
use super::options::{choice, filled};
use super::schemas::{Made, or_default, structure};
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

/// The field that `rewrite` says with whether the row is gone.
const DELETED: &str = "__deleted";

/// `delete.tombstone.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletes {
    Drop,
    Tombstone,
    Rewrite,
    RewriteWithTombstone,
    DeleteToTombstone,
}

impl Deletes {
    const NAMES: [(&'static str, Self); 5] = [
        ("drop", Self::Drop),
        ("tombstone", Self::Tombstone),
        ("rewrite", Self::Rewrite),
        ("rewrite-with-tombstone", Self::RewriteWithTombstone),
        ("delete-to-tombstone", Self::DeleteToTombstone),
    ];

    fn rewrites(self) -> bool {
        matches!(self, Self::Rewrite | Self::RewriteWithTombstone)
    }
}

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::with_default("delete.tombstone.handling.mode", Kind::String, "tombstone"),
    Setting::with_default("route.by.field", Kind::String, ""),
    Setting::with_default("add.fields.prefix", Kind::String, "__"),
    Setting::with_default("add.fields", Kind::List, ""),
    Setting::with_default("add.headers.prefix", Kind::String, "__"),
    Setting::with_default("add.headers", Kind::List, ""),
    Setting::optional("drop.fields.header.name", Kind::String),
    Setting::with_default("drop.fields.from.key", Kind::Boolean, "false"),
    Setting::with_default("drop.fields.keep.schema.compatible", Kind::Boolean, "true"),
    // Debezium reads it without declaring it.
    Setting::with_default("replace.null.with.default", Kind::Boolean, "true"),
];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    for removed in ["delete.handling.mode", "drop.tombstones"] {
        if settings.text(removed).is_some() {
            tracing::warn!(
                "{removed} of ExtractNewRecordState has no effect, as in Debezium 3.4: set delete.tombstone.handling.mode"
            );
        }
    }
    let references = |name: &str, prefix: &str| {
        let list = settings.string(name);
        FieldReference::list(&settings.string(prefix), &list).map_err(|why| invalid(name, &list, why))
    };
    Ok(Box::new(ExtractNewRecordState {
        deletes: choice(settings, "delete.tombstone.handling.mode", &Deletes::NAMES)?,
        add_fields: references("add.fields", "add.fields.prefix")?,
        add_headers: references("add.headers", "add.headers.prefix")?,
        route_by_field: filled(settings, "route.by.field"),
        replace_null_with_default: settings.flag("replace.null.with.default"),
        drop_header: filled(settings, "drop.fields.header.name"),
        drop_from_key: settings.flag("drop.fields.from.key"),
        drop_only_optional: settings.flag("drop.fields.keep.schema.compatible"),
        rows: Made::default(),
        headers: Made::default(),
        dropped: Made::default(),
    }))
}

#[derive(Debug)]
struct ExtractNewRecordState {
    deletes: Deletes,
    add_fields: Vec<FieldReference>,
    add_headers: Vec<FieldReference>,
    route_by_field: Option<String>,
    replace_null_with_default: bool,
    drop_header: Option<String>,
    drop_from_key: bool,
    drop_only_optional: bool,
    rows: Made<Image, Row>,
    headers: Made<(), Vec<AddedHeader>>,
    dropped: Made<Vec<String>, Arc<Schema>>,
}

/// Which of the envelope's two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Image {
    Before,
    After,
}

/// How one image of an envelope becomes a record's value.
#[derive(Debug)]
struct Row {
    schema: Arc<Schema>,
    added: Vec<Place>,
    /// How many fields are the table's and not added.
    width: usize,
}

#[derive(Debug)]
struct AddedHeader {
    name: String,
    place: Place,
    schema: Arc<Schema>,
}

impl Transform for ExtractNewRecordState {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let is_tombstone = record.value.value == Value::Null;
        let is_envelope = is_envelope(record.value.schema.as_ref());
        if is_tombstone {
            self.add_tombstone_headers(&mut record);
            return Ok((self.deletes == Deletes::RewriteWithTombstone).then_some(record));
        }
        if !is_envelope {
            return Ok(Some(record));
        }
        let value = std::mem::take(&mut record.value);
        let (envelope, values) = struct_of(&value, "source field insertion")?;
        self.add_headers(envelope, values, &mut record)?;
        let image = |name: &str| {
            let unknown = || TransformError::new(format!("Unknown field: {name}: {} is no envelope", named(envelope)));
            values.get(envelope.field_index(name).ok_or_else(unknown)?).ok_or_else(unknown)
        };
        if *image("after")? != Value::Null {
            return self.row(record, envelope, values, Image::After).map(Some);
        }
        if *image("before")? == Value::Null {
            // A truncate.
            return Ok(None);
        }
        self.delete(record, envelope, values)
    }
}

impl ExtractNewRecordState {
    fn delete(
        &mut self,
        mut record: ConnectRecord,
        envelope: &Arc<Schema>,
        values: &[Value],
    ) -> Result<Option<ConnectRecord>, TransformError> {
        match self.deletes {
            Deletes::Drop => return Ok(None),
            Deletes::Rewrite | Deletes::RewriteWithTombstone => {
                return self.row(record, envelope, values, Image::Before).map(Some);
            }
            // Null under the row's schema: with schemas.enable the schema is still there to read.
            Deletes::Tombstone => {
                record.value = SchemaAndValue::new(image_schema(envelope, Image::After)?, Value::Null)
            }
            Deletes::DeleteToTombstone => {}
        }
        self.route(&mut record, envelope, values, Image::Before)?;
        self.drop_fields(&mut record, Image::Before)?;
        Ok(Some(record))
    }

    /// The row of `image` as the record's value, with what is added to it.
    fn row(
        &mut self,
        mut record: ConnectRecord,
        envelope: &Arc<Schema>,
        values: &[Value],
        image: Image,
    ) -> Result<ConnectRecord, TransformError> {
        self.route(&mut record, envelope, values, image)?;
        let (deletes, add_fields) = (self.deletes, &self.add_fields);
        let row = self.rows.of(envelope, &image, || Row::make(envelope, image, deletes, add_fields))?;
        let image_values = image.of(envelope, values);
        let mut fields = Vec::with_capacity(row.schema.fields().len());
        for (field, value) in row.schema.fields().iter().zip(image_values).take(row.width) {
            let replaces = deletes.rewrites() && self.replace_null_with_default;
            fields.push(if replaces { or_default(value.clone(), &field.schema) } else { value.clone() });
        }
        if deletes.rewrites() {
            fields.push(Value::String((image == Image::Before).to_string()));
        }
        for place in &row.added {
            let value = place.value(values);
            if matches!(value, Value::Struct(_)) {
                return Err(TransformError::new(
                    "Struct schemas do not match: add.fields of ExtractNewRecordState takes single values, and one of its \
                     fields is a struct. Take that field out of add.fields",
                ));
            }
            fields.push(value);
        }
        record.value = SchemaAndValue::new(row.schema.clone(), Value::Struct(fields));
        self.drop_fields(&mut record, image)?;
        Ok(record)
    }

    fn route(
        &self,
        record: &mut ConnectRecord,
        envelope: &Schema,
        values: &[Value],
        image: Image,
    ) -> Result<(), TransformError> {
        let Some(field) = &self.route_by_field else { return Ok(()) };
        let row = envelope.fields().get(envelope.field_index(image.name()).unwrap_or_default());
        let Some(row) = row else { return Ok(()) };
        let topic = text_of(&row.schema, image.of(envelope, values), field)?;
        if let Some(topic) = topic.filter(|topic| !topic.trim().is_empty()) {
            record.topic = topic.to_owned();
        }
        Ok(())
    }

    /// A tombstone says no more than that the row is gone.
    fn add_tombstone_headers(&self, record: &mut ConnectRecord) {
        for reference in self.add_headers.iter().filter(|reference| reference.field == "op") {
            let value = SchemaAndValue::new(Schema::new(SchemaKind::String), Value::String("d".to_owned()));
            record.headers.push(RecordHeader { key: reference.new_name.clone(), value });
        }
    }

    fn add_headers(
        &mut self,
        envelope: &Arc<Schema>,
        values: &[Value],
        record: &mut ConnectRecord,
    ) -> Result<(), TransformError> {
        if self.add_headers.is_empty() {
            return Ok(());
        }
        let references = &self.add_headers;
        for header in self.headers.of(envelope, &(), || added_headers(references, envelope))? {
            let value = SchemaAndValue::new(header.schema.clone(), header.place.value(values));
            record.headers.push(RecordHeader { key: header.name.clone(), value });
        }
        Ok(())
    }

    /// Leaves out the fields that the record's own header lists (`drop.fields.*`).
    fn drop_fields(&mut self, record: &mut ConnectRecord, image: Image) -> Result<(), TransformError> {
        let Some(header) = &self.drop_header else { return Ok(()) };
        let Some(header) = record.headers.iter().find(|known| known.key == *header) else { return Ok(()) };
        let mut names: Vec<String> = match &header.value.value {
            Value::Null => return Ok(()),
            Value::Array(names) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            _ => {
                return Err(TransformError::new(format!(
                    "its header {} (drop.fields.header.name) is not a list of field names",
                    header.key
                )));
            }
        };
        if names.is_empty() {
            return Ok(());
        }
        if self.drop_from_key {
            without(&mut self.dropped, &mut record.key, &names, self.drop_only_optional)?;
        }
        if image == Image::Before {
            // Of a deleted row Debezium drops first and adds then.
            names.retain(|name| !self.add_fields.iter().any(|added| added.new_name == *name));
        }
        without(&mut self.dropped, &mut record.value, &names, self.drop_only_optional)
    }
}

impl Image {
    const fn name(self) -> &'static str {
        match self {
            Image::Before => "before",
            Image::After => "after",
        }
    }

    /// The row's values; none where it is null.
    fn of<'a>(self, envelope: &Schema, values: &'a [Value]) -> &'a [Value] {
        match envelope.field_index(self.name()).and_then(|index| values.get(index)) {
            Some(Value::Struct(values)) => values,
            _ => &[],
        }
    }
}

impl Row {
    fn make(
        envelope: &Schema,
        image: Image,
        deletes: Deletes,
        add_fields: &[FieldReference],
    ) -> Result<Self, TransformError> {
        let row = image_schema(envelope, image)?;
        let mut fields = row.fields().to_vec();
        let width = fields.len();
        if deletes.rewrites() {
            fields.push(Field { name: DELETED.to_owned(), schema: Schema::new(SchemaKind::String).optional() });
        }
        let mut places = Vec::new();
        for reference in add_fields {
            if let Some((place, schema)) = reference.find(envelope)? {
                places.push(place);
                fields.push(Field { name: reference.new_name.clone(), schema: added(schema) });
            }
        }
        Ok(Self { schema: Arc::new(structure(&row, fields)?), added: places, width })
    }
}

fn image_schema(envelope: &Schema, image: Image) -> Result<Schema, TransformError> {
    let field = envelope.fields().iter().find(|field| field.name == image.name());
    field.map(|field| field.schema.clone()).ok_or_else(|| {
        TransformError::new(format!("Unknown field: {}: {} is no envelope", image.name(), named(envelope)))
    })
}

fn added_headers(references: &[FieldReference], envelope: &Schema) -> Result<Vec<AddedHeader>, TransformError> {
    let mut headers = Vec::new();
    for reference in references {
        if let Some((place, schema)) = reference.find(envelope)? {
            let schema = Arc::new(Schema { default: None, ..schema.clone() }.optional());
            headers.push(AddedHeader { name: reference.new_name.clone(), place, schema });
        }
    }
    Ok(headers)
}

/// The struct without the fields in `names`, as `ReplaceField` leaves them out: nulls become defaults.
fn without(
    made: &mut Made<Vec<String>, Arc<Schema>>,
    data: &mut SchemaAndValue,
    names: &Vec<String>,
    only_optional: bool,
) -> Result<(), TransformError> {
    let Some((schema, values)) = data.as_struct() else { return Ok(()) };
    let goes = |field: &Field| names.contains(&field.name) && (field.schema.optional || !only_optional);
    if only_optional && !schema.fields().iter().any(goes) {
        return Ok(());
    }
    let smaller = made.of(schema, names, || {
        let kept = schema.fields().iter().filter(|field| !goes(field)).cloned().collect();
        structure(schema, kept).map(Arc::new)
    })?;
    let kept = schema.fields().iter().zip(values).filter(|(field, _)| !goes(field));
    let values = kept.map(|(field, value)| or_default(value.clone(), &field.schema)).collect();
    *data = SchemaAndValue::new(smaller.clone(), Value::Struct(values));
    Ok(())
}
