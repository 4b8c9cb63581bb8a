//! What is read before streaming (`snapshot.*`).

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::check::SNAPSHOT_MODE_ALIASES;
use super::connector::Keys;
use super::filters;
use super::{Finding, properties};

/// What is read before streaming, and how.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `snapshot.mode`.
    pub mode: SnapshotMode,
    /// `snapshot.include.collection.list`: the tables that are read, `None` for all that are captured.
    tables: Option<Vec<Regex>>,
    /// `snapshot.select.statement.overrides.*`: what is read instead of the whole table, by `schema.table`.
    pub selects: BTreeMap<String, String>,
    /// `snapshot.isolation.mode`.
    pub isolation: Isolation,
    /// `snapshot.locking.mode=shared`: tables are kept from being altered while they are read.
    pub locks_tables: bool,
    /// `snapshot.lock.timeout.ms`.
    pub lock_timeout: Duration,
    /// `snapshot.delay.ms`.
    pub delay: Duration,
    /// `streaming.delay.ms`.
    pub streaming_delay: Duration,
    /// `snapshot.max.threads`.
    pub threads: usize,
}

/// `snapshot.mode`, with the answers that Debezium's `Snapshotter`s give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMode {
    /// At every start.
    Always,
    /// Once.
    Initial,
    /// Once, and nothing is streamed.
    InitialOnly,
    /// Never.
    NoData,
    /// Once, and again when the slot no longer has what the stored position needs.
    WhenNeeded,
    /// As three switches say (`snapshot.mode.configuration.based.*`; the two about schemas are for databases whose schema
    /// has a history).
    ConfigurationBased {
        /// At every start.
        data: bool,
        /// Whether there is streaming.
        stream: bool,
        /// Whether a lost position is made good by a snapshot.
        on_data_error: bool,
    },
}

impl SnapshotMode {
    /// Whether the tables are read at a start with or without a stored position, or with one inside a snapshot.
    pub fn reads_data(self, position_exists: bool, is_interrupted: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Initial | Self::InitialOnly | Self::WhenNeeded => !position_exists || is_interrupted,
            Self::NoData => false,
            Self::ConfigurationBased { data, .. } => data,
        }
    }

    /// Whether changes are streamed.
    pub fn streams(self) -> bool {
        match self {
            Self::InitialOnly => false,
            Self::ConfigurationBased { stream, .. } => stream,
            _ => true,
        }
    }

    /// Whether the tables are read anew when the changes behind the stored position are gone.
    pub fn mends_a_lost_position(self) -> bool {
        matches!(self, Self::WhenNeeded | Self::ConfigurationBased { on_data_error: true, .. })
    }
}

/// `snapshot.isolation.mode`: the transaction in which tables are read when there is no exported snapshot to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// `serializable`, read only and deferrable.
    Serializable,
    /// `repeatable_read`.
    RepeatableRead,
    /// `read_committed`: each table as of its own moment.
    ReadCommitted,
    /// `read_uncommitted`, which PostgreSQL takes for read committed.
    ReadUncommitted,
}

impl Isolation {
    /// As `BEGIN` takes it (`PostgresSnapshotChangeEventSource.snapshotTransactionIsolationLevelStatement`).
    pub fn as_sql(self) -> &'static str {
        match self {
            Self::Serializable => "ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
            Self::RepeatableRead => "ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Self::ReadCommitted => "ISOLATION LEVEL READ COMMITTED, READ ONLY",
            Self::ReadUncommitted => "ISOLATION LEVEL READ UNCOMMITTED, READ ONLY",
        }
    }
}

impl Snapshot {
    pub(super) fn parse(keys: &Keys<'_>) -> Result<Self, Vec<Finding>> {
        const TABLES: &str = "snapshot.include.collection.list";
        let switch = |name: &str| keys.flag(&format!("snapshot.mode.configuration.based.{name}"));
        let mode = match keys.string("snapshot.mode").to_ascii_lowercase().as_str() {
            "always" => SnapshotMode::Always,
            "initial_only" => SnapshotMode::InitialOnly,
            "when_needed" => SnapshotMode::WhenNeeded,
            "configuration_based" => SnapshotMode::ConfigurationBased {
                data: switch("snapshot.data"),
                stream: switch("start.stream"),
                on_data_error: switch("snapshot.on.data.error"),
            },
            "no_data" => SnapshotMode::NoData,
            alias => match SNAPSHOT_MODE_ALIASES.iter().find(|(known, _)| *known == alias) {
                Some((_, "no_data")) => SnapshotMode::NoData,
                _ => SnapshotMode::Initial,
            },
        };
        let tables = keys.text(TABLES).map(filters::patterns).transpose();
        Ok(Self {
            mode,
            tables: tables.map_err(|error| vec![Finding::invalid(TABLES, error)])?,
            selects: selects(keys),
            isolation: match keys.string("snapshot.isolation.mode").to_ascii_lowercase().as_str() {
                "repeatable_read" => Isolation::RepeatableRead,
                "read_committed" => Isolation::ReadCommitted,
                "read_uncommitted" => Isolation::ReadUncommitted,
                _ => Isolation::Serializable,
            },
            locks_tables: keys.string("snapshot.locking.mode").eq_ignore_ascii_case("shared"),
            lock_timeout: keys.milliseconds("snapshot.lock.timeout.ms"),
            delay: keys.milliseconds("snapshot.delay.ms"),
            streaming_delay: keys.milliseconds("streaming.delay.ms"),
            threads: usize::try_from(keys.number("snapshot.max.threads")).unwrap_or(1).max(1),
        })
    }

    /// Whether a captured table is read (`snapshot.include.collection.list`).
    pub fn reads_table(&self, schema: &str, table: &str) -> bool {
        let Some(patterns) = &self.tables else { return true };
        let (plain, quoted) = (format!("{schema}.{table}"), format!("\"{schema}\".\"{table}\""));
        patterns.iter().any(|pattern| pattern.is_match(&plain) || pattern.is_match(&quoted))
    }
}

/// The statements of the tables that `snapshot.select.statement.overrides` lists.
fn selects(keys: &Keys<'_>) -> BTreeMap<String, String> {
    const KEY: &str = "snapshot.select.statement.overrides";
    let listed = keys.text(KEY).unwrap_or_default().split(',').map(str::trim).filter(|table| !table.is_empty());
    let mut selects = BTreeMap::new();
    for table in listed {
        match keys.text(&format!("{KEY}.{table}")) {
            Some(select) => {
                selects.insert(table.to_owned(), select.trim_end_matches(';').to_owned());
            }
            None => tracing::warn!(table, "{KEY} names a table, and {KEY}.{table} is not set: the whole table is read"),
        }
    }
    selects
}

/// Whether this key is a statement of `snapshot.select.statement.overrides`.
pub(super) fn is_select(key: &str) -> bool {
    key.strip_prefix("snapshot.select.statement.overrides.").is_some_and(|table| !table.is_empty())
        && properties::find(key).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_snapshot_is_taken_again_by_the_modes_that_take_one_once() {
        for mode in [SnapshotMode::Initial, SnapshotMode::InitialOnly, SnapshotMode::WhenNeeded] {
            assert!(mode.reads_data(false, false) && mode.reads_data(true, true) && !mode.reads_data(true, false));
        }
        assert!(SnapshotMode::Always.reads_data(true, false));
        assert!(!SnapshotMode::NoData.reads_data(false, false));
    }

    #[test]
    fn a_listed_statement_is_read_without_its_semicolon() {
        let config = [
            ("snapshot.select.statement.overrides", "public.a, public.b"),
            ("snapshot.select.statement.overrides.public.a", "select 1;"),
            ("snapshot.select.statement.overrides.public.c", "select 3"),
        ];
        let config = config.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let selects = selects(&Keys { config: &config });
        assert_eq!(selects.into_iter().collect::<Vec<_>>(), [("public.a".to_owned(), "select 1".to_owned())]);
    }
}
