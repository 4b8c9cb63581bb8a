//! What came of comparing, as people and as programs read it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::outcome::{Outcome, Round};
use super::rows::{Key, Kind, Sum};
use super::whole::Whole;

/// A table with a line for each table, and a summary.
pub(super) fn table(round: &Round) -> String {
    let width = round.tables.iter().map(|table| table.title().len()).max().unwrap_or_default().max(5);
    let mut text = format!("  {:<width$}  {:>12}  {:>12}\n", "table", "source", "target");
    for table in &round.tables {
        let mark = if table.is_equal() { '✓' } else { '✗' };
        let target = table.target.map_or_else(|| "-".to_owned(), |rows| rows.count.to_string());
        let (title, remark) = (table.title(), remark(table));
        // Writing into a String cannot fail.
        _ = write!(text, "{mark} {title:<width$}  {:>12}  {target:>12}", table.source.count);
        text.push_str(&if remark.is_empty() { "\n".to_owned() } else { format!("  {remark}\n") });
        for (kind, key) in &table.rows {
            _ = writeln!(text, "    {} {}", kind.name(), Value::Object(key_of(table, key)));
        }
    }
    _ = writeln!(text, "{} of {} tables are equal", round.equal(), round.tables.len());
    text
}

/// A line.
pub(super) fn line(number: u64, round: &Round) -> String {
    let sum = |of: fn(&Outcome) -> usize| round.tables.iter().map(of).sum::<usize>();
    let mut text = format!(
        "round {number}: {} of {} tables are equal, {} rows in {:.1} s",
        round.equal(),
        round.tables.len(),
        round.rows,
        round.took.as_secs_f64()
    );
    for (count, what) in [
        (sum(|table| table.kinds.iter().sum()), "differed"),
        (sum(|table| table.mended), "were mended"),
        (sum(|table| table.open), "not decided"),
        (sum(|table| table.arrived), "were on their way"),
    ] {
        if count > 0 {
            _ = write!(text, "; {count} {what}");
        }
    }
    for table in round.tables.iter().filter(|table| !table.is_equal()) {
        _ = write!(text, "\n  {}: {}", table.title(), remark(table));
    }
    text
}

/// What there is to say about a table, in words.
fn remark(table: &Outcome) -> String {
    let Some(target) = &table.target else { return "table or column missing in the target".to_owned() };
    let mut parts = Vec::new();
    let counted = |count: usize, kind: Kind| match kind {
        Kind::Missing => format!("{count} missing"),
        Kind::Extra => format!("{count} only in the target"),
        Kind::Different => format!("{count} different"),
    };
    let kinds: Vec<String> =
        table.counts().filter(|(_, count)| *count > 0).map(|(kind, count)| counted(count, kind)).collect();
    if !kinds.is_empty() {
        let kinds = kinds.join(", ");
        parts.push(match (table.left(), table.mended) {
            (0, _) => format!("mended: {kinds}"),
            (_, 0) => format!("{}: {kinds}", what_differs(table.kinds[0] != table.kinds[1])),
            (left, mended) => format!("rows differ: {kinds}; {mended} mended, {left} not"),
        });
    }
    match &table.whole {
        Some(Whole::Differs) => parts.push(what_differs(target.count != table.source.count).to_owned()),
        Some(Whole::Open(why)) => parts.push(format!("not decided: {why}")),
        Some(Whole::Equal) | None => {}
    }
    if table.open > 0 {
        let why = table.why.as_deref().unwrap_or("they change all the time");
        parts.push(format!("{} rows not decided: {why}", table.open));
    }
    parts.extend(table.fault.clone().filter(|_| !table.is_equal()));
    parts.join("; ")
}

fn what_differs(is_number: bool) -> &'static str {
    if is_number { "number of rows differs" } else { "rows differ" }
}

/// Everything, as one document.
pub(super) fn document(round: &Round) -> Value {
    json!({
        "equal": round.is_equal(),
        "confirmed_by": if round.is_exact { "stream" } else { "time" },
        "seconds": round.took.as_secs_f64(),
        "rows": round.rows,
        "tables_equal": round.equal(),
        "tables": round.tables.iter().map(of_table).collect::<Vec<_>>(),
    })
}

fn of_table(table: &Outcome) -> Value {
    let side = |sum: &Sum| json!({ "rows": sum.count, "hash": sum.hash.to_string() });
    let rows = |(kind, key): &(Kind, Key)| json!({ "is": kind.name(), "key": key_of(table, key) });
    let mut value = json!({
        "schema": table.schema,
        "table": table.name,
        "equal": table.is_equal(),
        "source": side(&table.source),
        "target": table.target.as_ref().map(side),
    });
    for (kind, count) in table.counts() {
        value[kind.name()] = count.into();
    }
    for (name, count) in [("mended", table.mended), ("undecided", table.open), ("on_their_way", table.arrived)] {
        value[name] = count.into();
    }
    value["by_key"] = table.whole.is_none().into();
    value["remark"] = Some(remark(table)).filter(|remark| !remark.is_empty()).into();
    value["rows"] = table.rows.iter().map(rows).collect();
    value["seconds"] = table.took.as_secs_f64().into();
    value
}

fn key_of(table: &Outcome, key: &Key) -> Map<String, Value> {
    table.key.iter().cloned().zip(key.iter().cloned().map(Value::String)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(target: Option<i64>) -> Outcome {
        Outcome {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            key: vec!["id".to_owned()],
            source: Sum { count: 2, hash: -5 },
            target: target.map(|count| Sum { count, hash: 5 }),
            kinds: [0; 3],
            mended: 0,
            arrived: 0,
            open: 0,
            why: None,
            fault: None,
            rows: Vec::new(),
            whole: None,
            took: Duration::from_millis(500),
        }
    }

    fn round(tables: Vec<Outcome>) -> Round {
        Round { tables, is_exact: true, rows: 9, took: Duration::from_secs(1) }
    }

    #[test]
    fn a_difference_is_said_in_words() {
        let text = table(&round(vec![
            outcome(Some(2)),
            Outcome { kinds: [3, 1, 0], ..outcome(Some(1)) },
            Outcome { kinds: [0, 0, 2], rows: vec![(Kind::Different, vec!["7".to_owned()])], ..outcome(Some(2)) },
            Outcome { kinds: [1, 0, 0], mended: 1, ..outcome(Some(1)) },
            Outcome { open: 4, why: Some("no sink runs".to_owned()), ..outcome(Some(1)) },
            Outcome { whole: Some(Whole::Differs), ..outcome(Some(2)) },
            outcome(None),
        ]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with('✓') && lines[1].ends_with('2'), "{text}");
        assert!(lines[2].ends_with("  number of rows differs: 3 missing, 1 only in the target"), "{text}");
        assert!(lines[3].starts_with('✗') && lines[3].ends_with("  rows differ: 2 different"), "{text}");
        assert_eq!(lines[4], r#"    different {"id":"7"}"#);
        assert!(lines[5].starts_with('✓') && lines[5].ends_with("  mended: 1 missing"), "{text}");
        assert!(lines[6].ends_with("  4 rows not decided: no sink runs"), "{text}");
        assert!(lines[7].starts_with('✗') && lines[7].ends_with("  rows differ"), "{text}");
        assert!(lines[8].ends_with("  table or column missing in the target"), "{text}");
        assert_eq!(lines[9], "2 of 7 tables are equal");
    }

    #[test]
    fn a_document_has_what_a_program_asks_for() {
        let missing = Outcome {
            kinds: [1, 0, 0],
            arrived: 2,
            rows: vec![(Kind::Missing, vec!["7".to_owned()])],
            ..outcome(Some(1))
        };
        let document = document(&round(vec![missing, outcome(None)]));
        let expected = json!({
            "equal": false, "confirmed_by": "stream", "seconds": 1.0, "rows": 9, "tables_equal": 0,
            "tables": [
                {
                    "schema": "public", "table": "t", "equal": false,
                    "source": { "rows": 2, "hash": "-5" }, "target": { "rows": 1, "hash": "5" },
                    "missing": 1, "extra": 0, "different": 0, "mended": 0, "undecided": 0, "on_their_way": 2,
                    "by_key": true, "remark": "number of rows differs: 1 missing",
                    "rows": [{ "is": "missing", "key": { "id": "7" } }], "seconds": 0.5,
                },
                {
                    "schema": "public", "table": "t", "equal": false,
                    "source": { "rows": 2, "hash": "-5" }, "target": null,
                    "missing": 0, "extra": 0, "different": 0, "mended": 0, "undecided": 0, "on_their_way": 0,
                    "by_key": true, "remark": "table or column missing in the target", "rows": [], "seconds": 0.5,
                },
            ],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_round_is_a_line_and_one_for_each_table_that_differs() {
        let mended = Outcome { kinds: [2, 0, 0], mended: 2, arrived: 3, ..outcome(Some(0)) };
        let differs = Outcome { kinds: [0, 1, 0], ..outcome(Some(3)) };
        assert_eq!(
            line(4, &round(vec![mended, differs])),
            "round 4: 1 of 2 tables are equal, 9 rows in 1.0 s; 3 differed; 2 were mended; 3 were on their way\n  \
             public.t: number of rows differs: 1 only in the target"
        );
    }
}
