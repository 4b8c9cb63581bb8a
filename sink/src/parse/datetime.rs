//! Dates and times.

use proto::types::Temporal;
use proto::types::datetime::{DATE_INFINITY, TIMESTAMP_INFINITY, civil, days_from_civil};

use super::value::append;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// What Debezium's snapshots have for `infinity` and `-infinity` as dates: the driver's marks, and as many bits of them as an
/// `int` has.
const SNAPSHOT_INFINITY: ((i64, i64, i64), (i64, i64, i64)) = ((292_278_994, 8, 16), (292_269_055, 12, 2));
const SNAPSHOT_INT_INFINITY: (i64, i64) = (-622_191_234, -625_821_272);

/// Debezium's marks for the infinities of a `timestamp` as ISO 8601 has them.
const ISO_INFINITY: (&str, &str) = ("+294247-01-10T04:00:25.2Z", "-290308-12-21T19:59:27.6Z");

/// What an array of `timestamptz` has for `-infinity` begins with that: the driver's mark on a local clock without its era.
const DRIVER_NEGATIVE_INFINITY: &str = "+292269055-12-02T23:00:00";

/// Appends a date by its days since 1970.
pub(super) fn date(days: i64, text: &mut String) -> Option<()> {
    i32::try_from(days).ok()?;
    match infinity(days) {
        Some(name) => text.push_str(name),
        None => {
            let era = push_calendar(days, text);
            text.push_str(era);
        }
    }
    Some(())
}

/// Beyond all dates that PostgreSQL has.
fn infinity(days: i64) -> Option<&'static str> {
    if days == i64::from(DATE_INFINITY.0) || days == SNAPSHOT_INT_INFINITY.0 {
        return Some("infinity");
    }
    (days == i64::from(DATE_INFINITY.1) || days == SNAPSHOT_INT_INFINITY.1).then_some("-infinity")
}

/// Appends year, month and day, and gives the era, which comes behind everything; there is no year 0.
fn push_calendar(days: i64, text: &mut String) -> &'static str {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    match year {
        0..=9999 => push_digits(year, 4, text),
        _ => append(text, format_args!("{year}")),
    }
    for part in [month, day] {
        text.push('-');
        push_digits(part, 2, text);
    }
    era
}

/// A number that has no more than `width` digits, with zeros in front of it.
fn push_digits(number: i64, width: u32, text: &mut String) {
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
    }
}

/// Appends a time of day by its number.
pub(super) fn time(number: i64, unit: Temporal, text: &mut String) -> Option<()> {
    let micros = match unit {
        Temporal::Milliseconds => number.checked_mul(1000)?,
        Temporal::Microseconds => number,
        Temporal::Nanoseconds => number / 1000,
        Temporal::Days | Temporal::Iso => return None,
    };
    (0..=MICROS_PER_DAY).contains(&micros).then(|| push_time(micros, text))
}

fn push_time(micros: i64, text: &mut String) {
    let seconds = micros / MICROS_PER_SECOND;
    push_digits(seconds / 3600, 2, text);
    for part in [seconds / 60 % 60, seconds % 60] {
        text.push(':');
        push_digits(part, 2, text);
    }
    text.push('.');
    push_digits(micros % MICROS_PER_SECOND, 6, text);
}

/// Appends a timestamp by its number.
pub(super) fn timestamp(number: i64, unit: Temporal, text: &mut String) -> Option<()> {
    let of_unit = |mark: i64| match unit {
        Temporal::Milliseconds => mark / 1000,
        Temporal::Nanoseconds => mark.wrapping_mul(1000),
        _ => mark,
    };
    for (mark, name) in [(TIMESTAMP_INFINITY.0, "infinity"), (TIMESTAMP_INFINITY.1, "-infinity")] {
        if number == of_unit(mark) {
            text.push_str(name);
            return Some(());
        }
    }
    let micros = match unit {
        Temporal::Milliseconds => number.checked_mul(1000)?,
        // Years beyond 294247 have overflowed on the way here.
        Temporal::Microseconds => number,
        Temporal::Nanoseconds => micros_of_nanos(number),
        Temporal::Days | Temporal::Iso => return None,
    };
    let era = push_calendar(micros.div_euclid(MICROS_PER_DAY), text);
    text.push(' ');
    push_time(micros.rem_euclid(MICROS_PER_DAY), text);
    text.push_str(era);
    Some(())
}

/// The microseconds that were written as nanoseconds in 64 bits, which overflow outside of the years 1677 to 2262.
///
/// What was written is a multiple of 1000, and 2^64 is none: the last three digits say how often it went around, for up to 125
/// rounds of 584 years each. They are taken to begin where PostgreSQL's timestamps do, in 4713 BC, and end behind the year 68000.
fn micros_of_nanos(nanos: i64) -> i64 {
    /// How often the first of PostgreSQL's timestamps went around.
    const FIRST: i64 = -11;
    const ROUNDS: i64 = 125;
    // nanos + 616 * rounds, 616 being the last digits of 2^64, has to be divisible by 1000: 13 is the inverse of 616 / 8 there.
    let digits = nanos.rem_euclid(1000);
    let rounds = (-(digits / 8) * 13 - FIRST).rem_euclid(ROUNDS) + FIRST;
    let rounds = if digits % 8 == 0 { rounds } else { 0 };
    let exact = i128::from(nanos) + (i128::from(rounds) << 64);
    // 2^64 * 125 nanoseconds are few enough microseconds.
    i64::try_from(exact.div_euclid(1000)).unwrap_or_default()
}

/// Appends a date in ISO 8601.
pub(super) fn iso_date(value: &str, text: &mut String) -> Option<()> {
    let value = value.strip_suffix('Z').unwrap_or(value);
    if value.starts_with(|first: char| first.is_ascii_digit()) && !value.starts_with("0000") {
        text.push_str(value);
        return Some(());
    }
    // Java's years: a sign in front of those beyond 9999, and those before 1 counted from 0.
    let (is_negative, unsigned) = match value.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    let mut parts = unsigned.split('-').map(|part| part.parse::<u32>().ok().map(i64::from));
    let parts = (parts.next()??, parts.next()??, parts.next()??);
    if !is_negative && (parts == SNAPSHOT_INFINITY.0 || parts == SNAPSHOT_INFINITY.1) {
        text.push_str(if parts == SNAPSHOT_INFINITY.0 { "infinity" } else { "-infinity" });
        return Some(());
    }
    let (year, month, day) = parts;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    date(days_from_civil(if is_negative { -year } else { year }, month, day), text)
}

/// Appends a time of day in ISO 8601, which is UTC where the type knows no zones.
pub(super) fn iso_time(value: &str, text: &mut String) {
    text.push_str(value.strip_suffix('Z').unwrap_or(value));
}

/// Appends a `timestamp` in ISO 8601.
pub(super) fn iso_timestamp(value: &str, text: &mut String) {
    match value {
        _ if value == ISO_INFINITY.0 => text.push_str("infinity"),
        _ if value == ISO_INFINITY.1 => text.push_str("-infinity"),
        _ => push_in_era(value, value.strip_suffix('Z').unwrap_or(value), text),
    }
}

/// Appends a `timestamptz` in ISO 8601, or its infinity, which has a name there.
pub(super) fn zoned_timestamp(value: &str, text: &mut String) {
    if value.starts_with(DRIVER_NEGATIVE_INFINITY) {
        text.push_str("-infinity");
    } else {
        push_in_era(value, value, text);
    }
}

/// Java's years into PostgreSQL's.
fn push_in_era(value: &str, iso: &str, text: &mut String) {
    let before = |year: &str| year.parse::<i64>().ok()?.checked_add(1);
    if let Some(rest) = iso.strip_prefix('+') {
        text.push_str(rest);
    } else if let Some((year, rest)) = iso.strip_prefix('-').and_then(|rest| rest.split_once('-')) {
        match before(year) {
            Some(year) => append(text, format_args!("{year:04}-{rest} BC")),
            None => text.push_str(value),
        }
    } else if let Some(rest) = iso.strip_prefix("0000-") {
        append(text, format_args!("0001-{rest} BC"));
    } else {
        text.push_str(iso);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut String) -> Option<()>) -> Option<String> {
        let mut text = String::new();
        write(&mut text).map(|()| text)
    }

    #[test]
    fn nanoseconds_that_went_around_say_how_often() {
        for (nanos, expected) in [
            // Records of Debezium's: the scenario 244-extremes-nanoseconds.
            (-8_177_548_578_871_345_152, "0044-03-15 12:00:00.000000 BC"),
            (3_620_072_073_709_551_616, "1500-03-01 00:00:00.000000"),
            (-7_949_335_189_194_932_224, "4713-01-01 00:00:00.000000 BC"),
            (1_062_283_421_128_654_848, "0250-01-01 00:00:00.000000"),
            (-8_032_952_073_586_095_616, "2300-01-01 00:00:00.123456"),
            (-29_575_808_000, "infinity"),
            (22_375_808_000, "-infinity"),
        ] {
            assert_eq!(written(|text| timestamp(nanos, Temporal::Nanoseconds, text)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_infinities_have_marks() {
        for (value, expected) in [
            ("+292278994-08-16Z", "infinity"),
            ("+292269055-12-02Z", "-infinity"),
            ("-0043-03-15Z", "0044-03-15 BC"),
            ("0000-12-31Z", "0001-12-31 BC"),
            ("+12345-06-07Z", "12345-06-07"),
            ("2024-02-29Z", "2024-02-29"),
        ] {
            assert_eq!(written(|text| iso_date(value, text)).as_deref(), Some(expected), "{value}");
        }
        for days in [SNAPSHOT_INT_INFINITY.0, DATE_INFINITY.0.into()] {
            assert_eq!(written(|text| date(days, text)).as_deref(), Some("infinity"));
        }
        assert_eq!(written(|text| iso_date("+4294967296-01-01Z", text)), None);
        assert_eq!(written(|text| iso_date("-secret", text)), None);
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for (number, unit) in
            [(i64::MAX, Temporal::Milliseconds), (-1, Temporal::Microseconds), (86_400_001, Temporal::Milliseconds)]
        {
            assert_eq!(written(|text| time(number, unit, text)), None);
        }
        assert_eq!(written(|text| timestamp(i64::MAX, Temporal::Milliseconds, text)), None);
    }

    proptest! {
        /// From 4713 BC to the year 68000.
        #[test]
        fn nanoseconds_find_back_to_their_microseconds(micros in -210_866_803_200_000_000_i64..2_080_000_000_000_000_000) {
            prop_assert_eq!(micros_of_nanos(micros.wrapping_mul(1000)), micros);
        }

        #[test]
        fn no_number_makes_it_panic(number: i64) {
            for unit in [Temporal::Milliseconds, Temporal::Microseconds, Temporal::Nanoseconds] {
                let _written = written(|text| timestamp(number, unit, text));
                let _written = written(|text| time(number, unit, text));
            }
            let _written = written(|text| date(number, text));
        }

        #[test]
        fn no_text_makes_it_panic(value in "[-+0-9TZ:.]{0,30}") {
            let _written = written(|text| iso_date(&value, text));
            iso_timestamp(&value, &mut String::new());
            zoned_timestamp(&value, &mut String::new());
        }
    }
}
