//! A span of each transaction of the source that comes into the target, as a child of the span that its records name: from when it
//! began to be applied until it was committed.
//!
//! Where tables go by themselves, one for each transaction in a batch; where transactions are applied whole, one for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use trace::{Array, Attribute, Beginning, SpanKind, StringValue, TraceContext, Tracer, Value};

use crate::consume::record::Record;
use crate::postgres::Database;

const NAME: &str = "apply";

/// How many partitions a span names at most.
const NAMED: usize = 16;

/// Makes the spans.
#[derive(Debug, Clone)]
pub struct Traces {
    tracer: Tracer,
    /// What all spans say.
    attributes: Arc<[Attribute]>,
}

/// What is applied of traced transactions and not committed.
#[derive(Debug, Default)]
pub(super) struct Applying {
    transactions: HashMap<TraceContext, Part>,
}

/// What is applied of one.
#[derive(Debug)]
struct Part {
    since: SystemTime,
    records: i64,
    rows: i64,
    /// Its first and its last offset in each partition.
    offsets: BTreeMap<(Arc<str>, i32), (i64, i64)>,
}

impl Traces {
    /// Of what is applied in this target.
    pub fn new(tracer: &Tracer, target: &Database) -> Self {
        let attributes = [
            Attribute::new("db.system.name", "postgresql"),
            Attribute::new("db.namespace", target.name().to_owned()),
            Attribute::new("server.address", target.host()),
            Attribute::new("server.port", i64::from(target.port())),
            Attribute::new("messaging.system", "kafka"),
            Attribute::new("messaging.operation.name", "apply"),
            Attribute::new("messaging.operation.type", "process"),
        ];
        Self { tracer: tracer.clone(), attributes: attributes.into() }
    }

    /// What was applied is committed.
    pub(super) fn committed(&self, applying: Applying) {
        for (parent, part) in applying.transactions {
            let Some(((topic, partition), (first, _))) = part.offsets.first_key_value() else { continue };
            // The target takes each record once: where it is applied again, the first time was not committed.
            let context = parent.child(&[topic.as_bytes(), &partition.to_be_bytes(), &first.to_be_bytes()]);
            if !self.tracer.samples(context, Some(parent), NAME, &SpanKind::Consumer) {
                continue;
            }
            let span = self.tracer.begin(Beginning {
                context,
                parent: Some(parent),
                name: NAME,
                kind: SpanKind::Consumer,
                at: part.since,
                attributes: self.attributes.iter().cloned().chain(part.says()).collect(),
            });
            if let Some(span) = span {
                span.end();
            }
        }
    }
}

impl Applying {
    /// Records that are applied since then.
    pub(super) fn take_in(&mut self, records: &[Record], since: SystemTime) {
        for record in records {
            let Some(traced) = record.traced.as_deref() else { continue };
            let none = || Part { since, records: 0, rows: 0, offsets: BTreeMap::new() };
            let part = self.transactions.entry(*traced).or_insert_with(none);
            part.records += 1;
            part.rows += i64::from(record.value.is_some());
            let offsets = part.offsets.entry((record.topic.clone(), record.partition));
            offsets.or_insert((record.offset, record.offset)).1 = record.offset;
        }
    }
}

impl Part {
    fn says(&self) -> Vec<Attribute> {
        let mut says = vec![
            Attribute::new("messaging.batch.message_count", self.records),
            Attribute::new("headwater.rows", self.rows),
        ];
        if let (1, Some(((topic, partition), (first, _)))) = (self.offsets.len(), self.offsets.first_key_value()) {
            says.push(Attribute::new("messaging.destination.name", topic.to_string()));
            says.push(Attribute::new("messaging.destination.partition.id", partition.to_string()));
            says.push(Attribute::new("messaging.kafka.offset", *first));
        }
        let range = |((topic, partition), (first, last)): (&(Arc<str>, i32), &(i64, i64))| {
            StringValue::from(format!("{topic}/{partition}/{first}-{last}"))
        };
        let ranges: Vec<StringValue> = self.offsets.iter().take(NAMED).map(range).collect();
        says.push(Attribute::new("headwater.offsets", Value::Array(Array::String(ranges))));
        says
    }
}
