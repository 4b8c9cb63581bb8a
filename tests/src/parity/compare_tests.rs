//! The comparator alone: what it must see, and what it must pass over.

use super::super::record::{Content, Whole, reduce};
use super::super::scenario::Meta;
use super::*;

const EVENT: &str = r#"{"after":{"id":1,"x":1.0,"s":"a"},"source":{"lsn":12,"txId":7,"xmin":null,"ts_ms":5,"sequence":"[null,\"33\"]"},"transaction":{"id":"7:12","total_order":1},"ts_ms":1}"#;

fn record(value: impl Into<Option<&'static str>>) -> Record {
    built(value.into().map(str::to_owned))
}

fn built(value: Option<String>) -> Record {
    let whole = Whole { key: Some(r#"{"id":1}"#.to_owned()), value, headers: Vec::new(), timestamp: None };
    Record { topic: "srv.t".to_owned(), partition: 0, content: Content::Whole(whole) }
}

fn with_headers(mut record: Record, headers: &[(&str, &str)]) -> Record {
    if let Content::Whole(whole) = &mut record.content {
        whole.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
    }
    record
}

/// Semantically equal, equal byte for byte.
fn sameness(expected: &[Record], got: &[Record]) -> (bool, bool) {
    let comparison = compare(expected, got, &Patterns::default(), false).expect("no patterns");
    (comparison.is_semantic(), comparison.is_exact())
}

#[test]
fn what_every_run_of_debezium_changes_is_passed_over() {
    let other = EVENT
        .replace(r#""lsn":12"#, r#""lsn":99999"#)
        .replace("33", "4")
        .replace("7:12", "7:99999")
        .replace(r#""ts_ms":1"#, r#""ts_ms":123"#);
    assert_eq!(sameness(&[record(EVENT)], &[built(Some(other))]), (true, true));
    let (one, other) = ([("__ts_ms", "12")], [("__ts_ms", "999")]);
    assert_eq!(sameness(&[with_headers(record(EVENT), &one)], &[with_headers(record(EVENT), &other)]), (true, true));
}

#[test]
fn everything_else_is_seen() {
    for (from, to, semantic) in [
        // The transaction's id is txId:lsn.
        ("7:12", "8:12", false),
        (r#""lsn":12"#, r#""lsn":null"#, false),
        ("[null,", r#"[\"1\","#, false),
        (r#""xmin":null"#, r#""xmin":3"#, false),
        (r#""lsn":12"#, r#""lsn":"12""#, false),
        ("1.0", "1.00", true),
        ("1.0", "1.5", false),
        ("1.0", r#""1.0""#, false),
        (r#""x":1.0,"s":"a""#, r#""s":"a","x":1.0"#, true),
        (r#""total_order":1"#, r#""total_order":2"#, false),
        (r#""id":1"#, r#""id":true"#, false),
    ] {
        let other = EVENT.replace(from, to);
        assert_eq!(sameness(&[record(EVENT)], &[built(Some(other))]), (semantic, false), "{from} → {to}");
    }
    let event = || record(EVENT);
    let elsewhere = Record { topic: "srv.u".to_owned(), ..event() };
    for got in [
        vec![],
        vec![event(), event()],
        vec![elsewhere],
        vec![record(None)],
        vec![with_headers(event(), &[("a", "1")])],
    ] {
        assert_eq!(sameness(&[event()], &got), (false, false), "{got:?}");
    }
    assert_eq!(sameness(&[event(), record(None)], &[record(None), event()]), (false, false), "order");
}

#[test]
fn positions_must_stand_to_each_other_as_debeziums_do() {
    let event = |lsn: u64, transaction: u64, time: u64, sequence: u64| {
        built(Some(format!(
            r#"{{"op":"c","source":{{"lsn":{lsn},"txId":{transaction},"ts_ms":{},"ts_us":{time},"ts_ns":{},"sequence":"[null,\"{sequence}\"]"}}}}"#,
            time / 1000,
            time * 1000
        )))
    };
    let golden = [event(10, 1, 5_000_000, 10), event(20, 1, 5_000_000, 20), event(30, 2, 6_000_000, 30)];
    let run = |second: Record| {
        let got = [event(1000, 7, 9_000_000, 1000), second, event(3000, 8, 9_900_000, 3000)];
        sameness(&golden, &got)
    };
    assert_eq!(run(event(2000, 7, 9_000_000, 2000)), (true, true));
    assert_eq!(run(event(2000, 8, 9_000_000, 2000)), (false, false), "one transaction became two");
    assert_eq!(run(event(500, 7, 9_000_000, 500)), (false, false), "the LSN goes back");
    assert_eq!(run(event(2000, 7, 9_000_000, 2001)), (false, false), "the sequence is not the LSN");
    let side_by_side = compare(&golden, &[event(11, 1, 5_000_000, 11)], &Patterns::default(), true);
    assert!(side_by_side.is_ok_and(|comparison| comparison.semantic == 0), "another LSN of the same row");
}

#[test]
fn hashes_keep_what_is_compared() -> anyhow::Result<()> {
    let meta: Meta = serde_json::from_str(r#"{"hash_only": true}"#)?;
    let hashed = |value: String| reduce(vec![built(Some(value))], &meta, &Patterns::default());
    let golden = hashed(EVENT.to_owned())?;
    assert_eq!(golden, hashed(EVENT.replace(r#""lsn":12"#, r#""lsn":5"#).replace("7:12", "7:5"))?);
    assert_eq!(sameness(&golden, &hashed(EVENT.replace("1.0", "1.00"))?), (true, false));
    assert_eq!(sameness(&golden, &hashed(EVENT.replace("1.0", "2.0"))?), (false, false));
    Ok(())
}
