//! The records that an LSN is in.

use std::time::{Duration, Instant};

use proto::lsn::Lsn;

use crate::look::Ended;
use crate::look::filter::{Pattern, wants_topic};
use crate::look::reach::kafka::{Arrival, Reader};
use crate::look::record::{Place, Record};
use crate::look::screen::Screen;

/// How often it is said how far the search is.
const TELL: Duration = Duration::from_secs(5);

/// How long Kafka may take for the next record.
const ANSWER: Duration = Duration::from_secs(15);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The records of the LSN.
    pub(super) places: Vec<Place>,
    /// The record with the greatest LSN before it that was seen.
    pub(super) before: Option<(Lsn, Place)>,
    /// The record with the least LSN behind it that was seen.
    pub(super) behind: Option<(Lsn, Place)>,
}

/// Looks through the topics.
///
/// # Errors
/// As [`Reader::next`].
pub(super) async fn records(reader: &Reader, patterns: &[Pattern], lsn: Lsn, screen: &Screen) -> Result<Found, Ended> {
    let mut found = Found::default();
    let topics: Vec<_> = reader.topics()?.into_iter().filter(|(topic, _)| wants_topic(patterns, topic)).collect();
    if topics.is_empty() {
        return Err(Ended::cannot("Kafka has no such topic: name topics or tables with --topic"));
    }
    for (topic, partitions) in topics {
        for partition in partitions {
            let from = first(reader, &topic, partition, lsn).await?;
            scan(reader, &topic, partition, from, lsn, &mut found, screen).await?;
        }
    }
    Ok(found)
}

/// The first offset that a record of the LSN can have.
///
/// Rows come in the order of their transactions' commits, so their own LSNs do not only rise. The end of the commit before, which is in
/// `source.sequence`, does: whoever has one of `lsn` or later is of a transaction that begins behind, or is the last that was open
/// at it. So the record is not before the last transaction whose commit before is below the LSN.
async fn first(reader: &Reader, topic: &str, partition: i32, lsn: Lsn) -> Result<i64, Ended> {
    let (begin, end) = reader.range(topic, partition)?;
    let behind = bisect(reader, topic, partition, (begin, end), |commit| commit >= lsn).await?;
    // The transaction before that place, from its first record on.
    let last = match behind.checked_sub(1).filter(|last| *last >= begin) {
        Some(last) => commit_at(reader, topic, partition, last).await?,
        None => None,
    };
    match last {
        Some((_, commit)) => bisect(reader, topic, partition, (begin, behind), |other| other >= commit).await,
        // Nothing is there, or at it is the end of one of Kafka's transactions.
        None => Ok(begin.max(behind.saturating_sub(BACK))),
    }
}

/// How much farther back it is begun where the place before has no record.
const BACK: i64 = 1000;

/// The first offset from which on the commit before is so; it must not change back.
async fn bisect(
    reader: &Reader,
    topic: &str,
    partition: i32,
    (mut low, mut high): (i64, i64),
    is_so: impl Fn(Lsn) -> bool,
) -> Result<i64, Ended> {
    while low < high {
        let middle = low + (high - low) / 2;
        match commit_at(reader, topic, partition, middle).await? {
            Some((offset, commit)) if offset < high => {
                if is_so(commit) {
                    high = middle;
                } else {
                    low = offset + 1;
                }
            }
            // No record of a change from there on.
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The first record at an offset or a little behind it that says which commit was before it.
async fn commit_at(reader: &Reader, topic: &str, partition: i32, offset: i64) -> Result<Option<(i64, Lsn)>, Ended> {
    /// Tombstones, and records of a snapshot, do not say it.
    const TRIES: usize = 50;
    let mut next = offset;
    for _ in 0..TRIES {
        let Some(message) = reader.read_at(topic, partition, next).await? else { return Ok(None) };
        let offset = rdkafka::Message::offset(&message);
        next = offset + 1;
        if let Some(commit) = Record::of(&message).ok().and_then(|record| record.last_commit()) {
            return Ok(Some((offset, commit)));
        }
    }
    Ok(None)
}

/// Reads a partition on from an offset, until it is behind the LSN's transaction.
async fn scan(
    reader: &Reader,
    topic: &str,
    partition: i32,
    from: i64,
    lsn: Lsn,
    found: &mut Found,
    screen: &Screen,
) -> Result<(), Ended> {
    let (begin, end) = reader.range(topic, partition)?;
    if from.max(begin) >= end {
        return Ok(());
    }
    reader.assign([(topic, partition, from.max(begin))])?;
    let mut told = Instant::now();
    let mut is_found = None;
    loop {
        let arrival = tokio::time::timeout(ANSWER, reader.next()).await;
        let arrival = arrival.map_err(|_| Ended::cannot(format!("Kafka did not deliver {topic}/{partition}")))??;
        let Arrival::Record(message) = arrival else { return Ok(()) };
        let offset = rdkafka::Message::offset(&message);
        if told.elapsed() > TELL {
            told = Instant::now();
            screen.note(&format!("{topic}/{partition}: at offset {offset} of {end}"));
        }
        let Ok(record) = Record::of(&message) else { return Ok(()) };
        if let Some(at) = record.lsn() {
            let place = record.place.clone();
            if at == lsn {
                is_found = record.last_commit().or(Some(Lsn::ZERO));
                found.places.push(place);
            } else if at < lsn && found.before.as_ref().is_none_or(|(known, _)| *known < at) {
                found.before = Some((at, place));
            } else if at > lsn && found.behind.as_ref().is_none_or(|(known, _)| *known > at) {
                found.behind = Some((at, place));
            }
            // Another transaction than that of the record.
            let is_behind = is_found.is_some_and(|commit| record.last_commit().is_some_and(|other| other > commit));
            if is_behind && at > lsn {
                return Ok(());
            }
        }
        if offset + 1 >= end {
            return Ok(());
        }
    }
}
