//! Java's dates and their patterns (`java.util.GregorianCalendar` and `java.text.SimpleDateFormat` in UTC, in English).

mod format;
mod parse;

pub use format::DatePattern;

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

/// The first day of the Gregorian calendar, 1582-10-15, in days since 1970; the days before it are Julian.
const GREGORIAN: i64 = -141_427;

/// A day of the calendar; years before 1 are 0 and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    year: i64,
    month: i64,
    day: i64,
}

impl Day {
    /// Of days since 1970.
    fn of(days: i64) -> Self {
        // Both calendars counted from a March 1, so that a leap day is the last of its year.
        let (era_days, shift, gregorian) =
            if days >= GREGORIAN { (146_097, 719_468, true) } else { (1461, 719_470, false) };
        let days = days + shift;
        let (era, day_of_era) = (days.div_euclid(era_days), days.rem_euclid(era_days));
        let (year_of_era, era_years) = if gregorian {
            ((day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365, 400)
        } else {
            ((day_of_era - day_of_era / 1460) / 365, 4)
        };
        let leap_days = if gregorian { year_of_era / 4 - year_of_era / 100 } else { year_of_era / 4 };
        let day_of_year = day_of_era - (365 * year_of_era + leap_days);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * era_years + year_of_era + i64::from(month <= 2);
        Self { year, month, day: day_of_year - (153 * shifted + 2) / 5 + 1 }
    }

    /// Days since 1970. Months and days beyond their ends run on into the next, as a lenient calendar has it.
    fn days(self) -> i64 {
        let months = self.year * 12 + self.month - 1;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let year = if month <= 2 { year - 1 } else { year };
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5;
        let gregorian = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) - 719_468;
        let first = gregorian + day_of_year;
        let days = first + self.day - 1;
        if days >= GREGORIAN {
            return days;
        }
        year * 365 + year.div_euclid(4) - 719_470 + day_of_year + self.day - 1
    }

    /// The place of the day in its year, from 1.
    fn of_year(self) -> i64 {
        self.days() - Self { year: self.year, month: 1, day: 1 }.days() + 1
    }
}

/// The day of the week of days since 1970, Sunday being 0.
fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_come_back_from_the_calendar_on_both_sides_of_the_reform() {
        for days in (-800_000..60_000).step_by(97).chain(GREGORIAN - 400..GREGORIAN + 400) {
            assert_eq!(Day::of(days).days(), days);
        }
        assert_eq!(Day::of(GREGORIAN), Day { year: 1582, month: 10, day: 15 });
        assert_eq!(Day::of(GREGORIAN - 1), Day { year: 1582, month: 10, day: 4 });
        assert_eq!(Day::of(0), Day { year: 1970, month: 1, day: 1 });
        assert_eq!(Day::of(-719_165), Day { year: 0, month: 12, day: 31 }, "the day before 0001-01-01");
    }
}
