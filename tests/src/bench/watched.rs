//! Processors and memory of a process while something happens.

use crate::memory::resident::Resident;
use crate::process::cpu_seconds;

/// A process that is watched from now on.
#[derive(Debug)]
pub(super) struct Watched {
    id: u32,
    begun: f64,
}

impl Watched {
    /// Watches a process.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn begin(id: u32) -> anyhow::Result<Self> {
        Ok(Self { id, begun: cpu_seconds(id)? })
    }

    /// How many seconds of a processor it has had since.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        Ok(cpu_seconds(self.id)? - self.begun)
    }

    /// The most that was ever resident, in megabytes of 2^20 bytes.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn peak_mb(&self) -> anyhow::Result<f64> {
        Ok(Resident::of(self.id)?.peak_kb as f64 / 1024.0)
    }
}
