//! A process under test, and what stands in for its orchestrator: whoever ends is started again.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::{self, Process};

/// How long a process may take to end when it is asked to, before it is killed: what Kubernetes gives.
const GRACE: Duration = Duration::from_secs(30);
/// The first pause before a process that ended is started again; it doubles for one that ends at once.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One process, by the command that starts it.
pub struct Service {
    /// Its name, in messages and of its log.
    pub name: &'static str,
    log: PathBuf,
    stop_with: &'static str,
    command: Box<dyn Fn() -> anyhow::Result<Command> + Send + Sync>,
    state: Mutex<State>,
    /// It is not started again while somebody does what needs it down.
    pub is_held: AtomicBool,
    /// How often it was started again.
    pub starts: AtomicUsize,
    /// How often it had to be killed because it did not end when asked to.
    pub stubborn: AtomicUsize,
}

struct State {
    process: Option<Process>,
    started: Instant,
    ended: Option<Instant>,
    pause: Duration,
}

impl Service {
    /// A process that runs, and how it is started again.
    pub fn new(
        name: &'static str,
        process: Process,
        stop_with: &'static str,
        command: impl Fn() -> anyhow::Result<Command> + Send + Sync + 'static,
    ) -> Self {
        let log = process.log().to_owned();
        let state = State { process: Some(process), started: Instant::now(), ended: None, pause: FIRST_PAUSE };
        Self {
            name,
            log,
            stop_with,
            command: Box::new(command),
            state: Mutex::new(state),
            is_held: AtomicBool::new(false),
            starts: AtomicUsize::new(0),
            stubborn: AtomicUsize::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the process that runs.
    pub fn id(&self) -> Option<u32> {
        self.state().process.as_ref().and_then(Process::id)
    }

    /// Where its output is, that of all its starts.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Sends a signal, if it runs.
    ///
    /// # Errors
    /// `kill` is not there.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        self.id().map_or(Ok(()), |id| process::signal(id, signal))
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&self) {
        if let Some(process) = self.state().process.take() {
            process.kill();
        }
    }

    /// Asks it to end with this signal, or with its own, and waits for that; kills it when it takes too long.
    ///
    /// # Errors
    /// `kill` is not there.
    pub async fn stop(&self, signal: Option<&str>) -> anyhow::Result<()> {
        self.signal(signal.unwrap_or(self.stop_with))?;
        let begun = Instant::now();
        while self.runs() {
            if begun.elapsed() > GRACE {
                self.stubborn.fetch_add(1, Ordering::SeqCst);
                self.kill();
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn runs(&self) -> bool {
        let mut state = self.state();
        let runs = state.process.as_mut().is_some_and(|process| process.check_running().is_ok());
        if !runs {
            state.process = None;
        }
        runs
    }

    /// Starts it again if it has ended, a moment later, as an orchestrator does.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn tend(&self) -> anyhow::Result<()> {
        if self.runs() || self.is_held.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut state = self.state();
        let now = Instant::now();
        let Some(ended) = state.ended else {
            let was_short = now.duration_since(state.started) < LONGEST_PAUSE;
            state.pause = if was_short { (state.pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
            state.ended = Some(now);
            return Ok(());
        };
        if now.duration_since(ended) >= state.pause {
            let command = (self.command)()?;
            state.process = Some(
                Process::start(self.name, command, &self.log, self.stop_with).with_context(|| self.name.to_owned())?,
            );
            (state.started, state.ended) = (now, None);
            self.starts.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// What it holds of the machine, `None` when it does not run.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.id()?)
    }
}

/// What a process holds of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Its id.
    pub id: u32,
    /// Resident memory, in megabytes.
    pub resident: u64,
    /// The most it ever was.
    pub peak: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    fn of(id: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let number = |key: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            id,
            resident: number("VmRSS:")? >> 10,
            peak: number("VmHWM:")? >> 10,
            descriptors: std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count(),
            threads: number("Threads:")?,
        })
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resident, peak, descriptors, threads, .. } = self;
        write!(f, "{resident} MB resident (peak {peak}), {descriptors} descriptors, {threads} threads")
    }
}
