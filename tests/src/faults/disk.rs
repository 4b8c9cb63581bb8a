//! A disk for the broker that can be full: a file system in memory, whose size can be changed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::ensure;

use crate::process;

const SIZE: &str = "4G";

/// A mounted file system; unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one at a directory that it creates; `None` where this program may not.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn mount(at: &Path) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounts =
            process::is_root() && run("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}"), "headwater"], at);
        Ok(mounts.then(|| Self { at: at.to_owned() }))
    }

    /// Leaves no room for more than there is.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filled = Ok(());
        for _ in 0..20 {
            let output = Command::new("df").args(["-B1", "--output=used"]).arg(&self.at).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let used: u64 = text.split_whitespace().last().unwrap_or_default().parse()?;
            filled = self.resize(&used.to_string());
            // What was written since it was looked at does not fit.
            if filled.is_ok() {
                break;
            }
        }
        filled
    }

    /// Copies what is in it to a directory beside it, which stays.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn keep(&self) -> anyhow::Result<()> {
        let beside = self.at.with_extension("kept");
        let copied = Command::new("cp").arg("-a").arg(&self.at).arg(&beside).status()?.success();
        ensure!(copied, "{} cannot be copied to {}", self.at.display(), beside.display());
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn make_room(&self) -> anyhow::Result<()> {
        self.resize(SIZE)
    }

    fn resize(&self, size: &str) -> anyhow::Result<()> {
        let resized = run("mount", &["-o", &format!("remount,size={size}")], &self.at);
        ensure!(resized, "the size of {} cannot be changed to {size}", self.at.display());
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still has a file open there keeps it until it ends.
        run("umount", &["-l"], &self.at);
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(at).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
