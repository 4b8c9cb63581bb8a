//! A connector's properties, one after the other, with everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::address::Address;
use super::settings::FieldList;
use crate::avro::{self, Converters};
use crate::consume::Topics;

/// Properties, what is wrong with them, and which were asked for.
pub(super) struct Keys<'a> {
    properties: &'a BTreeMap<String, String>,
    faults: Vec<String>,
    asked: BTreeSet<String>,
}

/// Single properties and whole families that have no effect here; docs/compatibility.md says why.
const WITHOUT_EFFECT: [&str; 18] = [
    "tasks.max",
    "connection.provider",
    "connection.pool.",
    "connection.restart.on.errors",
    "hibernate.",
    "use.time.zone",
    "database.time_zone",
    "dialect.",
    "use.reduction.buffer",
    "flush.max.retries",
    "flush.retry.delay.ms",
    "cloud.events.schema.name.pattern",
    "errors.",
    "consumer.override.",
    "header.converter",
    "config.action.reload",
    "transforms.",
    "openlineage.",
];

const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";

/// Writes a key as it is.
const STRING_CONVERTER: &str = "org.apache.kafka.connect.storage.StringConverter";

impl<'a> Keys<'a> {
    /// Nothing was asked for yet.
    pub(super) fn new(properties: &'a BTreeMap<String, String>) -> Self {
        Self { properties, faults: Vec::new(), asked: BTreeSet::new() }
    }

    /// Properties that are not known, and what is wrong with the others.
    pub(super) fn end(self) -> (Vec<String>, Vec<String>) {
        let is_known = |key: &&String| {
            self.asked.contains(*key)
                || WITHOUT_EFFECT.iter().any(|known| *key == known || known.ends_with('.') && key.starts_with(known))
        };
        (self.properties.keys().filter(|key| !is_known(key)).cloned().collect(), self.faults)
    }

    pub(super) fn fault(&mut self, key: &str, what: &str) {
        self.faults.push(format!("{key} {what}"));
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.asked.insert(key.to_owned());
        self.properties.get(key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A property that had another name before.
    pub(super) fn either(&mut self, key: &str, before: &str) -> Option<String> {
        let old = self.text(before);
        self.text(key).or(old)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    /// One of some words; the first where it is not set.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, first: (&str, T), others: &[(&str, T)]) -> T {
        let Some(text) = self.text(key) else { return first.1 };
        let known = || std::iter::once(&first).chain(others);
        match known().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
            Some((_, value)) => *value,
            None => {
                let words: Vec<&str> = known().map(|(word, _)| *word).collect();
                self.fault(key, &format!("must be one of {}", words.join(", ")));
                first.1
            }
        }
    }

    /// Whose configuration it is.
    pub(super) fn class(&mut self, expected: &str) {
        if self.text("connector.class").is_some_and(|class| class != expected) {
            self.fault("connector.class", &format!("is not {expected}, the one connector that this command runs"));
        }
    }

    pub(super) fn address(&mut self) -> Option<Address> {
        let (user, password) =
            (self.either("connection.username", "connection.user"), self.text("connection.password"));
        let Some(url) = self.text("connection.url") else {
            self.fault("connection.url", "is missing");
            return None;
        };
        match Address::parse(&url, user.as_deref(), password.as_deref()) {
            Ok(address) => Some(address),
            Err(why) => {
                self.fault("connection.url", &why);
                None
            }
        }
    }

    pub(super) fn topics(&mut self) -> Option<Topics> {
        let (names, pattern) = (self.list("topics"), self.text("topics.regex"));
        match (names.is_empty(), pattern) {
            (false, None) => Some(Topics::Named(names.into_iter().collect())),
            (true, Some(pattern)) => match Regex::new(&format!("^(?:{pattern})$")) {
                Ok(pattern) => Some(Topics::Matching(pattern)),
                Err(error) => {
                    self.fault("topics.regex", &format!("is no regular expression: {error}"));
                    None
                }
            },
            _ => {
                self.fault("topics", "or topics.regex must be set, and not both");
                None
            }
        }
    }

    /// What writes keys and values; whether keys are texts as they are.
    pub(super) fn converters(&mut self) -> (bool, Converters) {
        let mut converter = |side: &str| {
            let key = format!("{side}.converter");
            let settings = format!("{key}.");
            self.asked.extend(self.properties.keys().filter(|key| key.starts_with(&settings)).cloned());
            let class = self.text(&key).unwrap_or_else(|| JSON_CONVERTER.to_owned());
            let is_text = class == STRING_CONVERTER && side == "key";
            if class != JSON_CONVERTER && class != avro::CLASS && !is_text {
                self.fault(&key, &format!("is neither {JSON_CONVERTER} nor {}, which this sink reads", avro::CLASS));
            }
            is_text
        };
        converter("value");
        let keys_are_texts = converter("key");
        let converters = Converters::of(|key| self.properties.get(key).cloned());
        (
            keys_are_texts,
            converters.unwrap_or_else(|why| {
                self.faults.push(why);
                Converters::default()
            }),
        )
    }

    /// Whether topics' names are taken as they are.
    pub(super) fn naming_strategies(&mut self) -> bool {
        const KEY: &str = "collection.naming.strategy";
        let strategy = self.either(KEY, "table.naming.strategy").unwrap_or_default();
        let name = strategy.rsplit('.').next().unwrap_or_default();
        if !matches!(
            name,
            "" | "DefaultCollectionNamingStrategy"
                | "DefaultTableNamingStrategy"
                | "PassthroughCollectionNamingStrategy"
        ) {
            self.fault(
                KEY,
                "is a class of your own, which only a JVM can run: say it by collection.name.format, or RegexRouter",
            );
        }
        let of_columns = self.text("column.naming.strategy").unwrap_or_default();
        if !of_columns.is_empty() && !of_columns.ends_with(".DefaultColumnNamingStrategy") {
            self.fault(
                "column.naming.strategy",
                "is a class of your own, which only a JVM can run: say it by the transform FieldNameTransformation",
            );
        }
        name == "PassthroughCollectionNamingStrategy"
    }

    pub(super) fn field_list(&mut self) -> FieldList {
        let (included, excluded) = (self.list("field.include.list"), self.list("field.exclude.list"));
        if !included.is_empty() && !excluded.is_empty() {
            self.fault("field.include.list", "and field.exclude.list are both set: set one of them");
        }
        let (entries, includes) = if excluded.is_empty() { (included, true) } else { (excluded, false) };
        let entries = entries.iter().map(|entry| match entry.split_once(':') {
            Some((topic, field)) => (Some(topic.trim().to_owned()), field.trim().to_owned()),
            None => (None, entry.clone()),
        });
        FieldList { entries: entries.collect(), includes }
    }

    pub(super) fn batch_records(&mut self) -> Option<usize> {
        let text = self.text("batch.size")?;
        let records = text.parse().ok().filter(|records| *records > 0);
        if records.is_none() {
            self.fault("batch.size", "must be a number from 1 on");
        }
        records
    }
}
