//! `date`, `time`, `timestamp` and their forms with a time zone.

use super::NotA;
use super::codec::Kept;
use super::modes::Phase;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
pub(super) const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// What Debezium's stream gives for `infinity` as a date, and for `-infinity` (`PostgresValueConverter`'s local dates).
pub const DATE_INFINITY: (i32, i32) = (-2_147_472_692, -2_147_472_691);
/// What its snapshots give: the driver's marks as `java.sql.Date` shows them, without their era.
const DRIVER_DATE_INFINITY: ((i64, i64, i64), (i64, i64, i64)) = ((292_278_994, 8, 16), (292_269_055, 12, 2));
/// What it gives for `infinity` as a timestamp, and for `-infinity`, in microseconds (pgjdbc's marks).
pub const TIMESTAMP_INFINITY: (i64, i64) = (9_223_372_036_825_200_000, -9_223_372_036_832_400_000);
/// The mark of `-infinity` on a local clock without its era: what an array of `timestamptz` has for it.
const DRIVER_NEGATIVE_INFINITY: &str = "+292269055-12-02T23:00:00";

/// Which calendar a date before 1582-10-15 is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calendar {
    /// The Gregorian one, as PostgreSQL does.
    Gregorian,
    /// The Julian one, as `java.util.GregorianCalendar` and so pgjdbc do.
    Java,
}

pub(super) fn is_infinite(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

/// A date's days since 1970 in the proleptic Gregorian calendar.
pub(super) fn debezium_date(text: &str) -> Result<i64, NotA> {
    const WHAT: NotA = NotA("a date");
    match text {
        "infinity" => Ok(DATE_INFINITY.0.into()),
        "-infinity" => Ok(DATE_INFINITY.1.into()),
        _ => {
            let (date, is_bc) = without_era(text);
            let (year, month, day) = date_parts(date).ok_or(WHAT)?;
            Ok(days_from_civil(astronomical(year, is_bc), month, day))
        }
    }
}

/// A date's days since 1970 as they come out of `java.sql.Date.toLocalDate`: without the era, and the ten days that the
/// calendar of 1582 does not have are those behind them.
pub(super) fn driver_date(text: &str) -> Result<i64, NotA> {
    let (date, is_bc) = match text {
        "infinity" => (DRIVER_DATE_INFINITY.0, false),
        "-infinity" => (DRIVER_DATE_INFINITY.1, false),
        _ => {
            let (date, is_bc) = without_era(text);
            (date_parts(date).ok_or(NotA("a date"))?, is_bc)
        }
    };
    let (year, month, day) = date;
    Ok(driver_local_days(year, month, day, is_bc))
}

fn driver_local_days(year: i64, month: i64, day: i64, is_bc: bool) -> i64 {
    let days = days_from_civil(year, month, day);
    if !is_bc && (FIRST_GREGORIAN_DAY - 10..FIRST_GREGORIAN_DAY).contains(&days) { days + 10 } else { days }
}

/// A time of day in microseconds; `24:00:00` is a day.
pub(super) fn time_micros(text: &str) -> Result<i64, NotA> {
    let micros = |(seconds, micros): (i64, i64)| seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros);
    clock(text).and_then(micros).ok_or(NotA("a time"))
}

/// How many digits are behind a second's point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// Without zeros at the end.
    AsNeeded,
    /// So many.
    Fixed(usize),
}

/// How a `timestamptz` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZonedTimestampForm {
    digits: Digits,
    /// The elements of `timestamptz[]` pass through the local clock of `java.sql.Timestamp`.
    through_driver: bool,
}

impl ZonedTimestampForm {
    /// Debezium takes no digits for as many as needed (`ZonedTimestamp.getDateTimeFormatter`).
    pub(super) fn of(typmod: i32) -> Self {
        let digits = match usize::try_from(typmod) {
            Ok(0) => Digits::AsNeeded,
            Ok(digits) => Digits::Fixed(digits),
            Err(_) => Digits::Fixed(6),
        };
        Self { digits, through_driver: false }
    }

    pub(super) fn in_array(self) -> Self {
        Self { through_driver: true, ..self }
    }

    /// A `timestamptz` in UTC as `ZonedTimestamp` prints it.
    pub(super) fn convert(self, text: &str, phase: Phase) -> Result<(String, Kept), NotA> {
        const WHAT: NotA = NotA("a timestamptz");
        if is_infinite(text) {
            let is_lost = self.through_driver && text == "-infinity";
            let text = match is_lost {
                true => {
                    let mut text = DRIVER_NEGATIVE_INFINITY.to_owned();
                    push_fraction(&mut text, 0, self.digits);
                    text.push('Z');
                    text
                }
                false => text.to_owned(),
            };
            return Ok((text, Kept::unless(is_lost)));
        }
        let exact = Stamp::parse(text, Calendar::Gregorian).ok_or(WHAT)?;
        let stamp = if self.through_driver {
            Stamp::parse_local(text).ok_or(WHAT)?
        } else if phase == Phase::Snapshot {
            Stamp::parse(text, Calendar::Java).ok_or(WHAT)?
        } else {
            exact
        };
        Ok((stamp.iso(self.digits), Kept::unless(stamp != exact)))
    }
}

/// How a `timetz` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZonedTimeForm {
    /// With as many fractional digits as it needs.
    Whole,
    /// Without any: the elements of `timetz[]` pass through `java.sql.Time.toLocalTime`.
    Seconds,
    /// Not turned to UTC: `io.debezium.time.ZonedTime` has a place for the offset.
    WithOffset,
}

impl ZonedTimeForm {
    /// A `timetz` turned to UTC as `ZonedTime` prints it.
    pub(super) fn convert(self, text: &str) -> Result<(String, Kept), NotA> {
        const WHAT: NotA = NotA("a timetz");
        let (time, offset) = split_offset(text).ok_or(WHAT)?;
        let (seconds, exact) = clock(time).ok_or(WHAT)?;
        if self == ZonedTimeForm::WithOffset && offset != 0 && seconds < SECONDS_PER_DAY {
            let (sign, offset) = if offset < 0 { ('-', offset.saturating_neg()) } else { ('+', offset) };
            let (hours, minutes, rest) = (offset / 3600, offset / 60 % 60, offset % 60);
            let mut text = iso_clock(seconds, exact);
            text.push_str(&format!("{sign}{hours:02}:{minutes:02}"));
            if rest != 0 {
                text.push_str(&format!(":{rest:02}"));
            }
            return Ok((text, Kept::All));
        }
        let micros = if self == ZonedTimeForm::Seconds { 0 } else { exact };
        let mut text = iso_clock(seconds.wrapping_sub(offset).rem_euclid(SECONDS_PER_DAY), micros);
        text.push('Z');
        Ok((text, Kept::unless(micros != exact || seconds >= SECONDS_PER_DAY)))
    }
}

/// `2024-02-29` as Java's `ISO_LOCAL_DATE` prints it: a sign before a year that has not four digits.
pub(super) fn iso_date(days: i64) -> String {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => {
            let mut text = String::with_capacity(LONGEST);
            push_digits(&mut text, year, 4);
            for part in [month, day] {
                text.push('-');
                push_digits(&mut text, part, 2);
            }
            text
        }
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", -year),
    }
}

/// As long as a date with a time of day gets, mostly.
const LONGEST: usize = "2024-02-29T13:14:15.123456Z".len();

/// A number that has no more than `width` digits, with zeros in front of it: what `format!` would do, without its machinery.
fn push_digits(text: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
    }
}

/// `13:14:15.5` as Java's `ISO_LOCAL_TIME` prints it.
pub(super) fn iso_clock(second: i64, micros: i64) -> String {
    let mut text = String::with_capacity(LONGEST);
    push_digits(&mut text, second / 3600, 2);
    for part in [second / 60 % 60, second % 60] {
        text.push(':');
        push_digits(&mut text, part, 2);
    }
    push_fraction(&mut text, micros, Digits::AsNeeded);
    text
}

/// Fractional digits as microseconds: `5` is 500000.
pub(super) fn fraction_micros(digits: &str) -> Option<i64> {
    match digits.len() {
        0 => Some(0),
        length @ 1..=6 => Some(digits.parse::<u32>().ok()? as i64 * 10_i64.pow(6 - length as u32)),
        _ => None,
    }
}

/// A point and the digits behind it, or nothing where there are none.
fn push_fraction(text: &mut String, micros: i64, digits: Digits) {
    let begin = text.len();
    text.push('.');
    push_digits(text, micros, 6);
    let kept = match digits {
        Digits::AsNeeded => text.trim_end_matches('0').len().max(begin + 1),
        Digits::Fixed(digits) => begin + 1 + digits.min(6),
    };
    text.truncate(if kept == begin + 1 { begin } else { kept });
}

/// A point in time: whole seconds since 1970 and the microseconds behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) seconds: i64,
    pub(super) micros: i64,
}

impl Stamp {
    /// Midnight of 1970-01-01.
    pub(super) const EPOCH: Self = Self { seconds: 0, micros: 0 };

    /// `2024-02-29 13:14:15.5`, with an offset and an era if there are any; the infinities are Debezium's marks.
    pub(super) fn parse(text: &str, calendar: Calendar) -> Option<Self> {
        match text {
            "infinity" => return Some(Self::from_micros(TIMESTAMP_INFINITY.0)),
            "-infinity" => return Some(Self::from_micros(TIMESTAMP_INFINITY.1)),
            _ => {}
        }
        let (date, is_bc, rest) = split(text)?;
        let (year, month, day) = date;
        let year = astronomical(year, is_bc);
        let gregorian = days_from_civil(year, month, day);
        let days = match calendar {
            Calendar::Java if gregorian < FIRST_GREGORIAN_DAY => days_from_julian(year, month, day),
            _ => gregorian,
        };
        Self::at(days, rest)
    }

    /// The same through `java.sql.Timestamp.toLocalDateTime`, as [`driver_date`].
    fn parse_local(text: &str) -> Option<Self> {
        let ((year, month, day), is_bc, rest) = split(text)?;
        Self::at(driver_local_days(year, month, day, is_bc), rest)
    }

    /// A day and a time with an offset, if there is one.
    fn at(days: i64, time: &str) -> Option<Self> {
        let (time, offset) = match split_offset(time) {
            Some((time, offset)) => (time, offset),
            None => (time, 0),
        };
        let (seconds, micros) = clock(time)?;
        Some(Self { seconds: days.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds.checked_sub(offset)?)?, micros })
    }

    fn from_micros(micros: i64) -> Self {
        Self { seconds: micros.div_euclid(MICROS_PER_SECOND), micros: micros.rem_euclid(MICROS_PER_SECOND) }
    }

    /// As Java's `ISO_OFFSET_DATE_TIME` prints it in UTC.
    pub(super) fn iso(self, digits: Digits) -> String {
        let (day, second) = (self.seconds.div_euclid(SECONDS_PER_DAY), self.seconds.rem_euclid(SECONDS_PER_DAY));
        let mut text = iso_date(day);
        text.push('T');
        text.push_str(&iso_clock(second, 0));
        push_fraction(&mut text, self.micros, digits);
        text.push('Z');
        text
    }
}

/// The date's parts, the era, and what stands behind the date.
fn split(text: &str) -> Option<((i64, i64, i64), bool, &str)> {
    let (text, is_bc) = without_era(text);
    let (date, time) = text.split_once(' ')?;
    Some((date_parts(date)?, is_bc, time))
}

fn without_era(text: &str) -> (&str, bool) {
    match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// A time and its offset's seconds east of UTC; `None` without an offset.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    let at = text.rfind(['+', '-'])?;
    let (time, offset) = text.split_at(at);
    let mut parts = offset.get(1..)?.split(':');
    let mut seconds = parts.next()?.parse::<i64>().ok()?.checked_mul(3600)?;
    for unit in [60, 1] {
        if let Some(part) = parts.next() {
            seconds = seconds.checked_add(part.parse::<i64>().ok()?.checked_mul(unit)?)?;
        }
    }
    Some((time, if offset.starts_with('-') { seconds.checked_neg()? } else { seconds }))
}

/// `13:14:15.123456` as seconds and microseconds.
fn clock(text: &str) -> Option<(i64, i64)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<u32>().ok().map(i64::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    Some((hours * 3600 + minutes * 60 + seconds, fraction_micros(fraction)?))
}

/// Year, month and day; a year's number is that of its era.
fn date_parts(date: &str) -> Option<(i64, i64, i64)> {
    let mut parts = date.split('-').map(|part| part.parse::<u32>().ok().map(i64::from));
    let parts = (parts.next()??, parts.next()??, parts.next()??);
    ((1..=12).contains(&parts.1) && (1..=31).contains(&parts.2)).then_some(parts)
}

/// There is no year 0: 1 BC is astronomers' year 0.
fn astronomical(year: i64, is_bc: bool) -> i64 {
    if is_bc { 1 - year } else { year }
}

/// 1582-10-15, since when both of Java's calendars are one.
const FIRST_GREGORIAN_DAY: i64 = -141_427;

/// Days since 1970-01-01 of a date in the Julian calendar.
fn days_from_julian(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(4), year.rem_euclid(4));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 1461 + of_era * 365 + of_year - 719_470
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (the well-known era arithmetic: 400 years have 146097 days).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_count_in_the_proleptic_gregorian_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2024-02-29", 19_782),
            ("1582-10-10", -141_432),
            ("0044-03-15 BC", -735_160),
            ("4713-01-01 BC", -2_440_550),
            ("10000-01-01", 2_932_897),
        ] {
            assert_eq!(debezium_date(text), Ok(days), "{text}");
        }
    }

    #[test]
    fn a_snapshots_dates_have_no_era_and_follow_javas_calendar() {
        for (text, days) in [
            ("2024-02-29", 19_782),
            ("0001-01-01", -719_162),
            ("1582-10-10", -141_422),
            ("0044-03-15 BC", -703_383),
            ("4713-01-01 BC", 1_001_860),
            ("infinity", -622_191_234),
            ("-infinity", -625_821_272),
        ] {
            assert_eq!(driver_date(text).map(|days| days as i32), Ok(days), "{text}");
        }
    }

    #[test]
    fn a_snapshots_timestamps_before_1582_are_read_in_the_julian_calendar() {
        for (text, seconds) in [
            ("0044-03-15 12:00:00 BC", -63_517_953_600),
            ("1582-10-10 01:02:03", -12_218_857_077),
            ("1582-10-15 00:00:00", FIRST_GREGORIAN_DAY * SECONDS_PER_DAY),
            ("4713-01-01 00:00:00 BC", -210_866_803_200),
        ] {
            assert_eq!(Stamp::parse(text, Calendar::Java).unwrap().seconds, seconds, "{text}");
        }
    }

    fn zoned(text: &str, typmod: i32, phase: Phase) -> String {
        ZonedTimestampForm::of(typmod).convert(text, phase).unwrap().0
    }

    #[test]
    fn timestamps_before_christ_and_after_ten_thousand_keep_their_year() {
        assert_eq!(zoned("0044-03-15 12:00:00+00 BC", 6, Phase::Streaming), "-0043-03-15T12:00:00.000000Z");
        assert_eq!(zoned("0044-03-15 12:00:00+00 BC", 6, Phase::Snapshot), "-0043-03-13T12:00:00.000000Z");
        assert_eq!(zoned("12345-06-07 01:02:03.5+00", -1, Phase::Snapshot), "+12345-06-07T01:02:03.500000Z");
        assert_eq!(zoned("2024-02-29 07:44:15+00", 0, Phase::Streaming), "2024-02-29T07:44:15Z");
    }

    #[test]
    fn an_offset_is_taken_off() {
        let convert = |text| ZonedTimeForm::Whole.convert(text).unwrap().0;
        assert_eq!(convert("13:14:15.123456+02:30"), "10:44:15.123456Z");
        assert_eq!(convert("23:59:59.999999-11:59"), "11:58:59.999999Z");
        assert_eq!(convert("12:00:00.5+14"), "22:00:00.5Z");
    }

    #[test]
    fn an_offset_is_kept_where_it_is_asked_for() {
        let convert = |text| ZonedTimeForm::WithOffset.convert(text).unwrap().0;
        assert_eq!(convert("13:14:15.123456+02"), "13:14:15.123456+02:00");
        assert_eq!(convert("23:59:59-00:45:30"), "23:59:59-00:45:30");
        assert_eq!(convert("12:00:00+00"), "12:00:00Z");
        assert_eq!(convert("24:00:00+02"), "22:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "x", "2024", "2024-13", "2024-01-01", "2024-01-01 x", "2024-01-01 1:2:3.1234567"] {
            assert!(Stamp::parse(text, Calendar::Java).is_none(), "{text}");
        }
        assert_eq!(time_micros("4294967295:00:00"), Err(NotA("a time")));
    }

    proptest! {
        #[test]
        fn a_day_reads_back(days in -3_000_000_i64..200_000_000) {
            let (year, month, day) = civil(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
