//! A column's conversion, compiled once a table version.

use super::datetime::{self, ZonedTimeForm, ZonedTimestampForm};
use super::modes::{BinaryMode, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, Placeholder, ValueModes};
use super::stand_in::Unavailable;
use super::temporal::{DateForm, TimeForm, TimestampForm};
use super::{NotA, array, binary, decimal, default, hstore, interval, mapping, number, point};
use crate::connect::schema::Schema;
use crate::connect::value::{TreeWriter, Value};
use crate::connect::writer::ValueWriter;
use crate::table::Column;

/// A column's conversion, compiled once a table version.
#[derive(Debug, Clone)]
pub struct ColumnCodec {
    codec: Codec,
    schema: Schema,
    unavailable: Unavailable,
    fidelity: Fidelity,
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
    Bits,
    Date(DateForm),
    Time(TimeForm),
    ZonedTime(ZonedTimeForm),
    Timestamp(TimestampForm),
    ZonedTimestamp(ZonedTimestampForm),
    Interval(IntervalMode),
    Hstore(HstoreMode),
    Point,
    Array {
        element: Box<Codec>,
        /// The driver's way, by which Debezium reads arrays always, or PostgreSQL's own.
        elements_from: Phase,
    },
    /// Arrays that Debezium has a field for, but no values.
    NullArray,
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
    /// The conversion of a column; `None` for types that Debezium leaves out of the record.
    pub fn compile(column: &Column, modes: &ValueModes) -> Option<Self> {
        let (codec, schema) = mapping::of(&column.pg_type, column.typmod, modes)?;
        // Debezium builds the schema of a geometry optional, whatever the column says.
        let mut schema = Schema { optional: schema.optional || !column.not_null, ..schema };
        // Debezium shows no default for a domain over a domain.
        if let Some(expression) = column.default.as_ref().filter(|_| !mapping::is_nested_domain(&column.pg_type)) {
            schema.default = default::parse(expression, mapping::base(&column.pg_type)).and_then(|text| {
                let mut writer = TreeWriter::default();
                let _kept = codec.write(text.as_bytes(), Phase::Streaming, &mut writer).ok()?;
                Some(writer.finish()).filter(|value| *value != Value::Null && !value.is_compound())
            });
        }
        let unavailable = Unavailable::of(&column.pg_type, &codec);
        Some(Self { codec, schema, unavailable, fidelity: modes.fidelity })
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
    /// When the text is not of the type's form.
    pub fn write(&self, text: &[u8], phase: Phase, writer: &mut impl ValueWriter) -> Result<Kept, NotA> {
        let phase = match self.fidelity {
            Fidelity::Debezium => phase,
            Fidelity::Exact => Phase::Streaming,
        };
        if self.codec == Codec::Name && phase == Phase::Streaming {
            self.write_absent(writer);
            return Ok(Kept::Part);
        }
        self.codec.write(text, phase, writer)
    }

    /// Writes what stands for a TOASTed value that was not sent, by the type.
    pub fn write_unavailable(&self, placeholder: &Placeholder, writer: &mut impl ValueWriter) {
        self.unavailable.write(placeholder, writer);
    }

    /// Writes what stands in the old row of a delete for a column that may not be null and was not sent: the default of
    /// the schema, else the type's zero.
    pub fn write_absent(&self, writer: &mut impl ValueWriter) {
        match self.default() {
            Some(default) => default.write(Some(&self.schema), writer),
            None if self.schema.optional => writer.null(),
            None => self.codec.write_zero(writer),
        }
    }
}

impl Codec {
    pub(super) fn write(&self, text: &[u8], phase: Phase, writer: &mut impl ValueWriter) -> Result<Kept, NotA> {
        match self {
            Codec::Boolean => writer.boolean(number::boolean(text)?),
            Codec::Int16 => writer.int16(number::parse(text, "a smallint")?),
            Codec::Int32 => writer.int32(number::parse(text, "an integer")?),
            Codec::Int64 => writer.int64(number::parse(text, "a bigint")?),
            Codec::Float32 => writer.float32(number::parse(text, "a real")?),
            Codec::Float64 => writer.float64(number::parse(text, "a double precision")?),
            Codec::Decimal { scale, mode } => return decimal::write(text, *scale, *mode, writer),
            Codec::Money { digits, mode } => return decimal::write_money(text, *digits, *mode, phase, writer),
            Codec::Text | Codec::Name | Codec::Uuid => writer.string(super::text(text, "a text in UTF-8")?),
            Codec::Bytea(mode) => binary::write(&binary::bytea(text)?, *mode, writer),
            Codec::Bit => writer.boolean(text == b"1"),
            Codec::Bits => writer.bytes(&binary::bits(text)?),
            Codec::Date(form) => return form.write(super::text(text, "a date")?, phase, writer),
            Codec::Time(form) => {
                return Ok(form.write(datetime::time_micros(super::text(text, "a time")?)?, writer));
            }
            Codec::Timestamp(form) => return form.write(super::text(text, "a timestamp")?, phase, writer),
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
            Codec::Array { element, elements_from } => {
                return array::write(super::text(text, "an array")?, element, *elements_from, writer);
            }
            Codec::NullArray => {
                writer.null();
                return Ok(Kept::Part);
            }
        }
        Ok(Kept::All)
    }
}
