use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::apply::ledger::Next;
use crate::parse::head::Value;

const TOPIC: &str = "p.transaction";

/// What the streamer publishes: of which topic and partition, and the value.
type Published = ((&'static str, i32), Option<String>);

fn begin(transaction: usize) -> Published {
    ((TOPIC, 0), Some(format!(r#"{{"status":"BEGIN","id":"{}:{}"}}"#, 700 + transaction, transaction * 100 + 1)))
}

fn end(transaction: usize, events: usize) -> Published {
    let (id, lsn) = (700 + transaction, transaction * 100 + 99);
    ((TOPIC, 0), Some(format!(r#"{{"status":"END","id":"{id}:{lsn}","event_count":{events}}}"#)))
}

/// A change, whose row says which it is.
fn change(transaction: usize, order: usize, place: (&'static str, i32)) -> Published {
    let block = format!(r#"{{"id":"{}:{}","total_order":{order}}}"#, 700 + transaction, transaction * 100 + order);
    (
        place,
        Some(format!(r#"{{"op":"c","after":{{"row":"{transaction}.{order}"}},"source":{{}},"transaction":{block}}}"#)),
    )
}

fn record(((topic, partition), value): &Published, offset: i64) -> Record {
    Record {
        topic: (*topic).into(),
        partition: *partition,
        offset,
        timestamp: None,
        key: None,
        value: value.as_ref().map(|value| Value::alone(value.as_bytes())),
        new_key: None,
        traced: None,
    }
}

/// The row of a change.
fn row(record: &Record) -> String {
    let value = String::from_utf8_lossy(record.value.as_ref().unwrap().whole()).into_owned();
    value.split("\"row\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn rows(chunk: &Chunk) -> Vec<String> {
    chunk.records.iter().map(row).collect()
}

fn push(assembly: &mut Assembly, published: &Published, offset: i64) {
    assembly.push(record(published, offset)).unwrap();
}

const A: (&str, i32) = ("p.public.a", 0);
const B: (&str, i32) = ("p.public.b", 0);
const ALL: usize = 1 << 20;

#[test]
fn a_transaction_is_given_out_whole_and_in_its_order() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    for (offset, published) in [(0, begin(1)), (1, end(1, 3)), (2, begin(2)), (3, end(2, 1))] {
        push(&mut assembly, &published, offset);
    }
    push(&mut assembly, &change(1, 1, A), 0);
    push(&mut assembly, &change(1, 3, A), 1);
    push(&mut assembly, &change(2, 1, A), 2);
    assert_eq!(rows_of(assembly.take(ALL, ALL)), Vec::<String>::new(), "its second change has not come");
    assert_eq!(assembly.missing(), Some((Xid::from(701), 2, 3)));
    push(&mut assembly, &change(1, 2, B), 0);
    let chunk = assembly.take(ALL, ALL).unwrap().unwrap();
    assert_eq!(rows(&chunk), ["1.1", "1.2", "1.3", "2.1"]);
    assert_eq!((chunk.transactions, chunk.is_open, chunk.commit), (2, false, Some(Lsn::from(299))));
    let behind: BTreeMap<_, _> = chunk.behind.iter().map(|((topic, _), next)| (topic.as_str(), next.offset)).collect();
    assert_eq!(behind, BTreeMap::from([("p.public.a", 3), ("p.public.b", 1), (TOPIC, 4)]));
    assert_eq!(assembly.size(), 0);
}

fn rows_of(taken: Result<Option<Chunk>, SinkError>) -> Vec<String> {
    taken.unwrap().map_or_else(Vec::new, |chunk| rows(&chunk))
}

#[test]
fn the_end_of_a_transaction_is_not_passed_before_its_changes_are() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    push(&mut assembly, &begin(1), 0);
    push(&mut assembly, &end(1, 1), 1);
    let chunk = assembly.take(ALL, ALL).unwrap().unwrap();
    assert_eq!((chunk.behind.len(), chunk.behind[0].1.offset, chunk.commit), (1, 1, None));
}

#[test]
fn a_transaction_that_does_not_fit_is_given_out_in_open_parts() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    push(&mut assembly, &begin(1), 0);
    for order in 1..=5 {
        push(&mut assembly, &change(1, order, A), order as i64 - 1);
    }
    assert!(assembly.take(ALL, ALL).unwrap().is_some_and(|chunk| chunk.records.is_empty()), "its end has not come");
    let first = assembly.take(1, 1).unwrap().unwrap();
    assert_eq!((rows(&first), first.is_open), (vec!["1.1".to_owned()], true));
    let second = assembly.take(ALL, ALL).unwrap().unwrap();
    assert_eq!((second.records.len(), second.is_open), (4, true));
    assert!(assembly.take(ALL, ALL).unwrap().is_none());
    push(&mut assembly, &end(1, 5), 1);
    let last = assembly.take(ALL, ALL).unwrap().unwrap();
    assert_eq!((last.records.len(), last.is_open, last.commit), (0, false, Some(Lsn::from(199))));
}

#[test]
fn one_that_was_taken_for_new_in_part_and_was_applied_before_is_dropped_when_it_is_read_again() {
    let mut assembly = Assembly::new(TOPIC, Lsn::from(199));
    for _ in 0..2 {
        push(&mut assembly, &begin(1), 10);
        push(&mut assembly, &change(1, 1, A), 10);
        let begun = assembly.take(1, 1).unwrap();
        push(&mut assembly, &change(1, 2, A), 11);
        push(&mut assembly, &end(1, 2), 11);
        match assembly.take(ALL, ALL) {
            Err(error) => {
                assert!(begun.is_some_and(|chunk| chunk.is_open) && error.is_retry());
                assembly.begin_again(Lsn::from(199), 10);
            }
            Ok(chunk) => {
                assert_eq!(chunk.map(|chunk| chunk.records.len()), Some(0));
                return;
            }
        }
    }
    panic!("it was taken for new again");
}

#[test]
fn what_came_before_transactions_were_known_is_given_out_as_it_comes_and_counts() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    assembly.free_until(&("p.public.a".to_owned(), 0), 0, 2);
    assembly.free_until(&("p.public.b".to_owned(), 0), 7, 8);
    push(&mut assembly, &change(1, 1, A), 0);
    push(&mut assembly, &change(2, 1, A), 1);
    push(&mut assembly, &change(2, 2, A), 2);
    assert_eq!(rows_of(assembly.take(ALL, ALL)), ["1.1", "2.1"]);
    push(&mut assembly, &end(2, 2), 7);
    assert_eq!(rows_of(assembly.take(ALL, ALL)), Vec::<String>::new(), "the other table is not as far yet");
    push(&mut assembly, &change(1, 2, B), 7);
    assert_eq!(rows_of(assembly.take(ALL, ALL)), ["1.2", "2.2"]);
}

#[test]
fn a_record_of_no_transaction_stays_where_it_is_among_its_partitions_records() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    push(&mut assembly, &change(1, 1, A), 0);
    push(&mut assembly, &(A, None), 1);
    push(
        &mut assembly,
        &(A, Some(r#"{"op":"r","after":{"row":"read"},"source":{},"transaction":null}"#.to_owned())),
        2,
    );
    assert_eq!(rows_of(assembly.take(ALL, ALL)), Vec::<String>::new());
    push(&mut assembly, &begin(1), 0);
    push(&mut assembly, &end(1, 1), 1);
    let chunk = assembly.take(ALL, ALL).unwrap().unwrap();
    assert_eq!(rows(&chunk), ["1.1", "read"]);
}

#[test]
fn a_beginning_without_its_end_stops_with_what_to_do() {
    let mut assembly = Assembly::new(TOPIC, Lsn::ZERO);
    push(&mut assembly, &begin(1), 0);
    push(&mut assembly, &end(2, 0), 1);
    let error = assembly.take(ALL, ALL).unwrap_err();
    assert!(!error.is_retry() && error.to_string().contains("the beginning of transaction 701"), "{error}");
}

/// Everything that a streamer published, crashes and repetitions included: a log a partition.
#[derive(Debug, Clone)]
struct Topics {
    logs: BTreeMap<(&'static str, i32), Vec<Published>>,
    expected: Vec<String>,
}

const PLACES: [(&str, i32); 4] = [A, B, ("p.public.b", 1), ("p.public.c", 0)];

/// Transactions, each with the places of its changes; and crashes: how much was published, how much of it did not reach each
/// partition, and how many transactions before it are published again.
fn topics() -> impl Strategy<Value = Topics> {
    let transactions = prop::collection::vec(prop::collection::vec(0..PLACES.len(), 0..6), 1..12);
    let crashes = prop::collection::vec((0..60_usize, prop::collection::vec(0..4_usize, 5), 0..4_usize), 0..4);
    (transactions, crashes).prop_map(|(transactions, crashes)| {
        let mut sequence: Vec<(usize, Published)> = Vec::new();
        let mut expected = Vec::new();
        for (number, places) in transactions.iter().enumerate() {
            let number = number + 1;
            sequence.push((number, begin(number)));
            for (order, place) in places.iter().enumerate() {
                sequence.push((number, change(number, order + 1, PLACES[*place])));
                expected.push(format!("{number}.{}", order + 1));
            }
            sequence.push((number, end(number, places.len())));
        }
        let mut logs: BTreeMap<_, Vec<Published>> = BTreeMap::new();
        let mut from = 0;
        for (length, lost, again) in crashes {
            let to = (from + length).min(sequence.len());
            let mut by_place: BTreeMap<_, Vec<usize>> = BTreeMap::new();
            for (at, (_, (place, _))) in sequence.iter().enumerate().take(to).skip(from) {
                by_place.entry(*place).or_default().push(at);
            }
            // Going on begins with a transaction, at the latest with the first whose record was lost.
            let mut first_lost = to;
            for (place, lost) in std::iter::once(&(TOPIC, 0)).chain(&PLACES).zip(lost) {
                let published = by_place.remove(place).unwrap_or_default();
                let kept = published.len() - lost.min(published.len());
                first_lost = first_lost.min(published.get(kept).copied().unwrap_or(to));
                let kept = published.iter().take(kept).map(|at| sequence[*at].1.clone());
                logs.entry(*place).or_default().extend(kept);
            }
            let goes_on =
                sequence.get(first_lost).map_or(transactions.len(), |(number, _)| *number).saturating_sub(again);
            from = sequence.iter().position(|(number, _)| *number >= goes_on).unwrap_or(sequence.len());
        }
        for (_, published) in &sequence[from.min(sequence.len())..] {
            logs.entry(published.0).or_default().push(published.clone());
        }
        Topics { logs, expected }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// However the partitions are read, whatever came twice, and wherever the sink ended and went on: each change once, in the
    /// source's order, and commits between transactions only.
    #[test]
    fn each_change_is_applied_once_and_in_order(
        topics in topics(),
        steps in prop::collection::vec((0..6_usize, 1..5_usize), 20..200),
        (most, too_much) in (1..2000_usize, prop::sample::select(vec![1, 400, 1 << 20])),
    ) {
        let mut stored: BTreeMap<Place, Next> = BTreeMap::new();
        let mut last = Lsn::ZERO;
        let (mut applied, mut open): (Vec<String>, Vec<String>) = Default::default();
        let mut behind: BTreeMap<Place, Next> = BTreeMap::new();
        let mut assembly = Assembly::new(TOPIC, last);
        let mut read: BTreeMap<(&str, i32), usize> = BTreeMap::new();
        // At the end everything is read, whatever the steps were.
        let rest = (0..100).map(|number| (number % 5, 100));
        for (what, count) in steps.into_iter().chain(rest) {
            if let Some(place) = std::iter::once(&(TOPIC, 0)).chain(&PLACES).nth(what) {
                let log = topics.logs.get(place).map(Vec::as_slice).unwrap_or_default();
                for _ in 0..count {
                    let at = read.entry(*place).or_default();
                    let Some(published) = log.get(*at) else { break };
                    push(&mut assembly, published, *at as i64);
                    *at += 1;
                }
            }
            let taken = if what == 5 { Err(SinkError::retry("the sink ends")) } else { assembly.take(most, too_much) };
            match taken {
                Ok(None) => {}
                Ok(Some(chunk)) => {
                    open.extend(rows(&chunk));
                    behind.extend(chunk.behind.iter().cloned());
                    if !chunk.is_open {
                        applied.append(&mut open);
                        stored.append(&mut behind);
                        last = chunk.commit.unwrap_or(last);
                        let (number, order) = applied.last().map_or(("0", "0"), |row| row.split_once('.').unwrap());
                        let whole = topics.expected.iter().filter(|row| row.starts_with(&format!("{number}."))).count();
                        prop_assert_eq!(order.parse::<usize>().unwrap(), whole, "a part of a transaction was committed");
                    }
                }
                Err(error) => {
                    prop_assert!(error.is_retry(), "{}", error);
                    open.clear();
                    behind.clear();
                    if what == 5 {
                        assembly = Assembly::new(TOPIC, last);
                    }
                    let from = stored.get(&(TOPIC.to_owned(), 0)).map_or(0, |next| next.offset);
                    assembly.begin_again(last, from);
                    // The transactions are read from their beginning, all the others from where they go on.
                    read = stored.iter().map(|((topic, at), next)| {
                        let place = topics.logs.keys().find(|place| place.0 == topic && place.1 == *at).unwrap();
                        (*place, if place.0 == TOPIC { 0 } else { next.offset as usize })
                    }).collect();
                }
            }
        }
        prop_assert_eq!(applied, topics.expected);
        prop_assert_eq!(assembly.size(), 0);
    }
}
