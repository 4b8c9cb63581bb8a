//! The keys `transforms…` and `predicates…` of a connector's configuration (`org.apache.kafka.connect.runtime.ConnectorConfig`).

use std::collections::{BTreeMap, BTreeSet};

use super::classes::{CLASSES, Class, Make};
use super::settings::{Setting, Settings, entries, missing};
use super::{Chain, Stage};
use crate::config::properties::Kind;
use crate::config::{Finding, parse_boolean};
use crate::error::TaskError;

/// What a configuration says about transforms, checked: a chain is made of it for every run.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    stages: Vec<PlannedStage>,
}

#[derive(Debug, Clone)]
struct PlannedStage {
    alias: String,
    class: &'static Class,
    settings: Settings,
    predicate: Option<PlannedPredicate>,
    negate: bool,
}

#[derive(Debug, Clone)]
struct PlannedPredicate {
    alias: String,
    /// `None` where `predicates` does not list the alias.
    class: Option<(&'static Class, Settings)>,
}

/// Which of the two families a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Transforms,
    Predicates,
}

/// What Connect adds to every transform's settings.
const IMPLICIT: &[Setting] =
    &[Setting::optional("predicate", Kind::String), Setting::with_default("negate", Kind::Boolean, "false")];

/// What the worker itself reads beside a class's settings.
const PLUGIN_VERSION: &str = "plugin.version";

impl Family {
    const ALL: [Self; 2] = [Self::Transforms, Self::Predicates];

    fn key(self) -> &'static str {
        match self {
            Self::Transforms => "transforms",
            Self::Predicates => "predicates",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Transforms => "Transformation",
            Self::Predicates => "Predicate",
        }
    }

    fn takes(self, class: &Class) -> bool {
        matches!(class.make, Make::Predicate(_)) == (self == Self::Predicates)
    }
}

/// Whether a key is looked at here.
pub fn is_of_transforms(key: &str) -> bool {
    Family::ALL
        .iter()
        .any(|family| key.strip_prefix(family.key()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// What is wrong with the keys `transforms…` and `predicates…`, in Connect's words, and what a person should know of them.
pub fn check(config: &BTreeMap<String, String>) -> (Vec<Finding>, Vec<String>) {
    let (mut findings, mut warnings) = (Vec::new(), Vec::new());
    for family in Family::ALL {
        let aliases = entries(config.get(family.key()).map(String::as_str).unwrap_or_default());
        let distinct: BTreeSet<&str> = aliases.iter().copied().collect();
        if distinct.len() < aliases.len() {
            let list = format!("[{}]", aliases.join(", "));
            findings.push(Finding::value(family.key(), &list, "Duplicate alias provided."));
        }
        let mut known: BTreeSet<String> = BTreeSet::from([family.key().to_owned()]);
        let mut checked = BTreeSet::new();
        for alias in aliases.into_iter().filter(|alias| checked.insert(*alias)) {
            check_alias(family, alias, config, &mut findings, &mut known);
        }
        let has_prefix = |key: &&String| is_of_transforms(key) && key.starts_with(family.key());
        warnings.extend(
            config
                .keys()
                .filter(has_prefix)
                .filter(|key| !known.contains(*key) && !is_below(&known, key))
                .map(|key| format!("{key} is not known and has no effect")),
        );
    }
    (findings, warnings)
}

/// Whether a key belongs to an alias whose class is not known: then its settings are not either.
fn is_below(known: &BTreeSet<String>, key: &str) -> bool {
    known.iter().any(|prefix| prefix.ends_with('.') && key.starts_with(prefix.as_str()))
}

fn check_alias(
    family: Family,
    alias: &str,
    config: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
    known: &mut BTreeSet<String>,
) {
    let prefix = format!("{}.{alias}.", family.key());
    let type_key = format!("{prefix}type");
    known.extend([type_key.clone(), format!("{prefix}{PLUGIN_VERSION}")]);
    let Some(name) = config.get(&type_key).map(|name| name.trim()) else {
        known.insert(prefix);
        return findings.push(missing(&type_key));
    };
    let found = find(family, &type_key, name);
    if let Err(finding) = &found {
        findings.push(finding.clone());
    }
    if family == Family::Transforms
        && config.contains_key(&format!("{prefix}negate"))
        && !config.contains_key(&format!("{prefix}predicate"))
    {
        let message = format!(
            "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' defining a predicate to be negated."
        );
        findings.push(Finding { key: Some(type_key), message });
    }
    let implicit = if family == Family::Transforms { IMPLICIT } else { &[] };
    match found {
        Ok(class) => {
            for setting in class.settings.iter().chain(implicit) {
                let key = format!("{prefix}{}", setting.name);
                findings.extend(setting.findings(&prefix, config.get(&key).map(String::as_str)));
                known.insert(key);
            }
        }
        Err(_) => {
            known.insert(prefix);
        }
    }
}

/// The class that a `type` key names.
fn find(family: Family, key: &str, name: &str) -> Result<&'static Class, Finding> {
    let whole = |message: String| Finding { key: Some(key.to_owned()), message };
    match Class::find(name) {
        Some(Class { make: Make::Refused(why), .. }) => {
            Err(Finding::value(key, name, &format!("not supported by this worker ({why})")))
        }
        Some(class) if family.takes(class) => Ok(class),
        Some(class) => {
            let interface = family.interface();
            Err(whole(format!("Class class {} does not implement the {interface} interface", class.name)))
        }
        None => {
            let nested = format!("{name}$");
            let variants: Vec<&str> =
                CLASSES.iter().map(|class| class.name).filter(|class| class.starts_with(&nested)).collect();
            if variants.is_empty() {
                return Err(Finding::value(key, name, &format!("Class {name} could not be found.")));
            }
            let variants = variants.join(", ");
            Err(whole(format!("This class is abstract and cannot be created. Did you mean {variants}?")))
        }
    }
}

impl Plan {
    /// From a configuration without findings.
    pub fn parse(config: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| config.get(key).map(String::as_str).unwrap_or_default();
        let planned = |family: Family, alias: &str| {
            let prefix = format!("{}.{alias}.", family.key());
            let class = Class::find(text(&format!("{prefix}type")).trim())?;
            let given = access::java_properties::with_prefix(config, &prefix);
            Some((class, Settings::new(class.settings, given)))
        };
        let predicates = entries(text(Family::Predicates.key()));
        let stage = |alias: &str| {
            let (class, settings) = planned(Family::Transforms, alias)?;
            let predicate = settings.text("predicate").map(|predicate| PlannedPredicate {
                alias: predicate.to_owned(),
                class: predicates.contains(&predicate).then(|| planned(Family::Predicates, predicate)).flatten(),
            });
            let negate = settings.text("negate").and_then(parse_boolean).unwrap_or_default();
            Some(PlannedStage { alias: alias.to_owned(), class, settings, predicate, negate })
        };
        Self { stages: entries(text(Family::Transforms.key())).into_iter().filter_map(stage).collect() }
    }

    /// Whether records pass unchanged.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The transforms, ready for a new run.
    ///
    /// # Errors
    /// Stop, in Connect's words, for what it too finds only when the task starts.
    pub fn chain(&self) -> Result<Chain, TaskError> {
        self.stages
            .iter()
            .map(PlannedStage::make)
            .collect::<Result<_, _>>()
            .map(|stages| Chain { stages, added: Vec::new() })
    }
}

impl PlannedStage {
    fn make(&self) -> Result<Stage, TaskError> {
        let class = self.class;
        let failed = |what: String, class: &'static Class| {
            move |why: String| {
                const CLASS: &str = "org.apache.kafka.common.config.ConfigException";
                let cause = format!("{CLASS}: {what} ({}) cannot be made of its settings: {why}", class.name);
                TaskError::stop("transform-settings", format!("{CLASS}: {why}")).because(cause)
            }
        };
        let Make::Transform(make) = class.make else {
            return Err(TaskError::stop("transform-settings", format!("{} is no transform", class.name)));
        };
        let transform = make(&self.settings).map_err(failed(format!("transform {}", self.alias), class))?;
        let predicate = match &self.predicate {
            None => None,
            Some(PlannedPredicate { alias, class: Some((class, settings)) }) => {
                let Make::Predicate(make) = class.make else {
                    return Err(TaskError::stop("transform-settings", format!("{} is no predicate", class.name)));
                };
                Some(make(settings).map_err(failed(format!("predicate {alias}"), class))?)
            }
            Some(PlannedPredicate { alias, class: None }) => {
                return Err(TaskError::stop("transform-settings", format!(
                    "org.apache.kafka.connect.errors.ConnectException: org.apache.kafka.common.config.ConfigException: \
                     Unknown configuration 'predicates.{alias}.plugin.version'"
                ))
                .because(format!(
                    "transforms.{}.predicate names {alias}, which predicates does not list: list it there with its type",
                    self.alias
                )));
            }
        };
        Ok(Stage { alias: self.alias.clone(), class: class.name, transform, predicate, negate: self.negate })
    }
}

#[cfg(test)]
mod tests {
    use proto::connect::record::{ConnectRecord, SchemaAndValue};
    use proto::connect::schema::{Schema, SchemaKind};
    use proto::connect::value::Value;

    use super::*;

    fn chain(keys: &[(&str, &str)]) -> Chain {
        let config = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(check(&config).0, []);
        Plan::parse(&config).chain().unwrap()
    }

    fn record(topic: &str) -> ConnectRecord {
        let schema = Schema::structure([("id", Schema::new(SchemaKind::Int32))]);
        let value = SchemaAndValue::new(schema, Value::Struct(vec![Value::Int32(1)]));
        ConnectRecord { topic: topic.to_owned(), value, timestamp: Some(1_735_657_445_007), ..ConnectRecord::default() }
    }

    const ROUTER: &str = "org.apache.kafka.connect.transforms.TimestampRouter";

    #[test]
    fn a_record_that_the_predicate_does_not_hold_for_passes_unchanged() {
        let keys = [
            ("transforms", "x"),
            ("transforms.x.type", ROUTER),
            ("transforms.x.timestamp.format", "yyyy.MM"),
            ("transforms.x.predicate", "isA"),
            ("predicates", "isA"),
            ("predicates.isA.type", "TopicNameMatches"),
            ("predicates.isA.pattern", "a"),
        ];
        let topic = |chain: &mut Chain, topic| chain.apply(record(topic)).unwrap().unwrap().topic;
        let mut only_a = chain(&keys);
        assert_eq!((topic(&mut only_a, "a").as_str(), topic(&mut only_a, "b").as_str()), ("a-2024.12", "b"));
        let mut all_but_a = chain(&[&keys[..], &[("transforms.x.negate", "true")]].concat());
        assert_eq!((topic(&mut all_but_a, "a").as_str(), topic(&mut all_but_a, "b").as_str()), ("a", "b-2024.12"));
    }

    #[test]
    fn a_record_that_fails_is_named_by_transform_and_topic() {
        let mut chain = chain(&[("transforms", "when"), ("transforms.when.type", ROUTER)]);
        let error = chain.apply(ConnectRecord { timestamp: None, ..record("orders") }).unwrap_err().to_string();
        assert!(error.contains("transform when") && error.contains("topic orders"), "{error}");
        assert!(error.contains("Timestamp missing on record"), "{error}");
    }

    #[test]
    fn keys_that_nothing_reads_are_warned_about() {
        let config = [
            ("transforms", "x"),
            ("transforms.x.type", ROUTER),
            ("transforms.x.topic.fromat", "t"),
            ("transforms.y.type", ROUTER),
        ];
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let expected = ["transforms.x.topic.fromat", "transforms.y.type"];
        assert_eq!(check(&config).1, expected.map(|key| format!("{key} is not known and has no effect")));
    }
}
