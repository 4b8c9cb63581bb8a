//! A tuple's fields through their codecs.

use super::{EnvelopeSettings, ValueError};
use crate::connect::schema::{Field, Schema, SchemaKind};
use crate::connect::writer::{Label, ValueWriter};
use crate::pgoutput::Datum;
use crate::table::Table;
use crate::types::{ColumnCodec, ColumnRules, Phase, Placeholder};

/// The columns of a struct, in its order.
#[derive(Debug, Clone)]
pub(super) struct RowFields {
    fields: Vec<RowField>,
    /// How many values a tuple has.
    width: usize,
    /// A field behind the columns that has the same value in every row.
    constant: Option<(Label, String)>,
}

#[derive(Debug, Clone)]
struct RowField {
    /// Its place in the tuple.
    index: usize,
    label: Label,
    codec: ColumnCodec,
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
    ///
    /// A key has none of the column rules: Debezium masks and cuts values alone.
    pub(super) fn compile(
        table: &Table,
        indexes: impl Iterator<Item = usize>,
        settings: &EnvelopeSettings,
        rules: Option<&ColumnRules>,
    ) -> Self {
        let field = |index| {
            let column = table.columns.get(index)?;
            let codec = ColumnCodec::compile(column, table.described_by, &settings.modes)?;
            let codec = codec.telling(settings.losses.of(table, column));
            let codec = match rules.and_then(|rules| rules.of(table, column)) {
                Some(rule) => codec.with_rule(&rule),
                None => codec,
            };
            Some(RowField { index, label: Label::new(&settings.field_names.field(&column.name)), codec })
        };
        Self { fields: indexes.filter_map(field).collect(), width: table.columns.len(), constant: None }
    }

    /// The same with another field behind the columns.
    pub(super) fn with_constant(self, constant: Option<&(String, String)>) -> Self {
        Self { constant: constant.map(|(name, value)| (Label::new(name), value.clone())), ..self }
    }

    /// Whether every column is there, and none is cut or hidden.
    pub(super) fn is_as_sent(&self) -> bool {
        self.fields.len() == self.width && !self.fields.iter().any(|field| field.codec.has_rule())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.constant.is_none()
    }

    /// The struct's schema.
    pub(super) fn schema(&self, name: String) -> Schema {
        let field =
            |field: &RowField| Field { name: field.label.name().to_owned(), schema: field.codec.schema().clone() };
        let constant = |(label, _): &(Label, String)| Field {
            name: label.name().to_owned(),
            schema: Schema::new(SchemaKind::String),
        };
        let fields = self.fields.iter().map(field).chain(self.constant.iter().map(constant)).collect();
        Schema { name: Some(name), ..Schema::new(SchemaKind::Struct(fields)) }
    }

    /// The columns' places in a tuple, with their schemas.
    pub(super) fn columns(&self) -> impl Iterator<Item = (usize, &Schema)> {
        self.fields.iter().map(|field| (field.index, field.codec.schema()))
    }

    /// Writes the tuple as a struct.
    pub(super) fn write(
        &self,
        row: &[Datum],
        gaps: Gaps<'_>,
        phase: Phase,
        placeholder: &Placeholder,
        writer: &mut impl ValueWriter,
    ) -> Result<(), ValueError> {
        if row.len() != self.width {
            return Err(ValueError::Width { row: row.len(), table: self.width });
        }
        writer.begin_struct();
        for field in &self.fields {
            writer.labelled(&field.label);
            field.write(row.get(field.index).unwrap_or(&Datum::Null), gaps, phase, placeholder, writer)?;
        }
        if let Some((label, value)) = &self.constant {
            writer.labelled(label);
            writer.string(value);
        }
        writer.end_struct();
        Ok(())
    }
}

impl RowField {
    fn write(
        &self,
        datum: &Datum,
        gaps: Gaps<'_>,
        phase: Phase,
        placeholder: &Placeholder,
        writer: &mut impl ValueWriter,
    ) -> Result<(), ValueError> {
        match (datum, gaps) {
            (Datum::Text(text), _) => {
                self.codec
                    .write(text, phase, writer)
                    .map_err(|why| ValueError::Column { column: self.label.name().to_owned(), why })?;
            }
            (Datum::Binary(_), _) => return Err(ValueError::Binary(self.label.name().to_owned())),
            (Datum::Null, Gaps::KeyOnly) if !self.codec.schema().optional => self.codec.write_absent(writer),
            (Datum::Null, _) => self.codec.write_null(writer),
            (Datum::Unchanged, Gaps::Row { old: Some(old) }) => {
                let old = old.get(self.index).filter(|old| !matches!(old, Datum::Unchanged)).unwrap_or(&Datum::Null);
                self.write(old, Gaps::Row { old: None }, phase, placeholder, writer)?;
            }
            (Datum::Unchanged, _) => self.codec.write_unavailable(placeholder, writer),
        }
        Ok(())
    }
}
