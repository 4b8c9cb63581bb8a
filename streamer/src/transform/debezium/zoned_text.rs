//! ISO 8601 texts with an offset, as `java.time` reads and writes them (`ISO_OFFSET_DATE_TIME`, `ISO_OFFSET_TIME`).

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// A date and time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZonedText {
    local: DateTime,
    offset: i32,
}

/// A time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZonedTime {
    time: Time,
    offset: i32,
}

impl ZonedText {
    /// Reads a text; `None` for one of another form, as that for infinity.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let zoned = ZonedTime::read(time)?;
        let (year, day) = date.split_at_checked(date.len().checked_sub(6)?)?;
        let date = Date::new(year.parse().ok()?, day.get(1..3)?.parse().ok()?, day.get(4..6)?.parse().ok()?).ok()?;
        Some(Self { local: date.to_datetime(zoned.time), offset: zoned.offset })
    }

    /// An offset in seconds: `Z`, `+01:00`, `-00:01:15`.
    pub(super) fn read_offset(text: &str) -> Option<i32> {
        if text == "Z" {
            return Some(0);
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let mut seconds = 0;
        let mut unit = 3600;
        for part in text.get(1..)?.split(':') {
            if part.len() != 2 || unit == 0 {
                return None;
            }
            seconds += unit * part.parse::<u8>().map(i32::from).ok()?;
            unit /= 60;
        }
        Some(sign * seconds)
    }

    /// What its clock shows.
    pub(super) fn local(self) -> DateTime {
        self.local
    }

    /// The same instant at another offset.
    pub(super) fn with_offset(self, offset: i32) -> Option<Self> {
        let moved = SignedDuration::from_secs(i64::from(offset - self.offset));
        Some(Self { local: self.local.checked_add(moved).ok()?, offset })
    }
}

impl ZonedTime {
    /// Reads a text; `None` for one of another form.
    pub(super) fn read(text: &str) -> Option<Self> {
        let at = text.find(['Z', '+', '-'])?;
        let (time, offset) = text.split_at_checked(at)?;
        Some(Self { time: time.parse().ok()?, offset: ZonedText::read_offset(offset)? })
    }

    /// The same moment of the day at another offset.
    pub(super) fn with_offset(self, offset: i32) -> Self {
        let moved = SignedDuration::from_secs(i64::from(offset - self.offset));
        Self { time: self.time.wrapping_add(moved), offset }
    }
}

impl std::fmt::Display for ZonedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = (self.local.year(), self.local.month(), self.local.day());
        if year < 0 {
            write!(f, "-{:04}", -i32::from(year))?;
        } else {
            write!(f, "{year:04}")?;
        }
        write!(f, "-{month:02}-{day:02}T{}", ZonedTime { time: self.local.time(), offset: self.offset })
    }
}

impl std::fmt::Display for ZonedTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.time.hour(), self.time.minute(), self.time.second())?;
        let nanoseconds = self.time.subsec_nanosecond();
        if nanoseconds != 0 {
            let digits = format!("{nanoseconds:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let (sign, offset) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        write!(f, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60)?;
        if offset % 60 != 0 {
            write!(f, ":{:02}", offset % 60)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_moves_to_another_offset() {
        let moved = |text: &str, offset| ZonedText::read(text).unwrap().with_offset(offset).unwrap().to_string();
        assert_eq!(moved("2023-07-01T10:00:00.500000Z", 19_800), "2023-07-01T15:30:00.5+05:30");
        assert_eq!(moved("1900-01-01T00:00:00.000000Z", -17_762), "1899-12-31T19:03:58-04:56:02");
        assert_eq!(moved("-0001-01-01T00:00:00Z", 0), "-0001-01-01T00:00:00Z");
        assert_eq!(ZonedText::read("infinity"), None);
        assert_eq!(ZonedTime::read("23:59:59Z").unwrap().with_offset(3600).to_string(), "00:59:59+01:00");
    }
}
