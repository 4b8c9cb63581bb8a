//! What happened to the source's tables, as a slot of PostgreSQL's own `test_decoding` says it, and what was published of it.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio_postgres::Client;

/// A record's worth of change: what the database and the envelope both say of it. A change of a row's key is two, the delete
/// of the old one and the creation of the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// The transaction.
    pub xid: u32,
    /// Where in the WAL it is; rows of one COPY or multi-row INSERT share it.
    pub lsn: u64,
    /// The operation as the envelope calls it: `c`, `u`, `d`, `t`.
    pub op: char,
    /// The row's key, the column `id`; 0 for a truncate.
    pub id: i64,
}

/// By table, in the order of the database's commits.
pub type Changes = BTreeMap<String, Vec<Change>>;

/// Creates the slot that [`happened`] reads. What was before it is not known to it.
///
/// # Errors
/// The server's.
pub async fn watch(client: &Client, slot: &str) -> anyhow::Result<()> {
    client.execute("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", &[&slot]).await?;
    Ok(())
}

/// What has happened to the tables of schema public since the last time, as the slot says. Every table has a column
/// `id bigint`, its first and its key.
///
/// Decoding goes as far as the WAL is flushed: behind a commit under `synchronous_commit=off` that may be too early.
///
/// # Errors
/// The server's, or a change that is not understood.
pub async fn happened(client: &Client, slot: &str) -> anyhow::Result<Changes> {
    // Cut on the server: a row may be long. Names and operations come first, and no value can stand before them.
    let changes = "SELECT xid::text::bigint, (lsn - '0/0')::bigint, data ~ '^table [^:]*: TRUNCATE',
                          substring(data from '^table public\\.([^: ]*): '),
                          substring(data from '^table [^:]*: ([A-Z]*):'),
                          substring(data from '^table [^:]*: UPDATE: old-key: id\\[bigint\\]:(-?\\d+)')::bigint,
                          substring(data from '^table [^:]*: [A-Z]*:(?: old-key: .*? new-tuple:)? id\\[bigint\\]:(-?\\d+)')::bigint,
                          CASE WHEN data ~ '^table [^:]*: TRUNCATE' THEN substring(data from '^table ([^:]*):') END
                   FROM pg_logical_slot_get_changes($1, NULL, NULL) WHERE data LIKE 'table public.%'";
    let mut all = Changes::new();
    for row in client.query(changes, &[&slot]).await? {
        let (xid, lsn) = (u32::try_from(row.get::<_, i64>(0))?, u64::try_from(row.get::<_, i64>(1))?);
        if row.get(2) {
            for table in row.get::<_, &str>(7).split(", ") {
                let table = table.strip_prefix("public.").unwrap_or(table).to_owned();
                all.entry(table).or_default().push(Change { xid, lsn, op: 't', id: 0 });
            }
            continue;
        }
        let (table, op): (Option<String>, Option<&str>) = (row.get(3), row.get(4));
        let (old, id): (Option<i64>, Option<i64>) = (row.get(5), row.get(6));
        let table = table.context("a change without a table")?;
        let id = id.with_context(|| format!("a change of {table} without its id"))?;
        let changes = all.entry(table).or_default();
        let mut push = |op, id| changes.push(Change { xid, lsn, op, id });
        match (op, old) {
            (Some("INSERT"), _) => push('c', id),
            (Some("DELETE"), _) => push('d', id),
            (Some("UPDATE"), Some(old)) if old != id => {
                push('d', old);
                push('c', id);
            }
            (Some("UPDATE"), _) => push('u', id),
            (op, _) => bail!("an operation {op:?}"),
        }
    }
    Ok(all)
}

/// The change that a record is of; `None` for a tombstone, a row of a snapshot, and what is no envelope. With schemas or without.
pub fn published(key: &Value, value: &Value) -> Option<Change> {
    let of = |record: &Value| record.get("payload").unwrap_or(record).clone();
    let (key, value) = (of(key), of(value));
    let op = value.get("op")?.as_str()?.chars().next().filter(|op| "cudt".contains(*op))?;
    Some(Change {
        xid: value.pointer("/source/txId")?.as_u64()?.try_into().ok()?,
        lsn: value.pointer("/source/lsn")?.as_u64()?,
        op,
        id: key.get("id").and_then(Value::as_i64).unwrap_or_default(),
    })
}

/// How what was published of a table differs from what happened to it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Never published.
    pub lost: Vec<Change>,
    /// Published more than once, with how often again.
    pub twice: Vec<(Change, usize)>,
    /// Published for the first time behind one that happened later, in the same partition.
    pub out_of_order: Vec<Change>,
    /// Published and never happened: of a transaction that was rolled back, for example.
    pub never_happened: Vec<Change>,
}

impl Difference {
    /// Compares. `published` is by partition, in the order of the partition.
    pub fn of<'a>(happened: &[Change], published: impl IntoIterator<Item = &'a Vec<Change>>) -> Self {
        let places: HashMap<&Change, usize> =
            happened.iter().enumerate().map(|(place, change)| (change, place)).collect();
        let mut times = vec![0_usize; happened.len()];
        let mut difference = Self::default();
        for partition in published {
            let mut last = None;
            for change in partition {
                let Some(place) = places.get(change).copied() else {
                    difference.never_happened.push(*change);
                    continue;
                };
                let times = &mut times[place];
                *times += 1;
                if *times > 1 {
                    continue;
                }
                if last > Some(place) {
                    difference.out_of_order.push(*change);
                }
                last = last.max(Some(place));
            }
        }
        for (change, times) in happened.iter().zip(times) {
            match times {
                0 => difference.lost.push(*change),
                1 => {}
                more => difference.twice.push((*change, more - 1)),
            }
        }
        difference
    }

    /// Whether everything was published once and in its order.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let twice: Vec<Change> = self.twice.iter().map(|(change, _)| *change).collect();
        let kinds = [
            ("lost", &self.lost),
            ("published twice", &twice),
            ("out of order", &self.out_of_order),
            ("published and never happened", &self.never_happened),
        ];
        for (what, changes) in kinds.iter().filter(|(_, changes)| !changes.is_empty()) {
            let first: Vec<String> = changes.iter().take(5).map(ToString::to_string).collect();
            writeln!(f, "  {what}: {}, such as {}", changes.len(), first.join("; "))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { xid, lsn, op, id } = self;
        write!(f, "{op} of id {id} in transaction {xid} at {:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(lsn: u64, id: i64) -> Change {
        Change { xid: 7, lsn, op: 'c', id }
    }

    #[test]
    fn what_is_lost_repeated_moved_or_made_up_is_told_apart() {
        let happened = [change(1, 1), change(1, 2), change(1, 3), change(2, 4), change(3, 5)];
        let same = vec![happened.to_vec()];
        assert!(Difference::of(&happened, &same).is_none());
        // Partitions have an order each.
        let apart = vec![vec![change(1, 2), change(3, 5)], vec![change(1, 1), change(1, 3), change(2, 4)]];
        assert!(Difference::of(&happened, &apart).is_none());

        let wrong = vec![vec![change(1, 1), change(1, 3), change(1, 2), change(1, 3), change(9, 9), change(3, 5)]];
        let expected = Difference {
            lost: vec![change(2, 4)],
            twice: vec![(change(1, 3), 1)],
            out_of_order: vec![change(1, 2)],
            never_happened: vec![change(9, 9)],
        };
        assert_eq!(Difference::of(&happened, &wrong), expected);
    }

    #[test]
    fn an_envelope_says_the_same_with_its_schema_and_without() {
        let value = serde_json::json!({ "op": "u", "source": { "txId": 7, "lsn": 300 } });
        let key = serde_json::json!({ "id": -5 });
        let expected = Some(Change { xid: 7, lsn: 300, op: 'u', id: -5 });
        assert_eq!(published(&key, &value), expected);
        let wrapped = |payload: &Value| serde_json::json!({ "schema": {}, "payload": payload });
        assert_eq!(published(&wrapped(&key), &wrapped(&value)), expected);
        assert_eq!(published(&key, &Value::Null), None, "a tombstone");
    }
}
