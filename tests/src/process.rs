//! A program that was started: its log, its end.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::wait::{Condition, wait_until};

/// How long a program may take to end when it is asked to. Connect gives its own REST server a minute (`RestServer`), and then its herder 23 s
/// twice (`DistributedHerder.stop`, `ThreadUtils.shutdownExecutorServiceQuietly`).
const STOP_TIMEOUT: Duration = Duration::from_secs(150);

/// A running program. Dropping it kills it, unless it was [left running](Process::leave_running).
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Option<Child>,
    log: PathBuf,
    stop_with: &'static str,
}

impl Process {
    /// Starts `command` in a process group of its own, with its output in `log`. `stop_with` is the signal that asks it to
    /// end: `TERM`, or `INT` for PostgreSQL's fast shutdown.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path, stop_with: &'static str) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("{name} cannot be started: {program}"))?;
        Ok(Self { name: name.to_owned(), child: Some(child), log: log.to_owned(), stop_with })
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its output so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails when the program has ended, with the end of its log.
    ///
    /// # Errors
    /// It has ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?.map(|status| status.to_string()),
            None => Some("it was stopped".to_owned()),
        };
        match ended {
            None => Ok(()),
            Some(how) => bail!("{} has ended ({how}). The end of its log:\n{}", self.name, self.tail()),
        }
    }

    /// Waits until the program ends by itself, and gives whether it succeeded.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<bool> {
        let name = format!("{} to end", self.name);
        let Some(child) = &mut self.child else { return Ok(true) };
        wait_until(&name, within, async || match child.try_wait()? {
            Some(status) => Ok(Condition::Met(status.success())),
            None => Ok(Condition::NotYet("it runs".to_owned())),
        })
        .await
    }

    /// Asks the program to end and waits for it; kills it when it takes longer than 150 s, which is an error: it says
    /// where the threads of a Java program are.
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.id() {
            signal(id, self.stop_with)?;
        }
        let Err(error) = self.ended(STOP_TIMEOUT).await else { return Ok(()) };
        let tail = self.tail();
        let stands_at = self.stands_at().await.unwrap_or_default();
        Err(error.context(format!("the end of its log:\n{tail}\n{stands_at}")))
    }

    /// Where the threads of a Java program are that does not end: it writes that into its log when it is asked.
    async fn stands_at(&mut self) -> Option<String> {
        let id = self.id()?;
        let before = self.output().len();
        signal(id, "QUIT").ok()?;
        let written = wait_until("its threads", Duration::from_secs(5), async || {
            let output = self.output();
            let written = output.get(before..).unwrap_or_default().to_owned();
            let is_whole = written.contains("JNI global ref");
            Ok(if is_whole { Condition::Met(written) } else { Condition::NotYet(String::new()) })
        });
        let written = written.await.ok()?;
        let ends = |thread: &&str| ["stop", "hutdown", "close", "halt"].iter().any(|word| thread.contains(word));
        let top = |thread: &str| thread.lines().take(15).collect::<Vec<_>>().join("\n");
        Some(written.split("\n\n").filter(ends).map(top).collect::<Vec<_>>().join("\n\n"))
    }

    /// Ends the program at once, as a crash does.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// Lets the program outlive this one; the id is kept in `directory` for [`stop_left_running`].
    ///
    /// # Errors
    /// The id cannot be kept.
    pub fn leave_running(mut self, directory: &Path) -> anyhow::Result<()> {
        if let Some(child) = self.child.take() {
            let id = child.id();
            let text = format!("{id} {} {}\n", start_time(id).unwrap_or_default(), self.stop_with);
            std::fs::write(directory.join(format!("{}.pid", self.name)), text)?;
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }

    fn kill_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            let (_killed, _waited) = (child.kill(), child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Stops what [`Process::leave_running`] left, by name, and forgets it. Whether there was such a program.
///
/// # Errors
/// It does not end.
pub async fn stop_left_running(directory: &Path, name: &str) -> anyhow::Result<bool> {
    let file = directory.join(format!("{name}.pid"));
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(false) };
    let mut words = text.split_whitespace();
    let id: u32 = words.next().and_then(|word| word.parse().ok()).with_context(|| file.display().to_string())?;
    let started = words.next().unwrap_or_default();
    // An id is given again one day: only the process that began then is meant.
    let is_alive = || start_time(id).is_some_and(|time| time == started) && !is_zombie(id);
    let was_alive = is_alive();
    if was_alive {
        signal(id, words.next().unwrap_or("TERM"))?;
        let what = format!("{name} to end");
        let ended = wait_until(&what, STOP_TIMEOUT, async || {
            Ok(if is_alive() { Condition::NotYet("it runs".to_owned()) } else { Condition::Met(()) })
        });
        if ended.await.is_err() {
            signal(id, "KILL")?;
        }
    }
    std::fs::remove_file(file)?;
    Ok(was_alive)
}

/// How many seconds a process has had of the processors, user and system together.
///
/// # Errors
/// There is no such process.
pub fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses can hold blanks; utime and stime are the 12th and 13th behind it, in hundredths.
    let behind = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

/// Sends a signal to a process.
///
/// # Errors
/// `kill` is not there.
pub fn signal(id: u32, name: &str) -> anyhow::Result<()> {
    Command::new("kill").args(["-s", name, &id.to_string()]).stderr(Stdio::null()).status().context("kill")?;
    Ok(())
}

fn stat_fields(id: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// When a process began, in ticks since the machine did: with the id, its name.
fn start_time(id: u32) -> Option<String> {
    stat_fields(id)?.get(19).cloned()
}

fn is_zombie(id: u32) -> bool {
    stat_fields(id).and_then(|fields| fields.first().cloned()).is_some_and(|state| state == "Z")
}

/// Whether this program runs as root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Lets another user read a directory, who may be the one that PostgreSQL runs as.
///
/// # Errors
/// It is somebody else's.
pub fn make_readable(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
        .with_context(|| directory.display().to_string())
}
