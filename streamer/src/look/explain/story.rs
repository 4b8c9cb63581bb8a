//! What is known of a record, asked from all that know.

use std::time::Duration;

use proto::lsn::Lsn;
use proto::position::Offset;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::PgLsn;

use super::applied::{Target, applied};
use crate::look::Ended;
use crate::look::change::{Change, Op};
use crate::look::reach::connect::{Connector, Rest};
use crate::look::reach::kafka::{Arrival, Reader};
use crate::look::reach::postgres::Database;
use crate::look::record::{Place, Record};
use crate::source::session::query_error;

/// How much earlier than the record its transaction's end may have been written, by clocks.
const BEFORE_MS: i64 = 60_000;

/// So many records of the transactions' topic are looked at for the end.
const LOOKED_AT: usize = 200_000;

/// How long Kafka may take for the next record.
const ANSWER: Duration = Duration::from_secs(15);

/// Those that are asked.
#[derive(Debug)]
pub(super) struct Witnesses {
    rest: Option<Rest>,
    source: Option<Client>,
    target: Option<Client>,
}

/// What is known of a record.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) record: Record,
    /// What it says happened, with times and decimals written out.
    pub(super) change: Option<Change>,
    /// Its place in its transaction, where the connector has `provide.transaction.metadata`.
    pub(super) in_transaction: Option<InTransaction>,
    /// The end of that in the transactions' topic: where, which LSN, how many events.
    pub(super) end: Option<(Place, Lsn, u64)>,
    /// The connector, if the worker was asked and has it.
    pub(super) connector: Option<Connector>,
    /// Whether the worker was asked.
    pub(super) is_worker_asked: bool,
    /// What is stored: of which slot, up to where, and whether the record is in it.
    pub(super) stored: Vec<Stored>,
    /// What the source says, if it was asked.
    pub(super) slots: Option<Vec<Slot>>,
    /// What the target says, if it was asked.
    pub(super) target: Option<Target>,
}

#[derive(Debug)]
pub(super) struct InTransaction {
    pub(super) id: String,
    pub(super) total_order: u64,
    pub(super) collection_order: u64,
}

#[derive(Debug)]
pub(super) struct Stored {
    /// Of which slot, where the connector has several.
    pub(super) slot: Option<String>,
    pub(super) at: Lsn,
    pub(super) is_behind: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) confirmed: Lsn,
    pub(super) is_active: bool,
    /// Whether it was confirmed beyond the record.
    pub(super) is_behind: bool,
}

impl Witnesses {
    pub(super) async fn new(
        rest: Option<Rest>,
        source: Option<&Database>,
        target: Option<&Database>,
    ) -> Result<Self, Ended> {
        let session = async |database: Option<&Database>| match database {
            Some(database) => database.connect("explain").await.map(Some),
            None => Ok(None),
        };
        Ok(Self { rest, source: session(source).await?, target: session(target).await? })
    }

    /// Asks everybody about a record.
    ///
    /// # Errors
    /// That of who is asked.
    pub(super) async fn story(&self, reader: &Reader, record: Record) -> Result<Story, Ended> {
        let prefix = record.source().get("name").and_then(Value::as_str).map(str::to_owned);
        let in_transaction = in_transaction(&record.value);
        let connector = match (&self.rest, &prefix) {
            (Some(rest), Some(prefix)) => rest.connector_of(prefix).await?,
            _ => None,
        };
        let end = match (&in_transaction, &prefix) {
            (Some(transaction), Some(prefix)) => {
                let named = connector.as_ref().and_then(|connector| connector.property("topic.transaction"));
                end(reader, &record, &transaction.id, &format!("{prefix}.{}", named.unwrap_or("transaction"))).await?
            }
            _ => None,
        };
        let mut stored = Vec::new();
        if let (Some(rest), Some(connector)) = (&self.rest, &connector) {
            for (partition, offset) in rest.offsets(&connector.name).await? {
                stored.extend(stored_of(&record, &partition, &offset));
            }
        }
        let slots = match (&self.source, record.lsn()) {
            (Some(source), Some(lsn)) => {
                let named = connector.as_ref().map(|connector| connector.property("slot.name").unwrap_or("debezium"));
                let commit = end.as_ref().map_or(lsn, |(_, commit, _)| *commit);
                Some(slots(source, named, commit).await?)
            }
            _ => None,
        };
        let target = match &self.target {
            Some(target) => Some(applied(target, &record.place).await?),
            None => None,
        };
        let change = record.readable_change();
        let is_worker_asked = self.rest.is_some();
        Ok(Story { record, change, in_transaction, end, connector, is_worker_asked, stored, slots, target })
    }

    /// What the source's slots are to an LSN that no record has.
    ///
    /// # Errors
    /// As [`query_error`].
    pub(super) async fn slots_at(&self, lsn: Lsn) -> Result<Vec<String>, Ended> {
        let Some(source) = &self.source else { return Ok(Vec::new()) };
        let told = |slot: Slot| match slot.is_behind {
            true => format!(
                "slot {} is confirmed up to {}: what was there for its publication is in Kafka, or was removed there",
                slot.name, slot.confirmed
            ),
            false => format!(
                "slot {} is confirmed up to {}: it is still to come, if it is of a published table. streamer tail --source … --slot {} \
                 shows what waits",
                slot.name, slot.confirmed, slot.name
            ),
        };
        Ok(slots(source, None, lsn).await?.into_iter().map(told).collect())
    }
}

impl Story {
    pub(super) fn is_snapshot(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.op == Op::Read)
    }

    pub(super) fn json(&self) -> Value {
        let place =
            |place: &Place| json!({ "topic": place.topic, "partition": place.partition, "offset": place.offset });
        let stored = self.stored.iter().map(
            |stored| json!({ "slot": stored.slot, "lsn": stored.at.to_string(), "behind_record": stored.is_behind }),
        );
        let slot = |slot: &Slot| {
            json!({
                "name": slot.name, "confirmed_flush_lsn": slot.confirmed.to_string(), "active": slot.is_active,
                "behind_record": slot.is_behind,
            })
        };
        json!({
            "record": place(&self.record.place),
            "timestamp_ms": self.record.at_ms,
            "change": self.record.change().as_ref().map(Change::json),
            "source": self.record.source(),
            "decoded_ms": self.record.value.get("ts_ms"),
            "transaction": self.in_transaction.as_ref().map(|transaction| json!({
                "id": transaction.id,
                "total_order": transaction.total_order,
                "data_collection_order": transaction.collection_order,
                "end": self.end.as_ref().map(|(at, commit, events)| json!({
                    "record": place(at), "lsn": commit.to_string(), "event_count": events,
                })),
            })),
            "connector": self.connector.as_ref().map(|connector| json!({
                "name": connector.name, "slot": connector.property("slot.name").unwrap_or("debezium"),
            })),
            "stored": stored.collect::<Vec<_>>(),
            "slots": self.slots.as_ref().map(|slots| slots.iter().map(slot).collect::<Vec<_>>()),
            "target": self.target.as_ref().map(Target::json),
        })
    }
}

fn in_transaction(value: &Value) -> Option<InTransaction> {
    let block = value.get("transaction")?;
    Some(InTransaction {
        id: block.get("id")?.as_str()?.to_owned(),
        total_order: block.get("total_order")?.as_u64()?,
        collection_order: block.get("data_collection_order")?.as_u64()?,
    })
}

/// The end of a transaction in its topic. Its id has the same number as the record's, and the LSN of the commit.
async fn end(reader: &Reader, record: &Record, id: &str, topic: &str) -> Result<Option<(Place, Lsn, u64)>, Ended> {
    let number = id.split(':').next().unwrap_or(id);
    let Some(partitions) = reader.topics()?.remove(topic) else { return Ok(None) };
    for partition in partitions {
        let (_, end) = reader.range(topic, partition)?;
        let from = reader.since(topic, partition, record.at_ms.unwrap_or_default().saturating_sub(BEFORE_MS))?;
        if from >= end {
            continue;
        }
        reader.assign([(topic, partition, from)])?;
        for _ in 0..LOOKED_AT {
            let arrival = tokio::time::timeout(ANSWER, reader.next()).await;
            let arrival =
                arrival.map_err(|_| Ended::cannot(format!("Kafka did not deliver {topic}/{partition}")))??;
            let Arrival::Record(message) = arrival else { break };
            let Ok(boundary) = Record::of(&message) else { break };
            let is_end = boundary.value.get("status").and_then(Value::as_str) == Some("END");
            let of = boundary.value.get("id").and_then(Value::as_str).unwrap_or_default();
            let mut parts = of.split(':');
            if is_end && parts.next() == Some(number) {
                let commit = parts.next().and_then(|lsn| lsn.parse::<u64>().ok()).unwrap_or_default();
                let events = boundary.value.get("event_count").and_then(Value::as_u64).unwrap_or_default();
                return Ok(Some((boundary.place, Lsn::from(commit), events)));
            }
            if boundary.place.offset + 1 >= end {
                break;
            }
        }
    }
    Ok(None)
}

/// Whether a record is in a stored position.
fn stored_of(record: &Record, partition: &Value, offset: &Value) -> Option<Stored> {
    let slot = partition.get("slot").and_then(Value::as_str).map(str::to_owned);
    let offset = Offset::from_map(offset.as_object()?).ok()?;
    let at = offset.lsn_proc.max(offset.lsn_commit).or(offset.lsn)?;
    let lsn = record.lsn()?;
    let is_behind = match (record.last_commit(), offset.lsn_commit) {
        // Another transaction was committed behind the one before the record's: the record's own, or a later one.
        (Some(before), Some(commit)) if commit > before => true,
        (Some(before), Some(commit)) if commit < before => false,
        _ => offset.lsn_proc.or(offset.lsn).is_some_and(|done| done >= lsn),
    };
    Some(Stored { slot, at, is_behind })
}

/// The source's slots that decode with `pgoutput`, or those that have a name, and several slots' names of one connector, that begin
/// with it.
async fn slots(source: &Client, named: Option<&str>, lsn: Lsn) -> Result<Vec<Slot>, Ended> {
    let rows = source
        .query(
            "SELECT slot_name::text, confirmed_flush_lsn, active FROM pg_replication_slots
             WHERE plugin = 'pgoutput' AND database = current_database() AND NOT temporary
               AND ($1::text IS NULL OR slot_name = $1 OR slot_name ~ ('^' || $1 || '_[0-9]+$')) ORDER BY 1",
            &[&named],
        )
        .await
        .map_err(|error| query_error("asking the source for its slots", error))?;
    let slot = |row: &tokio_postgres::Row| {
        let confirmed = row.get::<_, Option<PgLsn>>(1).map_or(Lsn::ZERO, |lsn| Lsn::from(u64::from(lsn)));
        Slot { name: row.get(0), confirmed, is_active: row.get(2), is_behind: confirmed >= lsn }
    };
    Ok(rows.iter().map(slot).collect())
}
