//! A converter's settings, read as Kafka's `ConfigDef` reads them and with its words for what is wrong.

use std::collections::BTreeMap;

use crate::config::{Finding, parse_boolean};

/// The settings behind one prefix (`value.converter`), and what was found wrong with them so far.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    prefix: String,
    all: &'a BTreeMap<String, String>,
    findings: Vec<Finding>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(prefix: &str, all: &'a BTreeMap<String, String>) -> Self {
        Self { prefix: prefix.to_owned(), all, findings: Vec::new() }
    }

    /// What is given, trimmed; an empty text is none.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.all.get(&format!("{}.{name}", self.prefix))?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Everything that is given whose name begins so, without the beginning.
    pub(super) fn with_prefix(&self, beginning: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let beginning = format!("{}.{beginning}", self.prefix);
        self.all.iter().filter_map(move |(key, value)| Some((key.strip_prefix(&beginning)?, value.trim())))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(value) = self.text(name) else { return default };
        parse_boolean(value).unwrap_or_else(|| {
            self.refuse(name, value, "Expected value to be either true or false");
            default
        })
    }

    pub(super) fn integer(&mut self, name: &str, default: i32) -> i32 {
        let Some(value) = self.text(name) else { return default };
        value.parse().unwrap_or_else(|_| {
            self.refuse(name, value, "Not a number of type INT");
            default
        })
    }

    /// One of a few words, whatever the case; the first is the default.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)], default: T) -> T {
        let Some(value) = self.text(name) else { return default };
        if let Some((_, meant)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)) {
            return *meant;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.refuse(name, value, &format!("String must be one of (case insensitive): {}", known.join(", ")));
        default
    }

    /// Records what is wrong with a setting. The message names the setting as the converter does, without the prefix.
    pub(super) fn refuse(&mut self, name: &str, value: &str, why: &str) {
        let message = format!("Invalid value {value} for configuration {name}: {why}");
        self.findings.push(Finding { key: Some(format!("{}.{name}", self.prefix)), message });
    }

    /// Records that a setting must be given.
    pub(super) fn missing(&mut self, name: &str) {
        let message = format!("Missing required configuration \"{name}\" which has no default value.");
        self.findings.push(Finding { key: Some(format!("{}.{name}", self.prefix)), message });
    }

    /// Reads the settings below a name, which are another converter's.
    pub(super) fn below<T>(&mut self, name: &str, read: impl FnOnce(&mut Settings<'a>) -> T) -> T {
        let mut below = Settings::new(&format!("{}.{name}", self.prefix), self.all);
        let value = read(&mut below);
        self.findings.extend(below.findings);
        value
    }

    /// Takes over what was found elsewhere.
    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// What was read, or everything that is wrong.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Vec<Finding>> {
        if self.findings.is_empty() { Ok(read) } else { Err(self.findings) }
    }
}
