//! A record as it came.

use std::sync::Arc;

use trace::TraceContext;

use crate::parse::head::Value;

/// A record as it came.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Value>,
    /// Its `__debezium.newkey` header.
    pub new_key: Option<Vec<u8>>,
    /// The span that its `traceparent` header names, where traces are asked for and its trace is recorded.
    pub traced: Option<Arc<TraceContext>>,
}

impl Record {
    /// How many bytes it takes, without what all of its topic begin with. Of many small ones, most is not in their keys and values.
    pub fn size(&self) -> usize {
        let others = [&self.key, &self.new_key].into_iter().flatten().map(Vec::len).sum::<usize>();
        size_of::<Self>() + self.value.as_ref().map_or(0, Value::size) + others
    }

    /// What tells this record from any other at the same offset of a topic of the same name: FNV-1a over timestamp, key and
    /// value.
    pub fn mark(&self) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        take(&self.timestamp.unwrap_or_default().to_be_bytes());
        for part in [self.key.as_deref(), self.value.as_ref().map(Value::whole)] {
            let part = part.unwrap_or_default();
            take(&part.len().to_be_bytes());
            take(part);
        }
        hash.cast_signed()
    }
}
