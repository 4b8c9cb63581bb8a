//! A span of each transaction, from its commit until Kafka has its last record, and the header by which whoever applies its
//! records goes on with the trace.
//!
//! A transaction that is published once more, by a start behind a crash, has the same ids: they are made of what PostgreSQL says
//! of its commit.

use std::time::{Duration, SystemTime};

use proto::pgoutput::Begin;
use rdkafka::message::{Header, OwnedHeaders};
use trace::{Attribute, Beginning, HEADER, Span, SpanKind, TraceContext, Tracer};

use crate::config::ConnectorConfig;

const NAME: &str = "transaction";

/// What a record of a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the transaction's events: a change, or a message.
    Event,
    /// What stands beside them: a tombstone, the transaction's beginning or end.
    Other,
}

/// Traces the transactions of one slot.
#[derive(Debug)]
pub struct Traces {
    tracer: Tracer,
    prefix: String,
    slot: String,
    /// What all transactions say.
    attributes: Vec<Attribute>,
    /// The transaction under way, if it is sampled.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    header: String,
    /// `None` where too many wait.
    span: Option<Span>,
    records: i64,
    events: i64,
}

impl Traces {
    /// Of a connector's transactions, as its slot has them.
    pub fn new(tracer: &Tracer, config: &ConnectorConfig) -> Self {
        let connection = &config.connection;
        let attributes = vec![
            Attribute::new("db.system.name", "postgresql"),
            Attribute::new("db.namespace", connection.dbname.clone()),
            Attribute::new("server.address", connection.hostname.clone()),
            Attribute::new("server.port", i64::from(connection.port)),
            Attribute::new("messaging.system", "kafka"),
            Attribute::new("messaging.operation.name", "send"),
            Attribute::new("messaging.operation.type", "send"),
            Attribute::new("headwater.connector", config.name.clone()),
            Attribute::new("headwater.slot", config.slot.name.clone()),
        ];
        Self {
            tracer: tracer.clone(),
            prefix: config.topic_prefix.clone(),
            slot: config.slot.name.clone(),
            attributes,
            open: None,
        }
    }

    /// A transaction begins to come.
    pub fn begin(&mut self, begin: &Begin) {
        self.open = None;
        let context = context(&self.prefix, &self.slot, begin);
        if !self.tracer.samples(context, None, NAME, &SpanKind::Producer) {
            return;
        }
        let attributes = [
            Attribute::new("headwater.xid", i64::from(begin.xid.as_u32())),
            Attribute::new("headwater.commit_lsn", begin.final_lsn.to_string()),
        ];
        let mut span = self.tracer.begin(Beginning {
            context,
            parent: None,
            name: NAME,
            kind: SpanKind::Producer,
            at: committed(begin),
            attributes: self.attributes.iter().cloned().chain(attributes).collect(),
        });
        if let Some(span) = &mut span {
            span.happened("received", SystemTime::now());
        }
        self.open = Some(Open { header: context.to_string(), span, records: 0, events: 0 });
    }

    /// A record of the transaction under way that has a context of its own.
    pub fn count(&mut self, kind: Kind) {
        if let Some(open) = &mut self.open {
            open.records += 1;
            open.events += i64::from(kind == Kind::Event);
        }
    }

    /// A record's headers with that of the transaction under way, among whose it is counted.
    pub fn with_header(&mut self, headers: Option<OwnedHeaders>, kind: Kind) -> Option<OwnedHeaders> {
        self.count(kind);
        let Some(open) = &self.open else { return headers };
        let headers = headers.unwrap_or_else(|| OwnedHeaders::new_with_capacity(1));
        Some(headers.insert(Header { key: HEADER, value: Some(&open.header) }))
    }

    /// The transaction has come whole, and its records are with the producer. `None` where it has none, or is not sampled.
    pub fn commit(&mut self) -> Option<Span> {
        let Open { span, records, events, .. } = self.open.take()?;
        let mut span = span.filter(|_| records > 0)?;
        span.happened("enqueued", SystemTime::now());
        span.says(Attribute::new("messaging.batch.message_count", records));
        span.says(Attribute::new("headwater.events", events));
        Some(span)
    }
}

/// The ids are of the source, and nothing of this run is in them. Each of several slots has a span of its own in the one trace.
fn context(prefix: &str, slot: &str, begin: &Begin) -> TraceContext {
    let Begin { final_lsn, commit_time_us, xid } = begin;
    let (lsn, time, xid) = (final_lsn.as_u64().to_be_bytes(), commit_time_us.to_be_bytes(), xid.as_u32().to_be_bytes());
    TraceContext::derived(&[prefix.as_bytes(), &lsn, &time, &xid], &[slot.as_bytes()])
}

fn committed(begin: &Begin) -> SystemTime {
    let since_epoch = Duration::from_micros(begin.commit_time_us.max(0).unsigned_abs());
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use proto::lsn::Lsn;
    use proto::xid::Xid;

    use super::*;

    fn begin(lsn: u64) -> Begin {
        Begin { final_lsn: Lsn::from(lsn), commit_time_us: 1_700_000_000_000_000, xid: Xid::from(7) }
    }

    fn parts(context: TraceContext) -> (String, String) {
        let text = context.to_string();
        let mut parts = text.split('-').skip(1).map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    #[test]
    fn a_transaction_has_the_same_ids_after_a_restart() {
        let context = |lsn| context("shop", "shop_slot", &begin(lsn));
        assert_eq!(context(1000), context(1000));
        assert_eq!(
            context(1000).to_string(),
            "00-58325a472e0dcca153a49cef548979d8-a64fff392644e3c1-01",
            "and in the next release"
        );
        assert_ne!(parts(context(1000)).0, parts(context(1001)).0);
    }

    #[test]
    fn a_transaction_of_several_slots_is_one_trace_with_a_span_of_each() {
        let (first, second) = (context("shop", "shop_1", &begin(9)), context("shop", "shop_2", &begin(9)));
        assert_eq!(parts(first).0, parts(second).0);
        assert_ne!(parts(first).1, parts(second).1);
        assert_ne!(parts(first).0, parts(context("other", "shop_1", &begin(9))).0, "another connector's");
    }
}
