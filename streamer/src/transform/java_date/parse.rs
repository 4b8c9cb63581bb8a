//! A text read by a pattern.

use super::format::{DatePattern, Part};
use super::{DAY, Day, MONTHS, WEEKDAYS};

/// What a text says, and where it says nothing, 1970-01-01 at midnight.
#[derive(Debug)]
struct Read {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    /// Hours of half a day, and which half.
    half: Option<i64>,
    afternoon: bool,
    minute: i64,
    second: i64,
    millisecond: i64,
    before_christ: bool,
    /// East of UTC, in minutes.
    offset: i64,
}

impl DatePattern {
    /// The letters that a text cannot be read by here: weeks, from which Java's calendar computes a date.
    pub fn unreadable(&self) -> Option<char> {
        self.parts.iter().find_map(|part| match part {
            Part::Field(letter @ ('Y' | 'w' | 'W' | 'F' | 'u'), _) => Some(*letter),
            _ => None,
        })
    }

    /// Reads a text, as a lenient `SimpleDateFormat.parse` does: what follows behind is left alone, and numbers beyond their
    /// ends run on. `None` when it does not match.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let mut read = Read {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half: None,
            afternoon: false,
            minute: 0,
            second: 0,
            millisecond: 0,
            before_christ: false,
            offset: 0,
        };
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(expected) => rest = rest.strip_prefix(expected.as_str())?,
                Part::Field(letter, count) => {
                    rest = rest.trim_start_matches([' ', '\t']);
                    // Numbers that touch have as many digits as letters.
                    let touches =
                        matches!(self.parts.get(index + 1), Some(Part::Field(next, count)) if is_number(*next, *count));
                    rest = field(*letter, *count, touches, rest, &mut read)?;
                }
            }
        }
        let year = if read.before_christ { 1 - read.year } else { read.year };
        let day = Day { year, month: read.month, day: read.day };
        let days = match read.day_of_year {
            Some(day_of_year) => Day { year, month: 1, day: 1 }.days() + day_of_year - 1,
            None => day.days(),
        };
        let hour = match read.half {
            Some(half) => half + if read.afternoon { 12 } else { 0 },
            None => read.hour,
        };
        let minutes = hour * 60 + read.minute - read.offset;
        Some(days * DAY + (minutes * 60 + read.second) * 1000 + read.millisecond)
    }
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count <= 2,
        other => !"EaGzZX".contains(other),
    }
}

fn field<'a>(letter: char, count: usize, touches: bool, text: &'a str, read: &mut Read) -> Option<&'a str> {
    match letter {
        'M' | 'L' if count >= 3 => {
            let (index, rest) = named(&MONTHS, text)?;
            read.month = index + 1;
            return Some(rest);
        }
        'E' => return Some(named(&WEEKDAYS, text)?.1),
        'a' => {
            let (index, rest) = named(&["AM", "PM"], text)?;
            read.afternoon = index == 1;
            return Some(rest);
        }
        'G' => {
            let (index, rest) = named(&["BC", "AD"], text)?;
            read.before_christ = index == 0;
            return Some(rest);
        }
        'z' | 'Z' | 'X' => {
            let (offset, rest) = zone(letter, text)?;
            read.offset = offset;
            return Some(rest);
        }
        _ => {}
    }
    let signed = text.strip_prefix('-').filter(|_| !touches);
    let digits = signed.unwrap_or(text);
    let longest = digits.bytes().take_while(u8::is_ascii_digit).count();
    let length = if touches { count.min(longest) } else { longest };
    let (number, rest) = digits.split_at_checked(length).filter(|_| length > 0)?;
    let value = number.parse::<i64>().ok().filter(|value| *value < 1_000_000_000)?;
    let value = if signed.is_some() { -value } else { value };
    match letter {
        // Two digits are the year within eighty years before and twenty after now.
        'y' if count <= 2 && length == 2 && signed.is_none() => read.year = near(value),
        'y' => read.year = value,
        'M' | 'L' => read.month = value,
        'd' => read.day = value,
        'D' => read.day_of_year = Some(value),
        'H' => read.hour = value,
        'k' => read.hour = if value == 24 { 0 } else { value },
        'K' => read.half = Some(value),
        'h' => read.half = Some(if value == 12 { 0 } else { value }),
        'm' => read.minute = value,
        's' => read.second = value,
        'S' => read.millisecond = value,
        _ => return None,
    }
    Some(rest)
}

fn near(two_digits: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let first = Day::of(i64::try_from(now / 86_400).unwrap_or_default()).year - 80;
    let year = first - first.rem_euclid(100) + two_digits;
    if year < first { year + 100 } else { year }
}

/// A name at the text's beginning, long or short, in any case.
fn named<'a>(names: &[&str], text: &'a str) -> Option<(i64, &'a str)> {
    let begins = |name: &str| {
        let (head, rest) = text.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some(rest)
    };
    let found = |length: fn(&str) -> &str| {
        let mut all = names.iter().enumerate();
        all.find_map(|(index, name)| Some((i64::try_from(index).ok()?, begins(length(name))?)))
    };
    found(|name| name).or_else(|| found(|name| name.get(..3).unwrap_or(name)))
}

/// A zone's offset in minutes.
fn zone(letter: char, text: &str) -> Option<(i64, &str)> {
    if letter == 'X'
        && let Some(rest) = text.strip_prefix('Z')
    {
        return Some((0, rest));
    }
    let mut rest = text;
    if letter != 'X' {
        for name in ["UTC", "GMT", "Z"] {
            if let Some(behind) = text.strip_prefix(name) {
                if !behind.starts_with(['+', '-']) {
                    return Some((0, behind));
                }
                rest = behind;
                break;
            }
        }
    }
    let (sign, digits) = match rest.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, rest.strip_prefix('+')?),
    };
    let two = |text: &str| text.get(..2)?.parse::<i64>().ok();
    let hours = two(digits)?;
    let behind = digits.get(2..)?;
    let behind_colon = behind.strip_prefix(':').unwrap_or(behind);
    match two(behind_colon) {
        Some(minutes) => Some((sign * (hours * 60 + minutes), behind_colon.get(2..)?)),
        None => Some((sign * hours * 60, behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pattern: &str, text: &str) -> Option<i64> {
        DatePattern::new(pattern).unwrap().parse(text)
    }

    #[test]
    fn a_text_is_read_by_its_pattern() {
        assert_eq!(parsed("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2024-12-31T15:04:05.007Z"), Some(1_735_657_445_007));
        assert_eq!(parsed("yyyyMMddHHmmss", "20241231150405"), Some(1_735_657_445_000));
        assert_eq!(parsed("yyyy-MM-dd", "2024-12-31 and more"), Some(1_735_603_200_000), "what follows is left alone");
        assert_eq!(parsed("d MMM yyyy h:mm a", "31 dec 2024 3:04 PM"), Some(1_735_657_440_000));
        assert_eq!(parsed("yyyy-MM-dd HH:mmXXX", "2024-12-31 15:04+01:00"), Some(1_735_653_840_000));
        assert_eq!(parsed("yyyy-MM-dd HH:mm Z", "2024-12-31 15:04 -0030"), Some(1_735_659_240_000));
        assert_eq!(parsed("yyyy-MM-dd", "2024-13-01"), Some(1_735_689_600_000), "a month too many is January");
        assert_eq!(parsed("yyyy-MM-dd", "31.12.2024"), None);
    }
}
