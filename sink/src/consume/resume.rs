//! Whether a topic is still the one that was read before.
//!
//! A topic that was deleted and made again has the same name and offsets of its own: going on at the stored offset would pass
//! over what stands before it. So the last record that was applied is read once more, and has to be the same.

use std::collections::BTreeMap;

use super::record::Record;
use super::topics;
use crate::apply::ledger::{Next, Place};
use crate::error::SinkError;
use crate::kafka::Kafka;

/// A partition whose last applied record is still to be seen again.
#[derive(Debug, Default)]
pub(super) struct Resume {
    awaited: Option<Next>,
}

impl Resume {
    /// For what is stored of a partition.
    pub(super) fn of(stored: Option<Next>) -> Self {
        Self { awaited: stored.filter(|next| next.offset > 0 && next.last_record.is_some()) }
    }

    /// Where to begin reading the partition, `None` for its beginning.
    pub(super) fn begin(&self, stored: Option<Next>) -> Option<i64> {
        let next = stored?;
        Some(if self.awaited.is_some() { next.offset - 1 } else { next.offset })
    }

    /// Whether a record is to be applied, or was.
    ///
    /// # Errors
    /// Stop when another record is where the last applied one was.
    pub(super) fn admits(&mut self, topic: &str, record: &Record) -> Result<bool, SinkError> {
        let Some(next) = self.awaited.take() else { return Ok(true) };
        // Otherwise it is no longer there, by retention or compaction: then nothing can be said.
        if record.offset >= next.offset {
            return Ok(true);
        }
        if next.last_record == Some(record.mark()) { Ok(false) } else { Err(made_again(topic, record.partition, next)) }
    }
}

/// What is stored of partitions.
pub(super) type Stored = BTreeMap<Place, Next>;

/// Which of some partitions have no record at the offset that was to be read: `Ok` where the next record to apply is there, and only
/// the one before it is not, which is as well where nothing seems to be wrong and no other partition is the reason.
///
/// # Errors
/// Retry when Kafka does not answer.
pub(super) async fn explain(kafka: &Kafka, stored: &Stored) -> Result<Vec<(Place, Result<(), SinkError>)>, SinkError> {
    // All partitions up to the last one.
    let topics =
        stored.keys().map(|(topic, at)| (topic.clone(), usize::try_from(at + 1).unwrap_or_default())).collect();
    let begins = topics::begins(kafka, &topics).await?;
    let ends = topics::ends(kafka, &topics).await?;
    let meanings = stored.iter().filter_map(|(place, next)| {
        let meaning = meaning(&place.0, place.1, *next, *begins.get(place)?, *ends.get(place)?)?;
        Some((place.clone(), meaning))
    });
    let mut explained: Vec<_> = meanings.collect();
    if explained.is_empty() {
        explained = stored.keys().map(|place| (place.clone(), Ok(()))).collect();
    }
    Ok(explained)
}

/// What a partition's range says of where reading was to go on; `None` for nothing.
fn meaning(topic: &str, partition: i32, next: Next, begin: i64, end: i64) -> Option<Result<(), SinkError>> {
    if next.offset > end {
        return Some(Err(made_again(topic, partition, next)));
    }
    if next.offset < begin {
        return Some(Err(SinkError::stop(
            "records-gone",
            format!(
                "the next record of topic {topic} is no longer in Kafka: its retention took away what was not applied yet (partition {partition}, offsets {} to {begin}). The target lacks those changes. Copy anew: drop the target's tables and its schema headwater and the replication slot, start the sink again; and give the topics a longer retention.ms",
                next.offset
            ),
        )));
    }
    (next.offset == begin && next.last_record.is_some()).then_some(Ok(()))
}

fn made_again(topic: &str, partition: i32, next: Next) -> SinkError {
    SinkError::stop(
        "topic-other",
        format!(
            "topic {topic} is not the one that was read before: it was deleted and made again, or cut short (partition {partition} has \
         another record, or none, before offset {}). Nothing of that partition is applied. If all of the old topic was applied, begin with \
         the new one: DELETE FROM headwater.offsets WHERE topic = '{}' in the target. Otherwise the target lacks changes: copy \
         anew, as docs/operations.md says",
            next.offset,
            topic.replace('\'', "''")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, timestamp: i64) -> Record {
        Record {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp: Some(timestamp),
            key: Some(b"k".to_vec()),
            value: None,
            new_key: None,
            traced: None,
        }
    }

    fn stored(last: &Record) -> Option<Next> {
        Some(Next { offset: last.offset + 1, last_record: Some(last.mark()) })
    }

    #[test]
    fn the_last_applied_record_is_seen_again_and_not_applied() {
        let last = record(7, 1);
        let mut resume = Resume::of(stored(&last));
        assert_eq!(resume.begin(stored(&last)), Some(7));
        assert!(resume.admits("t", &last).is_ok_and(|admits| !admits));
        assert!(resume.admits("t", &record(8, 2)).is_ok_and(|admits| admits));
    }

    #[test]
    fn the_same_change_at_the_same_offset_at_another_time_is_of_another_topic() {
        let mut resume = Resume::of(stored(&record(7, 1)));
        assert!(resume.admits("t", &record(7, 2)).is_err());
    }

    #[test]
    fn a_record_that_retention_took_says_nothing() {
        let mut resume = Resume::of(stored(&record(7, 1)));
        assert!(resume.admits("t", &record(9, 2)).is_ok_and(|admits| admits));
    }
}
