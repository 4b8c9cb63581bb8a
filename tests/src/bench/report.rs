//! The page: what was measured, in tables and pictures.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::plot::{self, Bar};
use super::result::{Measured, Part, Results, Round, System, folder};

/// What stands before the figures, and behind them.
const BEFORE: &str = include_str!("before.md");
const BEHIND: &str = include_str!("behind.md");

/// Writes the page and its pictures.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(page: &Path, results: &Results) -> anyhow::Result<()> {
    let folder = folder(page);
    std::fs::create_dir_all(&folder)?;
    let name = folder.file_name().context("the page has no name")?.to_string_lossy().into_owned();
    let mut text = BEFORE.to_owned();
    if let Some(machine) = &results.machine {
        let (cores, gb) = (machine.cores, machine.memory_gb);
        text.push_str(&format!(
            "\nMachine: {}, {cores} cores, {gb} GB, {}. Everything runs on it at once.\n",
            machine.processor, machine.kernel
        ));
    }
    text.push_str("\n## What is promised, and what was found\n\n");
    text.push_str(&promises(results));
    for measured in results.in_order() {
        let _infallible = write!(text, "\n## {}\n\n{}\n\n", measured.title, measured.about);
        if let Some(picture) = picture(measured) {
            let file = format!("{}.svg", file_name(&measured.title));
            std::fs::write(folder.join(&file), picture)?;
            let _infallible = write!(text, "![{}]({name}/{file})\n\n", measured.title);
        }
        text.push_str(&table(measured));
    }
    text.push('\n');
    text.push_str(BEHIND);
    std::fs::write(page, text).with_context(|| page.display().to_string())
}

fn file_name(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// A column of a work's table.
struct Column {
    head: &'static str,
    of: fn(&Round) -> Option<f64>,
    show: fn(f64) -> String,
}

const COLUMNS: [Column; 12] = [
    Column { head: "rows/s", of: |round| round.rows, show: thousands },
    Column { head: "CPU s per million", of: |round| round.cpu, show: tenth },
    Column { head: "of PostgreSQL's", of: |round| round.server_cpu, show: tenth },
    Column { head: "of Kafka's", of: |round| round.broker_cpu, show: tenth },
    Column { head: "p50 ms", of: |round| round.latency.map(|all| all[0]), show: tenth },
    Column { head: "p90", of: |round| round.latency.map(|all| all[1]), show: tenth },
    Column { head: "p99", of: |round| round.latency.map(|all| all[2]), show: tenth },
    Column { head: "p99.9", of: |round| round.latency.map(|all| all[3]), show: tenth },
    Column { head: "longest", of: |round| round.latency.map(|all| all[4]), show: tenth },
    Column { head: "of a core", of: |round| round.core, show: |part| format!("{:.1} %", part * 100.0) },
    Column { head: "peak MB", of: |round| round.peak_mb, show: |mb| format!("{mb:.0}") },
    Column { head: "bytes a row in Kafka", of: |round| round.bytes, show: |bytes| format!("{bytes:.0}") },
];

/// A work's table: medians, and of the rows a second the smallest and largest.
pub(super) fn table(measured: &Measured) -> String {
    let has = |column: &&Column| measured.systems.iter().any(|system| system.median(column.of).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(has).collect();
    let debezium = measured.of(Part::Debezium).and_then(|system| system.median(|round| round.rows));
    let mut text = String::from("| |");
    for column in &columns {
        let _infallible = write!(text, " {} |", column.head);
    }
    text.push_str(if debezium.is_some() { " times Debezium |\n|---|" } else { "\n|---|" });
    text.push_str(&"---|".repeat(columns.len() + usize::from(debezium.is_some())));
    text.push('\n');
    for system in &measured.systems {
        let _infallible = write!(text, "| {} |", system.name);
        for column in &columns {
            let figure = system.median(column.of).map_or_else(String::new, column.show);
            let _infallible = write!(text, " {figure} |");
        }
        if let Some(debezium) = debezium {
            let times =
                system.median(|round| round.rows).map_or_else(String::new, |rows| format!("{:.1}", rows / debezium));
            let _infallible = write!(text, " {times} |");
        }
        text.push('\n');
    }
    let rounds = measured.systems.iter().map(|system| system.rounds.len()).max().unwrap_or_default();
    let ranges: Vec<String> = measured.systems.iter().filter_map(range).collect();
    let _infallible = write!(
        text,
        "\nMedians of {rounds} rounds{}.\n",
        if ranges.is_empty() { String::new() } else { format!("; rows/s were {}", ranges.join(", ")) }
    );
    text
}

fn range(system: &System) -> Option<String> {
    let (least, most) = system.range(|round| round.rows)?;
    Some(format!("{} to {} ({})", thousands(least), thousands(most), system.name))
}

fn picture(measured: &Measured) -> Option<String> {
    let bars_of = |of: fn(&Round) -> Option<f64>| -> Vec<Bar<'_>> {
        let bar = |system| -> Option<Bar<'_>> {
            let system: &System = system;
            Some(Bar { name: &system.name, part: system.part, median: system.median(of)?, range: system.range(of)? })
        };
        measured.systems.iter().filter_map(bar).collect()
    };
    let rows = bars_of(|round| round.rows);
    if !rows.is_empty() {
        return Some(plot::bars(&format!("{}: rows a second", measured.title), &rows, thousands));
    }
    let latency = bars_of(|round| round.latency.map(|all| all[2]));
    let title = format!("{}: 99th percentile, ms", measured.title);
    (!latency.is_empty()).then(|| plot::bars(&title, &latency, tenth))
}

fn tenth(value: f64) -> String {
    format!("{value:.1}")
}

fn thousands(value: f64) -> String {
    let whole = format!("{:.0}", value / 100.0 * 100.0);
    let head = whole.len() % 3;
    let (first, rest) = whole.split_at(head);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let groups: Vec<String> =
        Some(first.to_owned()).filter(|first| !first.is_empty()).into_iter().chain(groups).collect();
    groups.join(",")
}

/// A figure that is promised.
struct Promise {
    what: &'static str,
    goal: &'static str,
    /// What it is now, and whether that is as promised.
    found: fn(&Results) -> Option<(String, bool)>,
}

/// A system of a work by its name, and one figure's median.
fn median(results: &Results, title: &str, name: &str, of: fn(&Round) -> Option<f64>) -> Option<f64> {
    results.works.get(title)?.systems.iter().find(|system| system.name == name)?.median(of)
}

fn at_least(value: Option<f64>, goal: f64) -> Option<(String, bool)> {
    value.map(|value| (format!("{value:.2}"), value >= goal))
}

fn at_most(value: Option<f64>, goal: f64, unit: &str) -> Option<(String, bool)> {
    value.map(|value| (format!("{value:.2}{unit}"), value <= goal))
}

const DRAIN: &str = "Backlog, JSON without schemas";
const SCHEMAS: &str = "Backlog, JSON with schemas";
const RESTED: &str = "bare socket, resting";
const EAGER: &str = "pg_recvlogical, eager";
const THROUGH: &str = "From database to database";
const STREAMER: &str = "streamer";
const ONCE: &str = "streamer, exactly once";
const DEBEZIUM: &str = "Debezium";
const BOTH: &str = "streamer and sink";

/// The ratio of one figure of two systems of a work.
fn ratio(results: &Results, title: &str, of: fn(&Round) -> Option<f64>, names: [&str; 2]) -> Option<f64> {
    Some(median(results, title, names[0], of)? / median(results, title, names[1], of)?)
}

const PROMISES: &[Promise] = &[
    Promise {
        what: "backlog without schemas, times Debezium's rows/s",
        goal: "at least 4",
        found: |results| at_least(ratio(results, DRAIN, |round| round.rows, [STREAMER, DEBEZIUM]), 4.0),
    },
    Promise {
        what: "the same, times an eager PostgreSQL client that throws the rows away",
        goal: "above 1",
        found: |results| at_least(ratio(results, DRAIN, |round| round.rows, [STREAMER, EAGER]), 1.0),
    },
    Promise {
        what: "the same, times the best bare reader",
        goal: "at least 0.5",
        found: |results| at_least(ratio(results, DRAIN, |round| round.rows, [STREAMER, RESTED]), 0.5),
    },
    Promise {
        what: "backlog with schemas, times Debezium's rows/s",
        goal: "at least 6",
        found: |results| at_least(ratio(results, SCHEMAS, |round| round.rows, [STREAMER, DEBEZIUM]), 6.0),
    },
    Promise {
        what: "CPU per million rows, of Debezium's",
        goal: "at most 0.1",
        found: |results| at_most(ratio(results, DRAIN, |round| round.cpu, [STREAMER, DEBEZIUM]), 0.1, ""),
    },
    Promise {
        what: "peak resident memory, of Debezium's",
        goal: "at most 0.05",
        found: |results| at_most(ratio(results, DRAIN, |round| round.peak_mb, [STREAMER, DEBEZIUM]), 0.05, ""),
    },
    Promise {
        what: "peak resident memory",
        goal: "under 64 MB",
        found: |results| at_most(median(results, DRAIN, STREAMER, |round| round.peak_mb), 64.0, " MB"),
    },
    Promise {
        what: "latency at 100 commits a second, p50",
        goal: "at most 3 ms",
        found: |results| at_most(median(results, "Latency", STREAMER, |round| Some(round.latency?[0])), 3.0, " ms"),
    },
    Promise {
        what: "the same, p99",
        goal: "at most 7 ms",
        found: |results| at_most(median(results, "Latency", STREAMER, |round| Some(round.latency?[2])), 7.0, " ms"),
    },
    Promise {
        what: "processor at 100 commits a second",
        goal: "at most 0.05 of a core",
        found: |results| at_most(median(results, "Latency", STREAMER, |round| round.core), 0.05, ""),
    },
    Promise {
        what: "latency with exactly once, p50",
        goal: "at most 12 ms",
        found: |results| at_most(median(results, "Latency", ONCE, |round| Some(round.latency?[0])), 12.0, " ms"),
    },
    Promise {
        what: "snapshot, times Debezium's rows/s",
        goal: "at least 6",
        found: |results| at_least(ratio(results, "Snapshot", |round| round.rows, [STREAMER, DEBEZIUM]), 6.0),
    },
    Promise {
        what: "snapshot, times COPY TO STDOUT",
        goal: "at least 0.4",
        found: |results| at_least(ratio(results, "Snapshot", |round| round.rows, [STREAMER, "COPY TO STDOUT"]), 0.4),
    },
    Promise {
        what: "exactly once, times our own rows/s without it",
        goal: "at least 0.85",
        found: |results| at_least(ratio(results, DRAIN, |round| round.rows, [ONCE, STREAMER]), 0.85),
    },
    Promise {
        what: "sink, times the JDBC sink's rows/s",
        goal: "at least 8",
        found: |results| at_least(ratio(results, "Sink", |round| round.rows, ["sink", "Debezium's JDBC sink"]), 8.0),
    },
    Promise {
        what: "sink, times COPY into the same table",
        goal: "at least 0.25",
        found: |results| at_least(ratio(results, "Sink", |round| round.rows, ["sink", "COPY FROM STDIN"]), 0.25),
    },
    Promise {
        what: "from commit to commit, p50",
        goal: "at most 10 ms",
        found: |results| at_most(median(results, THROUGH, BOTH, |round| Some(round.latency?[0])), 10.0, " ms"),
    },
    Promise {
        what: "the same, p99",
        goal: "at most 40 ms",
        found: |results| at_most(median(results, THROUGH, BOTH, |round| Some(round.latency?[2])), 40.0, " ms"),
    },
];

fn promises(results: &Results) -> String {
    let mut text = "| | promised | found | |\n|---|---|---|---|\n".to_owned();
    for promise in PROMISES {
        let Some((found, is_kept)) = (promise.found)(results) else { continue };
        let verdict = if is_kept { "kept" } else { "**not kept**" };
        let _infallible = writeln!(text, "| {} | {} | {found} | {verdict} |", promise.what, promise.goal);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Work;

    #[test]
    fn a_ratio_that_is_not_reached_is_said_to_be_broken() {
        let mut measured = Measured::new(Work::Drain, DRAIN, String::new());
        let round = |rows| Round { rows: Some(rows), ..Round::default() };
        measured.push(STREAMER, Part::Ours, round(100_000.0));
        measured.push(DEBEZIUM, Part::Debezium, round(30_000.0));
        let mut results = Results::default();
        results.works.insert(DRAIN.to_owned(), measured);
        let text = promises(&results);
        assert!(text.contains("| at least 4 | 3.33 | **not kept** |"), "{text}");
    }

    #[test]
    fn large_figures_are_read_in_groups() {
        assert_eq!([thousands(1_234_567.0), thousands(999.0), thousands(1000.0)], ["1,234,567", "999", "1,000"]);
    }
}
