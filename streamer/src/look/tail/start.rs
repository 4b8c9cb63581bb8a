//! Where in a topic reading begins.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime, civil};

use crate::look::Ended;
use crate::look::reach::kafka::Reader;

/// Where in a topic reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the first record that is there.
    Beginning,
    /// Behind the last one.
    End,
    /// So many before the end of each partition.
    Last(i64),
    /// At the first record of a time, in milliseconds since 1970.
    Since(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            "beginning, end, -N, a time (2026-11-29T14:03:00Z, 2026-11-29 14:03 of this machine's zone, or milliseconds since 1970) \
             or how long ago (15m, 2h) is expected"
                .to_owned()
        };
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Some(count) = text.strip_prefix('-').and_then(|count| count.parse::<u32>().ok()) {
            return Ok(Self::Last(i64::from(count)));
        }
        if let Ok(ms) = text.parse() {
            return Ok(Self::Since(ms));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::Since(time.as_millisecond()));
        }
        if let Ok(time) = text.parse::<civil::DateTime>() {
            let time = time.to_zoned_datetime(TimeZone::system()).map_err(|_| wrong())?;
            return Ok(Self::Since(time.timestamp().as_millisecond()));
        }
        let ago =
            text.parse::<Span>().ok().and_then(|ago| ZonedDateTime::now().checked_sub(ago).ok()).ok_or_else(wrong)?;
        Ok(Self::Since(ago.timestamp().as_millisecond()))
    }
}

impl Start {
    /// The offset of a partition that it means now, and the partition's end.
    ///
    /// # Errors
    /// As [`Reader::range`].
    pub(super) fn offset(self, reader: &Reader, topic: &str, partition: i32) -> Result<(i64, i64), Ended> {
        let (first, end) = reader.range(topic, partition)?;
        let offset = match self {
            Self::Beginning => first,
            Self::End => end,
            Self::Last(count) => end.saturating_sub(count).max(first),
            Self::Since(ms) => reader.since(topic, partition, ms)?,
        };
        Ok((offset, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_place_a_count_a_time_or_how_long_ago() {
        let start = |text: &str| text.parse::<Start>();
        assert_eq!(start("beginning"), Ok(Start::Beginning));
        assert_eq!(start("-20"), Ok(Start::Last(20)));
        assert_eq!(start("1700000000000"), Ok(Start::Since(1_700_000_000_000)));
        assert_eq!(start("2023-11-14T22:13:20Z"), Ok(Start::Since(1_700_000_000_000)));
        assert!(matches!(start("2023-11-14 22:13"), Ok(Start::Since(_))));
        let ago = start("15m").unwrap();
        assert!(matches!(ago, Start::Since(ms) if (Timestamp::now().as_millisecond() - ms - 900_000).abs() < 60_000));
        for wrong in ["", "yesterday", "-x", "--1"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
    }
}
