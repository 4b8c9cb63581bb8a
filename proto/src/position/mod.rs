//! Debezium's offset: what Connect's offset topic holds under `["<connector>",{"server":"<prefix>"}]`.
//!
//! # Layout
//! - [`incremental`]: an incremental snapshot's place in it
//! - [`java_object`]: the form in which Debezium stores keys

pub mod incremental;
pub mod java_object;

use serde_json::{Map, Value};

use crate::lsn::Lsn;
use crate::xid::Xid;
use incremental::IncrementalOffset;

/// A stored position (`PostgresOffsetContext`). Keys that are not known here are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offset {
    /// `lsn_proc`: the last row that was processed.
    pub lsn_proc: Option<Lsn>,
    /// `lsn_commit`: the end of the last commit that was processed.
    pub lsn_commit: Option<Lsn>,
    /// `lsn`: the last record's LSN.
    pub lsn: Option<Lsn>,
    /// `txId`: its transaction.
    pub tx_id: Option<Xid>,
    /// `ts_usec`: when that committed, in microseconds since 1970.
    pub ts_usec: Option<i64>,
    /// `messageType`: `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE`, …
    pub message_type: Option<String>,
    /// The transaction behind that position of which some changes were published.
    pub partial: Option<Partial>,
    /// Set while a snapshot is read and at its end.
    pub snapshot: Option<SnapshotOffset>,
    /// `headwater_snapshot_done`: what a snapshot that is under way has published, in a form of our own.
    pub snapshot_done: Option<String>,
    /// The transaction's events so far (`provide.transaction.metadata`).
    pub transaction: Option<TransactionOffset>,
    /// The incremental snapshot that is under way.
    pub incremental: Option<IncrementalOffset>,
    /// Which server the position is of, and how far its slot was confirmed.
    pub anchor: Option<Anchor>,
}

/// Where a position belongs: `headwater_systemId`, `headwater_timeline` and `headwater_confirmed`, which Debezium passes over.
///
/// An LSN means something on one server only, and on one line of its history. And only who knows how far the slot was
/// confirmed can tell one that was made anew from one that was confirmed beyond the last record, as an idle one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The server's system identifier; a promoted standby has that of its primary.
    pub system_id: String,
    /// The timeline that the server wrote.
    pub timeline: u32,
    /// The slot was never confirmed beyond this.
    pub confirmed: Lsn,
}

impl Anchor {
    fn from_map(map: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            system_id: map.get(SYSTEM_ID)?.as_str()?.to_owned(),
            timeline: u32::try_from(map.get(TIMELINE)?.as_u64()?).ok()?,
            confirmed: Lsn::from(map.get(CONFIRMED)?.as_u64()?),
        })
    }

    /// Puts it into a stored offset, in place of what is there.
    pub fn put_into(&self, map: &mut Map<String, Value>) {
        map.insert(SYSTEM_ID.to_owned(), self.system_id.clone().into());
        map.insert(TIMELINE.to_owned(), self.timeline.into());
        map.insert(CONFIRMED.to_owned(), self.confirmed.as_u64().into());
    }
}

/// How many events of each table a transaction had (`TransactionContext`): `transaction_id`, and
/// `transaction_data_collection_order_<schema>.<table>` for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionOffset {
    /// The transaction's id, without an LSN.
    pub id: String,
    /// The tables and their events.
    pub events: Vec<(String, i64)>,
}

/// A transaction that was published in part: `headwater_txId` and `headwater_ordinal`, which Debezium passes over. The other
/// fields stay those of the transaction before, so that Debezium, which cannot say how far it is among rows that share an
/// LSN, reads this one whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// Its id.
    pub tx_id: Xid,
    /// How many of its changes were published.
    pub ordinal: u64,
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOffset {
    /// `snapshot_completed`.
    pub completed: bool,
    /// `last_snapshot_record`.
    pub last_record: bool,
}

/// A stored offset is not of Debezium's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is not of the form that Debezium's PostgreSQL connector stores")]
pub struct OffsetError(&'static str);

const TRANSACTION_ID: &str = "transaction_id";
const TRANSACTION_EVENTS: &str = "transaction_data_collection_order_";
const SNAPSHOT_DONE: &str = "headwater_snapshot_done";
const PARTIAL_TX_ID: &str = "headwater_txId";
const PARTIAL_ORDINAL: &str = "headwater_ordinal";
const SYSTEM_ID: &str = "headwater_systemId";
const TIMELINE: &str = "headwater_timeline";
const CONFIRMED: &str = "headwater_confirmed";

impl Offset {
    /// From the stored map, Debezium's or ours.
    ///
    /// # Errors
    /// When a known key has a value of another kind.
    pub fn from_map(map: &Map<String, Value>) -> Result<Self, OffsetError> {
        let number = |key: &'static str| match map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or(OffsetError(key)),
        };
        let lsn = |key| Ok(number(key)?.map(|value| Lsn::from(value as u64)));
        let flag = |key: &'static str| match map.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or(OffsetError(key)),
        };
        let is_snapshot = map.get("snapshot").is_some_and(|value| !value.is_null() && value != &Value::Bool(false));
        let snapshot = if is_snapshot {
            Some(SnapshotOffset { completed: flag("snapshot_completed")?, last_record: flag("last_snapshot_record")? })
        } else {
            None
        };
        Ok(Self {
            lsn_proc: lsn("lsn_proc")?,
            lsn_commit: lsn("lsn_commit")?,
            lsn: lsn("lsn")?,
            tx_id: number("txId")?.map(|id| Xid::from(id as u32)),
            ts_usec: number("ts_usec")?,
            message_type: map.get("messageType").and_then(Value::as_str).map(str::to_owned),
            partial: number(PARTIAL_TX_ID)?
                .zip(number(PARTIAL_ORDINAL)?)
                .map(|(tx_id, ordinal)| Partial { tx_id: Xid::from(tx_id as u32), ordinal: ordinal as u64 }),
            snapshot,
            transaction: map.get(TRANSACTION_ID).and_then(Value::as_str).map(|id| {
                let events = |(key, count): (&String, &Value)| {
                    Some((key.strip_prefix(TRANSACTION_EVENTS)?.to_owned(), count.as_i64()?))
                };
                TransactionOffset { id: id.to_owned(), events: map.iter().filter_map(events).collect() }
            }),
            snapshot_done: map.get(SNAPSHOT_DONE).and_then(Value::as_str).map(str::to_owned),
            incremental: IncrementalOffset::from_map(map),
            anchor: Anchor::from_map(map),
        })
    }

    /// The map to store, in Debezium's order of keys.
    pub fn to_map(&self) -> Map<String, Value> {
        let lsn = |lsn: Lsn| Value::from(lsn.as_u64());
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        if let Some(snapshot) = self.snapshot {
            put("last_snapshot_record", Some(snapshot.last_record.into()));
            put("lsn", self.lsn.map(lsn));
            put("txId", self.tx_id.map(|id| id.as_u32().into()));
            put("ts_usec", self.ts_usec.map(Into::into));
            put("snapshot", Some("INITIAL".into()));
            put("snapshot_completed", Some(snapshot.completed.into()));
        } else {
            put("lsn_proc", self.lsn_proc.map(lsn));
            put("messageType", self.message_type.clone().map(Into::into));
            put("lsn_commit", self.lsn_commit.map(lsn));
            put("lsn", self.lsn.map(lsn));
            put("txId", self.tx_id.map(|id| id.as_u32().into()));
            put("ts_usec", self.ts_usec.map(Into::into));
        }
        if let Some(transaction) = &self.transaction {
            put(TRANSACTION_ID, Some(transaction.id.clone().into()));
            for (table, events) in &transaction.events {
                put(&format!("{TRANSACTION_EVENTS}{table}"), Some((*events).into()));
            }
        }
        put(PARTIAL_TX_ID, self.partial.map(|partial| partial.tx_id.as_u32().into()));
        put(PARTIAL_ORDINAL, self.partial.map(|partial| partial.ordinal.into()));
        put(SNAPSHOT_DONE, self.snapshot_done.clone().map(Into::into));
        if let Some(incremental) = &self.incremental {
            incremental.put_into(&mut map);
        }
        if let Some(anchor) = &self.anchor {
            anchor.put_into(&mut map);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debeziums_offset_is_read_and_written_again() {
        let stored = r#"{"lsn_proc":33729592,"messageType":"INSERT","lsn_commit":33729000,"lsn":33729592,"txId":809,"ts_usec":1795453412253464}"#;
        let map: Map<String, Value> = serde_json::from_str(stored).unwrap();
        let offset = Offset::from_map(&map).unwrap();
        assert_eq!(offset.lsn_commit, Some(Lsn::from(33_729_000)));
        assert_eq!(serde_json::to_string(&offset.to_map()).unwrap(), stored);
    }

    #[test]
    fn how_far_a_transaction_was_published_is_kept_beside_debeziums_own_keys() {
        let partial = Some(Partial { tx_id: Xid::from(810), ordinal: 512 });
        let offset = Offset { lsn: Some(Lsn::from(7)), tx_id: Some(Xid::from(809)), partial, ..Offset::default() };
        let map = offset.to_map();
        assert_eq!((&map["txId"], &map["headwater_txId"]), (&809.into(), &810.into()));
        assert_eq!(Offset::from_map(&map), Ok(offset));
    }

    #[test]
    fn where_a_position_belongs_is_kept_beside_debeziums_own_keys() {
        let anchor = Anchor { system_id: "7300000000000000001".to_owned(), timeline: 2, confirmed: Lsn::from(9) };
        let offset = Offset { lsn: Some(Lsn::from(7)), anchor: Some(anchor), ..Offset::default() };
        let map = offset.to_map();
        assert_eq!((&map["headwater_timeline"], &map["headwater_confirmed"]), (&2.into(), &9.into()));
        assert_eq!(Offset::from_map(&map), Ok(offset));
    }

    #[test]
    fn a_transactions_events_are_kept_as_debezium_keeps_them() {
        let stored = r#"{"lsn_proc":7,"lsn":7,"txId":809,"transaction_id":"809","transaction_data_collection_order_public.t":3}"#;
        let map: Map<String, Value> = serde_json::from_str(stored).unwrap();
        let offset = Offset::from_map(&map).unwrap();
        let transaction = TransactionOffset { id: "809".to_owned(), events: vec![("public.t".to_owned(), 3)] };
        assert_eq!(offset.transaction, Some(transaction));
        assert_eq!(offset.to_map(), map);
    }

    #[test]
    fn a_snapshot_that_did_not_end_is_known() {
        let map = serde_json::json!({"snapshot": "INITIAL", "snapshot_completed": false, "lsn": 5});
        let offset = Offset::from_map(map.as_object().unwrap()).unwrap();
        assert_eq!(offset.snapshot, Some(SnapshotOffset { completed: false, last_record: false }));
    }

    #[test]
    fn another_form_is_refused_by_its_key() {
        let map = serde_json::json!({"lsn": "0/16B3748"});
        assert_eq!(Offset::from_map(map.as_object().unwrap()), Err(OffsetError("lsn")));
    }
}
