//! The messages of others that a field can have: Connect's logical types (`ProtobufData.TO_PROTOBUF_LOGICAL_CONVERTERS`)
//! and the wrappers of what may be null.

use num_bigint::BigInt;
use prost::encoding::{bytes, int32, int64, uint32};
use proto::connect::schema::{DECIMAL, Schema, SchemaKind};
use proto::connect::value::Value;

const MILLISECONDS_PER_DAY: i32 = 86_400_000;
/// 0001-01-01 and 9999-12-31T23:59:59Z: what `google.protobuf.Timestamp` may say.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// 1582-10-15, with which Java's calendar begins to be Gregorian.
const FIRST_GREGORIAN_DAY: i64 = -141_427;

/// One of Connect's logical types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    Decimal,
    Date,
    Time,
    Timestamp,
}

impl Logical {
    /// By the schema's name.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        match schema.name.as_deref()? {
            DECIMAL => Some(Self::Decimal),
            "org.apache.kafka.connect.data.Date" => Some(Self::Date),
            "org.apache.kafka.connect.data.Time" => Some(Self::Time),
            "org.apache.kafka.connect.data.Timestamp" => Some(Self::Timestamp),
            _ => None,
        }
    }

    /// The message's name and the file that has it.
    pub(super) fn message(self) -> (&'static str, &'static str) {
        match self {
            Self::Decimal => ("confluent.type.Decimal", "confluent/type/decimal.proto"),
            Self::Date => ("google.type.Date", "google/type/date.proto"),
            Self::Time => ("google.type.TimeOfDay", "google/type/timeofday.proto"),
            Self::Timestamp => ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
        }
    }

    /// The message's bytes.
    ///
    /// # Errors
    /// A value that the message cannot say.
    pub(super) fn encode(self, value: &Value, schema: &Schema, out: &mut Vec<u8>) -> Result<(), String> {
        match (self, value) {
            (Self::Decimal, Value::Bytes(value)) => {
                decimal(value, schema.decimal_scale().unwrap_or_default(), out);
                Ok(())
            }
            (Self::Date, Value::Int32(days)) => {
                date(i64::from(*days), out);
                Ok(())
            }
            (Self::Time, Value::Int32(time)) => time_of_day(*time, out),
            (Self::Timestamp, Value::Int64(time)) => timestamp(*time, out),
            _ => Err(format!("the value is no {}", crate::convert::primitive::type_name(&schema.kind))),
        }
    }
}

/// The file of the wrappers.
pub(super) const WRAPPERS: &str = "google/protobuf/wrappers.proto";

/// The wrapper of a primitive value, and its place in its file; `None` for arrays, maps and structs.
pub(super) fn wrapper(kind: &SchemaKind) -> Option<(&'static str, i64)> {
    match kind {
        SchemaKind::Float64 => Some(("google.protobuf.DoubleValue", 0)),
        SchemaKind::Float32 => Some(("google.protobuf.FloatValue", 1)),
        SchemaKind::Int64 => Some(("google.protobuf.Int64Value", 2)),
        SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 => Some(("google.protobuf.Int32Value", 4)),
        SchemaKind::Boolean => Some(("google.protobuf.BoolValue", 6)),
        SchemaKind::String => Some(("google.protobuf.StringValue", 7)),
        SchemaKind::Bytes => Some(("google.protobuf.BytesValue", 8)),
        SchemaKind::Struct(_) | SchemaKind::Array(_) | SchemaKind::Map(..) => None,
    }
}

/// `DecimalUtils.fromBigDecimal`: the shortest bytes, and how many digits they have.
fn decimal(unscaled: &[u8], scale: i32, out: &mut Vec<u8>) {
    let number = BigInt::from_signed_bytes_be(unscaled);
    let digits = number.magnitude().to_string().len();
    bytes::encode(1, &number.to_signed_bytes_be(), out);
    uint32::encode(2, &u32::try_from(digits).unwrap_or(u32::MAX), out);
    plain_int32(3, scale, out);
}

/// `google.type.Date`, by `java.util.GregorianCalendar`: Julian before 1582, and the year of the era before Christ.
fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = if days < FIRST_GREGORIAN_DAY { julian(days) } else { gregorian(days) };
    plain_int32(1, if year < 1 { 1 - year } else { year } as i32, out);
    plain_int32(2, month as i32, out);
    plain_int32(3, day as i32, out);
}

/// Year, month and day of a day since 1970-01-01, counted in years that begin with March, whose leap day is their last.
fn gregorian(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    civil(era * 400 + year, of_era - (365 * year + year / 4 - year / 100))
}

fn julian(days: i64) -> (i64, i64, i64) {
    let days = days + 719_470;
    let (era, of_era) = (days.div_euclid(1461), days.rem_euclid(1461));
    let year = (of_era - of_era / 1460) / 365;
    civil(era * 4 + year, of_era - 365 * year)
}

fn civil(march_year: i64, of_year: i64) -> (i64, i64, i64) {
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (march_year + i64::from(month <= 2), month, day)
}

fn time_of_day(milliseconds: i32, out: &mut Vec<u8>) -> Result<(), String> {
    if !(0..=MILLISECONDS_PER_DAY).contains(&milliseconds) {
        return Err("Time values must use number of milliseconds greater than 0 and less than 86400000".to_owned());
    }
    let seconds = milliseconds / 1000 % (24 * 3600);
    plain_int32(1, seconds / 3600, out);
    plain_int32(2, seconds / 60 % 60, out);
    plain_int32(3, seconds % 60, out);
    plain_int32(4, milliseconds % 1000 * 1_000_000, out);
    Ok(())
}

fn timestamp(milliseconds: i64, out: &mut Vec<u8>) -> Result<(), String> {
    let seconds = milliseconds.div_euclid(1000);
    if !TIMESTAMPS.contains(&seconds) {
        return Err("the timestamp is not between the years 1 and 9999, which google.protobuf.Timestamp can say; set \
                    time.precision.mode to another than connect"
            .to_owned());
    }
    if seconds != 0 {
        int64::encode(1, &seconds, out);
    }
    // Less than a thousand millions.
    plain_int32(2, milliseconds.rem_euclid(1000) as i32 * 1_000_000, out);
    Ok(())
}

/// Nothing for a zero, as proto3 has it.
fn plain_int32(tag: u32, value: i32, out: &mut Vec<u8>) {
    if value != 0 {
        int32::encode(tag, &value, out);
    }
}
