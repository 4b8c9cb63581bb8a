//! Which topic a table's records go to (`topic.naming.strategy` and the properties of its strategies, in
//! `io.debezium.schema`), and under which key (`message.key.columns`).

use proto::envelope::RecordNaming;
use proto::table::Table;
use proto::topic;
use regex::Regex;

use super::connector::Keys;
use super::{Finding, filters};
use crate::transform::java_regex::{Pattern, Replacement};

/// How topics are named.
#[derive(Debug, Clone)]
pub struct TopicNaming {
    prefix: String,
    delimiter: String,
    heartbeat_prefix: String,
    transaction: String,
    /// Whether a table's topic has its schema in it.
    has_schema: bool,
    /// What stands for a character that a topic's name may not have.
    escape: topic::Escape,
    routing: Option<Routing>,
    keys: Vec<KeyColumn>,
}

/// Several tables into one topic (`AbstractRegexTopicNamingStrategy`).
#[derive(Debug, Clone)]
struct Routing {
    topic: (Pattern, Replacement),
    /// The key's field that tells the tables apart, and what is made of the table's own topic for it.
    identifier: Option<(String, Option<(Pattern, Replacement)>)>,
}

/// A column of the keys of the tables that this matches, as `<schema>.<table>.<column>`.
type KeyColumn = Regex;

/// The strategies that there are.
const STRATEGIES: [&str; 6] = [
    "io.debezium.schema.SchemaTopicNamingStrategy",
    "io.debezium.schema.DefaultTopicNamingStrategy",
    "io.debezium.schema.SchemaUnicodeTopicNamingStrategy",
    "io.debezium.schema.DefaultUnicodeTopicNamingStrategy",
    "io.debezium.schema.SchemaRegexTopicNamingStrategy",
    "io.debezium.schema.DefaultRegexTopicNamingStrategy",
];

/// What is wrong with the name of a strategy.
pub(super) fn unknown_strategy(class: &str) -> Option<String> {
    (!STRATEGIES.contains(&class))
        .then(|| format!("{class} is not one of the strategies that this worker has: {}", STRATEGIES.join(", ")))
}

/// What is wrong with `message.key.columns`, in Debezium's words (`Key.CustomKeyMapper`).
pub(super) fn invalid_key_columns(list: &str) -> Option<String> {
    let is_valid = |entry: &str| {
        let entry = entry.trim();
        let blank = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
        entry.split_once(':').is_some_and(|(table, columns)| !blank(table) && !blank(columns) && !columns.contains(':'))
    };
    // Java splits an empty text into one that is empty.
    let entries = if list.is_empty() { vec![""] } else { java_split(list, ';') };
    entries
        .into_iter()
        .find(|entry| !is_valid(entry))
        .map(|entry| format!("{entry} has an invalid format (expecting '^\\s*([^\\s:]+):([^:\\s]+)\\s*$')"))
}

impl TopicNaming {
    /// As the connector's keys say.
    pub(super) fn parse(keys: &Keys<'_>) -> Result<Self, Vec<Finding>> {
        let strategy = keys.string("topic.naming.strategy");
        let strategy = strategy.trim_start_matches("io.debezium.schema.");
        Ok(Self {
            prefix: keys.string("topic.prefix"),
            delimiter: keys.string("topic.delimiter"),
            heartbeat_prefix: keys.string("topic.heartbeat.prefix"),
            transaction: keys.string("topic.transaction"),
            has_schema: strategy.starts_with("Schema"),
            escape: if strategy.contains("Unicode") { topic::Escape::Unicode } else { topic::Escape::Underscore },
            routing: if strategy.contains("Regex") { Some(Routing::parse(keys)?) } else { None },
            keys: key_columns(&keys.string("message.key.columns"))?,
        })
    }

    /// The table's topic, and what its keys have beside the table's columns.
    pub fn of_table(&self, schema: &str, table: &str) -> RecordNaming {
        let parts = [self.prefix.as_str(), if self.has_schema { schema } else { "" }, table];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
        let own = parts.join(&self.delimiter);
        let topic = self.escape.sanitized(&own);
        let Some(routing) = &self.routing else { return RecordNaming { topic, identifier: None } };
        let identifier = routing.identifier.as_ref().map(|(field, pattern)| {
            let value = pattern.as_ref().map_or_else(|| own.clone(), |pattern| replaced(pattern, &own));
            (field.clone(), value)
        });
        let routed = replaced(&routing.topic, &topic);
        RecordNaming { topic: if routed.is_empty() { topic } else { routed }, identifier }
    }

    /// Where heartbeats go.
    pub fn heartbeat(&self) -> String {
        [self.heartbeat_prefix.as_str(), &self.prefix].join(&self.delimiter)
    }

    /// Where transaction metadata goes.
    pub fn transaction(&self) -> String {
        [self.prefix.as_str(), &self.transaction].join(&self.delimiter)
    }

    /// The columns of the table's keys by their place, `None` for the table's own key.
    pub fn key_of(&self, table: &Table) -> Option<Vec<usize>> {
        let columns = |pattern: &KeyColumn| {
            let name = |column: &str| format!("{}.{}.{column}", table.schema, table.name);
            let places = table.columns.iter().enumerate();
            places
                .filter(|(_, column)| pattern.is_match(&name(&column.name)))
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        let key: Vec<usize> = self.keys.iter().flat_map(columns).collect();
        (!key.is_empty()).then_some(key)
    }
}

impl Routing {
    fn parse(keys: &Keys<'_>) -> Result<Self, Vec<Finding>> {
        let pair = |of: &str| {
            let (regex, replacement) = (format!("{of}regex"), format!("{of}replacement"));
            for key in [&regex, &replacement] {
                if keys.text(key).is_none() {
                    return Err(vec![Finding::invalid(key, "A value is required")]);
                }
            }
            let pattern = Pattern::new(&keys.string(&regex)).map_err(|why| vec![Finding::invalid(&regex, why)])?;
            let replacement = Replacement::new(&keys.string(&replacement))
                .map_err(|why| vec![Finding::invalid(&replacement, why)])?;
            Ok::<_, Vec<Finding>>((pattern, replacement))
        };
        let identifier = if keys.flag("topic.key.enforce.uniqueness") {
            let pattern = keys.text("topic.key.field.regex").is_some().then(|| pair("topic.key.field."));
            Some((keys.string("topic.key.field.name"), pattern.transpose()?))
        } else {
            None
        };
        Ok(Self { topic: pair("topic.")?, identifier })
    }
}

/// What `Matcher.replaceFirst` makes of a text that matches as a whole; another text stays.
fn replaced((pattern, replacement): &(Pattern, Replacement), text: &str) -> String {
    if !pattern.matches(text) {
        return text.to_owned();
    }
    pattern.replace_first(text, replacement).unwrap_or_else(|_| text.to_owned())
}

/// Every column of every entry, with its table.
fn key_columns(list: &str) -> Result<Vec<KeyColumn>, Vec<Finding>> {
    let mut columns = Vec::new();
    for entry in java_split(list, ';') {
        let Some((table, names)) = entry.trim().split_once(':') else { continue };
        for name in java_split(names, ',') {
            let patterns = filters::patterns(&format!("{table}.{name}"))
                .map_err(|why| vec![Finding::invalid("message.key.columns", why)])?;
            columns.extend(patterns);
        }
    }
    Ok(columns)
}

/// The parts of a text, without empty ones at its end, as Java splits.
fn java_split(text: &str, at: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(at).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(config: &[(&str, &str)]) -> TopicNaming {
        let config = config.iter().chain(&[("topic.prefix", "srv")]);
        let config = config.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicNaming::parse(&Keys { config: &config }).unwrap()
    }

    #[test]
    fn the_default_strategy_leaves_the_schema_out() {
        let strategy = ("topic.naming.strategy", "io.debezium.schema.DefaultTopicNamingStrategy");
        assert_eq!(naming(&[strategy]).of_table("public", "We ird").topic, "srv.We_ird");
        assert_eq!(naming(&[]).of_table("public", "We ird").topic, "srv.public.We_ird");
    }

    #[test]
    fn several_tables_in_one_topic_are_told_apart_by_their_own_topics() {
        let strategy = ("topic.naming.strategy", "io.debezium.schema.SchemaRegexTopicNamingStrategy");
        let routing = [strategy, ("topic.regex", "srv\\.(.*)\\.(.*)_\\d"), ("topic.replacement", "all.$2")];
        let named = naming(&routing).of_table("public", "customers 1_2");
        assert_eq!(named.topic, "all.customers_1");
        let field = "__dbz__physicalTableIdentifier".to_owned();
        assert_eq!(named.identifier, Some((field, "srv.public.customers 1_2".to_owned())));
        assert_eq!(naming(&routing).of_table("public", "other").topic, "srv.public.other");
    }

    #[test]
    fn a_delimiter_is_between_all_parts() {
        let naming =
            naming(&[("topic.delimiter", "-"), ("topic.transaction", "txs"), ("topic.heartbeat.prefix", "hb")]);
        assert_eq!(naming.of_table("public", "t").topic, "srv-public-t");
        assert_eq!((naming.transaction(), naming.heartbeat()), ("srv-txs".to_owned(), "hb-srv".to_owned()));
    }

    #[test]
    fn an_entry_without_a_table_or_columns_is_refused() {
        assert_eq!(invalid_key_columns("public.a:x,y;(.*).b:z;"), None);
        for list in ["public.a", "public.a:", ":x", "public.a:x;public.b y:z", "a:b:c"] {
            assert!(invalid_key_columns(list).is_some(), "{list}");
        }
    }
}
