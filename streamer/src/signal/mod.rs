//! Signals: what a running connector is told to do (`signal.*`).
//!
//! They come as rows of the signal table, read from the stream in their place among the changes, or from channels outside
//! of it, which are looked at between two messages of the stream.
//!
//! # Layout
//! - [`action`]: what a signal asks for
//! - [`channels`]: the channels outside of the stream: `kafka`, `file`

pub mod action;
pub mod channels;

use proto::pgoutput::Datum;

pub use action::{Action, Condition, SnapshotKind, SnapshotRequest};

/// A signal as it came (`io.debezium.pipeline.signal.SignalRecord`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What notifications about it refer to.
    pub id: String,
    /// What is asked for.
    pub kind: String,
    /// The particulars: a JSON object, or nothing.
    pub data: String,
}

impl Signal {
    /// From a row inserted into the signal table; its first three columns count, whatever their names
    /// (`CommonConnectorConfig.parseSignallingMessage`). `None` when it is no such row.
    pub fn of_row(row: &[Datum]) -> Option<Self> {
        let [id, kind, data, ..] = row else { return None };
        Some(Self { id: text(id)?, kind: text(kind)?, data: text(data).unwrap_or_default() })
    }

    /// From a row deleted from the signal table: under `insert_delete` that closes the window that its insert opened.
    pub fn of_deleted_row(row: &[Datum]) -> Option<Self> {
        let id = text(row.first()?)?.replace("open", "close");
        Some(Self { id, kind: action::CLOSE_WINDOW.to_owned(), data: String::new() })
    }
}

fn text(datum: &Datum) -> Option<String> {
    match datum {
        Datum::Text(text) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}
