//! What is shown while rows are copied.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use page::state::sink::Copy;

use super::rows::{Copied, Table};
use crate::bootstrap::steps::{Steps, megabytes};

/// How often a line comes where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often the page hears of it.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// On a terminal a bar, elsewhere a line now and then: bytes, rate, time left.
pub struct Progress<'a> {
    steps: &'a Steps,
    bar: ProgressBar,
    /// How many there are in all.
    tables: usize,
    state: Mutex<State>,
}

struct State {
    done: usize,
    rows: u64,
    said: Instant,
    shown: Instant,
}

impl<'a> Progress<'a> {
    /// For these tables, none of which is there yet, beside so many that are.
    pub fn new(tables: &[Table], there: usize, steps: &'a Steps) -> Self {
        let style = ProgressStyle::with_template(
            "    {bar:30} {bytes} of about {total_bytes}, {bytes_per_sec}, {eta} left; {msg}",
        );
        let bar = ProgressBar::new(tables.iter().map(|table| table.bytes).sum())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let state = State { done: there, rows: 0, said: Instant::now(), shown: Instant::now() };
        Self { steps, bar, tables: there + tables.len(), state: Mutex::new(state) }
    }

    fn show(&self, state: &State, complete: bool) {
        self.steps.copy(Copy {
            done: state.done as u64,
            tables: self.tables as u64,
            rows: state.rows,
            bytes: self.bar.position(),
            total: self.bar.length().unwrap_or_default(),
            rate: self.bar.per_sec(),
            left: (!complete && self.bar.position() > 0).then(|| self.bar.eta().as_secs()),
            complete,
        });
    }

    /// So many more bytes are there.
    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.shown.elapsed() >= SHOWN_EVERY {
            state.shown = Instant::now();
            self.show(&state, false);
        }
        if self.bar.is_hidden() && state.said.elapsed() >= LINE_EVERY {
            state.said = Instant::now();
            self.steps.note(&format!(
                "{} of about {}, {}/s, {} s left; {} of {} tables",
                megabytes(self.bar.position()),
                megabytes(self.bar.length().unwrap_or_default()),
                megabytes(self.bar.per_sec() as u64),
                self.bar.eta().as_secs(),
                state.done,
                self.tables
            ));
        }
    }

    /// A table is there.
    pub(super) fn has(&self, table: &Table, copied: Copied) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.done, state.rows) = (state.done + 1, state.rows + copied.rows);
        self.show(&state, false);
        let Table { schema, name, .. } = table;
        if self.bar.is_hidden() {
            self.steps.note(&format!("table {schema}.{name}: {} rows, {}", copied.rows, megabytes(copied.bytes)));
        } else {
            self.bar.set_message(format!("{} of {} tables, {} rows", state.done, self.tables, state.rows));
        }
    }

    /// All are.
    pub fn end(&self) {
        self.show(&self.state.lock().unwrap_or_else(PoisonError::into_inner), true);
        self.bar.finish_and_clear();
    }
}
