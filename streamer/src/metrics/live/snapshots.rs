//! How far snapshots are.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use page::state::now_ms;
use page::state::streamer::{Incremental, Snapshot};

use super::locked;

/// The last snapshot of each kind.
#[derive(Debug, Default)]
pub struct Snapshots {
    whole: Mutex<Option<Whole>>,
    incremental: Mutex<Option<Chunks>>,
}

/// An incremental one.
#[derive(Debug)]
struct Chunks {
    shown: Incremental,
    /// Rows of the tables that are read.
    before: u64,
}

/// One of whole tables.
#[derive(Debug)]
struct Whole {
    shown: Snapshot,
    begun: Instant,
    took: Option<Duration>,
}

impl Snapshots {
    /// A snapshot of so many whole tables begins.
    pub fn begin(&self, tables: usize) {
        let shown =
            Snapshot { state: "running", tables: tables as u64, done: 0, table: String::new(), rows: 0, seconds: 0 };
        *locked(&self.whole) = Some(Whole { shown, begun: Instant::now(), took: None });
    }

    /// A table of it is read.
    pub fn table(&self, table: &str) {
        self.change(|whole| table.clone_into(&mut whole.shown.table));
    }

    /// So many rows of it were read.
    pub fn rows(&self, rows: usize) {
        self.change(|whole| whole.shown.rows += rows as u64);
    }

    /// So many of its tables are read.
    pub fn done(&self, tables: usize) {
        self.change(|whole| whole.shown.done = tables as u64);
    }

    /// It ended so.
    pub fn end(&self, state: &'static str) {
        self.change(|whole| {
            (whole.shown.state, whole.took) = (state, Some(whole.begun.elapsed()));
            whole.shown.table.clear();
        });
    }

    /// An incremental one tells of itself, with the kinds of its notifications.
    pub fn incremental(&self, kind: &str, tables: Vec<String>, scanned: u64) {
        let mut known = locked(&self.incremental);
        let now = now_ms();
        let is_running = known.as_ref().is_some_and(|known| matches!(known.shown.state, "running" | "paused"));
        if kind == "STARTED" || !is_running && kind != "ABORTED" {
            let (done, rows) = (0, 0);
            let shown = Incremental { state: "running", tables: Vec::new(), done, rows, begun_ms: now, at_ms: now };
            *known = Some(Chunks { shown, before: 0 });
        }
        let Some(Chunks { shown, before }) = known.as_mut() else { return };
        (shown.at_ms, shown.rows) = (now, *before + scanned);
        match kind {
            "TABLE_SCAN_COMPLETED" => (shown.done, *before) = (shown.done + 1, shown.rows),
            "PAUSED" => shown.state = "paused",
            "COMPLETED" => shown.state = "completed",
            "ABORTED" if tables.is_empty() => shown.state = "aborted",
            _ => shown.state = "running",
        }
        shown.tables = tables;
    }

    /// The last one of whole tables.
    pub fn last_whole(&self) -> Option<Snapshot> {
        let whole = locked(&self.whole);
        let whole = whole.as_ref()?;
        let seconds = whole.took.unwrap_or_else(|| whole.begun.elapsed()).as_secs();
        Some(Snapshot { seconds, ..whole.shown.clone() })
    }

    /// The last incremental one.
    pub fn last_incremental(&self) -> Option<Incremental> {
        locked(&self.incremental).as_ref().map(|known| known.shown.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Whole)) {
        if let Some(whole) = locked(&self.whole).as_mut() {
            change(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incremental_snapshot_is_known_until_its_end_and_the_next_one_begins_anew() {
        let snapshots = Snapshots::default();
        let tables = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        snapshots.incremental("STARTED", tables(&["public.a", "public.b"]), 0);
        snapshots.incremental("IN_PROGRESS", tables(&["public.a", "public.b"]), 10);
        snapshots.incremental("TABLE_SCAN_COMPLETED", tables(&["public.a", "public.b"]), 10);
        snapshots.incremental("PAUSED", tables(&["public.b"]), 0);
        let known = snapshots.last_incremental().unwrap();
        assert_eq!((known.state, known.done, known.rows), ("paused", 1, 10));
        snapshots.incremental("TABLE_SCAN_COMPLETED", tables(&["public.b"]), 5);
        snapshots.incremental("COMPLETED", Vec::new(), 0);
        let known = snapshots.last_incremental().unwrap();
        assert_eq!((known.state, known.done, known.rows, known.tables.len()), ("completed", 2, 15, 0));
        snapshots.incremental("STARTED", tables(&["public.a"]), 0);
        assert_eq!(snapshots.last_incremental().unwrap().rows, 0);
    }
}
