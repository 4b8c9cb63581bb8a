//! Dates and times.

use proto::types::datetime::{DATE_INFINITY, TIMESTAMP_INFINITY, civil};

use super::Unreadable;

pub(super) fn date(days: i32) -> String {
    if days == DATE_INFINITY.0 {
        return "infinity".to_owned();
    }
    if days == DATE_INFINITY.1 {
        return "-infinity".to_owned();
    }
    let (date, era) = calendar(days.into());
    format!("{date}{era}")
}

/// Year, month and day, and the era behind them; there is no year 0.
fn calendar(days: i64) -> (String, &'static str) {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

pub(super) fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

pub(super) fn timestamp(number: i64, micros_per_unit: i64) -> Result<String, Unreadable> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    for (mark, name) in [(TIMESTAMP_INFINITY.0, "infinity"), (TIMESTAMP_INFINITY.1, "-infinity")] {
        if number == mark / micros_per_unit {
            return Ok(name.to_owned());
        }
    }
    // Years beyond 294247 have overflowed on the way here.
    let micros = i128::from(number) * i128::from(micros_per_unit);
    let day = micros.div_euclid(MICROS_PER_DAY.into());
    let of_day = micros.rem_euclid(MICROS_PER_DAY.into());
    let small = |number: i128| i64::try_from(number).map_err(|_| Unreadable::new("a timestamp is out of range"));
    let (date, era) = calendar(small(day)?);
    Ok(format!("{date} {}{era}", time(small(of_day)?)))
}

/// Java's years: a sign in front of those beyond 9999, and those before 1 counted from 0.
pub(super) fn zoned_timestamp(iso: &str) -> String {
    if let Some(rest) = iso.strip_prefix('+') {
        return rest.to_owned();
    }
    let before = |year: &str| Some(format!("{:04}", year.parse::<i64>().ok()?.checked_add(1)?));
    match iso.strip_prefix('-').and_then(|rest| rest.split_once('-')) {
        Some((year, rest)) => before(year).map_or_else(|| iso.to_owned(), |year| format!("{year}-{rest} BC")),
        None if iso.starts_with("0000-") => format!("0001{} BC", iso.trim_start_matches("0000")),
        None => iso.to_owned(),
    }
}
