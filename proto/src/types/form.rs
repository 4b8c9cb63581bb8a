//! How a column's values stand in its records, for who reads them back.

use super::codec::Codec;
use super::mapping;
use super::modes::{BinaryMode, DecimalMode, HstoreMode, IntervalMode, ValueModes};
use crate::table::{PgType, PgTypeKind};

/// What a column's values are in a record, under the modes that it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// BOOLEAN.
    Boolean,
    /// A bit string of one bit as BOOLEAN.
    Bit,
    /// Whole numbers and floats, whose infinities and `NaN` are texts.
    Number,
    /// The value's own text.
    Text,
    /// A `numeric`.
    Decimal {
        /// The column's digits behind the point; `None`: each value has its own.
        scale: Option<u32>,
        /// How it is written.
        mode: DecimalMode,
    },
    /// A `money`.
    Money {
        /// The digits behind the point of a precise one.
        digits: u32,
        /// How it is written.
        mode: DecimalMode,
    },
    /// A `bytea`.
    Binary(BinaryMode),
    /// A bit string as bytes, its last bit being the first byte's lowest, without zero bytes at the end.
    Bits {
        /// How many there are; `None`: the zeros in front of the first one are lost.
        length: Option<u32>,
    },
    /// A date.
    Date(Temporal),
    /// A time of day.
    Time(Temporal),
    /// A time of day in UTC as a text.
    ZonedTime,
    /// A date and a time of day.
    Timestamp(Temporal),
    /// A moment in UTC as a text.
    ZonedTimestamp,
    /// An interval.
    Interval(IntervalMode),
    /// An hstore.
    Hstore(HstoreMode),
    /// A point: its two coordinates, and both again as WKB.
    Point,
    /// PostGIS' EWKB.
    PostGis,
    /// pgvector's, an array of numbers.
    Vector,
    /// pgvector's sparse one.
    SparseVector,
    /// An array.
    Array {
        /// Its elements.
        element: Box<Form>,
        /// What stands between them in PostgreSQL's text.
        delimiter: char,
    },
    /// An `int2vector` or `oidvector`, whose text has its elements between spaces.
    Words(Box<Form>),
    /// The bytes of the text of a type without a conversion.
    Unknown(BinaryMode),
    /// Nothing but NULL.
    Nothing,
}

/// What a date or a time counts, or that it is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Temporal {
    Days,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// ISO 8601, with a `Z` behind it.
    Iso,
}

impl Form {
    /// A column's, by its type; `None` where Debezium leaves the column out of its records.
    pub fn of(pg_type: &PgType, typmod: i32, modes: &ValueModes) -> Option<Self> {
        let (codec, _) = mapping::of(pg_type, typmod, modes)?;
        let (base, typmod) = innermost(pg_type, typmod);
        Some(match codec.form() {
            Form::Bits { .. } if base.name == "bit" => Form::Bits { length: u32::try_from(typmod).ok() },
            form => form,
        })
    }
}

/// The type under a domain, and its modifier.
fn innermost(pg_type: &PgType, typmod: i32) -> (&PgType, i32) {
    match &pg_type.kind {
        PgTypeKind::Domain { base, typmod } => innermost(base, *typmod),
        _ => (pg_type, typmod),
    }
}

impl Codec {
    pub(super) fn form(&self) -> Form {
        match self {
            Codec::Boolean => Form::Boolean,
            Codec::Bit | Codec::VarBit => Form::Bit,
            Codec::Int16 | Codec::Int32 | Codec::Int64 | Codec::Float32 | Codec::Float64 => Form::Number,
            Codec::Decimal { scale, mode } => Form::Decimal { scale: *scale, mode: *mode },
            Codec::Money { digits, mode } => Form::Money { digits: *digits, mode: *mode },
            Codec::Text | Codec::Name | Codec::Uuid => Form::Text,
            Codec::Bytea(mode) => Form::Binary(*mode),
            Codec::Bits => Form::Bits { length: None },
            Codec::Date(form) => Form::Date(form.temporal()),
            Codec::Time(form) => Form::Time(form.temporal()),
            Codec::ZonedTime(_) => Form::ZonedTime,
            Codec::Timestamp(form) => Form::Timestamp(form.temporal()),
            Codec::ZonedTimestamp(_) => Form::ZonedTimestamp,
            Codec::Interval(mode) => Form::Interval(*mode),
            Codec::Hstore(mode) => Form::Hstore(*mode),
            Codec::Point => Form::Point,
            Codec::PostGis => Form::PostGis,
            Codec::Vector | Codec::HalfVector => Form::Vector,
            Codec::SparseVector => Form::SparseVector,
            Codec::Array { element, layout, .. } => {
                Form::Array { element: Box::new(element.form()), delimiter: layout.delimiter }
            }
            Codec::Words { element, .. } => Form::Words(Box::new(element.form())),
            Codec::NullArray(_) => Form::Nothing,
            Codec::Unknown { mode, .. } => Form::Unknown(*mode),
        }
    }
}
