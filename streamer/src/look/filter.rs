//! Which changes are wanted.

use clap::Args;
use regex::Regex;
use serde_json::Value;

use super::change::{Change, Op};

/// Which changes are wanted: all that pass everything that is given.
#[derive(Debug, Clone, Args)]
pub(super) struct Filter {
    /// Only these tables: schema.table or table, * for any letters; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    table: Vec<Pattern>,
    /// Only rows with this key: a value, or column=value, which also finds other columns; all that are given must fit
    #[arg(long, value_name = "VALUE|COLUMN=VALUE")]
    key: Vec<String>,
    /// Only these: c (insert), u, d, r (read by a snapshot), t (truncate), m (message), row (without an envelope), tombstone
    #[arg(long, value_name = "LETTERS", value_delimiter = ',', value_parser = op)]
    op: Vec<Op>,
}

fn op(letter: &str) -> Result<Op, String> {
    Op::of_letter(letter).ok_or_else(|| "c, u, d, r, t, m, row or tombstone is expected".to_owned())
}

impl Filter {
    /// Whether a change is wanted.
    pub(super) fn wants(&self, change: &Change) -> bool {
        (self.table.is_empty() || self.table.iter().any(|pattern| pattern.fits(&change.schema, &change.table)))
            && (self.op.is_empty() || self.op.contains(&change.op))
            && self.key.iter().all(|wanted| has(change, wanted))
    }
}

/// Whether a change is of a row with this value: in its key, or where a column is named in that.
fn has(change: &Change, wanted: &str) -> bool {
    let is = |value: &Value, text: &str| match value {
        Value::String(value) => value == text,
        value => format!("{value}") == text,
    };
    if let Some((column, text)) = wanted.split_once('=') {
        let columns = [Some(&change.key), change.after.as_ref(), change.before.as_ref()];
        if columns.into_iter().flatten().flatten().any(|(name, value)| name == column && is(value, text)) {
            return true;
        }
    }
    change.key.iter().any(|(_, value)| is(value, wanted))
}

/// Whether a topic is asked for: by a pattern, or where there is none, because it is named as a table's is, `PREFIX.SCHEMA.TABLE`.
pub(super) fn wants_topic(patterns: &[Pattern], topic: &str) -> bool {
    match patterns {
        [] => !topic.starts_with("__") && topic.split('.').count() >= 3,
        patterns => patterns.iter().any(|pattern| pattern.fits_topic(topic)),
    }
}

/// A table's name, or a topic's, with `*` for any letters and `?` for one.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    has_dot: bool,
}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let escaped = regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".");
        let regex = Regex::new(&format!("^(?s:{escaped})$")).map_err(|error| error.to_string())?;
        Ok(Self { regex, has_dot: text.contains('.') })
    }
}

impl Pattern {
    /// Whether it names a table.
    pub(super) fn fits(&self, schema: &str, table: &str) -> bool {
        match self.has_dot {
            true => self.regex.is_match(&format!("{schema}.{table}")),
            false => self.regex.is_match(table),
        }
    }

    /// Whether it names a topic, whole or by the table that its name ends with.
    fn fits_topic(&self, topic: &str) -> bool {
        let parts: Vec<&str> = topic.rsplitn(3, '.').collect();
        self.regex.is_match(topic) || matches!(*parts, [table, schema, _] if self.fits(schema, table))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_names_tables_with_their_schema_or_without_and_topics_by_them() {
        let fits = |pattern: &str, schema: &str, table: &str| pattern.parse::<Pattern>().unwrap().fits(schema, table);
        assert!(fits("orders", "public", "orders") && fits("public.ord*", "public", "orders") && fits("*", "a", "b"));
        assert!(!fits("orders", "public", "orders_old") && !fits("other.orders", "public", "orders"));
        let topic = |pattern: &str| pattern.parse::<Pattern>().unwrap().fits_topic("shop.eu.public.orders");
        assert!(topic("orders") && topic("public.orders") && topic("shop.*") && topic("shop.eu.public.orders"));
        assert!(!topic("shop") && !topic("eu.public"));
        assert!(wants_topic(&[], "shop.eu.public.orders") && !wants_topic(&[], "connect-configs"));
    }

    #[test]
    fn a_key_is_a_value_of_the_key_or_of_a_column_that_is_named() {
        let change = Change {
            key: vec![("id".to_owned(), json!(7))],
            after: Some(vec![("id".to_owned(), json!(7)), ("name".to_owned(), json!("a=b"))]),
            ..Change::of(Op::Create)
        };
        for (wanted, is) in
            [("7", true), ("id=7", true), ("name=a=b", true), ("a=b", false), ("8", false), ("other=7", false)]
        {
            assert_eq!(has(&change, wanted), is, "{wanted}");
        }
    }
}
