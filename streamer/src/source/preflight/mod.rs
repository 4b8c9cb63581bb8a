//! What can be wrong with the source, looked at and not touched: a start does it before it begins, and `doctor` whenever it is asked.
//!
//! A start goes by what the server answers, not by what is found here: the server knows better who may do what. What is found says
//! why, in words that somebody can act on.
//!
//! # Layout
//! - `source`: the server's settings, and the role's rights
//! - `slots`: what the slot holds, and who holds it
//! - `tables`: the captured tables, the heartbeat's query, the signal table

mod slots;
mod source;
mod tables;

use access::diagnosis::{Diagnosis, Finding, Severity};

use crate::config::ConnectorConfig;
use crate::error::TaskError;

pub use slots::slots;
pub use source::source;
pub use tables::tables;

/// The headings of what is looked at here.
pub const SOURCE: &str = "source";
/// Of the slot.
pub const SLOT: &str = "slot";
/// Of the publication.
pub const PUBLICATION: &str = "publication";
/// Of the tables.
pub const TABLES: &str = "tables";

/// So many names are said at once.
pub(super) const NAMED: usize = 20;

/// An error that the server gave, in the words of the findings of these names, if there are any; the server's stand underneath.
pub fn explained(error: TaskError, diagnosis: &Diagnosis, ids: &[&str]) -> TaskError {
    let mut reasons =
        diagnosis.findings().filter(|finding| finding.severity == Severity::Error && ids.contains(&finding.id));
    let Some(first) = reasons.next() else { return error };
    let told =
        if error.is_retry() { TaskError::retry(&first.message) } else { TaskError::stop(first.id, &first.message) };
    let rest: String = reasons.map(|finding| format!("\n{finding}")).collect();
    told.called(first.id).mended_by(format!("{}{rest}", first.remedy)).because(error)
}

/// Says in the log what a start does not stop for.
pub fn tell(config: &ConnectorConfig, diagnosis: &Diagnosis) {
    for finding in diagnosis.findings() {
        tell_one(config, finding);
    }
}

fn tell_one(config: &ConnectorConfig, finding: &Finding) {
    let connector = &config.name;
    match finding.severity {
        Severity::Note => tracing::info!(%connector, code = finding.id, "{finding}"),
        Severity::Warning => tracing::warn!(%connector, code = finding.id, "{finding}"),
        // The others are said by what they keep from going on.
        Severity::Error if tables::GOES_ON.contains(&finding.id) => {
            tracing::error!(%connector, code = finding.id, "{finding}")
        }
        Severity::Error => {}
    }
}

/// Some names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A line of SQL for each of some names.
pub(super) fn lines(names: &[String], sql: impl Fn(&str) -> String) -> String {
    names.iter().take(NAMED).map(|name| sql(name)).collect::<Vec<_>>().join("\n")
}

/// What could not be asked.
fn unasked(diagnosis: &mut Diagnosis, group: &'static str, subject: &str, error: &TaskError) {
    diagnosis.not_made(group, subject, error.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_refusal_gets_the_words_of_what_was_found_and_keeps_its_kind() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.found(SOURCE, "h", Finding::error("wal-level", "wal_level is replica", "SQL"));
        diagnosis.found(SOURCE, "h", Finding::error("other", "another", "SQL"));
        let error = explained(TaskError::retry("55000"), &diagnosis, &["wal-level"]);
        assert_eq!((error.to_string().as_str(), error.is_retry()), ("wal_level is replica. SQL", true));
        assert!(error.trace().contains("55000"));
        let same = explained(TaskError::stop("anything", "anything"), &diagnosis, &["slots"]);
        assert_eq!(same.to_string(), "anything");
    }
}
