//! Whether a topic is still the one that was read before.
//!
//! A topic that was deleted and made again has the same name and offsets of its own: going on at the stored offset would pass
//! over what stands before it. So the last record that was applied is read once more, and has to be the same.

use std::collections::BTreeMap;

use super::topics;
use crate::apply::batch::Record;
use crate::apply::ledger::Next;
use crate::error::SinkError;

/// The partitions whose last applied record is still to be seen again.
#[derive(Debug, Default)]
pub struct Resume {
    awaited: BTreeMap<i32, Next>,
}

impl Resume {
    /// For what is stored of a topic.
    pub fn of(stored: &BTreeMap<i32, Next>) -> Self {
        let is_known = |next: &Next| next.offset > 0 && next.last_record.is_some();
        Self { awaited: stored.iter().filter(|(_, next)| is_known(next)).map(|(at, next)| (*at, *next)).collect() }
    }

    /// Where to begin reading a partition, `None` for its beginning.
    pub fn begin(&self, partition: i32, stored: &BTreeMap<i32, Next>) -> Option<i64> {
        let next = stored.get(&partition)?;
        Some(if self.awaited.contains_key(&partition) { next.offset - 1 } else { next.offset })
    }

    /// Whether a record is to be applied, or was.
    ///
    /// # Errors
    /// Stop when another record is where the last applied one was.
    pub fn admits(&mut self, topic: &str, record: &Record) -> Result<bool, SinkError> {
        let Some(next) = self.awaited.remove(&record.partition) else { return Ok(true) };
        // Otherwise it is no longer there, by retention or compaction: then nothing can be said.
        if record.offset >= next.offset {
            return Ok(true);
        }
        if next.last_record == Some(record.mark()) { Ok(false) } else { Err(made_again(topic, record.partition, next)) }
    }
}

/// Why Kafka has no record at an offset to go on from; `Ok` when the next record to apply is there, and only the one before it
/// is not.
///
/// # Errors
/// Stop when records are lost, or the topic is another one; retry when Kafka does not answer.
pub async fn explain(
    bootstrap_servers: &str,
    topic: &str,
    partitions: usize,
    stored: &BTreeMap<i32, Next>,
) -> Result<(), SinkError> {
    let topics = BTreeMap::from([(topic.to_owned(), partitions)]);
    let begins = topics::begins(bootstrap_servers, &topics).await?;
    for ((name, partition), end) in topics::ends(bootstrap_servers, &topics).await? {
        match (stored.get(&partition), begins.get(&(name, partition))) {
            (Some(next), _) if next.offset > end => return Err(made_again(topic, partition, *next)),
            (Some(next), Some(begin)) if next.offset < *begin => {
                return Err(SinkError::stop(format!(
                    "the next record of topic {topic} is no longer in Kafka: its retention took away what was not applied yet \
                     (partition {partition}, offsets {} to {begin}). The target lacks those changes. Copy anew: drop the target's \
                     tables and its schema headwater and the replication slot, start the sink again; and give the topics a \
                     longer retention.ms",
                    next.offset
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn made_again(topic: &str, partition: i32, next: Next) -> SinkError {
    SinkError::stop(format!(
        "topic {topic} is not the one that was read before: it was deleted and made again, or cut short (partition {partition} has \
         another record, or none, before offset {}). Nothing of it is applied. If all of the old topic was applied, begin with \
         the new one: DELETE FROM headwater.offsets WHERE topic = '{}' in the target. Otherwise the target lacks changes: copy \
         anew, as docs/operations.md says",
        next.offset,
        topic.replace('\'', "''")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, timestamp: i64) -> Record {
        Record {
            partition: 0,
            offset,
            timestamp: Some(timestamp),
            key: Some(b"k".to_vec()),
            value: None,
            new_key: None,
        }
    }

    fn stored(last: &Record) -> BTreeMap<i32, Next> {
        BTreeMap::from([(0, Next { offset: last.offset + 1, last_record: Some(last.mark()) })])
    }

    #[test]
    fn the_last_applied_record_is_seen_again_and_not_applied() {
        let last = record(7, 1);
        let mut resume = Resume::of(&stored(&last));
        assert_eq!(resume.begin(0, &stored(&last)), Some(7));
        assert!(resume.admits("t", &last).is_ok_and(|admits| !admits));
        assert!(resume.admits("t", &record(8, 2)).is_ok_and(|admits| admits));
    }

    #[test]
    fn the_same_change_at_the_same_offset_at_another_time_is_of_another_topic() {
        let mut resume = Resume::of(&stored(&record(7, 1)));
        assert!(resume.admits("t", &record(7, 2)).is_err());
    }

    #[test]
    fn a_record_that_retention_took_says_nothing() {
        let mut resume = Resume::of(&stored(&record(7, 1)));
        assert!(resume.admits("t", &record(9, 2)).is_ok_and(|admits| admits));
    }
}
