//! Who makes the target's tables: `pg_dump` and `pg_restore`, or this sink, of the source's catalog.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::diagnosis::Finding;
use futures_util::future::try_join_all;
use tokio_postgres::Client;

use super::Copy;
use super::rows::Table;
use super::snapshot::in_snapshot;
use super::tools::{Section, Tools};
use crate::apply::sequences;
use crate::config::{CopySchema, RunConfig};
use crate::error::SinkError;
use crate::evolve::whole::{Built, Definitions};

/// How often a statement is tried that others' locks kept from its end, and the pause before.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Who makes them.
#[derive(Debug, Clone)]
pub enum Way {
    /// `pg_dump` and `pg_restore`.
    Dump(Tools),
    /// This sink.
    Catalog,
}

impl Way {
    /// Looks who can, in the way in which a copy was begun, if one was.
    ///
    /// # Errors
    /// Stop where `pg_dump` is asked for, or has begun, and cannot be used.
    pub async fn find(config: &RunConfig, begun: Option<&str>) -> Result<(Self, Option<String>), SinkError> {
        let is_free = match (config.copy_schema, begun) {
            (CopySchema::Catalog, _) => return Ok((Way::Catalog, None)),
            (CopySchema::Auto, Some("catalog")) => return Ok((Way::Catalog, None)),
            (CopySchema::Auto, None) => true,
            (CopySchema::Auto, Some(_)) | (CopySchema::PgDump, _) => false,
        };
        match Self::tools(config).await? {
            Ok(tools) => Ok((Way::Dump(tools), None)),
            Err(finding) if is_free => {
                let why = format!("the tables are made of the source's catalog, for {finding} (--copy-schema)");
                Ok((Way::Catalog, Some(why)))
            }
            Err(finding) => Err(finding.into()),
        }
    }

    /// The programs, if they are asked for and can be used; what keeps them from it.
    ///
    /// # Errors
    /// The server's.
    pub async fn tools(config: &RunConfig) -> Result<Result<Tools, Finding>, SinkError> {
        let tools = match Tools::find(config.pg_bin.as_deref()).await {
            Ok(tools) => tools,
            Err(finding) => return Ok(Err(finding)),
        };
        let client = config.source.connect("version").await?;
        let sql = "SELECT current_setting('server_version_num')::int / 10000";
        let server: i32 = client.query_one(sql, &[]).await?.get(0);
        if tools.version < server {
            return Ok(Err(Finding::error(
                "pg-dump",
                format!("pg_dump is of version {}, the server of {server}", tools.version),
                format!(
                    "Install the client programs of version {server} or later and name their folder with --pg-bin, or have the tables \
                     made of the catalog: --copy-schema catalog"
                ),
            )));
        }
        Ok(Ok(tools))
    }

    /// Whether a stored part is the way that was begun in.
    pub fn is_one(part: &str) -> bool {
        matches!(part, "pg_dump" | "catalog")
    }

    /// As it is stored.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Way::Dump(_) => "pg_dump",
            Way::Catalog => "catalog",
        }
    }
}

/// The source's schema, read in the copy's snapshot.
pub(super) enum Schema<'a> {
    /// What `pg_dump` wrote.
    Dumped { tools: &'a Tools, file: PathBuf, _directory: tempfile::TempDir },
    /// What the catalog says.
    Read,
}

impl<'a> Schema<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// Stop with the program's own words, or the server's.
    pub(super) async fn read(copy: &Copy<'a>, tables: &[Table]) -> Result<Self, SinkError> {
        let Way::Dump(tools) = copy.way else { return Ok(Self::Read) };
        let directory = tempfile::tempdir().map_err(|error| {
            SinkError::stop("temporary-file", format!("there is no place for a temporary file: {error}. Set TMPDIR"))
        })?;
        let file = directory.path().join("schema.dump");
        tools.dump(copy.config, copy.source, tables, copy.snapshot, &file).await?;
        Ok(Self::Dumped { tools, file, _directory: directory })
    }

    /// Makes tables without anything over their rows.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) async fn make_tables(&self, copy: &Copy<'_>, definitions: &Definitions) -> Result<(), SinkError> {
        match self {
            Self::Dumped { tools, file, .. } => tools.restore(copy.config, file, Section::Tables).await,
            Self::Read => definitions.make(copy.target, None).await,
        }
    }

    /// What is not in tables: sequences, large objects.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) async fn restore_rest(&self, copy: &Copy<'_>) -> Result<(), SinkError> {
        match self {
            Self::Dumped { tools, file, .. } => tools.restore(copy.config, file, Section::Rest).await,
            Self::Read => sequences::bring_forward(copy.config).await.map(|_| ()),
        }
    }

    /// What is built over the rows, several at once. What an interrupted start has built already stays.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) async fn build(&self, copy: &Copy<'_>, definitions: &Definitions) -> Result<(), SinkError> {
        match self {
            Self::Dumped { tools, file, .. } => {
                let there = copy.later.is_some().then_some(copy.target);
                let source = in_snapshot(&copy.config.source, copy.snapshot).await?;
                tools.restore_indexes(copy.config, file, &source, there).await
            }
            Self::Read => {
                copy.target.batch_execute("BEGIN READ ONLY").await?;
                let lacking = definitions.lacking(copy.target).await?;
                copy.target.batch_execute("COMMIT").await?;
                let (keys, rest): (Vec<Built>, Vec<Built>) =
                    lacking.into_iter().partition(|built: &Built| !built.refers);
                build(copy.config, keys, copy.config.copy_jobs).await?;
                // One after the other: each locks two tables, which others lock the other way round.
                build(copy.config, rest, 1).await
            }
        }
    }
}

/// Builds something over rows, so many at once.
///
/// # Errors
/// Stop where the target does not take one.
pub(in super::super) async fn build(config: &RunConfig, built: Vec<Built>, jobs: u16) -> Result<(), SinkError> {
    let waiting = Mutex::new(VecDeque::from(built));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = async || {
        let mut session = None;
        while let Some(built) = next() {
            let mut attempt = 1;
            loop {
                let Err(error) = build_one(config, &mut session, &built).await else { break };
                session = None;
                if !error.is_retry() || attempt == ATTEMPTS {
                    let what = format!("table {}.{}: {} fails", built.table.0, built.table.1, built.sql);
                    return Err(error.while_doing(&what));
                }
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
        }
        Ok(())
    };
    try_join_all((0..jobs).map(|_| worker())).await?;
    Ok(())
}

async fn build_one(config: &RunConfig, session: &mut Option<Client>, built: &Built) -> Result<(), SinkError> {
    let session = match session.take() {
        Some(known) => session.insert(known),
        None => {
            let new = config.target.connect("indexes").await?;
            // Names that are not PostgreSQL's own come with their schemas.
            new.batch_execute("SET search_path = pg_catalog").await?;
            session.insert(new)
        }
    };
    Ok(session.batch_execute(&built.sql).await?)
}
