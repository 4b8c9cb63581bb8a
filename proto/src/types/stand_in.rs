//! What stands for values that were not sent.

use super::codec::Codec;
use super::datetime::Stamp;
use super::form::{Form, Temporal};
use super::modes::{BinaryMode, DecimalMode, Fidelity, HstoreMode, IntervalMode, Placeholder};
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
    /// Under exact fidelity, where Debezium has nothing: a value of the column's own form.
    Own,
}

impl Unavailable {
    pub(super) fn of(pg_type: &PgType, codec: &Codec, fidelity: Fidelity) -> Self {
        match (Self::of_debezium(pg_type, codec), fidelity) {
            (Unavailable::Null, Fidelity::Exact) => Unavailable::Own,
            (unavailable, _) => unavailable,
        }
    }

    fn of_debezium(pg_type: &PgType, codec: &Codec) -> Self {
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

    pub(super) fn write(self, codec: &Codec, placeholder: &Placeholder, writer: &mut impl ValueWriter) {
        let text = placeholder.text();
        let signed = || placeholder.bytes().iter().map(|byte| i8::from_ne_bytes([*byte]));
        match self {
            Unavailable::Null => writer.null(),
            Unavailable::Own => codec.write_own_stand_in(placeholder, writer),
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

    /// A value that nobody has by chance: the placeholder where a text or bytes can be, in an array of numbers its bytes, one of
    /// booleans its bits. Null where the type is never stored out of line, and for exact decimals, of which any may be a value.
    fn write_own_stand_in<W: ValueWriter>(&self, placeholder: &Placeholder, writer: &mut W) {
        let (text, bytes) = (placeholder.text(), placeholder.bytes());
        let signed = || bytes.iter().map(|byte| byte.cast_signed());
        match self.form() {
            Form::Text | Form::Binary(_) | Form::Unknown(_) if !self.is_bytes() => writer.string(text),
            Form::Binary(_) | Form::Unknown(_) | Form::Bits { .. } => writer.bytes(bytes),
            Form::Decimal { mode: DecimalMode::String, .. } => writer.string(text),
            Form::Hstore(mode) => hstore::write(&[(text.to_owned(), Some(text.to_owned()))], mode, writer),
            Form::PostGis => postgis::write(bytes, None, writer),
            Form::SparseVector => vector::write_sparse(-1, &[], writer),
            Form::Vector if *self == Codec::HalfVector => {
                array::write_all(writer, signed(), |writer, byte| writer.float32(byte.into()));
            }
            Form::Vector => array::write_all(writer, signed(), |writer, byte| writer.float64(byte.into())),
            _ => match self {
                Codec::Array { element, .. } | Codec::Words { element, .. } => {
                    element.write_own_stand_ins(placeholder, writer)
                }
                _ => writer.null(),
            },
        }
    }

    /// An array's, of its elements.
    fn write_own_stand_ins<W: ValueWriter>(&self, placeholder: &Placeholder, writer: &mut W) {
        let text = placeholder.text();
        let signed = placeholder.bytes().iter().map(|byte| byte.cast_signed());
        match (self, self.form()) {
            (Codec::Int16, _) => array::write_all(writer, signed, |writer, byte| writer.int16(byte.into())),
            (Codec::Int32, _) | (_, Form::Date(Temporal::Days) | Form::Time(Temporal::Milliseconds)) => {
                array::write_all(writer, signed, |writer, byte| writer.int32(byte.into()));
            }
            (Codec::Float32, _) => array::write_all(writer, signed, |writer, byte| writer.float32(byte.into())),
            (Codec::Float64, _) | (_, Form::Decimal { mode: DecimalMode::Double, .. }) => {
                array::write_all(writer, signed, |writer, byte| writer.float64(byte.into()));
            }
            (
                _,
                Form::Hstore(HstoreMode::Json)
                | Form::ZonedTime
                | Form::ZonedTimestamp
                | Form::Date(_)
                | Form::Time(Temporal::Iso)
                | Form::Timestamp(Temporal::Iso),
            ) => one(writer, |writer| writer.string(text)),
            (Codec::Int64, _) | (_, Form::Time(_) | Form::Timestamp(_)) => {
                array::write_all(writer, signed, |writer, byte| writer.int64(byte.into()));
            }
            (Codec::Boolean, _) => {
                let bits = placeholder.bytes().iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
                array::write_all(writer, bits, |writer, bit| writer.boolean(bit));
            }
            _ => one(writer, |writer| self.write_own_stand_in(placeholder, writer)),
        }
    }

    fn is_bytes(&self) -> bool {
        matches!(self, Codec::Bytea(BinaryMode::Bytes) | Codec::Unknown { mode: BinaryMode::Bytes, .. })
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
