//! What blanking would hide: how a record's volatile values stand to each other, and to those of the record before it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::json::Json;
use super::record::Record;

/// The source of the record before, in one partition.
struct Before {
    transaction: Option<Json>,
    lsn: i128,
    time: Option<Json>,
    is_read: bool,
}

/// What holds of each record:
/// - `source.ts_ms/us/ns` and the envelope's own say the same;
/// - `sequence[1]` is the LSN, `sequence[0]` no larger;
/// - `transaction.id` is `txId:lsn` of its own event; the key of a transaction's or a notification's record is its id;
/// - against the record before: the same transaction or not, an LSN not smaller, the same commit time or not.
///
/// With `exactly`, for two connectors on one database, also the position itself of what was streamed.
pub(crate) fn relate(records: &[Record], exactly: bool) -> Vec<Option<Value>> {
    let mut before: HashMap<(&str, i32), Before> = HashMap::new();
    records
        .iter()
        .map(|record| {
            let whole = record.whole()?;
            let value = Json::parse(whole.value.as_deref()?).ok()?;
            let value = payload(&value);
            let mut found = Map::new();
            let is_transaction = value.get("data_collections").is_some()
                && matches!(value.get("status").and_then(Json::text), Some("BEGIN" | "END"));
            let is_notification = value.get("aggregate_type").is_some() && value.get("additional_data").is_some();
            if is_transaction || is_notification {
                let key = whole.key.as_deref().and_then(|key| Json::parse(key).ok());
                let id = key.as_ref().and_then(|key| payload(key).get("id"));
                found.insert("key_is_id".to_owned(), (id.is_some() && id == value.get("id")).into());
            } else if let Some(lsn) = value.get("source").and_then(|source| source.get("lsn")) {
                let partition = (record.topic.as_str(), record.partition);
                if let Some(next) = event(value, lsn.integer(), before.get(&partition), exactly, &mut found) {
                    before.insert(partition, next);
                }
            }
            (!found.is_empty()).then_some(Value::Object(found))
        })
        .collect()
}

fn payload(json: &Json) -> &Json {
    json.get("payload").filter(|payload| matches!(payload, Json::Object(_))).unwrap_or(json)
}

/// Relates one event; gives what the next is related to.
fn event(
    value: &Json,
    lsn: Option<i128>,
    before: Option<&Before>,
    exactly: bool,
    found: &mut Map<String, Value>,
) -> Option<Before> {
    let source = value.get("source")?;
    let mut insert = |name: &str, holds: Option<bool>| {
        if let Some(holds) = holds {
            found.insert(name.to_owned(), holds.into());
        }
    };
    insert("source_ts", agree(source));
    insert("ts", agree(value));
    if let Some(Json::Array(sequence)) =
        source.get("sequence").and_then(Json::text).and_then(|sequence| Json::parse(sequence).ok())
        && let [commit, own] = sequence.as_slice()
    {
        insert("seq_lsn", Some(own.text() == lsn.map(|lsn| lsn.to_string()).as_deref()));
        let commit = commit.text().and_then(|commit| commit.parse::<i128>().ok());
        insert("seq_commit_le_lsn", commit.zip(lsn).map(|(commit, lsn)| commit <= lsn));
    }
    let transaction = source.get("txId");
    if let Some(id) = value.get("transaction").and_then(|transaction| transaction.get("id")).and_then(Json::text) {
        let (first, second) = id.split_once(':').unwrap_or((id, ""));
        insert("tx_txid", Some(transaction.is_some_and(|transaction| transaction.to_string() == first)));
        insert("tx_lsn", Some(lsn.is_some_and(|lsn| lsn.to_string() == second)));
    }
    let op = value.get("op").and_then(Json::text);
    let is_streamed = matches!(op, Some("c" | "u" | "d" | "t" | "m"));
    let time = source.get("ts_us");
    if exactly && is_streamed {
        let text = |json: Option<&Json>| json.map(Json::to_string);
        // A message that belongs to no transaction has the time of what came before it, which can be the connector's start.
        let time = time.filter(|_| transaction.is_some_and(|transaction| transaction.integer().is_some()));
        found.insert("position".to_owned(), json!([lsn.map(|lsn| lsn.to_string()), text(transaction), text(time)]));
    }
    let lsn = lsn?;
    if let Some(before) = before {
        let mut against = Map::new();
        against.insert("same_txId".to_owned(), (transaction == before.transaction.as_ref()).into());
        against.insert("lsn_ge".to_owned(), (lsn >= before.lsn).into());
        if is_streamed && !before.is_read {
            against.insert("same_source_ts".to_owned(), (time == before.time.as_ref()).into());
        }
        found.insert("prev".to_owned(), Value::Object(against));
    }
    Some(Before { transaction: transaction.cloned(), lsn, time: time.cloned(), is_read: op == Some("r") })
}

/// Whether a block's three times are one.
fn agree(block: &Json) -> Option<bool> {
    let time = |name: &str| block.get(name).and_then(Json::integer);
    let (ms, us, ns) = (time("ts_ms")?, time("ts_us")?, time("ts_ns")?);
    Some(ms == us.div_euclid(1000) && us == ns.div_euclid(1000))
}
