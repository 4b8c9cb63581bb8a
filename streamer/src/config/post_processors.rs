//! What is done to a row before transforms see it (`post.processors`).

use std::collections::BTreeMap;

use regex::Regex;

use super::connector::Keys;
use super::filters::{self, List};
use super::{Finding, parse_boolean};

const RESELECT: &str = "io.debezium.processors.reselect.ReselectColumnsPostProcessor";

/// The settings of a `ReselectColumnsPostProcessor`: which columns are read again from the table.
#[derive(Debug, Clone)]
pub struct Reselect {
    include: List,
    exclude: Vec<Regex>,
    /// `reselect.unavailable.values`: those that TOAST left out.
    pub unavailable: bool,
    /// `reselect.null.values`: those that are null and have no default.
    pub nulls: bool,
    /// `reselect.use.event.key`: whether the row is found by the record's key instead of the table's.
    pub by_event_key: bool,
    /// `reselect.error.handling.mode=fail`: whether a row that is gone stops the task.
    pub fails: bool,
}

impl Reselect {
    /// Whether a column may be read again.
    pub fn selects(&self, schema: &str, table: &str, column: &str) -> bool {
        let name = format!("{schema}.{table}:{column}");
        self.include.passes(&name) && !self.exclude.iter().any(|pattern| pattern.is_match(&name))
    }
}

/// The processors in their order.
pub(super) fn parse(keys: &Keys<'_>) -> Result<Vec<Reselect>, Vec<Finding>> {
    names(keys.text("post.processors").unwrap_or_default())
        .map(|name| {
            let key = |option: &str| format!("{name}.reselect.{option}");
            let patterns = |option: &str| {
                let key = key(option);
                filters::patterns(keys.text(&key).unwrap_or_default()).map_err(|why| vec![Finding::invalid(&key, why)])
            };
            let flag = |option: &str, default| keys.text(&key(option)).and_then(parse_boolean).unwrap_or(default);
            let include = patterns("columns.include.list")?;
            Ok(Reselect {
                include: if include.is_empty() { List::All } else { List::Include(include) },
                exclude: patterns("columns.exclude.list")?,
                unavailable: flag("unavailable.values", true),
                nulls: flag("null.values", true),
                by_event_key: flag("use.event.key", false),
                fails: keys.text(&key("error.handling.mode")).is_some_and(|mode| mode.eq_ignore_ascii_case("fail")),
            })
        })
        .collect()
}

/// What is wrong with the list of processors.
pub(super) fn invalid(list: &str, config: &BTreeMap<String, String>) -> Option<String> {
    names(list).find_map(|name| {
        let key = format!("{name}.type");
        match config.get(&key).map(|class| class.trim()) {
            Some(RESELECT) => None,
            Some(class) => Some(format!("{key} is {class}, which this worker does not have (only {RESELECT})")),
            None => Some(format!("{key} is missing: it names the post processor's class")),
        }
    })
}

/// Whether a key is one of the processors'.
pub(super) fn is_option(key: &str, config: &BTreeMap<String, String>) -> bool {
    let list = config.get("post.processors").map(String::as_str).unwrap_or_default();
    names(list).any(|name| {
        key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(|option| {
            matches!(
                option,
                "type"
                    | "reselect.columns.include.list"
                    | "reselect.columns.exclude.list"
                    | "reselect.unavailable.values"
                    | "reselect.null.values"
                    | "reselect.use.event.key"
                    | "reselect.error.handling.mode"
            )
        })
    })
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}
