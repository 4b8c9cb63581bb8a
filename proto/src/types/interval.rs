//! `interval`.

use super::NotA;
use super::decimal::Decimal;

/// Months, days and microseconds, which PostgreSQL keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    months: i64,
    days: i64,
    micros: i64,
}

/// As Debezium counts a month.
const DAYS_PER_MONTH: f64 = 365.25 / 12.0;
const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_MINUTE: i64 = 60_000_000;

impl Interval {
    /// From the text of `IntervalStyle=postgres`: `1 year 2 mons -3 days 04:05:06.789`.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        const WHAT: NotA = NotA("an interval");
        let mut interval = Self::default();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word.contains(':') {
                let (negative, clock) = match word.strip_prefix(['-', '+']) {
                    Some(clock) => (word.starts_with('-'), clock),
                    None => (false, word),
                };
                let micros = clock_micros(clock).ok_or(WHAT)?;
                interval.micros = i64::try_from(if negative { -micros } else { micros }).map_err(|_| WHAT)?;
                continue;
            }
            let count: i64 = word.parse().map_err(|_| WHAT)?;
            match words.next().ok_or(WHAT)? {
                "year" | "years" => interval.months = interval.months.saturating_add(count.saturating_mul(12)),
                "mon" | "mons" => interval.months = interval.months.saturating_add(count),
                "day" | "days" => interval.days = interval.days.saturating_add(count),
                _ => return Err(WHAT),
            }
        }
        Ok(interval)
    }

    /// Hours, minutes, and seconds in the driver's doubles (`PGInterval.getSeconds`).
    fn clock(&self) -> (i64, i64, f64) {
        let (hours, rest) = (self.micros / MICROS_PER_HOUR, self.micros % MICROS_PER_HOUR);
        let (minutes, micros) = (rest / MICROS_PER_MINUTE, rest % MICROS_PER_MINUTE);
        (hours, minutes, (micros / 1_000_000) as f64 + (micros % 1_000_000) as f64 / 1e6)
    }

    /// Debezium's `MicroDuration`, in its own doubles, whose last digits are not always those of the interval; it
    /// saturates.
    pub fn micros(&self) -> i64 {
        let (hours, minutes, seconds) = self.clock();
        let days = self.months as f64 * DAYS_PER_MONTH + self.days as f64;
        let seconds = ((days * 24.0 + hours as f64) * 60.0 + minutes as f64) * 60.0 + seconds;
        (seconds * 1e6) as i64
    }

    /// Debezium's `io.debezium.time.Interval`: every part is there, `P0Y0M0DT0H0M0S` the shortest. The seconds have up to
    /// nine digits of a double: 1.726101 is 1.726100999.
    pub fn iso(&self) -> String {
        let (hours, minutes, seconds) = self.clock();
        let seconds = Decimal::from_double(seconds);
        let seconds = if seconds.scale() > 9 { seconds.with_scale(9) } else { seconds };
        format!("P{}Y{}M{}DT{hours}H{minutes}M{}S", self.months / 12, self.months % 12, self.days, seconds.stripped())
    }
}

/// The last negative interval has one microsecond more than an `i64` has without its sign.
fn clock_micros(clock: &str) -> Option<i128> {
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() {
        return None;
    }
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let fraction = super::datetime::fraction_micros(fraction)?;
    let whole = |text: &str| text.parse::<i64>().ok().map(i128::from);
    let seconds = whole(hours)? * 3600 + whole(minutes)? * 60 + whole(seconds)?;
    Some(seconds * 1_000_000 + i128::from(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_counts_a_twelfth_of_a_year() {
        let interval = Interval::parse("1 year 2 mons 3 days 04:05:06.789").unwrap();
        assert_eq!(interval.micros(), 37_091_106_789_000);
        assert_eq!(interval.iso(), "P1Y2M3DT4H5M6.789S");
    }

    #[test]
    fn seconds_are_doubles() {
        let iso = |text| Interval::parse(text).unwrap().iso();
        assert_eq!(iso("-2 mons +13 days 23:32:01.726101"), "P0Y-2M13DT23H32M1.726100999S");
        assert_eq!(iso("-3 years -9 mons -34 days -07:00:27.23034"), "P-3Y-9M-34DT-7H0M-27.230339999S");
        assert_eq!(iso("00:00:00.000001"), "P0Y0M0DT0H0M0.000001S");
        assert_eq!(iso("-00:00:00.5"), "P0Y0M0DT0H0M-0.5S");
    }

    #[test]
    fn a_negative_clock_is_negative_as_a_whole() {
        assert_eq!(Interval::parse("-00:00:01.5").unwrap().micros(), -1_500_000);
        assert_eq!(Interval::parse("-1 years -2 mons +3 days -04:05:06").unwrap().iso(), "P-1Y-2M3DT-4H-5M-6S");
    }

    #[test]
    fn an_interval_beyond_the_range_saturates() {
        assert_eq!(Interval::parse("178000000 years").unwrap().micros(), i64::MAX);
        assert_eq!(Interval::parse("-2562047788:00:54.775808").unwrap().micros(), i64::MIN);
        for text in ["2562047788:00:54.775808", "1:9223372036854775807:1", "--9223372036854775808:00:00"] {
            assert_eq!(Interval::parse(text), Err(NotA("an interval")), "{text}");
        }
        assert!(Interval::parse("1 fortnight").is_err());
    }
}
