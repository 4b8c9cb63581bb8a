//! `pg_dump` of the slot's snapshot into `pg_restore`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio_postgres::Client;

use super::preflight::Source;
use super::steps::{Steps, megabytes};
use crate::apply::ledger::SCHEMA;
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::postgres::{Database, identifier};

/// PostgreSQL's client programs.
#[derive(Debug, Clone)]
pub struct Tools {
    dump: PathBuf,
    restore: PathBuf,
    /// The major version of `pg_dump`.
    pub version: i32,
}

impl Tools {
    /// Finds them in `directory`, or on the PATH.
    ///
    /// # Errors
    /// Stop when they are not there.
    pub async fn find(directory: Option<&Path>) -> Result<Self, SinkError> {
        let program = |name: &str| directory.map_or_else(|| PathBuf::from(name), |directory| directory.join(name));
        let dump = program("pg_dump");
        let missing = |error: String| {
            SinkError::stop(format!(
                "{} cannot be run ({error}): install PostgreSQL's client programs, or name their folder with --pg-bin",
                dump.display()
            ))
        };
        let output = Command::new(&dump).arg("--version").output().await.map_err(|error| missing(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // pg_dump (PostgreSQL) 17.6
        let version = text.split(") ").nth(1).and_then(|version| version.split(['.', ' ', '\n']).next()?.parse().ok());
        let version = version.ok_or_else(|| missing(format!("it says {}", text.trim())))?;
        Ok(Self { restore: program("pg_restore"), version, dump: dump.clone() })
    }
}

/// Copies schema and data of the snapshot. The target has all of it or nothing: the restore is one transaction.
///
/// # Errors
/// Stop with the programs' own words.
pub async fn run(
    config: &RunConfig,
    tools: &Tools,
    source: &Source,
    snapshot: &str,
    steps: &Steps,
) -> Result<(), SinkError> {
    let mut dump = with_address(&tools.dump, &config.source);
    dump.args([
        "--format=custom",
        "--compress=0",
        "--no-owner",
        "--no-privileges",
        "--no-publications",
        "--no-subscriptions",
    ])
    .arg(format!("--snapshot={snapshot}"))
    .arg(format!("--exclude-schema={SCHEMA}"));
    for table in &source.left_out {
        dump.arg(format!("--exclude-table={}", table.sql_name()));
    }
    dump.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut restore = with_address(&tools.restore, &config.target);
    restore
        .args(["--verbose", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--dbname"])
        .arg(config.target.name());
    restore.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);

    let started = |name: &Path| {
        let name = name.display().to_string();
        move |error: std::io::Error| SinkError::stop(format!("{name} cannot be run: {error}"))
    };
    let mut dump = dump.spawn().map_err(started(&tools.dump))?;
    let mut restore = restore.spawn().map_err(started(&tools.restore))?;
    let (Some(mut out), Some(dump_errors), Some(mut into), Some(restore_log)) =
        (dump.stdout.take(), dump.stderr.take(), restore.stdin.take(), restore.stderr.take())
    else {
        return Err(SinkError::stop("pg_dump and pg_restore have no pipes"));
    };
    let bar = progress_bar(source.bytes);
    let pump = async {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = out.read(&mut buffer).await?;
            let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else { break };
            into.write_all(read).await?;
            bar.inc(length as u64);
        }
        into.shutdown().await?;
        drop(into);
        Ok::<_, std::io::Error>(())
    };
    let (pumped, dump_said, restore_said) =
        tokio::join!(pump, lines(dump_errors, |_| {}), lines(restore_log, |line| show(line, &bar, source, steps)));
    let failed = |error: std::io::Error| SinkError::stop(format!("waiting for pg_dump and pg_restore: {error}"));
    let dumped = dump.wait().await.map_err(failed)?;
    let restored = restore.wait().await.map_err(failed)?;
    bar.finish_and_clear();
    if !dumped.success() {
        return Err(SinkError::stop(format!("pg_dump failed, nothing was copied:\n{}", tail(&dump_said))));
    }
    if !restored.success() {
        return Err(SinkError::stop(format!("pg_restore failed, nothing was copied:\n{}", tail(&restore_said))));
    }
    pumped.map_err(|error| SinkError::stop(format!("between pg_dump and pg_restore: {error}")))?;
    steps.note(&format!("{} from pg_dump to pg_restore", megabytes(bar.position())));
    Ok(())
}

/// Removes what an unfinished copy of ours may have left: the schemas that it brings.
///
/// # Errors
/// The server's.
pub async fn clear(target: &Client, source: &Source) -> Result<(), SinkError> {
    let mut schemas: Vec<&str> = source.tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.dedup();
    for schema in schemas {
        target.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", identifier(schema))).await?;
        if schema == "public" {
            // pg_dump takes this one for given.
            target.batch_execute("CREATE SCHEMA public").await?;
        }
    }
    Ok(())
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

fn progress_bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("    {bar:30} {bytes} of about {total_bytes}, {bytes_per_sec} {msg}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Each table as it is restored: on a terminal beside the bar, elsewhere a line each.
fn show(line: &str, bar: &ProgressBar, source: &Source, steps: &Steps) {
    let Some(table) = line.split("processing data for table \"").nth(1).map(|rest| rest.trim_end_matches('"')) else {
        return;
    };
    let number = source.tables.iter().position(|known| format!("{}.{}", known.schema, known.name) == table);
    let text = match number {
        Some(_) => format!("table {table}"),
        None => table.to_owned(),
    };
    if bar.is_hidden() {
        steps.note(&format!("{text} ({} so far)", megabytes(bar.position())));
    } else {
        bar.set_message(text);
    }
}

/// All lines of a program's output, each shown as it comes.
async fn lines(output: impl tokio::io::AsyncRead + Unpin, mut show: impl FnMut(&str)) -> Vec<String> {
    let mut lines = BufReader::new(output).lines();
    let mut all = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        show(&line);
        all.push(line);
    }
    all
}

fn tail(lines: &[String]) -> String {
    lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
}
