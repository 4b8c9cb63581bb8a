//! What stands for values that were not sent.

use super::codec::Codec;
use super::datetime::Stamp;
use super::modes::{BinaryMode, DecimalMode, HstoreMode, IntervalMode, Placeholder};
use super::{array, decimal, hstore, interval, point, postgis, vector};
use crate::connect::writer::ValueWriter;
use crate::table::{PgType, PgTypeKind};

/// What stands for a TOASTed value that was not sent, by the type's *name*, as in Debezium's
/// `UnchangedToastedReplicationMessageColumn`: a domain over `text[]` is none of the arrays it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// Nothing of the column's schema can stand for it.
    Null,
    Text,
    Bytes,
    /// The bytes of the placeholder under this mode.
    BytesArray(BinaryMode),
    TextArray,
    /// The placeholder's bytes, each a number, signed as in Java.
    Int32Array,
    Int64Array,
    UuidArray,
    Hstore(HstoreMode),
}

impl Unavailable {
    pub(super) fn of(pg_type: &PgType, codec: &Codec) -> Self {
        if let PgTypeKind::Array { element } = &pg_type.kind {
            return match (element.name.as_str(), codec) {
                ("text" | "varchar" | "bpchar" | "json" | "jsonb", _) => Unavailable::TextArray,
                ("bytea", Codec::Array { element, .. }) => match **element {
                    Codec::Bytea(mode) => Unavailable::BytesArray(mode),
                    _ => Unavailable::Null,
                },
                ("int4", _) => Unavailable::Int32Array,
                // Texts have no place for the numbers.
                ("date", Codec::Array { element, .. }) if !element.is_text() => Unavailable::Int32Array,
                ("int8", _) => Unavailable::Int64Array,
                ("uuid", _) => Unavailable::UuidArray,
                _ => Unavailable::Null,
            };
        }
        match codec {
            Codec::Hstore(mode) if matches!(pg_type.kind, PgTypeKind::Base) => Unavailable::Hstore(*mode),
            Codec::Hstore(HstoreMode::Json) => Unavailable::Text,
            Codec::Bytea(BinaryMode::Bytes) | Codec::Unknown { mode: BinaryMode::Bytes, .. } => Unavailable::Bytes,
            Codec::Bytea(BinaryMode::Hex) | Codec::Unknown { mode: BinaryMode::Hex, .. } => Unavailable::Text,
            codec if codec.is_text() => Unavailable::Text,
            _ => Unavailable::Null,
        }
    }

    pub(super) fn write(self, placeholder: &Placeholder, writer: &mut impl ValueWriter) {
        let text = placeholder.text();
        let signed = || placeholder.bytes().iter().map(|byte| i8::from_ne_bytes([*byte]));
        match self {
            Unavailable::Null => writer.null(),
            Unavailable::Text => writer.string(text),
            Unavailable::Bytes => writer.bytes(placeholder.bytes()),
            Unavailable::BytesArray(BinaryMode::Bytes) => one(writer, |writer| writer.bytes(placeholder.bytes())),
            Unavailable::BytesArray(_) | Unavailable::TextArray => one(writer, |writer| writer.string(text)),
            Unavailable::UuidArray => one(writer, |writer| writer.string(&array::name_uuid(placeholder.bytes()))),
            Unavailable::Int32Array => {
                array::write_all(writer, signed(), |writer, byte| writer.int32(byte.into()));
            }
            Unavailable::Int64Array => {
                array::write_all(writer, signed(), |writer, byte| writer.int64(byte.into()));
            }
            Unavailable::Hstore(mode) => hstore::write(&[(text.to_owned(), Some(text.to_owned()))], mode, writer),
        }
    }
}

fn one<W: ValueWriter>(writer: &mut W, write: impl FnOnce(&mut W)) {
    array::write_all(writer, std::iter::once(write), |writer, write| write(writer));
}

impl Codec {
    /// Whether its values are STRINGs as they are converted, so that any text fits among them.
    fn is_text(&self) -> bool {
        match self {
            Codec::Text | Codec::Name | Codec::Uuid => true,
            Codec::Decimal { mode, .. } => *mode == DecimalMode::String,
            Codec::Date(form) => form.is_text(),
            _ => false,
        }
    }

    /// The type's zero (the fallbacks of `JdbcValueConverters` and `PostgresValueConverter`).
    pub(super) fn write_zero(&self, writer: &mut impl ValueWriter) {
        match self {
            Codec::Boolean | Codec::Bit | Codec::VarBit => writer.boolean(false),
            Codec::Int16 => writer.int16(0),
            Codec::Int32 => writer.int32(0),
            Codec::Int64 => writer.int64(0),
            Codec::Float32 => writer.float32(0.0),
            Codec::Float64 => writer.float64(0.0),
            Codec::Decimal { scale, mode } => decimal::write_zero(*scale, *mode, writer),
            Codec::Money { digits, mode } => decimal::write_zero(Some(*digits), *mode, writer),
            Codec::Text | Codec::Name | Codec::Uuid => writer.string(""),
            Codec::Bytea(BinaryMode::Bytes) | Codec::Unknown { mode: BinaryMode::Bytes, .. } | Codec::Bits => {
                writer.bytes(&[])
            }
            Codec::Bytea(_) | Codec::Unknown { .. } => writer.string(""),
            Codec::Date(form) => form.write_days(0, writer),
            Codec::Time(form) => {
                let _kept = form.write(0, writer);
            }
            Codec::Timestamp(form) => {
                let _kept = form.write_stamp(Stamp::EPOCH, writer);
            }
            Codec::ZonedTime(_) => writer.string("00:00:00Z"),
            Codec::ZonedTimestamp(_) => writer.string("1970-01-01T00:00:00Z"),
            Codec::Interval(IntervalMode::Numeric) => writer.int64(0),
            Codec::Interval(IntervalMode::String) => writer.string(&interval::Interval::default().iso()),
            Codec::Hstore(mode) => hstore::write(&[], *mode, writer),
            Codec::Point => point::write(0.0, 0.0, writer),
            Codec::PostGis => postgis::write(postgis::EMPTY, None, writer),
            Codec::SparseVector => vector::write_sparse(0, &[], writer),
            Codec::NullArray(element) => element.write_zero(writer),
            Codec::Array { .. } | Codec::Words { .. } | Codec::Vector | Codec::HalfVector => {
                writer.begin_array();
                writer.end_array();
            }
        }
    }
}
