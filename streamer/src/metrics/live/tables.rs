//! What was published of each table.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use page::state::streamer::Table;
use proto::envelope::Op;

use super::locked;

/// A counter for each operation of each table.
#[derive(Debug, Default)]
pub struct Tables(Mutex<BTreeMap<String, Arc<Counts>>>);

/// One table's.
#[derive(Debug, Default)]
pub struct Counts {
    read: AtomicU64,
    created: AtomicU64,
    updated: AtomicU64,
    deleted: AtomicU64,
    truncated: AtomicU64,
}

/// The counters that one emitter counts with.
#[derive(Debug, Default)]
pub struct Counting {
    known: HashMap<Arc<str>, Arc<Counts>>,
    /// Those of the last table: the next record is mostly of the same one.
    last: Option<(Arc<str>, Arc<Counts>)>,
}

impl Tables {
    fn of(&self, table: &str) -> Arc<Counts> {
        locked(&self.0).entry(table.to_owned()).or_default().clone()
    }

    /// All of them by name.
    pub fn all(&self) -> Vec<Table> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let table = |(name, counts): (&String, &Arc<Counts>)| Table {
            name: name.clone(),
            read: count(&counts.read),
            created: count(&counts.created),
            updated: count(&counts.updated),
            deleted: count(&counts.deleted),
            truncated: count(&counts.truncated),
        };
        locked(&self.0).iter().map(table).collect()
    }
}

impl Counting {
    /// An operation of a table was published.
    pub fn count(&mut self, tables: &Tables, table: &str, op: Op) {
        if let Some((_, counts)) = self.last.as_ref().filter(|(last, _)| **last == *table) {
            return counts.count(op);
        }
        let (table, counts) = match self.known.get_key_value(table) {
            Some((table, counts)) => (table.clone(), counts.clone()),
            None => {
                let (table, counts) = (Arc::from(table), tables.of(table));
                self.known.insert(Arc::clone(&table), Arc::clone(&counts));
                (table, counts)
            }
        };
        counts.count(op);
        self.last = Some((table, counts));
    }
}

impl Counts {
    fn count(&self, op: Op) {
        let counter = match op {
            Op::Read => &self.read,
            Op::Create => &self.created,
            Op::Update => &self.updated,
            Op::Delete => &self.deleted,
            Op::Truncate => &self.truncated,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_a_table_go_on_under_another_emitter() {
        let tables = Tables::default();
        for op in [Op::Create, Op::Update] {
            Counting::default().count(&tables, "public.t", op);
        }
        let mut counting = Counting::default();
        counting.count(&tables, "public.a", Op::Read);
        counting.count(&tables, "public.a", Op::Read);
        let seen: Vec<_> = tables.all().iter().map(|t| (t.name.clone(), t.read, t.created, t.updated)).collect();
        assert_eq!(seen, [("public.a".to_owned(), 2, 0, 0), ("public.t".to_owned(), 0, 1, 1)]);
    }
}
