//! What the watchdog looks at: whether something is waited for or worked at, and whether it went on since.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::lsn::Lsn;

/// The beat of a stream or a snapshot.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: AtomicU64,
    works: AtomicBool,
    received: AtomicU64,
    sources: Mutex<Sources>,
}

/// The server's processes that are listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Their process ids.
    pub processes: Vec<i32>,
    /// Whether they may compute for long before they say something: a query that somebody else wrote.
    pub may_compute: bool,
}

impl Pulse {
    /// The server is waited for, until what this gives is dropped.
    pub fn listen(&self, sources: Sources) -> Turn<'_> {
        let mut current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, sources);
        drop(current);
        self.turn(false, Some(before))
    }

    /// Something came, and is worked at until what this gives is dropped.
    pub fn work(&self) -> Turn<'_> {
        self.turn(true, None)
    }

    /// The server's log was received up to here.
    pub fn received(&self, lsn: Lsn) {
        self.received.fetch_max(lsn.as_u64(), Ordering::Relaxed);
    }

    fn turn(&self, works: bool, sources: Option<Sources>) -> Turn<'_> {
        self.beats.fetch_add(1, Ordering::Relaxed);
        Turn { pulse: self, worked: self.works.swap(works, Ordering::Relaxed), sources }
    }

    /// How often it went on.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Whether something is worked at.
    pub fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// The server's log was received up to here.
    pub fn has_received(&self) -> Lsn {
        Lsn::from(self.received.load(Ordering::Relaxed))
    }

    pub(super) fn sources(&self) -> Sources {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Waiting or working; what was before goes on when it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    pulse: &'a Pulse,
    worked: bool,
    sources: Option<Sources>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(sources) = self.sources.take() {
            *self.pulse.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
        }
        self.pulse.works.store(self.worked, Ordering::Relaxed);
        self.pulse.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// Since when something is what it is.
#[derive(Debug)]
pub(super) struct Still<T> {
    value: T,
    since: Instant,
}

impl<T: PartialEq> Still<T> {
    pub(super) fn at(value: T) -> Self {
        Self { value, since: Instant::now() }
    }

    #[cfg(test)]
    pub(super) fn since(value: T, ago: Duration) -> Self {
        let now = Instant::now();
        Self { value, since: now.checked_sub(ago).unwrap_or(now) }
    }

    pub(super) fn look(&mut self, value: T) -> Duration {
        if value != self.value {
            *self = Self::at(value);
        }
        self.since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_says_whether_it_went_on_and_what_it_does() {
        let pulse = Pulse::default();
        let stream = Sources { processes: vec![7], may_compute: false };
        let _listening = pulse.listen(stream.clone());
        assert!(!pulse.works());
        let before = pulse.beats();
        {
            let _working = pulse.work();
            assert!(pulse.works());
            let snapshot = Sources { processes: vec![8, 9], may_compute: true };
            let _waiting = pulse.listen(snapshot.clone());
            assert!(!pulse.works(), "a snapshot that a message asked for waits for the server");
            assert_eq!(pulse.sources(), snapshot);
        }
        assert!(!pulse.works() && pulse.beats() != before);
        assert_eq!(pulse.sources(), stream);
    }
}
