//! `date`, `time`, `timestamp` and their forms with a time zone.

use super::NotA;

/// The unit of a number of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Precisions up to 3.
    Milliseconds,
    /// Others.
    Microseconds,
    /// Microseconds of which only the milliseconds are kept.
    MicrosecondsReadAsMilliseconds,
}

impl Unit {
    pub(super) fn read_in_milliseconds(self) -> Self {
        match self {
            Unit::Milliseconds => Unit::Milliseconds,
            _ => Unit::MicrosecondsReadAsMilliseconds,
        }
    }
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// What Debezium's stream gives for `infinity` as a date, and for `-infinity`: its date overflows an `int`.
pub const DATE_INFINITY: (i32, i32) = (-2_147_472_692, -2_147_472_691);
/// What it gives for `infinity` as a timestamp, and for `-infinity`, in microseconds (pgjdbc's marks).
pub const TIMESTAMP_INFINITY: (i64, i64) = (9_223_372_036_825_200_000, -9_223_372_036_832_400_000);

/// A date's days since 1970 in the proleptic Gregorian calendar.
pub(super) fn debezium_date(text: &str) -> Result<i32, NotA> {
    const WHAT: NotA = NotA("a date");
    match text {
        "infinity" => Ok(DATE_INFINITY.0),
        "-infinity" => Ok(DATE_INFINITY.1),
        _ => {
            let (date, is_bc) = without_era(text);
            i32::try_from(date_days(date, is_bc).ok_or(WHAT)?).map_err(|_| WHAT)
        }
    }
}

/// A time of day in microseconds; `24:00:00` is a day.
pub(super) fn time_micros(text: &str) -> Result<i64, NotA> {
    clock(text).map(|(seconds, micros)| seconds * MICROS_PER_SECOND + micros).ok_or(NotA("a time"))
}

/// A timestamp in microseconds since 1970.
pub(super) fn debezium_timestamp(text: &str) -> Result<i64, NotA> {
    match text {
        "infinity" => Ok(TIMESTAMP_INFINITY.0),
        "-infinity" => Ok(TIMESTAMP_INFINITY.1),
        _ => {
            let stamp = Stamp::parse(text).ok_or(NotA("a timestamp"))?;
            // Beyond the year 294247 Debezium's seconds saturate and its microseconds overflow.
            Ok(stamp.seconds.saturating_mul(MICROS_PER_SECOND).wrapping_add(stamp.micros))
        }
    }
}

/// A `timestamptz` in UTC as `ZonedTimestamp` prints it, with a fixed number of fractional digits.
pub(super) fn zoned_timestamp(text: &str, digits: Option<usize>) -> Result<String, NotA> {
    if matches!(text, "infinity" | "-infinity") {
        return Ok(text.to_owned());
    }
    let stamp = Stamp::parse(text).ok_or(NotA("a timestamptz"))?;
    let day = stamp.seconds.div_euclid(SECONDS_PER_DAY);
    let second = stamp.seconds.rem_euclid(SECONDS_PER_DAY);
    let (year, month, of_month) = civil(day);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    };
    let fraction = fraction(stamp.micros, digits.unwrap_or(6));
    let (hour, minute) = (second / 3600, second / 60 % 60);
    Ok(format!("{year}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{:02}{fraction}Z", second % 60))
}

/// A `timetz` turned to UTC as `ZonedTime` prints it, with as many fractional digits as it needs.
pub(super) fn zoned_time(text: &str) -> Result<String, NotA> {
    const WHAT: NotA = NotA("a timetz");
    let (time, offset) = split_offset(text).ok_or(WHAT)?;
    let (seconds, micros) = clock(time).ok_or(WHAT)?;
    let second = (seconds - offset).rem_euclid(SECONDS_PER_DAY);
    let digits = format!("{micros:06}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    Ok(format!("{:02}:{:02}:{:02}{point}{digits}Z", second / 3600, second / 60 % 60, second % 60))
}

/// Fractional digits as microseconds: `5` is 500000.
pub(super) fn fraction_micros(digits: &str) -> Option<i64> {
    match digits.len() {
        0 => Some(0),
        length @ 1..=6 => Some(digits.parse::<u32>().ok()? as i64 * 10_i64.pow(6 - length as u32)),
        _ => None,
    }
}

fn fraction(micros: i64, digits: usize) -> String {
    match digits {
        0 => String::new(),
        digits => format!(".{}", format!("{micros:06}").get(..digits.min(6)).unwrap_or_default()),
    }
}

/// A point in time: whole seconds since 1970 and the microseconds behind them.
struct Stamp {
    seconds: i64,
    micros: i64,
}

impl Stamp {
    /// `2024-02-29 13:14:15.5`, with an offset and an era if there are any.
    fn parse(text: &str) -> Option<Self> {
        let (text, is_bc) = without_era(text);
        let (date, time) = text.split_once(' ')?;
        let (time, offset) = match split_offset(time) {
            Some((time, offset)) => (time, offset),
            None => (time, 0),
        };
        let (seconds, micros) = clock(time)?;
        let days = date_days(date, is_bc)?;
        Some(Self { seconds: days.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds - offset)?, micros })
    }
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
            seconds += part.parse::<i64>().ok()? * unit;
        }
    }
    Some((time, if offset.starts_with('-') { -seconds } else { seconds }))
}

/// `13:14:15.123456` as seconds and microseconds.
fn clock(text: &str) -> Option<(i64, i64)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<u32>().ok().map(i64::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    Some((hours * 3600 + minutes * 60 + seconds, fraction_micros(fraction)?))
}

fn date_days(date: &str, is_bc: bool) -> Option<i64> {
    let mut parts = date.split('-').map(|part| part.parse::<u32>().ok().map(i64::from));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // There is no year 0: 1 BC is astronomers' year 0.
    Some(days_from_civil(if is_bc { 1 - year } else { year }, month, day))
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
    fn timestamps_before_christ_and_after_ten_thousand_keep_their_year() {
        assert_eq!(zoned_timestamp("0044-03-15 12:00:00+00 BC", Some(6)).unwrap(), "-0043-03-15T12:00:00.000000Z");
        assert_eq!(zoned_timestamp("12345-06-07 01:02:03.5+00", None).unwrap(), "+12345-06-07T01:02:03.500000Z");
        assert_eq!(zoned_timestamp("2024-02-29 07:44:15+00", Some(0)).unwrap(), "2024-02-29T07:44:15Z");
    }

    #[test]
    fn an_offset_is_taken_off() {
        assert_eq!(zoned_time("13:14:15.123456+02:30").unwrap(), "10:44:15.123456Z");
        assert_eq!(zoned_time("23:59:59.999999-11:59").unwrap(), "11:58:59.999999Z");
        assert_eq!(zoned_time("12:00:00.5+14").unwrap(), "22:00:00.5Z");
    }

    #[test]
    fn the_last_timestamp_overflows_as_debeziums_does() {
        assert_eq!(debezium_timestamp("294276-12-31 23:59:59.999999"), Ok(-9_223_372_036_853_775_810));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "x", "2024", "2024-13", "2024-01-01", "2024-01-01 x", "2024-01-01 1:2:3.1234567"] {
            assert!(debezium_timestamp(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_reads_back(days in -3_000_000_i64..200_000_000) {
            let (year, month, day) = civil(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
