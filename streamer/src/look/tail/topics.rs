//! The changes of topics.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::printer::{More, Printer};
use super::start::Start;
use super::{Tail, stopped};
use crate::look::Ended;
use crate::look::change::Change;
use crate::look::filter::wants_topic;
use crate::look::reach::kafka::{Arrival, Reader};
use crate::look::record::{NotJson, Record};

/// How often topics are looked for that were not there before.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// So many changes are put into the order of their transactions before they are printed, where it is known that they end.
const SORTED: usize = 20_000;

/// Partitions of topics.
type Partitions = BTreeSet<(String, i32)>;

pub(super) async fn run(tail: &Tail, printer: &mut Printer) -> Result<(), Ended> {
    let reader = Reader::new(&tail.kafka.client(None)?)?;
    let start = tail.from.unwrap_or(if tail.no_follow { Start::Beginning } else { Start::End });
    let known = wanted(tail, &reader)?;
    if known.is_empty() && tail.no_follow {
        return Err(nothing(tail));
    }
    let mut open = BTreeMap::new();
    let mut from = Vec::new();
    for (topic, partition) in &known {
        let (offset, end) = start.offset(&reader, topic, *partition)?;
        if !tail.no_follow || offset < end {
            from.push((topic.as_str(), *partition, offset));
            open.insert((topic.clone(), *partition), end);
        }
    }
    reader.assign(from)?;
    match tail.no_follow {
        true => to_the_end(&reader, open, printer).await,
        false => follow(tail, &reader, known, printer).await,
    }
}

fn nothing(tail: &Tail) -> Ended {
    Ended::cannot(match tail.patterns.is_empty() {
        true => "Kafka has no topic that is named PREFIX.SCHEMA.TABLE: name the topics".to_owned(),
        false => "Kafka has no topic that fits what was named: a topic, or a table that its name ends with".to_owned(),
    })
}

/// The topics that are asked for.
fn wanted(tail: &Tail, reader: &Reader) -> Result<Partitions, Ended> {
    let topics = reader.topics()?.into_iter().filter(|(topic, _)| wants_topic(&tail.patterns, topic));
    Ok(topics.flat_map(|(topic, partitions)| partitions.into_iter().map(move |id| (topic.clone(), id))).collect())
}

/// What is there now, put into the order of the transactions as far as there is room for it.
async fn to_the_end(
    reader: &Reader,
    mut open: BTreeMap<(String, i32), i64>,
    printer: &mut Printer,
) -> Result<(), Ended> {
    let (mut strange, mut sorted) = (HashSet::new(), Vec::new());
    let mut ends_to_come: BTreeMap<i32, usize> = BTreeMap::new();
    for (_, partition) in open.keys() {
        *ends_to_come.entry(*partition).or_default() += 1;
    }
    let mut is_over = open.is_empty();
    let mut stop = std::pin::pin!(stopped());
    while !is_over {
        let arrival = tokio::select! {
            arrival = reader.next() => arrival?,
            stopped = &mut stop => { stopped?; break }
        };
        match arrival {
            Arrival::Record(message) => {
                let partition = (rdkafka::Message::topic(&message).to_owned(), rdkafka::Message::partition(&message));
                let offset = rdkafka::Message::offset(&message);
                // What came behind the end is not of now.
                if let Some(end) = open.get(&partition).copied() {
                    if offset + 1 >= end {
                        open.remove(&partition);
                    }
                    if offset < end {
                        sorted.extend(change(Record::of(&message), &partition.0, &mut strange, printer));
                    }
                }
            }
            // A transaction's end has an offset, and no record comes of it. Which topic's end it is, the client does not say: they are
            // all there when each has said so.
            Arrival::End(partition) => {
                if let Some(left) = ends_to_come.get_mut(&partition) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        open.retain(|(_, id), _| *id != partition);
                    }
                }
            }
        }
        is_over = open.is_empty();
        if sorted.len() >= SORTED && print(&mut sorted, printer)?.is_break() {
            return Ok(());
        }
    }
    print(&mut sorted, printer).map(|_| ())
}

fn print(changes: &mut Vec<Change>, printer: &mut Printer) -> Result<More, Ended> {
    // Changes of one transaction have one time.
    changes.sort_by_key(|change| (change.at_ms, change.tx, change.lsn));
    for change in changes.drain(..) {
        if printer.change(&change)?.is_break() {
            return Ok(More::Break(()));
        }
    }
    Ok(More::Continue(()))
}

/// What comes, until somebody stops it.
async fn follow(tail: &Tail, reader: &Reader, mut known: Partitions, printer: &mut Printer) -> Result<(), Ended> {
    let mut strange = HashSet::new();
    if known.is_empty() {
        printer.screen.note("no such topic yet: waiting for one");
    }
    let mut look = tokio::time::interval(LOOK_AGAIN);
    let mut stop = std::pin::pin!(stopped());
    loop {
        let arrival = tokio::select! {
            arrival = reader.next() => arrival?,
            stopped = &mut stop => return stopped,
            _ = look.tick() => {
                for (topic, partition) in wanted(tail, reader)?.difference(&known.clone()) {
                    let (offset, _) = Start::Beginning.offset(reader, topic, *partition)?;
                    reader.add(topic, *partition, offset)?;
                    known.insert((topic.clone(), *partition));
                }
                continue;
            }
        };
        if let Arrival::Record(message) = arrival {
            let topic = rdkafka::Message::topic(&message).to_owned();
            if let Some(change) = change(Record::of(&message), &topic, &mut strange, printer)
                && printer.change(&change)?.is_break()
            {
                return Ok(());
            }
        }
    }
}

/// The change of a record. Of a topic that cannot be read it is said once.
fn change(
    record: Result<Record, NotJson>,
    topic: &str,
    strange: &mut HashSet<String>,
    printer: &Printer,
) -> Option<Change> {
    match record {
        Ok(record) if printer.is_json() => record.change(),
        Ok(record) => record.readable_change(),
        Err(why) => {
            if strange.insert(topic.to_owned()) {
                printer.screen.note(&why.told(topic));
            }
            None
        }
    }
}
