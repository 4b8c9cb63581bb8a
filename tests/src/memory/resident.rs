//! What the operating system says of a process's memory.

use anyhow::Context as _;

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// The most that was ever resident (`VmHWM`), in kilobytes.
    pub peak_kb: u64,
    /// What is resident now (`VmRSS`), in kilobytes.
    pub now_kb: u64,
    /// Its threads.
    pub threads: u64,
    /// Its open files and sockets.
    pub descriptors: usize,
}

impl Resident {
    /// Looks at a process (proc(5)).
    ///
    /// # Errors
    /// It has ended, or is somebody else's.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("the process has ended")?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).with_context(|| format!("/proc/{id}/status has no {name}"))
        };
        Ok(Self {
            peak_kb: number("VmHWM")?,
            now_kb: number("VmRSS")?,
            threads: number("Threads")?,
            descriptors: std::fs::read_dir(format!("/proc/{id}/fd"))?.count(),
        })
    }

    /// The peak in megabytes of 2^20 bytes, rounded up.
    pub fn peak_mb(&self) -> u64 {
        self.peak_kb.div_ceil(1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_peak_that_is_no_less_than_what_it_has_now() -> anyhow::Result<()> {
        let own = Resident::of(std::process::id())?;
        assert!(own.now_kb > 0 && own.peak_kb >= own.now_kb && own.threads > 0 && own.descriptors > 0, "{own:?}");
        Ok(())
    }
}
