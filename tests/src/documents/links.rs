//! What a document refers to: files, headings, metrics.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// A document's lines outside of its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn anchors(text: &str) -> HashSet<String> {
    prose(text).filter_map(|line| Some(anchor(line.strip_prefix('#')?.trim_start_matches('#')))).collect()
}

/// The links of a document that lead nowhere: files that are not there, and headings.
///
/// # Errors
/// The document cannot be read.
pub fn broken(document: &Path) -> anyhow::Result<Vec<String>> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let text = read(document)?;
    let mut broken = Vec::new();
    for link in prose(&text).flat_map(|line| line.split("](").skip(1)) {
        let link = link.split(')').next().unwrap_or_default();
        if link.contains("://") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let there = if file.is_empty() { document.to_owned() } else { document.with_file_name("").join(file) };
        let is_there = match heading {
            "" => there.exists(),
            heading => there.is_file() && anchors(&read(&there)?).contains(heading),
        };
        if !is_there {
            broken.push(format!("{}: {link}", document.display()));
        }
    }
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn documents() -> Vec<std::path::PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let in_folder = |folder: &Path| {
            let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
        };
        [in_folder(&root), in_folder(&root.join("docs"))].concat()
    }

    #[test]
    fn a_heading_s_name_has_no_punctuation() {
        assert_eq!(anchor(" A JDBC sink connector's configuration"), "a-jdbc-sink-connectors-configuration");
        assert_eq!(anchor("Whole transactions, or `x_y`"), "whole-transactions-or-x_y");
    }

    #[test]
    fn no_document_refers_to_what_is_not_there() {
        let broken: Vec<String> = documents().iter().flat_map(|document| broken(document).unwrap()).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }

    #[test]
    fn every_metric_that_a_document_names_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
        let known = read("streamer/src/metrics/names.rs") + &read("sink/src/metrics/names.rs");
        let name = Regex::new("headwater_(?:streamer|sink)_[a-z_]*[a-z]").unwrap();
        for document in documents() {
            let text = std::fs::read_to_string(&document).unwrap();
            for found in name.find_iter(&text) {
                // What a `_` follows is a family.
                let end = if text[found.end()..].starts_with('_') { "_" } else { "\"" };
                let is_known = known.contains(&format!("\"{}{end}", found.as_str()));
                assert!(is_known, "{}: {}", document.display(), found.as_str());
            }
        }
    }
}
