//! `pg_dump` and `pg_restore`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use access::diagnosis::Finding;
use tokio::process::Command;
use tokio_postgres::Client;

use super::built;
use super::rows::Table;
use crate::apply::ledger::SCHEMA;
use crate::bootstrap::preflight::Source;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::trigger::EVENT_TRIGGERS;
use crate::plan::table::qualified;
use crate::postgres::Database;

/// PostgreSQL's client programs.
#[derive(Debug, Clone)]
pub struct Tools {
    dump: PathBuf,
    restore: PathBuf,
    /// The major version of `pg_dump`.
    pub version: i32,
}

/// A part of what is restored (`pg_restore --section`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Types, functions, tables without anything over their rows.
    Tables,
    /// What stands beside the tables' rows: values of sequences, large objects.
    Rest,
}

impl Tools {
    /// Finds them in `directory`, or on the PATH.
    ///
    /// # Errors
    /// When they are not there.
    pub async fn find(directory: Option<&Path>) -> Result<Self, Finding> {
        let program = |name: &str| directory.map_or_else(|| PathBuf::from(name), |directory| directory.join(name));
        let dump = program("pg_dump");
        let missing = |error: String| {
            Finding::error(
                "pg-dump",
                format!("{} cannot be run ({error})", dump.display()),
                "Install PostgreSQL's client programs, or name their folder with --pg-bin",
            )
        };
        let restore = program("pg_restore");
        let output = Command::new(&dump).arg("--version").output().await.map_err(|error| missing(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // pg_dump (PostgreSQL) 17.6
        let version = text.split(") ").nth(1).and_then(|version| version.split(['.', ' ', '\n']).next()?.parse().ok());
        let version = version.ok_or_else(|| missing(format!("it says {}", text.trim())))?;
        let output = Command::new(&restore).arg("--version").output().await;
        output.map_err(|error| missing(format!("{}: {error}", restore.display())))?;
        Ok(Self { restore, version, dump: dump.clone() })
    }

    /// Writes to a file what the snapshot has beside the rows of these tables.
    ///
    /// # Errors
    /// Stop with the program's own words.
    pub(super) async fn dump(
        &self,
        config: &RunConfig,
        source: &Source,
        tables: &[Table],
        snapshot: &str,
        file: &Path,
    ) -> Result<(), SinkError> {
        let mut dump = with_address(&self.dump, &config.source);
        dump.args(["--format=custom", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions"])
            .arg(format!("--snapshot={snapshot}"))
            .arg(format!("--exclude-schema={SCHEMA}"))
            .arg("--file")
            .arg(file);
        for table in &source.left_out {
            dump.arg(format!("--exclude-table={}", table.sql_name()));
        }
        for table in tables {
            dump.arg(format!("--exclude-table-data={}", qualified(&table.schema, &table.name)));
        }
        run(dump, &self.dump).await
    }

    /// Restores a part of such a file that is no index, all of it or nothing.
    ///
    /// # Errors
    /// Stop with the program's own words.
    pub(super) async fn restore(&self, config: &RunConfig, file: &Path, section: Section) -> Result<(), SinkError> {
        let mut restore = self.restoring(config);
        restore.arg("--single-transaction").arg(match section {
            Section::Tables => "--section=pre-data",
            Section::Rest => "--section=data",
        });
        restore.arg(file);
        run(restore, &self.restore).await
    }

    /// Builds the indexes, constraints and triggers of such a file, several at once, without those that are in `there` already: a session
    /// of the target into which an interrupted start may have built some.
    ///
    /// # Errors
    /// Stop with the program's own words.
    pub(super) async fn restore_indexes(
        &self,
        config: &RunConfig,
        file: &Path,
        source: &Client,
        there: Option<&Client>,
    ) -> Result<(), SinkError> {
        let mut list = self.without_own(config, file).await?;
        if let Some(target) = there {
            list = built::leave_out(source, target, list).await?;
        }
        let path = file.with_extension("list");
        let written = tokio::fs::write(&path, list.join("\n")).await;
        written.map_err(|error| {
            SinkError::stop("temporary-file", format!("{} cannot be written: {error}", path.display()))
        })?;
        let mut restore = self.restoring(config);
        restore.args(["--section=post-data", "--jobs"]).arg(config.copy_jobs.to_string());
        restore.arg("--use-list").arg(path).arg(file);
        run(restore, &self.restore).await
    }

    fn restoring(&self, config: &RunConfig) -> Command {
        let mut restore = with_address(&self.restore, &config.target);
        restore.args(["--exit-on-error", "--no-owner", "--no-privileges", "--dbname"]).arg(config.target.name());
        restore
    }

    /// Lists what is in such a file, without the event triggers by which the source tells of changes of its tables: what they run is
    /// in the schema that is left out.
    async fn without_own(&self, config: &RunConfig, file: &Path) -> Result<Vec<String>, SinkError> {
        let failed = |what: &dyn std::fmt::Display| {
            SinkError::stop("pg-dump", format!("{} does not list what the source has: {what}", self.restore.display()))
        };
        // It reaches no server for that, but whoever wraps it may look at what it is told.
        let mut listing = with_address(&self.restore, &config.target);
        let output = listing.arg("--list").arg(file).output().await.map_err(|error| failed(&error))?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr)));
        }
        // Of a line pg_restore reads the number in front.
        let list = String::from_utf8_lossy(&output.stdout);
        let is_own =
            |line: &&str| EVENT_TRIGGERS.iter().any(|name| line.contains(&format!(" EVENT TRIGGER - {name} ")));
        Ok(list.lines().filter(|line| !is_own(line)).map(str::to_owned).collect())
    }
}

async fn run(mut command: Command, program: &Path) -> Result<(), SinkError> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let program = program.display();
    let output = command.output().await;
    let output = output.map_err(|error| SinkError::stop("pg-dump", format!("{program} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n");
    Err(SinkError::stop("pg-dump", format!("{program} failed; the next start goes on with the copy:\n{last}")))
}

/// A program that is told the database through its environment.
fn with_address(program: &Path, database: &Database) -> Command {
    let mut command = Command::new(program);
    for (variable, value) in database.environment() {
        match value {
            Some(value) => command.env(variable, value),
            // Or it would do something else than the sink's own sessions.
            None => command.env_remove(variable),
        };
    }
    command
}
