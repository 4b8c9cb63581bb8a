//! What was looked at before or during a run, and what is wrong there: the words of a start's errors and of `doctor` are these.
//!
//! # Layout
//! - [`Finding`]: one thing that is wrong, and what mends it
//! - [`Diagnosis`]: everything that was looked at
//! - [`source`]: what of a server keeps a slot from being made or read
//! - `print`: a diagnosis on a terminal, or as JSON
//! - [`catalogue`]: a page for every failure

pub mod catalogue;
mod print;
pub mod source;

pub use print::{Form, print};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing has to be done.
    Note,
    /// A start does not stop for it; it will hurt under way.
    Warning,
    /// What is asked for cannot work.
    Error,
}

impl Severity {
    /// As JSON has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is called by programs; it does not change.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, and what that means for the data: a sentence without its point.
    pub message: String,
    /// What mends it: the SQL or the setting, a line each; empty where there is nothing to be done.
    pub remedy: String,
    /// Whether time may mend it by itself.
    pub passes: bool,
}

impl Finding {
    /// Something for which a person must act.
    pub fn error(id: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, severity: Severity::Error, message: message.into(), remedy: remedy.into(), passes: false }
    }

    /// Something that a start does not stop for.
    pub fn warning(id: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(id, message, remedy) }
    }

    /// Something worth knowing.
    pub fn note(id: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(id, message, remedy) }
    }

    /// The same, which time may mend.
    pub fn passing(self) -> Self {
        Self { passes: true, ..self }
    }
}

/// As an error or a log says it: what is wrong, and behind it what mends it, on one line.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&told(&self.message, &self.remedy))
    }
}

impl std::error::Error for Finding {}

/// A message and its remedy as one text.
pub fn told(message: &str, remedy: &str) -> String {
    let message = message.trim_end();
    if remedy.is_empty() {
        return message.to_owned();
    }
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    let remedy = remedy.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    format!("{message}{end} {remedy}")
}

/// What became of one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is as it should be, in a few words.
    Well(String),
    /// It is not.
    Found(Finding),
    /// It could not be looked at, and why.
    NotMade(String),
}

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What it belongs to, as a heading: `source`, `slot`.
    pub group: &'static str,
    /// The thing: a server, a slot, a table, a topic, a file.
    pub subject: String,
    /// What became of it.
    pub said: Said,
}

/// Everything that was looked at, in its order.
#[derive(Debug, Clone, Default)]
pub struct Diagnosis {
    looks: Vec<Look>,
}

impl Diagnosis {
    /// Something is as it should be.
    pub fn well(&mut self, group: &'static str, subject: impl Into<String>, text: impl Into<String>) {
        self.add(group, subject, Said::Well(text.into()));
    }

    /// Something is wrong.
    pub fn found(&mut self, group: &'static str, subject: impl Into<String>, finding: Finding) {
        self.add(group, subject, Said::Found(finding));
    }

    /// Something could not be looked at.
    pub fn not_made(&mut self, group: &'static str, subject: impl Into<String>, why: impl Into<String>) {
        self.add(group, subject, Said::NotMade(why.into()));
    }

    /// All of `findings`, or where there are none, that it is as it should be.
    pub fn settle(
        &mut self,
        group: &'static str,
        subject: impl Into<String>,
        findings: Vec<Finding>,
        well: impl Into<String>,
    ) {
        let subject = subject.into();
        if findings.is_empty() {
            self.well(group, subject, well);
            return;
        }
        for finding in findings {
            self.found(group, subject.clone(), finding);
        }
    }

    fn add(&mut self, group: &'static str, subject: impl Into<String>, said: Said) {
        self.looks.push(Look { group, subject: subject.into(), said });
    }

    /// The same with its groups in this order, what is of none of them behind.
    pub fn in_order(mut self, groups: &[&str]) -> Self {
        let place = |look: &Look| groups.iter().position(|group| *group == look.group).unwrap_or(groups.len());
        self.looks.sort_by_key(place);
        self
    }

    /// Everything that was looked at.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// What is wrong.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.looks.iter().filter_map(|look| match &look.said {
            Said::Found(finding) => Some(finding),
            Said::Well(_) | Said::NotMade(_) => None,
        })
    }

    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings().filter(|finding| finding.severity == severity).count()
    }

    /// The exit status: 0 where nothing is an error, 1 otherwise.
    pub fn status(&self) -> u8 {
        u8::from(self.count(Severity::Error) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_the_message_and_behind_it_the_remedy_on_one_line() {
        let finding = Finding::error("wal-level", "wal_level is replica", "ALTER SYSTEM SET a = 1;\n  and restart");
        assert_eq!(finding.to_string(), "wal_level is replica. ALTER SYSTEM SET a = 1; and restart");
        assert_eq!(told("It ended.", "Start it"), "It ended. Start it");
        assert_eq!(told("Nothing", ""), "Nothing");
    }

    #[test]
    fn warnings_do_not_fail_a_script() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.found("slot", "s", Finding::warning("a", "b", "c"));
        assert_eq!(diagnosis.status(), 0);
        diagnosis.settle("slot", "s", vec![Finding::error("a", "b", "c")], "well");
        assert_eq!((diagnosis.status(), diagnosis.count(Severity::Warning)), (1, 1));
    }
}
