//! A column's conversion, compiled once a table version.

use super::array::ArrayLayout;
use super::datetime::{self, ZonedTimeForm, ZonedTimestampForm};
use super::loss::ColumnLosses;
use super::modes::{
    BinaryMode, ConversionFailure, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, Placeholder, ValueModes,
};
use super::rule::{ColumnRule, Mapper};
use super::source_type::SourceType;
use super::stand_in::Unavailable;
use super::temporal::{DateForm, TimeForm, TimestampForm};
use super::{Unconvertible, array, binary, decimal, default, geometric, hstore, interval, mapping, number, point};
use super::{postgis, vector};
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::{TreeWriter, Value};
use crate::connect::writer::ValueWriter;
use crate::table::Column;

/// A column's conversion, compiled once a table version.
#[derive(Debug, Clone)]
pub struct ColumnCodec {
    codec: Codec,
    schema: Schema,
    unavailable: Unavailable,
    /// The column, and who described it.
    source: (Column, Phase),
    mapper: Option<Mapper>,
    losses: ColumnLosses,
    fidelity: Fidelity,
    failure: ConversionFailure,
}

/// The conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Codec {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal {
        /// `None`: each value has its own.
        scale: Option<u32>,
        mode: DecimalMode,
    },
    Money {
        digits: u32,
        mode: DecimalMode,
    },
    /// Types whose text is the value.
    Text,
    /// `name`, which Debezium's stream does not know.
    Name,
    Uuid,
    Bytea(BinaryMode),
    Bit,
    /// `varbit(1)`: an object of the driver in a snapshot, of which Debezium makes nothing.
    VarBit,
    Bits,
    Date(DateForm),
    Time(TimeForm),
    ZonedTime(ZonedTimeForm),
    Timestamp(TimestampForm),
    ZonedTimestamp(ZonedTimestampForm),
    Interval(IntervalMode),
    Hstore(HstoreMode),
    Point,
    /// `geometry` and `geography`.
    PostGis,
    Vector,
    HalfVector,
    SparseVector,
    Array {
        element: Box<Codec>,
        layout: ArrayLayout,
        /// The driver's way, by which Debezium reads arrays always, or PostgreSQL's own.
        elements_from: Phase,
    },
    /// `int2vector` and `oidvector`, whose elements stand between spaces.
    Words {
        element: Box<Codec>,
        /// Debezium's driver finds no array in them: they are empty, and an empty one is null.
        is_emptied: bool,
    },
    /// Arrays that Debezium has a field for, of the elements' schema, but no values.
    NullArray(Box<Codec>),
    /// A type without a conversion under `include.unknown.datatypes`: its text as bytes.
    Unknown {
        mode: BinaryMode,
        is_geometric: bool,
    },
}

/// Whether all of a value came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// Yes.
    All,
    /// Debezium loses something of it, and so do its users' records.
    Part,
}

impl Kept {
    pub(super) fn unless(lost: bool) -> Self {
        if lost { Kept::Part } else { Kept::All }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self::unless(self == Kept::Part || other == Kept::Part)
    }
}

impl ColumnCodec {
    /// The conversion of a column as the table's describer knows it; `None` for types that Debezium leaves out of the
    /// record.
    pub fn compile(column: &Column, described_by: Phase, modes: &ValueModes) -> Option<Self> {
        let (codec, schema) = mapping::of(&column.pg_type, column.typmod, modes)?;
        // Debezium builds the schema of a geometry optional, whatever the column says.
        let mut schema = Schema { optional: schema.optional || !column.not_null, ..schema };
        if let Some(expression) = &column.default {
            schema.default = default::parse(expression, &column.pg_type).and_then(|text| {
                let mut writer = TreeWriter::default();
                codec.write_default(&text, &mut writer)?;
                Some(writer.finish()).filter(|value| *value != Value::Null && !value.is_compound())
            });
        }
        Some(Self {
            unavailable: Unavailable::of(&column.pg_type, &codec, modes.fidelity),
            source: (column.clone(), described_by),
            codec,
            schema,
            mapper: None,
            losses: ColumnLosses::default(),
            fidelity: modes.fidelity,
            failure: modes.failure,
        })
    }

    /// The same under a rule of the configuration.
    #[must_use]
    pub fn with_rule(mut self, rule: &ColumnRule) -> Self {
        let (column, described_by) = &self.source;
        let is_jdbc_text = mapping::is_jdbc_text(&column.pg_type);
        self.mapper = rule.apply(&SourceType::new(column, *described_by), is_jdbc_text, &mut self.schema);
        // Of bytes, only those that are BYTES by themselves are cut.
        self.mapper = self.mapper.filter(|mapper| {
            !matches!(mapper, Mapper::Truncate(_))
                || !matches!(self.schema.kind, SchemaKind::Bytes)
                || matches!(self.codec, Codec::Bytea(_) | Codec::Unknown { .. })
        });
        self
    }

    /// Whether a rule changes its values.
    pub(crate) fn has_rule(&self) -> bool {
        self.mapper.is_some()
    }

    /// The same, telling somebody of losses.
    #[must_use]
    pub(crate) fn telling(self, losses: ColumnLosses) -> Self {
        Self { losses, ..self }
    }

    /// The field's schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The default in the schema.
    pub fn default(&self) -> Option<&Value> {
        self.schema.default.as_ref()
    }

    /// Writes a value from its text.
    ///
    /// # Errors
    /// When the text is not of the type's form, or has none under the modes.
    pub fn write(&self, text: &[u8], phase: Phase, writer: &mut impl ValueWriter) -> Result<(), Unconvertible> {
        if self.mapper.is_none() {
            return self.convert(text, phase, writer);
        }
        let mut tree = TreeWriter::default();
        self.convert(text, phase, &mut tree)?;
        self.map(tree.finish(), writer);
        Ok(())
    }

    fn convert(&self, text: &[u8], phase: Phase, writer: &mut impl ValueWriter) -> Result<(), Unconvertible> {
        let phase = match self.fidelity {
            Fidelity::Debezium => phase,
            Fidelity::Exact => Phase::Streaming,
        };
        if self.codec == Codec::Name && phase == Phase::Streaming {
            self.losses.tell();
            self.write_gap(writer);
            return Ok(());
        }
        let written = if self.failure == ConversionFailure::Null {
            // A value may turn out to be unconvertible when half of it is written.
            let mut tree = TreeWriter::default();
            let written = self.codec.write(text, phase, &mut tree);
            if written.is_ok() {
                tree.finish().write(Some(&self.schema), writer);
            }
            written
        } else {
            self.codec.write(text, phase, writer)
        };
        match written {
            Ok(Kept::All) => Ok(()),
            Ok(Kept::Part) => {
                self.losses.tell();
                Ok(())
            }
            Err(failure) if self.takes_null() && self.failure.becomes_null(failure) => {
                self.losses.tell();
                writer.null_of(&self.schema);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether null may stand in the field: of one that may not be null, its default does then.
    fn takes_null(&self) -> bool {
        self.schema.optional || self.schema.default.is_some()
    }

    fn map(&self, value: Value, writer: &mut impl ValueWriter) {
        match &self.mapper {
            Some(mapper) => mapper.map(value).write(Some(&self.schema), writer),
            None => value.write(Some(&self.schema), writer),
        }
    }

    /// Writes NULL.
    pub fn write_null(&self, writer: &mut impl ValueWriter) {
        self.map(Value::Null, writer);
    }

    /// Writes what stands for a TOASTed value that was not sent, by the type.
    pub fn write_unavailable(&self, placeholder: &Placeholder, writer: &mut impl ValueWriter) {
        match &self.mapper {
            // The placeholder of bytes is no buffer to Debezium, and stays whole.
            Some(Mapper::Truncate(_)) if self.unavailable == Unavailable::Bytes => {}
            None => {}
            Some(_) => {
                let mut tree = TreeWriter::default();
                self.unavailable.write(&self.codec, placeholder, &mut tree);
                return self.map(tree.finish(), writer);
            }
        }
        self.unavailable.write(&self.codec, placeholder, writer);
    }

    /// Writes what stands in the old row of a delete for a column that may not be null and was not sent: the default of
    /// the schema, else the type's zero.
    pub fn write_absent(&self, writer: &mut impl ValueWriter) {
        if self.mapper.is_none() {
            return self.write_gap(writer);
        }
        let mut tree = TreeWriter::default();
        self.write_gap(&mut tree);
        self.map(tree.finish(), writer);
    }

    fn write_gap(&self, writer: &mut impl ValueWriter) {
        match self.default() {
            _ if !self.source.0.not_null => writer.null_of(&self.schema),
            Some(default) => default.write(Some(&self.schema), writer),
            None => self.codec.write_zero(writer),
        }
    }
}

impl Codec {
    /// Writes a default; `None` when it has no form.
    fn write_default(&self, text: &str, writer: &mut impl ValueWriter) -> Option<()> {
        match self {
            Codec::Date(form) if datetime::is_infinite(text) => {
                form.write_infinite_default(text.starts_with('-'), writer);
            }
            Codec::Timestamp(form) if datetime::is_infinite(text) => {
                form.write_infinite_default(text.starts_with('-'), writer);
            }
            Codec::Time(form) if text == "24:00:00" => form.write_end_of_day_default(writer),
            // The instant lies outside of Java's years once its offset is taken off.
            Codec::ZonedTimestamp(_) if datetime::is_infinite(text) => return None,
            _ => {
                let _kept = self.write(text.as_bytes(), Phase::Streaming, writer).ok()?;
            }
        }
        Some(())
    }

    /// Writes a value. What has no form under the modes is refused before anything of it is written.
    pub(super) fn write(
        &self,
        text: &[u8],
        phase: Phase,
        writer: &mut impl ValueWriter,
    ) -> Result<Kept, Unconvertible> {
        match self {
            Codec::Boolean => writer.boolean(number::boolean(text)?),
            Codec::Int16 => writer.int16(number::parse(text, "a smallint")?),
            Codec::Int32 => writer.int32(number::parse(text, "an integer")?),
            Codec::Int64 => writer.int64(number::parse(text, "a bigint")?),
            Codec::Float32 => writer.float32(number::parse(text, "a real")?),
            Codec::Float64 => writer.float64(number::parse(text, "a double precision")?),
            Codec::Decimal { scale, mode } => return decimal::write(text, *scale, *mode, writer),
            Codec::Money { digits, mode } => return Ok(decimal::write_money(text, *digits, *mode, phase, writer)?),
            Codec::Text | Codec::Name | Codec::Uuid => writer.string(super::text(text, "a text in UTF-8")?),
            Codec::Bytea(mode) => binary::write(&binary::bytea(text)?, *mode, writer),
            Codec::VarBit if phase == Phase::Snapshot => return Err(Unconvertible::NoForm),
            Codec::Bit | Codec::VarBit => writer.boolean(text == b"1"),
            Codec::Bits => writer.bytes(&binary::bits(text)?),
            Codec::Date(form) => return Ok(form.write(super::text(text, "a date")?, phase, writer)?),
            Codec::Time(form) => {
                return Ok(form.write(datetime::time_micros(super::text(text, "a time")?)?, writer));
            }
            Codec::Timestamp(form) => return Ok(form.write(super::text(text, "a timestamp")?, phase, writer)?),
            Codec::ZonedTime(form) => {
                let (value, kept) = form.convert(super::text(text, "a timetz")?)?;
                writer.string(&value);
                return Ok(kept);
            }
            Codec::ZonedTimestamp(form) => {
                let (value, kept) = form.convert(super::text(text, "a timestamptz")?, phase)?;
                writer.string(&value);
                return Ok(kept);
            }
            Codec::Interval(mode) => {
                let interval = interval::Interval::parse(super::text(text, "an interval")?)?;
                match mode {
                    IntervalMode::Numeric => writer.int64(interval.micros()),
                    IntervalMode::String => writer.string(&interval.iso()),
                }
            }
            Codec::Hstore(mode) => hstore::write(&hstore::parse(super::text(text, "an hstore")?)?, *mode, writer),
            Codec::Point => {
                let (x, y) = point::parse(super::text(text, "a point")?)?;
                point::write(x, y, writer);
            }
            Codec::PostGis => {
                let (wkb, srid) = postgis::parse(text)?;
                postgis::write(&wkb, srid, writer);
            }
            Codec::Vector => {
                let values: Vec<f64> = vector::parse(super::text(text, "a vector")?)?;
                array::write_all(writer, values.into_iter(), |writer, value| writer.float64(value));
            }
            Codec::HalfVector => {
                let values: Vec<f32> = vector::parse(super::text(text, "a halfvec")?)?;
                array::write_all(writer, values.into_iter(), |writer, value| writer.float32(value));
            }
            Codec::SparseVector => {
                let (dimensions, entries) = vector::parse_sparse(super::text(text, "a sparsevec")?)?;
                vector::write_sparse(dimensions, &entries, writer);
            }
            Codec::Array { element, layout, elements_from } => {
                return array::write(super::text(text, "an array")?, element, *layout, *elements_from, writer);
            }
            Codec::Words { element, is_emptied } => {
                return array::write_words(super::text(text, "numbers between spaces")?, element, *is_emptied, writer);
            }
            Codec::NullArray(_) => return Err(Unconvertible::NoForm),
            Codec::Unknown { mode, is_geometric } => {
                let text = super::text(text, "a text in UTF-8")?;
                binary::write(geometric::text_of(text, *is_geometric).as_bytes(), *mode, writer);
            }
        }
        Ok(Kept::All)
    }
}
