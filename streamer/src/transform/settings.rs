//! The settings that transforms and predicates declare (`org.apache.kafka.common.config.ConfigDef`), and those they are given.

use std::collections::BTreeMap;

use crate::config::properties::Kind;
use crate::config::{Finding, parse_boolean};

/// A setting that a class declares.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key, without the alias's prefix.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What holds when it is not given.
    pub absent: Absent,
    /// What it asks of its value beyond the type.
    pub check: Option<Check>,
}

/// Takes a setting's key without the alias's prefix, as Connect's answers have it, and the value, `None` for null; gives
/// the whole sentence of what is wrong.
pub type Check = fn(&str, Option<&str>) -> Result<(), String>;

/// What holds when a setting is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Nothing: it must be given.
    Required,
    /// Null.
    Null,
    /// This value.
    Is(&'static str),
}

impl Setting {
    /// A setting that must be given.
    pub const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, absent: Absent::Required, check: None }
    }

    /// A setting that is null unless given.
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, absent: Absent::Null, check: None }
    }

    /// A setting with a default.
    pub const fn with_default(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self { name, kind, absent: Absent::Is(default), check: None }
    }

    /// The same, with what it asks of its value.
    pub const fn checked(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    /// What is wrong with the setting under `prefix`, as `ConfigDef.parseForValidate` finds it: a value that cannot be read
    /// is checked as null.
    pub(super) fn findings(&self, prefix: &str, given: Option<&str>) -> Vec<Finding> {
        let key = format!("{prefix}{}", self.name);
        let mut findings = Vec::new();
        let value = match (given, self.absent) {
            (Some(value), _) => match mistyped(self.kind, value.trim()) {
                Some(why) => {
                    findings.push(Finding::value(&key, value.trim(), why));
                    None
                }
                None => Some(value),
            },
            (None, Absent::Required) => {
                findings.push(missing(&key));
                None
            }
            (None, Absent::Null) => None,
            (None, Absent::Is(default)) => Some(default),
        };
        if let Some(Err(message)) = self.check.map(|check| check(self.name, value)) {
            findings.push(Finding { key: Some(key), message });
        }
        findings
    }
}

/// That a key must be given, in Kafka's words.
pub(super) fn missing(key: &str) -> Finding {
    let message = format!("Missing required configuration \"{key}\" which has no default value.");
    Finding { key: Some(key.to_owned()), message }
}

/// What is wrong with a value's type, as `ConfigDef.parseType` says it.
fn mistyped(kind: Kind, value: &str) -> Option<&'static str> {
    match kind {
        Kind::Boolean if parse_boolean(value).is_none() => Some("Expected value to be either true or false"),
        Kind::Int if value.parse::<i32>().is_err() => Some("Not a number of type INT"),
        Kind::Long if value.parse::<i64>().is_err() => Some("Not a number of type LONG"),
        _ => None,
    }
}

/// The entries of a list, as `ConfigDef.parseType` splits it.
pub fn entries(list: &str) -> Vec<&str> {
    let list = list.trim();
    if list.is_empty() { Vec::new() } else { list.split(',').map(str::trim).collect() }
}

/// As Kafka's exceptions name a value that is wrong.
pub fn invalid(name: &str, value: impl std::fmt::Display, why: impl std::fmt::Display) -> String {
    format!("Invalid value {value} for configuration {name}: {why}")
}

/// A list must have an entry (`NonEmptyListValidator`).
pub fn not_empty_list(name: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        None => Err(invalid(name, "null", "Empty list")),
        Some(list) if entries(list).is_empty() => Err(invalid(name, "[]", "Empty list")),
        Some(_) => Ok(()),
    }
}

/// A text must not be empty (`ConfigDef.NonEmptyString`); null passes.
pub fn not_empty(name: &str, value: Option<&str>) -> Result<(), String> {
    if value == Some("") { Err(invalid(name, "", "String must be non-empty")) } else { Ok(()) }
}

/// A value must be there (`ConfigDef.NonNullValidator`).
pub fn not_null(name: &str, value: Option<&str>) -> Result<(), String> {
    if value.is_none() { Err(invalid(name, "null", "entry must be non null")) } else { Ok(()) }
}

/// A value must be one of these (`ConfigDef.ValidString`).
pub fn one_of(allowed: &[&str], name: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        Some(value) if allowed.contains(&value) => Ok(()),
        other => {
            let why = format!("String must be one of: {}", allowed.join(", "));
            Err(invalid(name, other.unwrap_or("null"), why))
        }
    }
}

/// The settings that one transform or predicate is given.
#[derive(Debug, Clone)]
pub struct Settings {
    declared: &'static [Setting],
    given: BTreeMap<String, String>,
}

impl Settings {
    /// What is given, keys without the alias's prefix, for a class that declares these.
    pub fn new(declared: &'static [Setting], given: BTreeMap<String, String>) -> Self {
        Self { declared, given }
    }

    /// A setting's text: as it is given, or the default.
    pub fn text(&self, name: &str) -> Option<&str> {
        let default = || {
            self.declared.iter().find(|setting| setting.name == name).and_then(|setting| match setting.absent {
                Absent::Is(default) => Some(default),
                Absent::Required | Absent::Null => None,
            })
        };
        self.given.get(name).map(String::as_str).or_else(default)
    }

    /// A setting's text, empty when there is none.
    pub fn string(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    /// A BOOLEAN.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).and_then(parse_boolean).unwrap_or_default()
    }

    /// An INT or LONG.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// A LIST.
    pub fn list(&self, name: &str) -> Vec<String> {
        entries(self.text(name).unwrap_or_default()).into_iter().map(str::to_owned).collect()
    }
}
