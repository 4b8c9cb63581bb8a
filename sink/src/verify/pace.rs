//! How fast rows are compared, and how far that is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What a question costs beside its rows, as so many rows: many small tables are a load as well.
const QUESTION: u32 = 100;

/// When it is told for the first time how far it is, and how often then: on a terminal, and elsewhere.
const FIRST_SHOWN: Duration = Duration::from_secs(5);
const SHOWN: Duration = Duration::from_secs(10);
const REDRAWN: Duration = Duration::from_millis(200);

/// Keeps to a number of rows a second, and says on standard error how far it is.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<u32>,
    /// From when on more may be asked for.
    free: Instant,
    begun: Instant,
    shows: Option<Shows>,
    /// The rows that were compared.
    pub(super) rows: u64,
}

#[derive(Debug)]
struct Shows {
    is_terminal: bool,
    due: Instant,
    tables: usize,
    tables_done: usize,
    rows_expected: u64,
    is_drawn: bool,
}

impl Pace {
    /// As fast as the databases are, and without a word.
    #[cfg(test)]
    pub(super) fn unbounded() -> Self {
        Self::new(None, false)
    }

    /// So many rows a second, as fast as it goes for `None`.
    pub(super) fn new(rate: Option<u32>, shows: bool) -> Self {
        let (now, is_terminal) = (Instant::now(), std::io::stderr().is_terminal());
        let due = now + if is_terminal { REDRAWN } else { FIRST_SHOWN };
        let shows =
            shows.then_some(Shows { is_terminal, due, tables: 0, tables_done: 0, rows_expected: 0, is_drawn: false });
        Self { rate, free: now, begun: now, shows, rows: 0 }
    }

    /// How large the first ranges are: at a low rate not so large that they come in bursts.
    pub(super) fn range(&self, largest: i64) -> i64 {
        self.rate.map_or(largest, |rate| i64::from(rate).clamp(1000, largest))
    }

    /// So many tables are compared, with about so many rows.
    pub(super) fn expects(&mut self, tables: usize, rows: u64) {
        if let Some(shows) = &mut self.shows {
            (shows.tables, shows.rows_expected) = (tables, rows);
        }
    }

    /// One of them was compared.
    pub(super) fn table_done(&mut self) {
        if let Some(shows) = &mut self.shows {
            shows.tables_done += 1;
        }
        self.show();
    }

    /// Rows were compared. Returns when more may be.
    pub(super) async fn compared(&mut self, rows: i64) {
        let rows = u64::try_from(rows).unwrap_or_default();
        self.rows += rows;
        self.show();
        if let Some(rate) = self.rate {
            let cost = rows.max(QUESTION.into()) as f64 / f64::from(rate);
            self.free = self.free.max(Instant::now()) + Duration::from_secs_f64(cost);
            tokio::time::sleep_until(self.free.into()).await;
        }
    }

    fn show(&mut self) {
        let (elapsed, rows) = (self.begun.elapsed().as_secs_f64(), self.rows);
        let Some(shows) = self.shows.as_mut().filter(|shows| Instant::now() >= shows.due) else { return };
        let text = progress(shows.tables_done, shows.tables, rows, shows.rows_expected, elapsed);
        // Nothing depends on whether somebody reads it.
        _ = if shows.is_terminal {
            write!(std::io::stderr(), "\r\x1b[K{text}")
        } else {
            writeln!(std::io::stderr(), "{text}")
        };
        shows.is_drawn = shows.is_terminal;
        shows.due = Instant::now() + if shows.is_terminal { REDRAWN } else { SHOWN };
    }

    /// Says nothing more, and leaves nothing on the terminal.
    pub(super) fn end(&mut self) {
        if self.shows.take().is_some_and(|shows| shows.is_drawn) {
            _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// How far it is, in words. The server's number of rows is an estimate, and there may be none.
fn progress(tables_done: usize, tables: usize, rows: u64, expected: u64, elapsed: f64) -> String {
    let rate = rows as f64 / elapsed.max(0.001);
    let mut text = format!("{tables_done} of {tables} tables, {rows} rows compared, {rate:.0} a second");
    if expected > rows && rate >= 1.0 {
        text.push_str(&format!(", about {:.0} s left", (expected - rows) as f64 / rate));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_comes_with_what_is_left_where_that_is_known() {
        assert_eq!(progress(1, 3, 500, 1500, 2.0), "1 of 3 tables, 500 rows compared, 250 a second, about 4 s left");
        assert_eq!(progress(0, 3, 500, 0, 2.0), "0 of 3 tables, 500 rows compared, 250 a second");
    }

    #[tokio::test]
    async fn a_rate_is_kept_also_over_questions_that_find_nothing() {
        let mut pace = Pace::new(Some(10_000), false);
        let begun = Instant::now();
        pace.compared(0).await;
        assert!(begun.elapsed() >= Duration::from_millis(10));
        pace.compared(500).await;
        assert!(begun.elapsed() >= Duration::from_millis(60));
        assert_eq!((pace.rows, pace.range(100_000)), (500, 10_000));
    }
}
