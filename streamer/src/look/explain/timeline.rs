//! A story for a person: from the source's commit down to the target.

use serde_json::Value;

use super::applied::Target;
use super::story::Story;
use crate::look::Ended;
use crate::look::line::{Layout, tone};
use crate::look::screen::{Screen, Tone, value};

const WHEN: &str = "%Y-%m-%d %H:%M:%S%.3f %:z";

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Done,
    Waits,
    Refused,
    NotAsked,
}

/// A station on the way.
struct Station {
    mark: Mark,
    name: &'static str,
    lines: Vec<String>,
}

impl Station {
    fn new(mark: Mark, name: &'static str, lines: impl IntoIterator<Item = String>) -> Self {
        Self { mark, name, lines: lines.into_iter().filter(|line| !line.is_empty()).collect() }
    }
}

pub(super) fn print(screen: &Screen, layout: &Layout, story: &Story) -> Result<(), Ended> {
    let paint = screen.paint;
    screen.line("", false)?;
    screen.line(&format!("  {}", paint.text(Tone::Bold, &story.record.place)), true)?;
    screen.line("", false)?;
    let stations = [
        committed(layout, story, screen),
        published(layout, story),
        stored(story),
        confirmed(story),
        applied(layout, story),
    ];
    let last = stations.len() - 1;
    for (number, station) in stations.iter().enumerate() {
        let (sign, tone) = match station.mark {
            Mark::Done => ("●", Tone::Green),
            Mark::Waits => ("○", Tone::Yellow),
            Mark::Refused => ("✗", Tone::Red),
            Mark::NotAsked => ("·", Tone::Dim),
        };
        let rail = if number == last { " ".to_owned() } else { paint.text(Tone::Dim, "│") };
        for (at, line) in station.lines.iter().enumerate() {
            let line = if station.mark == Mark::NotAsked { paint.text(Tone::Dim, line) } else { line.clone() };
            let head = match at {
                0 => format!("{} {}", paint.text(tone, sign), paint.text(Tone::Bold, format!("{:<11}", station.name))),
                _ => format!("{rail} {:<11}", ""),
            };
            screen.line(&format!("  {head} {line}"), true)?;
        }
        if number < last {
            screen.line(&format!("  {rail}"), true)?;
        }
    }
    screen.line("", false)
}

fn committed(layout: &Layout, story: &Story, screen: &Screen) -> Station {
    let source = story.record.source();
    let paint = screen.paint;
    let text = |field: &str| source.get(field).and_then(Value::as_str).unwrap_or_default();
    let change = story.change.as_ref().map(|change| {
        let key: Vec<String> = change.key.iter().map(|(name, of)| format!("{name}={}", value(of))).collect();
        format!(
            "{} {}  {}",
            paint.text(tone(change.op), format!("{} {}", change.op.sign(), change.op.word())),
            change.name(),
            paint.text(Tone::Cyan, key.join(" "))
        )
    });
    let columns = story.change.as_ref().map(|change| layout.columns(change)).unwrap_or_default();
    let Some(at) = source.get("ts_ms").and_then(Value::as_i64) else {
        let unknown = "the record has no source block: it is no envelope, or a transform took it away".to_owned();
        return Station::new(Mark::NotAsked, "source", [unknown, change.unwrap_or_default(), columns]);
    };
    let mut lines = vec![layout.time(at, WHEN), change.unwrap_or_default(), columns];
    let number = source.get("txId").filter(|tx| !tx.is_null());
    lines.push(match (number, &story.in_transaction, &story.end) {
        (Some(tx), Some(place), Some((_, commit, events))) => {
            let table = story.change.as_ref().map(|change| change.name()).unwrap_or_default();
            format!(
                "transaction {tx}, whose commit ends at {commit}: event {} of {events}, number {} of {table}",
                place.total_order, place.collection_order
            )
        }
        (Some(tx), Some(place), None) => {
            format!("transaction {tx}: event {}; its end is not in Kafka yet", place.total_order)
        }
        (Some(tx), None, _) => format!("transaction {tx}"),
        (None, ..) => String::new(),
    });
    let before = story.record.last_commit().map(|lsn| format!(", behind the commit that ended at {lsn}"));
    if let Some(lsn) = story.record.lsn() {
        let word = if story.is_snapshot() { "snapshot of" } else { "lsn" };
        lines.push(format!("{word} {lsn}{}, database {}", before.unwrap_or_default(), text("db")));
    }
    let name = if story.is_snapshot() { "read" } else { "committed" };
    Station::new(Mark::Done, name, lines)
}

fn published(layout: &Layout, story: &Story) -> Station {
    let record = &story.record;
    let decoded = record.value.get("ts_ms").and_then(Value::as_i64);
    let committed = record.source().get("ts_ms").and_then(Value::as_i64);
    let later = |from: Option<i64>, to: Option<i64>, of: &str| match (from, to) {
        (Some(from), Some(to)) if to >= from => format!("{} ms behind the {of}", to - from),
        _ => String::new(),
    };
    let mut lines = vec![match record.at_ms {
        Some(at) => {
            let later = later(committed, record.at_ms, "commit");
            if later.is_empty() { layout.time(at, WHEN) } else { format!("{}, {later}", layout.time(at, WHEN)) }
        }
        None => "without a timestamp".to_owned(),
    }];
    // Where the record's own time is that, it is said already.
    let decoded = later(committed, decoded.filter(|decoded| record.at_ms != Some(*decoded)), "commit");
    let by = match &story.connector {
        Some(connector) => {
            let slot = connector.property("slot.name").unwrap_or("debezium");
            format!("by connector {} from slot {slot}", connector.name)
        }
        None => match record.source().get("name").and_then(Value::as_str) {
            Some(prefix) => format!("by a connector with topic.prefix {prefix}"),
            None => String::new(),
        },
    };
    let decoded = if decoded.is_empty() || story.is_snapshot() { decoded } else { format!("decoded {decoded}") };
    lines.push([by, decoded].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "));
    if let Some((place, ..)) = &story.end {
        lines.push(format!("end of its transaction: {place}"));
    }
    Station::new(Mark::Done, "in Kafka", lines)
}

fn stored(story: &Story) -> Station {
    const NAME: &str = "stored";
    let line = |text: &str| [text.to_owned()];
    match (&story.connector, story.stored.as_slice()) {
        (None, _) if !story.is_worker_asked => {
            Station::new(Mark::NotAsked, NAME, line("not asked: --connect-url names the worker"))
        }
        (None, _) => {
            Station::new(Mark::NotAsked, NAME, line("the worker has no connector with this record's topic.prefix"))
        }
        (Some(_), []) if story.is_snapshot() => Station::new(Mark::NotAsked, NAME, line("no position is stored")),
        (Some(_), []) => {
            Station::new(Mark::Waits, NAME, line("no position is stored: a start would bring the record again"))
        }
        (Some(_), stored) => {
            let told = stored.iter().map(|stored| {
                let of = stored.slot.as_ref().map(|slot| format!("slot {slot}: ")).unwrap_or_default();
                match stored.is_behind {
                    true => format!("{of}the connector's position {} is behind it: it does not come again", stored.at),
                    false => format!(
                        "{of}the connector's position {} is before it: a start now would bring it again",
                        stored.at
                    ),
                }
            });
            let is_done = stored.iter().any(|stored| stored.is_behind);
            Station::new(if is_done { Mark::Done } else { Mark::Waits }, NAME, told)
        }
    }
}

fn confirmed(story: &Story) -> Station {
    const NAME: &str = "confirmed";
    let Some(slots) = &story.slots else {
        return Station::new(Mark::NotAsked, NAME, ["not asked: --source names the source".to_owned()]);
    };
    if slots.is_empty() {
        return Station::new(Mark::NotAsked, NAME, ["the source has no such slot (any more)".to_owned()]);
    }
    let told = slots.iter().map(|slot| {
        let state = if slot.is_active { "in use" } else { "not in use" };
        match slot.is_behind {
            true => format!(
                "slot {} is confirmed up to {} ({state}): the source may forget the change",
                slot.name, slot.confirmed
            ),
            false => format!(
                "slot {} is confirmed up to {} ({state}): the source still keeps the change",
                slot.name, slot.confirmed
            ),
        }
    });
    let is_done = slots.iter().any(|slot| slot.is_behind);
    Station::new(if is_done { Mark::Done } else { Mark::Waits }, NAME, told)
}

fn applied(layout: &Layout, story: &Story) -> Station {
    const NAME: &str = "applied";
    match &story.target {
        None => Station::new(Mark::NotAsked, NAME, ["not asked: --target names the sink's target".to_owned()]),
        Some(Target::NoSink) => Station::new(
            Mark::NotAsked,
            NAME,
            ["the target has no schema headwater: no sink of ours writes there".to_owned()],
        ),
        Some(Target::NotBegun) => {
            Station::new(Mark::Waits, NAME, ["not yet: the sink has applied nothing of this partition".to_owned()])
        }
        Some(Target::Waits(next, at)) => Station::new(
            Mark::Waits,
            NAME,
            [
                format!("not yet: the sink goes on at offset {next}, {}", distance(story.record.place.offset - next)),
                format!("it came there {}", layout.time(*at, WHEN)),
            ],
        ),
        Some(Target::Applied(next, at)) => Station::new(
            Mark::Done,
            NAME,
            [format!("the sink goes on at offset {next}"), format!("it came there {}", layout.time(*at, WHEN))],
        ),
        Some(Target::SetAside(why, at)) => Station::new(
            Mark::Refused,
            NAME,
            [
                format!("set aside {}: the target refused it", layout.time(*at, WHEN)),
                why.clone(),
                "mend that and run: sink replay".to_owned(),
            ],
        ),
    }
}

fn distance(records: i64) -> String {
    match records {
        ..=0 => "which is this one".to_owned(),
        1 => "one before it".to_owned(),
        records => format!("{records} before it"),
    }
}
