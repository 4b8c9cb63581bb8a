//! Whether everything that happened is where it should be, once the system has settled.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::message::Message as _;
use serde_json::Value;
use tokio_postgres::Client;

use super::system::{NAME, System, WATCHER};
use super::workload::TABLES;
use crate::happened::{self, Change, Changes, Difference};
use crate::topic;

/// How long the system may take to settle.
const SETTLE: Duration = Duration::from_secs(180);

/// What is known of earlier rounds.
#[derive(Default)]
pub struct Check {
    rounds: i64,
    /// By topic and partition, the next offset to read.
    next: BTreeMap<String, BTreeMap<i32, i64>>,
    /// By table, what happened in earlier rounds: it may be published again.
    earlier: BTreeMap<String, HashSet<Change>>,
}

/// What one check found.
#[derive(Default)]
pub struct Found {
    /// Changes that happened.
    pub changes: usize,
    /// By table, how the topic differs.
    pub topics: BTreeMap<String, Difference>,
    /// Deletes without a tombstone behind them, or tombstones without a delete.
    pub tombstones: usize,
    /// By table, how the target differs.
    pub rows: BTreeMap<String, Rows>,
    /// Rows in the source.
    pub row_count: usize,
    /// Records that the sink set aside.
    pub set_aside: i64,
}

/// How a table's rows in the target differ from the source's, by `id`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Not in the target.
    pub missing: Vec<i64>,
    /// Not in the source.
    pub too_many: Vec<i64>,
    /// In both, and not the same.
    pub different: Vec<i64>,
}

impl Check {
    /// Waits until what is written last is in the target, and compares everything since the last check.
    ///
    /// # Errors
    /// It does not settle, or one of the services cannot be asked.
    pub async fn settled(&mut self, system: &System) -> anyhow::Result<Found> {
        self.rounds += 1;
        for table in TABLES {
            system.arrives(table, -self.rounds, SETTLE).await?;
        }
        let mut happened = happened::happened(&system.source().await?, WATCHER).await.context("what happened")?;
        let mut found = Found::default();
        for table in TABLES {
            let happened = happened.remove(table).unwrap_or_default();
            found.changes += happened.len();
            self.topic(system, table, happened, &mut found)?;
        }
        found.other_tables(happened);
        (found.rows, found.row_count) = rows(&system.source().await?, &system.target().await?).await?;
        if system.pipeline.has_sink() {
            let set_aside = "SELECT count(*) FROM headwater.set_aside";
            found.set_aside = system.target().await?.query_one(set_aside, &[]).await?.get(0);
        }
        Ok(found)
    }

    fn topic(&mut self, system: &System, table: &str, happened: Vec<Change>, found: &mut Found) -> anyhow::Result<()> {
        let name = format!("{NAME}.public.{table}");
        let next = self.next.entry(name.clone()).or_default();
        let records = tokio::task::block_in_place(|| {
            topic::read_on(&system.bootstrap_servers, &name, next, |message| {
                let json = |bytes: Option<&[u8]>| bytes.map_or(Ok(Value::Null), serde_json::from_slice);
                let (key, value) = (json(message.key())?, json(message.payload())?);
                Ok((happened::published(&key, &value), value.is_null()))
            })
        })?;
        let tombstones = records.values().flatten().filter(|(_, is_tombstone)| *is_tombstone).count();
        let deletes = happened.iter().filter(|change| change.op == 'd').count();
        found.tombstones += tombstones.abs_diff(deletes);
        let published: Vec<Vec<Change>> = records
            .into_values()
            .map(|records| records.into_iter().filter_map(|(change, _)| change).collect())
            .collect();
        let mut difference = Difference::of(&happened, &published);
        let earlier = self.earlier.entry(table.to_owned()).or_default();
        let (again, never) =
            std::mem::take(&mut difference.never_happened).into_iter().partition(|change| earlier.contains(change));
        difference.never_happened = never;
        difference.twice.extend(Vec::into_iter(again).map(|change| (change, 1)));
        earlier.extend(happened);
        if !difference.is_none() {
            found.topics.insert(table.to_owned(), difference);
        }
        Ok(())
    }
}

impl Found {
    /// Tables that nobody reads the topics of are a mistake of the runner's.
    fn other_tables(&mut self, happened: Changes) {
        for (table, changes) in happened {
            self.topics.insert(table, Difference { lost: changes, ..Difference::default() });
        }
    }

    /// Lost, twice, out of order, never happened, over all topics.
    pub fn counts(&self) -> [usize; 4] {
        let sum = |of: fn(&Difference) -> usize| self.topics.values().map(of).sum();
        [
            sum(|difference| difference.lost.len()),
            sum(|difference| difference.twice.iter().map(|(_, times)| times).sum()),
            sum(|difference| difference.out_of_order.len()),
            sum(|difference| difference.never_happened.len()),
        ]
    }

    /// Rows that differ, over all tables.
    pub fn differing_rows(&self) -> usize {
        self.rows.values().map(|rows| rows.missing.len() + rows.too_many.len() + rows.different.len()).sum()
    }

    /// Whether all is as it should be. What is published twice is no fault of who does not promise otherwise.
    pub fn is_right(&self, exactly_once: bool) -> bool {
        let [lost, twice, out_of_order, never] = self.counts();
        let repeated = if exactly_once { twice + self.tombstones } else { 0 };
        lost + repeated + out_of_order + never + self.differing_rows() == 0 && self.set_aside == 0
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (table, difference) in &self.topics {
            write!(f, "topic of {table}\n{difference}")?;
        }
        if self.tombstones > 0 {
            writeln!(f, "{} tombstones too many or too few", self.tombstones)?;
        }
        for (table, Rows { missing, too_many, different }) in &self.rows {
            for (what, ids) in [("missing", missing), ("too many", too_many), ("different", different)] {
                if !ids.is_empty() {
                    let first: Vec<i64> = ids.iter().take(8).copied().collect();
                    writeln!(f, "rows of {table} in the target: {} {what}, such as {first:?}", ids.len())?;
                }
            }
        }
        if self.set_aside > 0 {
            writeln!(f, "{} records in headwater.set_aside", self.set_aside)?;
        }
        Ok(())
    }
}

/// How the target's rows differ, by table, and how many rows there are.
async fn rows(source: &Client, target: &Client) -> anyhow::Result<(BTreeMap<String, Rows>, usize)> {
    let (mut all, mut count) = (BTreeMap::new(), 0);
    for table in TABLES {
        let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                       WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
        let columns: String = source.query_one(columns, &[&table]).await?.get(0);
        let sql = format!("SELECT id, md5(ROW({columns})::text) FROM {table}");
        let read = async |client: &Client| -> anyhow::Result<BTreeMap<i64, String>> {
            let rows = client.query(&sql, &[]).await.with_context(|| sql.clone())?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        };
        let (in_source, in_target) = (read(source).await?, read(target).await?);
        count += in_source.len();
        let rows = compare(&in_source, &in_target);
        if rows != Rows::default() {
            all.insert(table.to_owned(), rows);
        }
    }
    Ok((all, count))
}

fn compare(source: &BTreeMap<i64, String>, target: &BTreeMap<i64, String>) -> Rows {
    let without = |these: &BTreeMap<i64, String>, those: &BTreeMap<i64, String>| -> Vec<i64> {
        these.keys().filter(|id| !those.contains_key(id)).copied().collect()
    };
    let differs = |(id, row): &(&i64, &String)| target.get(id).is_some_and(|other| other != *row);
    Rows {
        missing: without(source, target),
        too_many: without(target, source),
        different: source.iter().filter(differs).map(|(id, _)| *id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_missing_too_many_or_different() {
        let rows = |rows: &[(i64, &str)]| rows.iter().map(|(id, text)| (*id, (*text).to_owned())).collect();
        let found = compare(&rows(&[(1, "a"), (2, "b"), (3, "c")]), &rows(&[(2, "b"), (3, "x"), (4, "d")]));
        assert_eq!(found, Rows { missing: vec![1], too_many: vec![4], different: vec![3] });
    }

    #[test]
    fn what_comes_twice_is_forgiven_only_where_it_is_not_promised_otherwise() {
        let change = Change { xid: 1, lsn: 2, op: 'c', id: 3 };
        let twice = Difference { twice: vec![(change, 1)], ..Difference::default() };
        let found = Found { topics: BTreeMap::from([("t".to_owned(), twice)]), ..Found::default() };
        assert!(found.is_right(false) && !found.is_right(true));
        let lost = Difference { lost: vec![change], ..Difference::default() };
        let found = Found { topics: BTreeMap::from([("t".to_owned(), lost)]), ..Found::default() };
        assert!(!found.is_right(false));
    }
}
