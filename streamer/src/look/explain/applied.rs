//! What became of a record in the target, by the sink's own tables.

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::look::Ended;
use crate::look::record::Place;
use crate::source::session::query_error;

/// What became of a record.
#[derive(Debug)]
pub(super) enum Target {
    /// No sink of ours has its tables there.
    NoSink,
    /// The sink has not come to the partition.
    NotBegun,
    /// It has not come to the record: where it goes on.
    Waits(i64, i64),
    /// It is behind the record: where it goes on, and when it came there, in milliseconds since 1970.
    Applied(i64, i64),
    /// The record was refused: why, and when it was set aside.
    SetAside(String, i64),
}

impl Target {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::NoSink => json!({ "state": "no_sink" }),
            Self::NotBegun => json!({ "state": "not_begun" }),
            Self::Waits(next, at) => json!({ "state": "waits", "next_offset": next, "changed_at_ms": at }),
            Self::Applied(next, at) => json!({ "state": "applied", "next_offset": next, "changed_at_ms": at }),
            Self::SetAside(why, at) => json!({ "state": "set_aside", "reason": why, "set_aside_at_ms": at }),
        }
    }
}

/// What became of a record in the target.
pub(super) async fn applied(target: &Client, place: &Place) -> Result<Target, Ended> {
    let failed = |error| query_error("asking the target what the sink has applied", error);
    let is_there =
        "SELECT to_regclass('headwater.offsets') IS NOT NULL AND to_regclass('headwater.set_aside') IS NOT NULL";
    if !target.query_one(is_there, &[]).await.map_err(failed)?.get::<_, bool>(0) {
        return Ok(Target::NoSink);
    }
    let aside = target
        .query_opt(
            "SELECT reason, (extract(epoch FROM set_aside_at) * 1000)::int8 FROM headwater.set_aside
             WHERE topic = $1 AND partition = $2 AND record_offset = $3",
            &[&place.topic, &place.partition, &place.offset],
        )
        .await
        .map_err(failed)?;
    if let Some(row) = aside {
        return Ok(Target::SetAside(row.get(0), row.get(1)));
    }
    let next = target
        .query_opt(
            "SELECT next_offset, (extract(epoch FROM changed_at) * 1000)::int8 FROM headwater.offsets
             WHERE topic = $1 AND partition = $2",
            &[&place.topic, &place.partition],
        )
        .await
        .map_err(failed)?;
    Ok(match next.map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))) {
        None => Target::NotBegun,
        Some((next, at)) if next > place.offset => Target::Applied(next, at),
        Some((next, at)) => Target::Waits(next, at),
    })
}
