//! What is printed: each fault as it comes, and at the end what they came to.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::check::Found;
use super::fault::Fault;
use super::pipeline::{Carrier, Pipeline};
use super::service::Usage;
use super::system::System;

/// More resident memory than this is a leak, in megabytes: what streamer and sink promise to stay within.
const MEMORY: [(&str, u64); 2] = [("streamer", 128), ("sink", 256)];
/// More descriptors, or threads, than at the first look is a leak when it is that many.
const HANDLES: usize = 24;

/// A run so far.
pub struct Report {
    seed: u64,
    pipeline: Pipeline,
    begun: Instant,
    /// By what was done, how often.
    kinds: BTreeMap<String, usize>,
    recoveries: Vec<Duration>,
    /// The workload's transactions.
    pub transactions: u64,
    changes: usize,
    counts: [usize; 4],
    rows: usize,
    differing_rows: usize,
    set_aside: i64,
    tombstones: usize,
    /// How often a reader looked at the target, and how often it saw a half of a transaction.
    pub looks: u64,
    /// See above.
    pub halves: u64,
    /// Tasks that FAILED and were started again.
    pub restarted_by_hand: usize,
    /// Processes that did not end when asked to.
    pub stubborn: usize,
    /// By name, a process of ours, as it was first and as it was last, each when all was quiet.
    usage: BTreeMap<&'static str, Vec<(Usage, Usage)>>,
}

impl Report {
    /// Nothing yet.
    pub fn new(seed: u64, pipeline: Pipeline) -> Self {
        Self {
            seed,
            pipeline,
            begun: Instant::now(),
            kinds: BTreeMap::new(),
            recoveries: Vec::new(),
            transactions: 0,
            changes: 0,
            counts: [0; 4],
            rows: 0,
            differing_rows: 0,
            set_aside: 0,
            tombstones: 0,
            looks: 0,
            halves: 0,
            restarted_by_hand: 0,
            stubborn: 0,
            usage: BTreeMap::new(),
        }
    }

    /// What is tested, in words.
    pub fn pipeline(&self) -> String {
        let carrier = match self.pipeline.carrier {
            Carrier::Headwater => "streamer and sink",
            Carrier::Debezium => "Debezium 3.4.3 and its JDBC sink",
        };
        let order = if self.pipeline.whole { ", transactions whole" } else { "" };
        format!("{carrier}, {}{order}", if self.pipeline.exactly_once { "exactly once" } else { "at least once" })
    }

    /// Faults so far.
    pub fn faults(&self) -> usize {
        self.kinds.values().sum()
    }

    /// Faults begin.
    pub fn begin(&mut self, faults: &[Fault], of: usize) {
        let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let seconds = self.begun.elapsed().as_secs();
        print!("[{:>3}/{of} {:>2}:{:02}] {}", self.faults() + 1, seconds / 60, seconds % 60, text.join(" + "));
        let _shown = std::io::stdout().flush();
        for fault in faults {
            *self.kinds.entry(fault.row()).or_default() += 1;
        }
    }

    /// They are over, and when it was waited for that: how long until everything was carried.
    pub fn done(&mut self, recovered: Option<Duration>) {
        match recovered {
            Some(time) => println!(": carried on after {:.1} s", time.as_secs_f64()),
            None => println!(": not waited for"),
        }
        self.recoveries.extend(recovered);
    }

    /// A check found this.
    pub fn found(&mut self, found: Found, settling: Duration) {
        let [lost, twice, out_of_order, never] = found.counts();
        println!(
            "    {} changes: {lost} lost, {twice} twice, {out_of_order} out of order, {never} never happened; {} rows, of which {} \
             differ (settled after {:.1} s)\n{found}",
            found.changes,
            found.row_count,
            found.differing_rows(),
            settling.as_secs_f64()
        );
        self.changes += found.changes;
        for (sum, count) in self.counts.iter_mut().zip(found.counts()) {
            *sum += count;
        }
        (self.rows, self.differing_rows) = (found.row_count, found.differing_rows());
        self.set_aside = found.set_aside;
        self.tombstones += found.tombstones;
    }

    /// Looks at what our processes hold.
    pub fn usage(&mut self, system: &System) {
        for service in [Some(&system.worker), system.sink.as_ref()].into_iter().flatten() {
            let Some(now) = service.usage() else { continue };
            let lives = self.usage.entry(service.name).or_default();
            match lives.last_mut().filter(|(first, _)| first.id == now.id) {
                Some((_, last)) => *last = now,
                None => lives.push((now, now)),
            }
        }
    }

    /// Which of our processes hold more than when they were looked at first.
    pub fn leaks(&self) -> Vec<String> {
        let grew = |name: &str, first: &Usage, last: &Usage| {
            MEMORY.iter().any(|(known, most)| *known == name && last.resident > *most)
                || last.descriptors > first.descriptors + HANDLES
                || last.threads as usize > first.threads as usize + HANDLES
        };
        let lives = self.usage.iter().flat_map(|(name, lives)| lives.iter().map(move |life| (name, life)));
        let grown = lives.filter(|(name, (first, last))| self.pipeline.has_sink() && grew(name, first, last));
        grown.map(|(name, (first, last))| format!("{name} grew: {first}; then {last}")).collect()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.begun.elapsed().as_secs();
        writeln!(
            f,
            "{}, seed {}: {} faults in {} min {} s",
            self.pipeline(),
            self.seed,
            self.faults(),
            seconds / 60,
            seconds % 60
        )?;
        for (kind, times) in &self.kinds {
            writeln!(f, "  {kind:<44} {times:>4}")?;
        }
        let [lost, twice, out_of_order, never] = self.counts;
        writeln!(f, "{} changes in {} transactions of users", self.changes, self.transactions)?;
        for (what, count) in [
            ("lost", lost),
            ("published twice", twice),
            ("out of order", out_of_order),
            ("published and never happened", never),
            ("tombstones too many or too few", self.tombstones),
            ("rows that differ in the target", self.differing_rows),
            ("records set aside", usize::try_from(self.set_aside).unwrap_or_default()),
            ("tasks that FAILED and were started again", self.restarted_by_hand),
            ("processes killed, not ended after 30 s", self.stubborn),
        ] {
            writeln!(f, "  {what:<44} {count:>4}")?;
        }
        let halves = format!("halves of transactions in {} looks", self.looks);
        writeln!(f, "  {halves:<44} {:>4}", self.halves)?;
        writeln!(f, "  {:<44} {:>4}", "rows in the source at the end", self.rows)?;
        let mut times = self.recoveries.clone();
        times.sort();
        if let (Some(middle), Some(longest)) = (times.get(times.len() / 2), times.last()) {
            let (middle, longest) = (middle.as_secs_f64(), longest.as_secs_f64());
            writeln!(
                f,
                "all carried after a fault: {middle:.1} s in the middle, {longest:.1} s at most, of {}",
                times.len()
            )?;
        }
        for (name, lives) in &self.usage {
            if let Some((first, last)) = lives.iter().max_by_key(|(_, last)| last.resident) {
                writeln!(f, "{name}, the largest of {} looked at: {first}; last {last}", lives.len())?;
            }
        }
        self.leaks().iter().try_for_each(|leak| writeln!(f, "LEAK: {leak}"))
    }
}
