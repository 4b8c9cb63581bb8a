//! A tuple's fields through their codecs.

use super::ValueError;
use crate::connect::json::{JsonWriter, write_string};
use crate::connect::schema::{Field, Schema, SchemaKind};
use crate::pgoutput::Datum;
use crate::table::Table;
use crate::types::{ColumnCodec, ValueModes};

/// The columns of a struct, in its order.
#[derive(Debug, Clone)]
pub(super) struct RowFields {
    fields: Vec<RowField>,
    /// How many values a tuple has.
    width: usize,
}

#[derive(Debug, Clone)]
struct RowField {
    /// Its place in the tuple.
    index: usize,
    name: String,
    /// `"name":`, with a comma in front unless it is the first.
    label: Vec<u8>,
    codec: ColumnCodec,
    /// The default's JSON, where NULL is replaced by it.
    for_null: Option<Vec<u8>>,
}

/// What the nulls and gaps of a tuple mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gaps<'a> {
    /// A null is NULL; what TOAST left out is taken from the old row if that is known.
    Row { old: Option<&'a [Datum]> },
    /// Only key columns were sent.
    KeyOnly,
}

impl RowFields {
    /// The columns at `indexes`, as far as Debezium has a conversion for them.
    pub(super) fn compile(
        table: &Table,
        indexes: impl Iterator<Item = usize>,
        modes: &ValueModes,
        replace_null_with_default: bool,
    ) -> Self {
        let mut fields: Vec<RowField> = Vec::new();
        for index in indexes {
            let Some(column) = table.columns.get(index) else { continue };
            let Some(codec) = ColumnCodec::compile(column, modes) else { continue };
            let mut label = if fields.is_empty() { Vec::new() } else { vec![b','] };
            write_string(&column.name, &mut label);
            label.push(b':');
            let for_null = codec.default().filter(|_| replace_null_with_default).map(|default| {
                let mut json = Vec::new();
                default.write(&mut JsonWriter::new(&mut json));
                json
            });
            fields.push(RowField { index, name: column.name.clone(), label, codec, for_null });
        }
        Self { fields, width: table.columns.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The struct's schema.
    pub(super) fn schema(&self, name: String) -> Schema {
        let field = |field: &RowField| Field { name: field.name.clone(), schema: field.codec.schema().clone() };
        Schema { name: Some(name), ..Schema::new(SchemaKind::Struct(self.fields.iter().map(field).collect())) }
    }

    /// Writes the tuple as a JSON object.
    pub(super) fn write(
        &self,
        row: &[Datum],
        gaps: Gaps<'_>,
        placeholder: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        if row.len() != self.width {
            return Err(ValueError::Width { row: row.len(), table: self.width });
        }
        out.push(b'{');
        for field in &self.fields {
            out.extend_from_slice(&field.label);
            field.write(row.get(field.index).unwrap_or(&Datum::Null), gaps, placeholder, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl RowField {
    fn write(&self, datum: &Datum, gaps: Gaps<'_>, placeholder: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match (datum, gaps) {
            (Datum::Text(text), _) => self
                .codec
                .write(text, &mut JsonWriter::new(out))
                .map_err(|why| ValueError::Column { column: self.name.clone(), why })?,
            (Datum::Binary(_), _) => return Err(ValueError::Binary(self.name.clone())),
            (Datum::Null, Gaps::KeyOnly) => self.codec.write_absent(&mut JsonWriter::new(out)),
            (Datum::Null, Gaps::Row { .. }) => out.extend_from_slice(self.for_null.as_deref().unwrap_or(b"null")),
            (Datum::Unchanged, Gaps::Row { old: Some(old) }) => {
                let old = old.get(self.index).filter(|old| !matches!(old, Datum::Unchanged)).unwrap_or(&Datum::Null);
                self.write(old, Gaps::Row { old: None }, placeholder, out)?;
            }
            (Datum::Unchanged, _) => self.codec.write_unavailable(placeholder, &mut JsonWriter::new(out)),
        }
        Ok(())
    }
}
