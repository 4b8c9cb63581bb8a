//! A shell that runs a document's blocks one behind the other, and keeps what they set.

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::block::{Block, Mark, is_as};
use crate::wait::{Condition, wait_until};

/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a document's text becomes where it is run.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// What stands in the document, and what stands there instead: servers and ports.
    pub replaced: Vec<(String, String)>,
    /// Variables of the shell.
    pub variables: Vec<(String, String)>,
}

impl Setting {
    /// In one go: what was put in is not looked at again.
    fn map(&self, text: &str) -> String {
        let (mut rest, mut mapped) = (text, String::new());
        while let Some((place, (from, to))) = self
            .replaced
            .iter()
            .filter_map(|pair| Some((rest.find(&pair.0)?, pair)))
            .min_by_key(|(place, (from, _))| (*place, std::cmp::Reverse(from.len())))
        {
            let (before, behind) = rest.split_at(place);
            mapped.push_str(before);
            mapped.push_str(to);
            rest = behind.strip_prefix(from.as_str()).unwrap_or_default();
        }
        mapped + rest
    }
}

/// A running bash, with everything that it started in its process group.
#[derive(Debug)]
pub struct Shell {
    bash: Child,
    folder: PathBuf,
    notes: PathBuf,
    setting: Setting,
}

impl Shell {
    /// Starts bash in `folder`; what blocks print goes into `notes`.
    ///
    /// # Errors
    /// There is no bash.
    pub fn start(folder: &Path, notes: &Path, setting: Setting) -> anyhow::Result<Self> {
        std::fs::create_dir_all(notes)?;
        let bash = Command::new("bash")
            .arg("-s")
            .current_dir(folder)
            .envs(setting.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("bash")?;
        let mut shell = Self { bash, folder: folder.to_owned(), notes: notes.to_owned(), setting };
        shell.say("set -euo pipefail")?;
        Ok(shell)
    }

    /// Does with a document's blocks what they say, in their order.
    ///
    /// # Errors
    /// The first that fails or prints something else, with its line and what it printed.
    pub async fn carry_out(&mut self, blocks: &[Block]) -> anyhow::Result<()> {
        for block in blocks {
            let begun = std::time::Instant::now();
            self.one(block).await.with_context(|| format!("the block at line {}:\n{}", block.line, block.text))?;
            println!("line {}: {:.1} s", block.line, begun.elapsed().as_secs_f32());
        }
        Ok(())
    }

    async fn one(&mut self, block: &Block) -> anyhow::Result<()> {
        check_form(block)?;
        let text = self.setting.map(&block.text);
        let script = self.notes.join(format!("{}.script", block.line));
        let printed = self.notes.join(format!("{}.printed", block.line));
        std::fs::write(&script, &text)?;
        let (source, into) = (quoted(&script), format!(">{} 2>&1 </dev/null", quoted(&printed)));
        match &block.mark {
            Mark::Not(_) => return Ok(()),
            Mark::File(name) => {
                return std::fs::write(self.folder.join(name), &text).with_context(|| name.clone());
            }
            Mark::Run => self.step(&format!(". {source} {into}"), &printed).await?,
            Mark::By(command) => {
                let from = into.replace("/dev/null", &source);
                let command = self.setting.map(command);
                self.step(&format!("{command} {from}"), &printed).await?;
            }
            Mark::Beside(until) => {
                self.say(&format!("( . {source} ) {into} &"))?;
                return wait_until(&format!("it to print {until}"), PATIENCE, async || {
                    let printed = read(&printed);
                    Ok(if printed.contains(until) { Condition::Met(()) } else { Condition::NotYet(printed) })
                })
                .await;
            }
            Mark::Until => {
                let expected = self.setting.map(block.prints.as_deref().unwrap_or_default());
                return wait_until("it to print what it should", PATIENCE, async || {
                    self.step(&format!("( . {source} ) {into} || true"), &printed).await?;
                    let printed = read(&printed);
                    Ok(if is_as(&printed, &expected) { Condition::Met(()) } else { Condition::NotYet(printed) })
                })
                .await;
            }
        }
        if let Some(expected) = &block.prints {
            let printed = read(&printed);
            ensure!(is_as(&printed, &self.setting.map(expected)), "it printed:\n{printed}\ninstead of:\n{expected}");
        }
        Ok(())
    }

    /// Runs a command in the shell itself, which ends if it fails.
    async fn step(&mut self, command: &str, printed: &Path) -> anyhow::Result<()> {
        let done = self.notes.join("done");
        let _there_or_not = std::fs::remove_file(&done);
        self.say(&format!("{command}\n: >{}", quoted(&done)))?;
        let bash = &mut self.bash;
        wait_until("it to end", PATIENCE, async || {
            if done.exists() {
                return Ok(Condition::Met(()));
            }
            if let Some(status) = bash.try_wait()? {
                bail!("it failed ({:?}):\n{}", status.code().or(status.signal()), read(printed));
            }
            Ok(Condition::NotYet(read(printed)))
        })
        .await
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.bash.stdin.as_mut().context("bash has no input")?;
        writeln!(input, "{line}").and_then(|()| input.flush()).context("bash has ended")
    }
}

/// Ends what blocks left running.
impl Drop for Shell {
    fn drop(&mut self) {
        let group = self.bash.id();
        // A negative id is a group's.
        let _asked = Command::new("kill").args(["-s", "KILL", "--", &format!("-{group}")]).output();
        let _waited = self.bash.wait();
    }
}

/// A block that another program reads is in that program's form.
fn check_form(block: &Block) -> anyhow::Result<()> {
    if block.language == "json" && !block.text.contains('…') {
        serde_json::from_str::<serde_json::Value>(&block.text).context("it is not JSON")?;
    }
    if block.language == "properties" {
        let is_property = |line: &str| line.is_empty() || line.starts_with('#') || line.contains('=');
        ensure!(block.text.lines().all(is_property), "it is not a file of properties");
    }
    Ok(())
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_not_looked_at_again() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let replaced = vec![pair("8083", "18183"), pair("8183", "2"), pair("shop", "t"), pair("shop-dev", "d")];
        let setting = Setting { replaced, variables: vec![] };
        assert_eq!(setting.map("a:8083 b:8183 shop-dev shop."), "a:18183 b:2 d t.");
    }
}
