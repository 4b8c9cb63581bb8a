//! What a signal asks for (`io.debezium.pipeline.signal.actions`).

use serde_json::{Map, Value};

use super::Signal;
use crate::config::filters;
use crate::source::table_name::TableName;
use crate::transform::java_regex::Pattern;

/// The kind of the row that opens an incremental snapshot's window.
pub const OPEN_WINDOW: &str = "snapshot-window-open";
/// The kind of the row that closes it.
pub const CLOSE_WINDOW: &str = "snapshot-window-close";

/// What a signal asks for.
#[derive(Debug)]
pub enum Action {
    /// Read tables.
    ExecuteSnapshot(SnapshotRequest),
    /// Stop reading these tables, all when none is named.
    StopSnapshot(Vec<String>),
    /// Read no further chunk for now.
    PauseSnapshot,
    /// Go on reading.
    ResumeSnapshot,
    /// Write a message into the log; `{}` in it stands for the position.
    Log(String),
    /// An incremental snapshot's window opens here.
    OpenWindow,
    /// An incremental snapshot's window closes here.
    CloseWindow,
}

/// Which tables are read, and how.
#[derive(Debug)]
pub struct SnapshotRequest {
    /// Between the changes, or instead of them.
    pub kind: SnapshotKind,
    /// `data-collections`: the tables, as regular expressions.
    pub tables: Vec<String>,
    /// `additional-conditions`.
    pub conditions: Vec<Condition>,
    /// `surrogate-key`.
    pub surrogate_key: Option<String>,
}

impl SnapshotRequest {
    /// The condition of a table that is read between the changes.
    pub fn condition(&self, table: &str) -> Option<&str> {
        self.conditions.iter().find(|condition| condition.tables.matches(table)).map(|found| found.filter.as_str())
    }

    /// What is read instead of a table at one go: there Debezium takes `data-collection` for a name, not for a pattern
    /// (`RelationalSnapshotChangeEventSource.getBlockingSnapshottingTask`).
    pub fn select(&self, table: &TableName) -> Option<&str> {
        let condition = self.conditions.iter().find(|condition| TableName::parse(&condition.table) == *table);
        condition.map(|found| found.filter.as_str())
    }

    /// Whether a table is to be read at one go: its name or its quoted name matches, whatever the case of its letters
    /// (`AbstractSnapshotChangeEventSource.determineDataCollectionsToBeSnapshotted`).
    pub fn names(&self, table: &TableName) -> bool {
        let (plain, quoted) = (table.to_string(), table.quoted());
        let patterns = self.tables.iter().filter_map(|tables| filters::patterns(tables).ok()).flatten();
        patterns.into_iter().any(|pattern| pattern.is_match(&plain) || pattern.is_match(&quoted))
    }
}

/// How a snapshot goes with streaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Chunk by chunk between the changes.
    Incremental,
    /// At one go, while streaming waits.
    Blocking,
}

/// A condition on the rows of some tables; for a blocking snapshot the statement that is read instead.
#[derive(Debug)]
pub struct Condition {
    /// As it was given.
    table: String,
    tables: Pattern,
    filter: String,
}

impl Action {
    /// What a signal asks for. As in Debezium, a signal that cannot be understood is a warning in the log and nothing else.
    pub fn of(signal: &Signal) -> Option<Self> {
        let data = match signal.data.trim() {
            "" => Map::new(),
            text => match serde_json::from_str(text) {
                Ok(data) => data,
                Err(error) => {
                    tracing::warn!(id = %signal.id, kind = %signal.kind, %error, "the signal's data is no JSON object: passed over");
                    return None;
                }
            },
        };
        let action = match signal.kind.as_str() {
            "execute-snapshot" => request(&data).map(Self::ExecuteSnapshot),
            "stop-snapshot" => match kind(&data) {
                Ok(SnapshotKind::Incremental) => Ok(Self::StopSnapshot(tables(&data))),
                Ok(SnapshotKind::Blocking) => Err("a blocking snapshot cannot be stopped by a signal".to_owned()),
                Err(error) => Err(error),
            },
            "pause-snapshot" => Ok(Self::PauseSnapshot),
            "resume-snapshot" => Ok(Self::ResumeSnapshot),
            "log" => match data.get("message").and_then(Value::as_str) {
                Some(message) if !message.is_empty() => Ok(Self::Log(message.to_owned())),
                _ => Err("the field message is missing from its data".to_owned()),
            },
            OPEN_WINDOW => Ok(Self::OpenWindow),
            CLOSE_WINDOW => Ok(Self::CloseWindow),
            _ => Err("its type is not recognized".to_owned()),
        };
        action
            .inspect_err(|why| tracing::warn!(id = %signal.id, kind = %signal.kind, why, "a signal is passed over"))
            .ok()
    }
}

fn request(data: &Map<String, Value>) -> Result<SnapshotRequest, String> {
    let tables = tables(data);
    if tables.is_empty() {
        return Err("the field data-collections is missing from its data or is empty".to_owned());
    }
    let conditions = data.get("additional-conditions").and_then(Value::as_array);
    let condition = |condition: &Value| {
        let part = |name: &str| condition.get(name).and_then(Value::as_str).unwrap_or_default();
        let tables = Pattern::new(&format!("(?i){}", part("data-collection")));
        let tables = tables.map_err(|error| format!("an additional condition's data-collection: {error}"))?;
        Ok(Condition { table: part("data-collection").to_owned(), tables, filter: part("filter").to_owned() })
    };
    let surrogate_key = data.get("surrogate-key").and_then(Value::as_str).filter(|key| !key.trim().is_empty());
    Ok(SnapshotRequest {
        kind: kind(data)?,
        tables,
        conditions: conditions.into_iter().flatten().map(condition).collect::<Result<_, String>>()?,
        surrogate_key: surrogate_key.map(str::to_owned),
    })
}

fn kind(data: &Map<String, Value>) -> Result<SnapshotKind, String> {
    match data.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        None | Some("incremental") => Ok(SnapshotKind::Incremental),
        Some("blocking") => Ok(SnapshotKind::Blocking),
        Some(other) => Err(format!("the snapshot type {other} is not known")),
    }
}

fn tables(data: &Map<String, Value>) -> Vec<String> {
    let tables = data.get("data-collections").and_then(Value::as_array);
    tables.into_iter().flatten().filter_map(Value::as_str).map(|table| table.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(kind: &str, data: &str) -> Option<Action> {
        Action::of(&Signal { id: "1".to_owned(), kind: kind.to_owned(), data: data.to_owned() })
    }

    #[test]
    fn a_snapshot_is_incremental_unless_it_says_otherwise() {
        let data = r#"{"data-collections": ["public.a", " public.b "],
            "additional-conditions": [{"data-collection": "PUBLIC.A", "filter": "id > 5"}]}"#;
        let Some(Action::ExecuteSnapshot(request)) = action("execute-snapshot", data) else { panic!("no request") };
        assert_eq!((request.kind, request.tables.len()), (SnapshotKind::Incremental, 2));
        assert_eq!(request.tables[1], "public.b");
        assert_eq!((request.condition("public.a"), request.condition("public.b")), (Some("id > 5"), None));
        let table = |name| TableName::parse(name);
        assert!(request.names(&table("public.B")) && !request.names(&table("public.c")));
        assert_eq!(request.select(&table("public.a")), None, "a name, of which each letter counts");
        assert_eq!(request.select(&table("PUBLIC.A")), Some("id > 5"));
        let blocking = action("execute-snapshot", r#"{"data-collections": ["a"], "type": "BLOCKING"}"#);
        assert!(matches!(blocking, Some(Action::ExecuteSnapshot(request)) if request.kind == SnapshotKind::Blocking));
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for (kind, data) in [
            ("no-such-signal", "{}"),
            ("execute-snapshot", "not json"),
            ("execute-snapshot", "{}"),
            ("execute-snapshot", r#"{"data-collections": ["a"], "type": "sideways"}"#),
            ("log", "{}"),
        ] {
            assert!(action(kind, data).is_none(), "{kind} {data}");
        }
    }
}
