//! What the configuration does to single columns: masks, cuts, source types in schemas.

use std::collections::BTreeMap;

use proto::table::Table;
use proto::types::{ColumnRule, ColumnRules, HashAlgorithm, HashInput};
use regex::Regex;

use super::{Finding, filters};

/// One property's rule, and the columns that it is for.
#[derive(Debug)]
struct Rule {
    patterns: Vec<Regex>,
    names: Names,
    rule: ColumnRule,
}

/// What a property's patterns match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// `schema.table.column`.
    Columns,
    /// `schema.table.type`.
    Types,
}

/// The rules in Debezium's order (`ColumnMappers.create`): a column has the first that matches it.
///
/// # Errors
/// What is wrong with keys that begin like a rule, or with their patterns.
pub(super) fn rules(config: &BTreeMap<String, String>) -> Result<ColumnRules, Vec<Finding>> {
    let mut found = Vec::new();
    let mut findings = Vec::new();
    for (key, list) in config {
        let rule = match of_key(key) {
            Ok(Some(rule)) => rule,
            Ok(None) => continue,
            Err(why) => {
                findings.push(Finding::invalid(key, why));
                continue;
            }
        };
        match filters::patterns(list) {
            Ok(patterns) => {
                let names = if key == BY_TYPE { Names::Types } else { Names::Columns };
                found.push((place(key, &rule), Rule { patterns, names, rule }));
            }
            Err(why) => findings.push(Finding::invalid(key, why)),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if found.is_empty() {
        return Ok(ColumnRules::default());
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(ColumnRules::new(move |table, column, type_name| {
        found.iter().find(|(_, rule)| rule.matches(table, column, type_name)).map(|(_, rule)| rule.rule.clone())
    }))
}

/// `message.max.bytes` of a Kafka broker by default. Debezium makes a mask of any `int`'s length, 2 GB where that is said.
const LONGEST_MASK: usize = 1_048_588;

const BY_COLUMN: &str = "column.propagate.source.type";
const BY_TYPE: &str = "datatype.propagate.source.type";

fn place(key: &str, rule: &ColumnRule) -> u8 {
    match rule {
        ColumnRule::Truncate(_) => 0,
        ColumnRule::Mask(_) => 1,
        ColumnRule::SourceType if key == BY_COLUMN => 2,
        ColumnRule::SourceType => 3,
        ColumnRule::Hash { input: HashInput::Serialized, .. } => 4,
        ColumnRule::Hash { input: HashInput::Plain, .. } => 5,
    }
}

/// A key's rule, `None` when it is none of these.
fn of_key(key: &str) -> Result<Option<ColumnRule>, String> {
    if key == BY_COLUMN || key == BY_TYPE {
        return Ok(Some(ColumnRule::SourceType));
    }
    let length = |rest: &str| {
        let length = rest.strip_suffix(".chars").and_then(|length| length.parse::<usize>().ok());
        length.ok_or_else(|| "the key must say how many characters: <length>.chars".to_owned())
    };
    if let Some(rest) = key.strip_prefix("column.truncate.to.") {
        return length(rest).map(|length| Some(ColumnRule::Truncate(length)));
    }
    if let Some(rest) = key.strip_prefix("column.mask.with.") {
        let length = length(rest)?;
        if length > LONGEST_MASK {
            return Err(format!(
                "a mask has at most {LONGEST_MASK} characters: Kafka takes no larger record by default"
            ));
        }
        return Ok(Some(ColumnRule::Mask("*".repeat(length))));
    }
    if let Some(rest) = key.strip_prefix("column.mask.hash.") {
        let (rest, input) = match rest.strip_prefix("v2.") {
            Some(rest) => (rest, HashInput::Plain),
            None => (rest, HashInput::Serialized),
        };
        let (name, salt) = rest
            .split_once(".with.salt.")
            .filter(|(_, salt)| !salt.is_empty())
            .ok_or("the key must name the hash and a salt: hash.<algorithm>.with.salt.<salt>")?;
        let algorithm = HashAlgorithm::find(name).ok_or_else(|| format!("{name} is no hash that is known here"))?;
        return Ok(Some(ColumnRule::Hash { algorithm, salt: salt.to_owned(), input }));
    }
    if key.starts_with("column.mask.") || key.starts_with("column.truncate.") {
        return Err("there is no such rule for columns".to_owned());
    }
    Ok(None)
}

impl Rule {
    fn matches(&self, table: &Table, column: &str, type_name: &str) -> bool {
        let last = if self.names == Names::Columns { column } else { type_name };
        let name = format!("{}.{}.{last}", table.schema, table.name);
        self.patterns.iter().any(|pattern| pattern.is_match(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_is_done() {
        assert_eq!(of_key("column.truncate.to.4.chars"), Ok(Some(ColumnRule::Truncate(4))));
        assert_eq!(of_key("column.mask.with.2.chars"), Ok(Some(ColumnRule::Mask("**".to_owned()))));
        let hash = |input| ColumnRule::Hash { algorithm: HashAlgorithm::Sha256, salt: "a.b".to_owned(), input };
        assert_eq!(of_key("column.mask.hash.SHA-256.with.salt.a.b"), Ok(Some(hash(HashInput::Serialized))));
        assert_eq!(of_key("column.mask.hash.v2.SHA-256.with.salt.a.b"), Ok(Some(hash(HashInput::Plain))));
        assert_eq!(of_key("column.include.list"), Ok(None));
    }

    #[test]
    fn a_key_that_says_something_else_is_named() {
        for key in [
            "column.mask.with.x.chars",
            "column.mask.with.78888888888.chars",
            "column.truncate.to.chars",
            "column.mask.hash.CRC.with.salt.a",
            "column.mask.x",
        ] {
            let config = BTreeMap::from([(key.to_owned(), "public\\.t\\.c".to_owned())]);
            let findings = rules(&config).unwrap_err();
            assert_eq!(findings[0].key.as_deref(), Some(key));
        }
    }
}
