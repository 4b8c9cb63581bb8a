//! A change as one line of a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proto::lsn::Lsn;

use super::change::{Change, Op, UNCHANGED};
use super::screen::{Paint, Tone, value};

/// The widest table name that others are aligned with.
const ALIGNED: usize = 28;

/// How changes are set, one below the other.
#[derive(Debug)]
pub(super) struct Layout {
    paint: Paint,
    zone: TimeZone,
    /// All columns, and no line cut.
    full: bool,
    /// How wide tables' names were until now.
    table: usize,
    lsn: usize,
}

impl Layout {
    pub(super) fn new(paint: Paint, zone: TimeZone, full: bool) -> Self {
        Self { paint, zone, full, table: 0, lsn: 0 }
    }

    /// The line of a change: when, where in the log, what, which table, which row, and its columns.
    pub(super) fn change(&mut self, change: &Change) -> String {
        let paint = self.paint;
        let tone = tone(change.op);
        let time = change.at_ms.map_or_else(|| "-".repeat(12), |ms| self.time(ms, "%H:%M:%S%.3f"));
        let lsn = change.lsn.map(|lsn| lsn.to_string()).unwrap_or_default();
        self.lsn = self.lsn.max(lsn.len());
        let op = match change.op {
            Op::Row | Op::Tombstone => change.op.sign().to_string(),
            op => format!("{} {}", op.sign(), op.letter()),
        };
        let mut parts = vec![
            paint.text(Tone::Dim, time),
            paint.text(Tone::Dim, format!("{lsn:<width$}", width = self.lsn)),
            paint.text(tone, format!("{op:<3}")),
            self.name(change),
        ];
        let pair = |(name, of): &(String, serde_json::Value)| {
            format!("{}{}{}", name, paint.text(Tone::Dim, "="), paint.text(Tone::Cyan, value(of)))
        };
        let key: Vec<String> = change.key.iter().map(pair).collect();
        if !key.is_empty() {
            parts.push(key.join(" "));
        }
        let columns = self.columns(change);
        if !columns.is_empty() {
            parts.push(format!(" {columns}"));
        }
        match change.op {
            Op::Tombstone => parts.push(paint.text(Tone::Dim, "tombstone")),
            Op::Truncate => parts.push("emptied".to_owned()),
            _ => {}
        }
        parts.join(" ").trim_end().to_owned()
    }

    fn name(&mut self, change: &Change) -> String {
        let name = change.name();
        let width = name.chars().count();
        self.table = self.table.max(width.min(ALIGNED));
        let pad = " ".repeat(self.table.saturating_sub(width));
        let painted = match change.schema.is_empty() {
            true => self.paint.text(Tone::Bold, &change.table),
            false => format!(
                "{}{}",
                self.paint.text(Tone::Dim, format!("{}.", change.schema)),
                self.paint.text(Tone::Bold, &change.table)
            ),
        };
        format!("{painted}{pad}")
    }

    /// The columns that are worth showing: `a: 1 → 2, b: x`.
    pub(super) fn columns(&self, change: &Change) -> String {
        let paint = self.paint;
        let shown = |of: &serde_json::Value| match of {
            serde_json::Value::String(text) if text == UNCHANGED => paint.text(Tone::Dim, "(unchanged)"),
            serde_json::Value::Null => paint.text(Tone::Dim, "null"),
            of => value(of),
        };
        let one = |(name, old, new): &(&str, Option<&serde_json::Value>, &serde_json::Value)| match old {
            Some(old) => format!(
                "{} {} {} {}",
                paint.text(Tone::Dim, format!("{name}:")),
                paint.text(Tone::Red, value(old)),
                paint.text(Tone::Dim, "→"),
                paint.text(Tone::Green, value(new))
            ),
            None => format!("{} {}", paint.text(Tone::Dim, format!("{name}:")), shown(new)),
        };
        change.differences(self.full).iter().map(one).collect::<Vec<_>>().join(&paint.text(Tone::Dim, ", "))
    }

    /// The thin line over a transaction's changes.
    pub(super) fn begin(&self, tx: Option<u64>, at_ms: Option<i64>, width: usize) -> String {
        let tx = tx.map(|tx| format!("tx {tx}")).unwrap_or_default();
        let time = at_ms.map(|ms| self.time(ms, "%Y-%m-%d %H:%M:%S%.3f %:z")).unwrap_or_default();
        self.rule(&[tx, time], width)
    }

    /// The thin line below them.
    pub(super) fn commit(&self, lsn: Lsn, width: usize) -> String {
        self.rule(&[format!("commit {lsn}")], width)
    }

    fn rule(&self, words: &[String], width: usize) -> String {
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        let head = format!("── {} ", words.join(" · "));
        let rest = width.saturating_sub(head.chars().count());
        self.paint.text(Tone::Dim, format!("{head}{}", "─".repeat(rest)))
    }

    /// A time in the zone of who looks; the number where it is none.
    pub(super) fn time(&self, ms: i64, form: &str) -> String {
        match Timestamp::from_millisecond(ms) {
            Ok(time) => time.to_zoned_datetime(self.zone.clone()).strftime(form).to_string(),
            Err(_) => ms.to_string(),
        }
    }
}

pub(super) fn tone(op: Op) -> Tone {
    match op {
        Op::Create => Tone::Green,
        Op::Update => Tone::Yellow,
        Op::Delete | Op::Truncate => Tone::Red,
        Op::Read => Tone::Blue,
        Op::Message => Tone::Magenta,
        Op::Row => Tone::Cyan,
        Op::Tombstone => Tone::Dim,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_one_line_of_when_where_what_and_which() {
        let mut layout = Layout::new(Paint::NONE, TimeZone::UTC, false);
        let mut change = Change {
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            key: vec![("id".to_owned(), json!(1))],
            before: Some(vec![("id".to_owned(), json!(1)), ("state".to_owned(), json!("open"))]),
            after: Some(vec![("id".to_owned(), json!(1)), ("state".to_owned(), json!("paid"))]),
            at_ms: Some(1_700_000_000_123),
            lsn: Some(Lsn::from(0x16B_3748)),
            tx: Some(812),
            ..Change::of(Op::Update)
        };
        assert_eq!(layout.change(&change), "22:13:20.123 0/16B3748 ~ u public.orders id=1  state: open → paid");
        change.before = None;
        change.op = Op::Create;
        assert_eq!(layout.change(&change), "22:13:20.123 0/16B3748 + c public.orders id=1  state: paid");
        let other = Change { table: "o".to_owned(), schema: "public".to_owned(), ..Change::of(Op::Truncate) };
        assert_eq!(layout.change(&other), "------------           ! t public.o      emptied");
        assert_eq!(layout.begin(Some(812), Some(0), 50), "── tx 812 · 1970-01-01 00:00:00.000 +00:00 ───────");
        assert_eq!(layout.commit(Lsn::from(16), 20), "── commit 0/10 ─────");
    }
}
