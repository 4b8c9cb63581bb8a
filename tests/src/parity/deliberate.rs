//! Where the streamer differs from Debezium on purpose: the one list of it, which the documentation shows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use regex::Regex;
use serde::Deserialize;

use super::compare::Mismatch;
use super::scenario::json;

/// The differences by scenario.
#[derive(Debug, Default)]
pub(crate) struct Deliberate {
    scenarios: BTreeMap<String, (Entry, Vec<Regex>)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Patterns of the fields that may differ; each is matched whole.
    fields: Vec<String>,
    /// What the streamer does instead, and why.
    why: String,
}

impl Deliberate {
    /// Reads the list.
    ///
    /// # Errors
    /// It is not as it should be.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let entries: BTreeMap<String, Entry> = json(file)?.unwrap_or_default();
        let compiled = entries.into_iter().map(|(scenario, entry)| {
            let fields = entry.fields.iter().map(|field| Regex::new(&format!("^(?:{field})$")));
            let fields = fields.collect::<Result<_, _>>().with_context(|| scenario.clone())?;
            Ok((scenario, (entry, fields)))
        });
        Ok(Self { scenarios: compiled.collect::<anyhow::Result<_>>()? })
    }

    /// Why all that differs in a scenario may, if so.
    pub(crate) fn covers(&self, scenario: &str, mismatches: &[Mismatch]) -> Option<&str> {
        let (entry, fields) = self.scenarios.get(scenario)?;
        let is_meant = |path: &str| fields.iter().any(|field| field.is_match(path));
        let all_are = mismatches.iter().all(|one| one.fields.iter().all(|field| is_meant(&field.path)));
        (!mismatches.is_empty() && all_are).then_some(&entry.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str =
        "<!-- deliberate differences: written by UPDATE_DOCS=1 cargo test -p stack --lib deliberate -->\n";
    const END: &str = "<!-- end -->\n";

    #[test]
    fn the_documentation_shows_the_list() -> anyhow::Result<()> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let list = Deliberate::read(&tests.join("parity/deliberate.json"))?;
        let mut table = String::new();
        for (scenario, (entry, _)) in &list.scenarios {
            assert!(
                ["scenarios", "scenarios-bad"].iter().any(|kind| tests
                    .join("parity")
                    .join(kind)
                    .join(scenario)
                    .is_dir()),
                "there is no scenario {scenario}"
            );
            table.push_str(&format!("| {scenario} | {} |\n", entry.why));
        }
        let table = match table.is_empty() {
            true => "None.\n".to_owned(),
            false => format!("| scenario | what the streamer does instead, and why |\n|---|---|\n{table}"),
        };
        let file = tests.join("../docs/compatibility.md");
        let document = std::fs::read_to_string(&file)?;
        let (before, rest) = document.split_once(BEGIN).context("compatibility.md has no place for the list")?;
        let (shown, after) = rest.split_once(END).context("compatibility.md: the list has no end")?;
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}"))?;
        } else {
            assert_eq!(
                shown, table,
                "docs/compatibility.md is old: UPDATE_DOCS=1 cargo test -p stack --lib deliberate"
            );
        }
        Ok(())
    }

    #[test]
    fn only_the_fields_that_are_named_may_differ() -> anyhow::Result<()> {
        use super::super::json::Difference;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), r#"{"17-x": {"fields": ["value\\.after\\.(d|ts)"], "why": "because"}}"#)?;
        let list = Deliberate::read(file.path())?;
        let differs = |path: &str| {
            let field = Difference { path: path.to_owned(), expected: None, got: None };
            [Mismatch { place: String::new(), fields: vec![field] }]
        };
        assert_eq!(list.covers("17-x", &differs("value.after.ts")), Some("because"));
        assert_eq!(list.covers("17-x", &differs("value.after.ts3")), None);
        assert_eq!(list.covers("18-x", &differs("value.after.ts")), None);
        assert_eq!(list.covers("17-x", &[]), None, "nothing differs: the entry is old");
        Ok(())
    }
}
