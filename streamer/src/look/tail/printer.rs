//! Changes and their transactions' borders onto the screen.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use proto::lsn::Lsn;

use crate::look::Ended;
use crate::look::change::{Change, Columns, Op};
use crate::look::filter::Filter;
use crate::look::line::Layout;
use crate::look::screen::Screen;

/// Prints what is wanted.
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) screen: Screen,
    layout: Layout,
    filter: Filter,
    full: bool,
    json: bool,
    /// How many more changes are printed.
    left: Option<u64>,
    /// Of which transaction the last change was.
    tx: Option<u64>,
    /// Which row the last change of a partition deleted: its tombstone says nothing new.
    deleted: std::collections::HashMap<(String, i32), Columns>,
}

/// Whether more is wanted.
pub(super) type More = ControlFlow<()>;

impl Printer {
    pub(super) fn new(filter: Filter, full: bool, json: bool, limit: Option<u64>) -> Self {
        let screen = Screen::new();
        let layout = Layout::new(screen.paint, TimeZone::system(), full);
        Self { screen, layout, filter, full, json, left: limit, tx: None, deleted: Default::default() }
    }

    /// Whether programs read it: values are then as they were written.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a change if it is wanted.
    pub(super) fn change(&mut self, change: &Change) -> Result<More, Ended> {
        if self.is_known_tombstone(change) || !self.filter.wants(change) {
            return Ok(More::Continue(()));
        }
        match self.json {
            true => self.screen.line(&change.json().to_string(), false)?,
            false => {
                if change.tx.is_some() && change.tx != self.tx && change.op != Op::Read {
                    let head = self.layout.begin(change.tx, change.at_ms, self.screen.rule());
                    self.screen.line(&head, true)?;
                }
                self.tx = change.tx;
                let line = self.layout.change(change);
                self.screen.line(&line, !self.full)?;
            }
        }
        Ok(match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 { More::Break(()) } else { More::Continue(()) }
            }
            None => More::Continue(()),
        })
    }

    /// A transaction ended; it has a line if one of its changes had.
    pub(super) fn commit(&mut self, tx: Option<u64>, lsn: Lsn) -> Result<(), Ended> {
        if self.tx.is_some() && self.tx == tx && !self.json {
            let line = self.layout.commit(lsn, self.screen.rule());
            self.screen.line(&line, true)?;
        }
        self.tx = None;
        Ok(())
    }

    fn is_known_tombstone(&mut self, change: &Change) -> bool {
        let Some(place) = &change.place else { return false };
        let partition = (place.topic.clone(), place.partition);
        match change.op {
            Op::Delete => {
                self.deleted.insert(partition, change.key.clone());
                false
            }
            Op::Tombstone => self.deleted.remove(&partition).is_some_and(|key| key == change.key),
            _ => false,
        }
    }

    pub(super) fn end(&self) -> Result<(), Ended> {
        self.screen.flush()
    }
}
