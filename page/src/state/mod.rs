//! What a program says of itself. Sizes are in bytes, times in seconds unless a name says otherwise, moments in milliseconds
//! since 1970; counters count from the program's start, and what is not known is left out.
//!
//! # Layout
//! - [`streamer`]: connectors, slots, tables
//! - [`sink`]: topics, the copy, the comparison

pub mod sink;
pub mod streamer;

use serde::Serialize;

/// The program.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// `streamer` or `sink`.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How long it runs.
    pub uptime: u64,
    /// Its clock, which rates are reckoned by.
    pub now_ms: u64,
}

impl About {
    /// The program as it is now.
    pub fn new(program: &'static str, version: &'static str, started: std::time::Instant) -> Self {
        Self { program, version, uptime: started.elapsed().as_secs(), now_ms: now_ms() }
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Something that went wrong, as it was said: what happened, what it means for the data, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Failure {
    /// When.
    pub at_ms: u64,
    /// What was said.
    pub text: String,
    /// Its name in the catalogue of errors; `None` where time mends it.
    pub code: Option<&'static str>,
}
