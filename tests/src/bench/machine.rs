//! What it runs on.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Its processor's name.
    pub(super) processor: String,
    /// How many of its cores this program may use.
    pub(super) cores: usize,
    /// Its memory in gigabytes of 2^30 bytes.
    pub(super) memory_gb: u64,
    /// The kernel.
    pub(super) kernel: String,
}

impl Machine {
    /// Looks at it (proc(5)).
    ///
    /// # Errors
    /// The kernel shows nothing.
    pub(super) fn look() -> anyhow::Result<Self> {
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let (processors, memory) =
            (std::fs::read_to_string("/proc/cpuinfo")?, std::fs::read_to_string("/proc/meminfo")?);
        let kilobytes: u64 = value(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        let kernel = Command::new("uname").args(["-s", "-r", "-m"]).output()?.stdout;
        Ok(Self {
            processor: value(&processors, "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_gb: kilobytes.div_ceil(1 << 20),
            kernel: String::from_utf8_lossy(&kernel).trim().to_owned(),
        })
    }
}
