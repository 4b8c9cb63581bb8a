//! A diagnosis on a terminal, or as JSON.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use super::{Diagnosis, Finding, Look, Said, Severity};

/// In which form a diagnosis is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For a person, in colour or not.
    Text {
        /// Whether the terminal shows colours.
        colour: bool,
    },
    /// For a program.
    Json,
}

impl Form {
    /// JSON where it is asked for; else text, in colour on a terminal unless `NO_COLOR` is set.
    pub fn of(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if json { Form::Json } else { Form::Text { colour: io::stdout().is_terminal() && !plain } }
    }
}

/// Prints a diagnosis.
///
/// # Errors
/// The output's.
pub fn print(diagnosis: &Diagnosis, form: Form, out: &mut impl Write) -> io::Result<()> {
    match form {
        Form::Json => writeln!(out, "{:#}", as_json(diagnosis)),
        Form::Text { colour } => text(diagnosis, colour, out),
    }
}

fn as_json(diagnosis: &Diagnosis) -> Value {
    let mut findings = Vec::new();
    let (mut well, mut not_made) = (Vec::new(), Vec::new());
    for Look { group, subject, said } in diagnosis.looks() {
        match said {
            Said::Found(Finding { id, severity, message, remedy, .. }) => findings.push(json!({
                "id": id, "severity": severity.as_str(), "group": group, "subject": subject,
                "message": message, "remedy": remedy,
            })),
            Said::Well(text) => well.push(json!({ "group": group, "subject": subject, "message": text })),
            Said::NotMade(why) => not_made.push(json!({ "group": group, "subject": subject, "why": why })),
        }
    }
    json!({
        "errors": diagnosis.count(Severity::Error), "warnings": diagnosis.count(Severity::Warning),
        "findings": findings, "not_made": not_made, "well": well,
    })
}

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const DIM: &str = "2";
const BOLD: &str = "1";

fn text(diagnosis: &Diagnosis, colour: bool, out: &mut impl Write) -> io::Result<()> {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let mut groups: Vec<&str> = Vec::new();
    for look in diagnosis.looks() {
        if !groups.contains(&look.group) {
            groups.push(look.group);
        }
    }
    for group in groups {
        writeln!(out, "{}", paint(BOLD, group))?;
        for Look { subject, said, .. } in diagnosis.looks().iter().filter(|look| look.group == group) {
            match said {
                Said::Well(text) => writeln!(out, "  {} {subject}: {text}", paint(GREEN, "✓"))?,
                Said::NotMade(why) => {
                    writeln!(out, "  {} {subject}: {}", paint(DIM, "-"), paint(DIM, &format!("not looked at: {why}")))?;
                }
                Said::Found(finding) => {
                    let (code, mark) = match finding.severity {
                        Severity::Error => (RED, "✗"),
                        Severity::Warning => (YELLOW, "!"),
                        Severity::Note => (DIM, "i"),
                    };
                    let head = format!("{} [{}]", finding.severity.as_str(), finding.id);
                    writeln!(out, "  {} {subject}: {}", paint(code, mark), paint(code, &head))?;
                    for line in finding.message.lines() {
                        writeln!(out, "      {line}")?;
                    }
                    if !finding.remedy.is_empty() {
                        writeln!(out, "      {}", paint(BOLD, "do this:"))?;
                        for line in finding.remedy.lines() {
                            writeln!(out, "        {line}")?;
                        }
                    }
                }
            }
        }
    }
    let plural = |count: usize, of: &str| format!("{count} {of}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (diagnosis.count(Severity::Error), diagnosis.count(Severity::Warning));
    let not_made = diagnosis.looks().iter().filter(|look| matches!(look.said, Said::NotMade(_))).count();
    let mut end = format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"));
    if not_made > 0 {
        end.push_str(&format!(", {not_made} not looked at"));
    }
    writeln!(out, "{}", paint(if errors > 0 { RED } else { GREEN }, &end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: Form) -> String {
        let mut diagnosis = Diagnosis::default();
        diagnosis.well("source", "h:5432", "PostgreSQL 17.6 answers");
        diagnosis.found("source", "h:5432", Finding::error("wal-level", "wal_level is replica", "SQL;\nrestart"));
        diagnosis.not_made("slot", "s", "there is no session");
        let mut out = Vec::new();
        print(&diagnosis, form, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_finding_is_a_block_whose_remedy_can_be_copied() {
        assert_eq!(
            printed(Form::Text { colour: false }),
            "source\n  ✓ h:5432: PostgreSQL 17.6 answers\n  ✗ h:5432: error [wal-level]\n      wal_level is replica\n      \
             do this:\n        SQL;\n        restart\nslot\n  - s: not looked at: there is no session\n1 error, 0 warnings, 1 not looked at\n"
        );
        assert!(printed(Form::Text { colour: true }).contains("\x1b[31m✗\x1b[0m"));
    }

    #[test]
    fn json_has_the_id_the_severity_and_the_remedy() {
        let json: Value = serde_json::from_str(&printed(Form::Json)).unwrap();
        let finding = &json["findings"][0];
        assert_eq!((&finding["id"], &finding["severity"]), (&json!("wal-level"), &json!("error")));
        assert_eq!((&finding["remedy"], &json["errors"]), (&json!("SQL;\nrestart"), &json!(1)));
        assert_eq!(json["not_made"][0]["why"], "there is no session");
    }
}
