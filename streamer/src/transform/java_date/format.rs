//! A pattern, and dates written by it.

use super::{DAY, Day, MONTHS, WEEKDAYS, weekday};

/// A pattern of `SimpleDateFormat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatePattern {
    pub(super) parts: Vec<Part>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A text as it stands.
    Text(String),
    /// A letter, as often as it stands in the pattern.
    Field(char, usize),
}

impl DatePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Java's words for a letter that means nothing and for a quote that is not closed.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut characters = pattern.chars().peekable();
        let mut quoted = false;
        while let Some(character) = characters.next() {
            if character == '\'' {
                // Two quotes are one, inside of a quoted text too.
                if characters.next_if_eq(&'\'').is_some() {
                    text.push('\'')
                } else {
                    quoted = !quoted
                }
                continue;
            }
            if quoted || !character.is_ascii_alphabetic() {
                text.push(character);
                continue;
            }
            if !"GyMLdkHmsSEDFwWahKzZYuX".contains(character) {
                return Err(format!("Illegal pattern character '{character}'"));
            }
            let mut count = 1;
            while characters.next_if_eq(&character).is_some() {
                count += 1;
            }
            if character == 'X' && count > 3 {
                return Err(format!("invalid ISO 8601 format: length={count}"));
            }
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Field(character, count));
        }
        if quoted {
            return Err("Unterminated quote".to_owned());
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Writes a point in time, given in milliseconds since 1970.
    pub fn format(&self, milliseconds: i64) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(letter, count) => field(*letter, *count, milliseconds, &mut out),
            }
        }
        out
    }
}

fn field(letter: char, count: usize, milliseconds: i64, out: &mut String) {
    let (days, time) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let day = Day::of(days);
    let hour = time / 3_600_000;
    let half = hour % 12;
    let number = match letter {
        'y' | 'Y' => {
            let year = if letter == 'Y' { week_year(days).0 } else { day.year };
            // The year before 1 is 1 BC.
            let of_era = if year > 0 { year } else { 1 - year };
            if count == 2 { of_era % 100 } else { of_era }
        }
        'M' | 'L' if count >= 3 => return out.push_str(name(&MONTHS, day.month - 1, count)),
        'M' | 'L' => day.month,
        'd' => day.day,
        'k' => {
            if hour == 0 {
                24
            } else {
                hour
            }
        }
        'H' => hour,
        'K' => half,
        'h' => {
            if half == 0 {
                12
            } else {
                half
            }
        }
        'm' => time / 60_000 % 60,
        's' => time / 1000 % 60,
        'S' => time % 1000,
        'E' => return out.push_str(name(&WEEKDAYS, weekday(days), count)),
        'u' => {
            if weekday(days) == 0 {
                7
            } else {
                weekday(days)
            }
        }
        'D' => day.of_year(),
        'F' => (day.day - 1) / 7 + 1,
        'w' => week_year(days).1,
        'W' => (day.day - 1 + weekday(days - (day.day - 1))) / 7 + 1,
        'a' => return out.push_str(if hour < 12 { "AM" } else { "PM" }),
        'G' => return out.push_str(if day.year > 0 { "AD" } else { "BC" }),
        'z' => return out.push_str(if count >= 4 { "Coordinated Universal Time" } else { "UTC" }),
        'Z' => return out.push_str("+0000"),
        _ => return out.push('Z'),
    };
    out.push_str(&format!("{number:0count$}"));
}

/// A name, cut to three letters for a short one.
fn name<'a>(names: &[&'a str], index: i64, count: usize) -> &'a str {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    if count >= 4 { name } else { name.get(..3).unwrap_or(name) }
}

/// The year that a day's week belongs to, and the week's number in it: weeks begin on Sundays, the first has January 1.
fn week_year(days: i64) -> (i64, i64) {
    let first_week = |year| {
        let first = Day { year, month: 1, day: 1 }.days();
        first - weekday(first)
    };
    let year = Day::of(days).year;
    let year = if days >= first_week(year + 1) { year + 1 } else { year };
    (year, (days - first_week(year)) / 7 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(pattern: &str, milliseconds: i64) -> String {
        DatePattern::new(pattern).unwrap().format(milliseconds)
    }

    /// 2024-12-31T15:04:05.007Z, a Tuesday.
    const TIME: i64 = 1_735_657_445_007;

    #[test]
    fn letters_mean_what_they_mean_in_java() {
        assert_eq!(formatted("yyyyMMdd", TIME), "20241231");
        assert_eq!(formatted("yy-M-d'T'H:mm:ss.SSS'Z'", TIME), "24-12-31T15:04:05.007Z");
        assert_eq!(formatted("EEE, EEEE d MMM MMMM", TIME), "Tue, Tuesday 31 Dec December");
        assert_eq!(formatted("YYYY-ww W F D u", TIME), "2025-01 5 5 366 2");
        assert_eq!(
            formatted("hh a K k G z Z X XXX zzzz", TIME),
            "03 PM 3 15 AD UTC +0000 Z Z Coordinated Universal Time"
        );
        assert_eq!(formatted("h 'o''clock' k", 0), "12 o'clock 24");
        assert_eq!(formatted("yyyy-MM-dd G", -62_135_769_600_000 - DAY), "0001-12-31 BC");
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_javas_words() {
        assert_eq!(DatePattern::new("yyyy-bb").unwrap_err(), "Illegal pattern character 'b'");
        assert_eq!(DatePattern::new("yyyy'T").unwrap_err(), "Unterminated quote");
    }
}
