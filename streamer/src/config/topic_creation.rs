//! How topics are created before their first record (`topic.creation.*`, KIP-158).

use std::collections::BTreeMap;

use regex::Regex;

use access::java_properties::with_prefix;

/// A connector's groups of topics. Without any `topic.creation.*` key there are none: the broker creates topics.
#[derive(Debug, Clone)]
pub struct TopicCreation {
    groups: Vec<Group>,
}

/// Topics that are created alike.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `partitions`, -1 for the broker's default.
    pub partitions: i32,
    /// `replication.factor`, -1 for the broker's default.
    pub replication_factor: i32,
    /// The topics' other settings.
    pub settings: BTreeMap<String, String>,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl TopicCreation {
    /// From a connector's configuration; `None` where it leaves creating topics to the broker.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn parse(config: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let given = with_prefix(config, "topic.creation.");
        if given.is_empty() {
            return Ok(None);
        }
        let default = Group::parse("default", &given, None)?;
        let names = given.get("groups").map_or("", String::as_str).split(',').map(str::trim);
        let mut groups = names
            .filter(|name| !name.is_empty())
            .map(|name| Group::parse(name, &given, Some(&default)))
            .collect::<Result<Vec<_>, _>>()?;
        groups.push(default);
        Ok(Some(Self { groups }))
    }

    /// The first group that a topic belongs to; every topic belongs to the default group, the last.
    pub fn group(&self, topic: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == "default" || group.matches(topic))
    }
}

impl Group {
    fn parse(name: &str, given: &BTreeMap<String, String>, default: Option<&Group>) -> Result<Self, String> {
        let mut settings = with_prefix(given, &format!("{name}."));
        let mut number = |key: &str, default: Option<i32>| {
            let full = format!("topic.creation.{name}.{key}");
            match (settings.remove(key), default) {
                (Some(text), _) => match text.trim().parse::<i32>() {
                    Ok(number) if number == -1 || number > 0 => Ok(number),
                    _ => Err(format!(
                        "{full}={text} is not usable: a positive number, or -1 for the broker's default, is expected"
                    )),
                },
                (None, Some(default)) => Ok(default),
                (None, None) => Err(format!("Missing required configuration \"{full}\" which has no default value.")),
            }
        };
        let partitions = number("partitions", default.map(|group| group.partitions))?;
        let replication_factor = number("replication.factor", default.map(|group| group.replication_factor))?;
        let mut patterns = |key: &str| {
            let list = settings.remove(key).unwrap_or_default();
            let patterns = list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
            patterns
                .map(|pattern| {
                    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                        format!("topic.creation.{name}.{key}: {pattern} is not a regular expression: {error}")
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let (include, exclude) = (patterns("include")?, patterns("exclude")?);
        Ok(Self { name: name.to_owned(), partitions, replication_factor, settings, include, exclude })
    }

    fn matches(&self, topic: &str) -> bool {
        let any = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(topic));
        !any(&self.exclude) && any(&self.include)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[(&str, &str)]) -> Result<Option<TopicCreation>, String> {
        let config = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicCreation::parse(&config)
    }

    #[test]
    fn a_topic_belongs_to_the_first_group_that_matches_it() {
        let creation = parse(&[
            ("topic.creation.groups", "logs, rest"),
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.default.replication.factor", "-1"),
            ("topic.creation.default.cleanup.policy", "compact"),
            ("topic.creation.logs.include", "p\\.logs\\..*,p\\.audit"),
            ("topic.creation.logs.exclude", "p\\.logs\\.keep"),
            ("topic.creation.logs.partitions", "1"),
            ("topic.creation.logs.retention.ms", "1000"),
            ("topic.creation.rest.include", "p\\..*"),
        ]);
        let creation = creation.unwrap().unwrap();
        let of = |topic: &str| creation.group(topic).unwrap();
        assert_eq!((of("p.logs.a").name.as_str(), of("p.logs.a").partitions), ("logs", 1));
        assert_eq!(of("p.audit").settings["retention.ms"], "1000");
        assert_eq!((of("p.logs.keep").name.as_str(), of("p.logs.keep").partitions), ("rest", 3));
        assert_eq!(of("q").settings["cleanup.policy"], "compact");
    }

    #[test]
    fn without_a_key_the_broker_creates_topics_and_half_a_default_group_is_refused() {
        assert!(parse(&[("name", "c")]).unwrap().is_none());
        let error = parse(&[("topic.creation.default.partitions", "1")]).unwrap_err();
        assert!(error.contains("topic.creation.default.replication.factor"), "{error}");
        let error = parse(&[("topic.creation.default.partitions", "0")]).unwrap_err();
        assert!(error.contains("topic.creation.default.partitions=0"), "{error}");
    }
}
