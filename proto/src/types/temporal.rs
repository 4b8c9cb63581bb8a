//! `date`, `time` and `timestamp` in the forms of `time.precision.mode` (`TemporalPrecisionMode` and `io.debezium.time`).

use super::NotA;
use super::codec::Kept;
use super::datetime::{self, Calendar, MICROS_PER_DAY, MICROS_PER_SECOND, Stamp};
use super::form::Temporal;
use super::modes::{Phase, TimePrecision};
use crate::connect::schema::SchemaKind;
use crate::connect::writer::ValueWriter;

/// A schema's kind and logical name.
type Logical = (SchemaKind, &'static str);

/// `LocalDate.MIN` and `LocalDate.MAX`.
const FIRST_DAY: i64 = -365_243_219_162;
const LAST_DAY: i64 = 365_241_780_471;

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateForm {
    Days,
    Connect,
    Iso,
}

impl DateForm {
    pub(super) fn of(mode: TimePrecision) -> Self {
        match mode {
            TimePrecision::IsoString => DateForm::Iso,
            TimePrecision::Connect => DateForm::Connect,
            _ => DateForm::Days,
        }
    }

    pub(super) fn schema(self) -> Logical {
        match self {
            DateForm::Days => (SchemaKind::Int32, "io.debezium.time.Date"),
            DateForm::Connect => (SchemaKind::Int32, "org.apache.kafka.connect.data.Date"),
            DateForm::Iso => (SchemaKind::String, "io.debezium.time.IsoDate"),
        }
    }

    pub(super) fn is_text(self) -> bool {
        self == DateForm::Iso
    }

    pub(super) fn temporal(self) -> Temporal {
        match self {
            DateForm::Days | DateForm::Connect => Temporal::Days,
            DateForm::Iso => Temporal::Iso,
        }
    }

    pub(super) fn write(self, text: &str, phase: Phase, writer: &mut impl ValueWriter) -> Result<Kept, NotA> {
        let exact = datetime::debezium_date(text)?;
        let days = match phase {
            Phase::Snapshot => datetime::driver_date(text)?,
            Phase::Streaming => exact,
        };
        self.write_days(days, writer);
        Ok(Kept::unless(days != exact && !datetime::is_infinite(text)))
    }

    pub(super) fn write_days(self, days: i64, writer: &mut impl ValueWriter) {
        match self {
            // Of the infinities, as many bits as an `int` has.
            DateForm::Days | DateForm::Connect => writer.int32(days as i32),
            DateForm::Iso => writer.string(&format!("{}Z", datetime::iso_date(days))),
        }
    }

    /// `infinity` as a column's default: the last or first day that Java has.
    pub(super) fn write_infinite_default(self, is_negative: bool, writer: &mut impl ValueWriter) {
        self.write_days(if is_negative { FIRST_DAY } else { LAST_DAY }, writer);
    }
}

/// How a time of day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeForm {
    unit: TimeUnit,
    /// The elements of `time[]` pass through `java.sql.Time`, which has milliseconds and no 24 o'clock.
    through_driver: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeUnit {
    Milliseconds,
    Connect,
    Microseconds,
    Nanoseconds,
    Iso,
}

impl TimeForm {
    pub(super) fn of(mode: TimePrecision, typmod: i32) -> Self {
        let unit = match mode {
            TimePrecision::Adaptive if (0..=3).contains(&typmod) => TimeUnit::Milliseconds,
            TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds | TimePrecision::Microseconds => {
                TimeUnit::Microseconds
            }
            TimePrecision::Connect => TimeUnit::Connect,
            TimePrecision::IsoString => TimeUnit::Iso,
            TimePrecision::Nanoseconds => TimeUnit::Nanoseconds,
        };
        Self { unit, through_driver: false }
    }

    pub(super) fn in_array(self) -> Self {
        Self { through_driver: true, ..self }
    }

    pub(super) fn schema(self) -> Logical {
        match self.unit {
            TimeUnit::Milliseconds => (SchemaKind::Int32, "io.debezium.time.Time"),
            TimeUnit::Connect => (SchemaKind::Int32, "org.apache.kafka.connect.data.Time"),
            TimeUnit::Microseconds => (SchemaKind::Int64, "io.debezium.time.MicroTime"),
            TimeUnit::Nanoseconds => (SchemaKind::Int64, "io.debezium.time.NanoTime"),
            TimeUnit::Iso => (SchemaKind::String, "io.debezium.time.IsoTime"),
        }
    }

    pub(super) fn temporal(self) -> Temporal {
        match self.unit {
            TimeUnit::Milliseconds | TimeUnit::Connect => Temporal::Milliseconds,
            TimeUnit::Microseconds => Temporal::Microseconds,
            TimeUnit::Nanoseconds => Temporal::Nanoseconds,
            TimeUnit::Iso => Temporal::Iso,
        }
    }

    /// `24:00:00` as a column's default: the driver reads it as the last time that Java has (`TimestampUtils.toLocalTime`).
    pub(super) fn write_end_of_day_default(self, writer: &mut impl ValueWriter) {
        const LAST_NANO: i64 = MICROS_PER_DAY * 1000 - 1;
        match self.unit {
            TimeUnit::Milliseconds | TimeUnit::Connect => writer.int32((LAST_NANO / 1_000_000) as i32),
            TimeUnit::Microseconds => writer.int64(LAST_NANO / 1000),
            TimeUnit::Nanoseconds => writer.int64(LAST_NANO),
            TimeUnit::Iso => writer.string("23:59:59.999999999Z"),
        }
    }

    /// Writes microseconds since midnight.
    pub(super) fn write(self, exact: i64, writer: &mut impl ValueWriter) -> Kept {
        let micros = if self.through_driver { exact.rem_euclid(MICROS_PER_DAY) / 1000 * 1000 } else { exact };
        match self.unit {
            TimeUnit::Milliseconds | TimeUnit::Connect => writer.int32((micros / 1000) as i32),
            TimeUnit::Microseconds => writer.int64(micros),
            TimeUnit::Nanoseconds => writer.int64(micros.wrapping_mul(1000)),
            TimeUnit::Iso => {
                let (second, fraction) =
                    (micros.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
                writer.string(&format!("{}Z", datetime::iso_clock(second, fraction)));
            }
        }
        Kept::unless(micros != exact || self.unit == TimeUnit::Iso && exact >= MICROS_PER_DAY)
    }
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampForm {
    Milliseconds,
    Connect,
    Microseconds,
    Nanoseconds,
    Iso,
}

impl TimestampForm {
    pub(super) fn of(mode: TimePrecision, typmod: i32) -> Self {
        match mode {
            TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds if (0..=3).contains(&typmod) => {
                TimestampForm::Milliseconds
            }
            TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds | TimePrecision::Microseconds => {
                TimestampForm::Microseconds
            }
            TimePrecision::Connect => TimestampForm::Connect,
            TimePrecision::IsoString => TimestampForm::Iso,
            TimePrecision::Nanoseconds => TimestampForm::Nanoseconds,
        }
    }

    pub(super) fn schema(self) -> Logical {
        match self {
            TimestampForm::Milliseconds => (SchemaKind::Int64, "io.debezium.time.Timestamp"),
            TimestampForm::Connect => (SchemaKind::Int64, "org.apache.kafka.connect.data.Timestamp"),
            TimestampForm::Microseconds => (SchemaKind::Int64, "io.debezium.time.MicroTimestamp"),
            TimestampForm::Nanoseconds => (SchemaKind::Int64, "io.debezium.time.NanoTimestamp"),
            TimestampForm::Iso => (SchemaKind::String, "io.debezium.time.IsoTimestamp"),
        }
    }

    pub(super) fn temporal(self) -> Temporal {
        match self {
            TimestampForm::Milliseconds | TimestampForm::Connect => Temporal::Milliseconds,
            TimestampForm::Microseconds => Temporal::Microseconds,
            TimestampForm::Nanoseconds => Temporal::Nanoseconds,
            TimestampForm::Iso => Temporal::Iso,
        }
    }

    pub(super) fn write(self, text: &str, phase: Phase, writer: &mut impl ValueWriter) -> Result<Kept, NotA> {
        let exact = Stamp::parse(text, Calendar::Gregorian).ok_or(NotA("a timestamp"))?;
        let stamp = match phase {
            Phase::Snapshot => Stamp::parse(text, Calendar::Java).ok_or(NotA("a timestamp"))?,
            Phase::Streaming => exact,
        };
        Ok(self.write_stamp(stamp, writer).and(Kept::unless(stamp != exact)))
    }

    /// `infinity` as a column's default: the last or first moment that Java has, which has no milliseconds.
    pub(super) fn write_infinite_default(self, is_negative: bool, writer: &mut impl ValueWriter) {
        const NANOS_PER_DAY: i64 = MICROS_PER_DAY * 1000;
        match (self, is_negative) {
            (TimestampForm::Milliseconds | TimestampForm::Connect, _) => writer.null(),
            // Its seconds saturate, and the microseconds behind them overflow.
            (TimestampForm::Microseconds, false) => writer.int64(i64::MAX.wrapping_add(999_999)),
            (TimestampForm::Microseconds, true) => writer.int64(i64::MIN),
            (TimestampForm::Nanoseconds, false) => {
                writer.int64(LAST_DAY.wrapping_mul(NANOS_PER_DAY).wrapping_add(NANOS_PER_DAY - 1));
            }
            (TimestampForm::Nanoseconds, true) => writer.int64(FIRST_DAY.wrapping_mul(NANOS_PER_DAY)),
            (TimestampForm::Iso, false) => writer.string("+999999999-12-31T23:59:59.999999999Z"),
            (TimestampForm::Iso, true) => writer.string("-999999999-01-01T00:00:00Z"),
        }
    }

    pub(super) fn write_stamp(self, stamp: Stamp, writer: &mut impl ValueWriter) -> Kept {
        let Stamp { seconds, micros } = stamp;
        let exact = i128::from(seconds) * 1_000_000 + i128::from(micros);
        match self {
            TimestampForm::Milliseconds | TimestampForm::Connect => {
                writer.int64(seconds.wrapping_mul(1000).wrapping_add(micros / 1000));
                Kept::All
            }
            TimestampForm::Microseconds => {
                // Beyond the year 294247 Debezium's seconds saturate and its microseconds overflow.
                let value = seconds.saturating_mul(MICROS_PER_SECOND).wrapping_add(micros);
                writer.int64(value);
                Kept::unless(i128::from(value) != exact)
            }
            TimestampForm::Nanoseconds => {
                // The overflow beyond the year 2262 is Java's.
                let value = (exact * 1000) as i64;
                writer.int64(value);
                Kept::unless(i128::from(value) != exact * 1000)
            }
            TimestampForm::Iso => {
                writer.string(&stamp.iso(datetime::Digits::AsNeeded));
                Kept::All
            }
        }
    }
}
