//! Transaction metadata (`provide.transaction.metadata`): counts each transaction's events, numbers them, and publishes its
//! beginning and its end (`TransactionContext`, `PostgresTransactionMonitor`).

use std::collections::HashMap;

use proto::connect::java;
use proto::envelope::transaction::{self, TransactionBlock};
use proto::lsn::Lsn;
use proto::position::TransactionOffset;
use proto::xid::Xid;

use super::outlet::Outlet;
use super::traces::Kind;
use crate::error::TaskError;
use crate::publish::producer::RecordProducer;

/// What stands for logical decoding messages among a transaction's tables. Debezium prints a Java object's hash there, another
/// one for each message; this is the name that the object has in its code.
const MESSAGES: &str = "LOGICAL_DECODING_MESSAGE";

/// One connector's transactions, one after another.
#[derive(Debug)]
pub struct TransactionMetadata {
    topic: String,
    open: Option<Xid>,
    total: i64,
    /// Of each table its events, and its place in the order in which they came.
    events: HashMap<String, (i64, usize)>,
    /// The size of the Java map whose order Debezium's records have: it grows with a transaction and never shrinks.
    buckets: usize,
}

impl TransactionMetadata {
    /// Publishes to `topic`; no transaction is under way.
    pub fn new(topic: String) -> Self {
        Self { topic, open: None, total: 0, events: HashMap::new(), buckets: java::buckets_for(0) }
    }

    /// Whether a transaction's first event has come.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A transaction's first event comes, which has this LSN; `ts_us` is when it committed. The record of the beginning is
    /// left out where it was published before a restart.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn begin(
        &mut self,
        producer: &RecordProducer,
        outlet: &mut Outlet,
        tx_id: Xid,
        lsn: Lsn,
        ts_us: i64,
        was_published: bool,
    ) -> Result<(), TaskError> {
        (self.open, self.total) = (Some(tx_id), 0);
        self.events.clear();
        if was_published {
            return Ok(());
        }
        let id = transaction::id(tx_id, lsn);
        let record = transaction::begin(&self.topic, &id, ts_us.div_euclid(1000));
        outlet.publish_of_transaction(producer, record, Kind::Other).await
    }

    /// What the next event says of its transaction if it is one of this table; `None` outside of a transaction. It is not
    /// counted: it may turn out to be one that cannot be written.
    pub fn next(&self, table: &str, lsn: Lsn) -> Option<TransactionBlock> {
        let tx_id = self.open?;
        let of_table = self.events.get(table).map_or(0, |(count, _)| *count);
        let id = transaction::id(tx_id, lsn);
        Some(TransactionBlock { id, total_order: self.total + 1, data_collection_order: of_table + 1 })
    }

    /// Counts an event of a table; outside of a transaction there is nothing to count.
    pub fn count(&mut self, table: &str) {
        if self.open.is_none() {
            return;
        }
        self.total += 1;
        let place = self.events.len();
        let count = match self.events.get_mut(table) {
            Some((count, _)) => count,
            None => &mut self.events.entry(table.to_owned()).or_insert((0, place)).0,
        };
        *count += 1;
        self.buckets = self.buckets.max(java::buckets_for(self.events.len()));
    }

    /// A logical decoding message. In Debezium each is a collection of its own, so each is the first of it.
    pub fn message(&mut self, lsn: Lsn) -> Option<TransactionBlock> {
        let block = self.next(MESSAGES, lsn)?;
        self.count(MESSAGES);
        Some(TransactionBlock { data_collection_order: 1, ..block })
    }

    /// The transaction ends at `lsn`.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn end(
        &mut self,
        producer: &RecordProducer,
        outlet: &mut Outlet,
        lsn: Lsn,
        ts_us: i64,
    ) -> Result<(), TaskError> {
        let Some(tx_id) = self.open.take() else { return Ok(()) };
        let id = transaction::id(tx_id, lsn);
        let record = transaction::end(&self.topic, &id, &self.events(), ts_us.div_euclid(1000));
        outlet.publish_of_transaction(producer, record, Kind::Other).await
    }

    /// What the offset says of the transaction that is under way, or of the one that just ended.
    pub fn offset(&self, tx_id: Xid) -> TransactionOffset {
        TransactionOffset { id: tx_id.as_u32().to_string(), events: self.events() }
    }

    /// The tables and their events in Debezium's order.
    fn events(&self) -> Vec<(String, i64)> {
        let mut events: Vec<_> = self.events.iter().collect();
        events.sort_by_key(|(table, (_, place))| (java::bucket(table, self.buckets), *place));
        events.into_iter().map(|(table, (count, _))| (table.clone(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_transaction() -> TransactionMetadata {
        TransactionMetadata { open: Some(Xid::from(809)), ..TransactionMetadata::new("srv.transaction".to_owned()) }
    }

    #[test]
    fn events_are_numbered_in_the_transaction_and_in_their_table() {
        let mut metadata = in_transaction();
        metadata.count("public.ta");
        metadata.count("public.tb");
        let expected = TransactionBlock { id: "809:30".to_owned(), total_order: 3, data_collection_order: 2 };
        assert_eq!(metadata.next("public.ta", Lsn::from(30)), Some(expected.clone()));
        assert_eq!(metadata.next("public.ta", Lsn::from(30)), Some(expected), "not counted, it leaves no trace");
    }

    #[test]
    fn tables_come_in_the_order_of_debeziums_map() {
        let mut metadata = in_transaction();
        for table in ["public.ta", "public.tb", "public.ta"] {
            metadata.count(table);
        }
        assert_eq!(metadata.events(), [("public.tb".to_owned(), 1), ("public.ta".to_owned(), 2)]);
    }

    #[test]
    fn every_message_is_the_first_of_its_collection() {
        let mut metadata = in_transaction();
        metadata.message(Lsn::from(10));
        let expected = TransactionBlock { id: "809:20".to_owned(), total_order: 2, data_collection_order: 1 };
        assert_eq!(metadata.message(Lsn::from(20)), Some(expected));
        assert_eq!(metadata.events(), [(MESSAGES.to_owned(), 2)]);
    }

    #[test]
    fn an_event_outside_of_a_transaction_has_no_place_in_one() {
        assert_eq!(TransactionMetadata::new(String::new()).next("public.ta", Lsn::from(10)), None);
    }
}
