//! Kafka's predicates (`org.apache.kafka.connect.transforms.predicates`): whether a transform is applied to a record.

use proto::connect::record::ConnectRecord;
use proto::connect::value::Value;

use super::java_regex::{self, Pattern};
use super::settings::{Setting, Settings, not_empty};
use crate::config::properties::Kind;

/// A predicate, configured.
pub trait Predicate: std::fmt::Debug + Send {
    /// Whether it holds for a record.
    fn holds(&self, record: &ConnectRecord) -> bool;
}

/// Settings of [`TopicNameMatches`].
pub(super) const TOPIC_NAME_MATCHES: &[Setting] =
    &[Setting::required("pattern", Kind::String).checked(|name, value| {
        not_empty(name, value)?;
        java_regex::check(name, value)
    })];

/// The topic's whole name matches a pattern.
#[derive(Debug)]
pub(super) struct TopicNameMatches(Pattern);

impl TopicNameMatches {
    pub(super) fn make(settings: &Settings) -> Result<Box<dyn Predicate>, String> {
        Ok(Box::new(Self(Pattern::new(&settings.string("pattern"))?)))
    }
}

impl Predicate for TopicNameMatches {
    fn holds(&self, record: &ConnectRecord) -> bool {
        self.0.matches(&record.topic)
    }
}

/// Settings of [`HasHeaderKey`].
pub(super) const HAS_HEADER_KEY: &[Setting] = &[Setting::required("name", Kind::String).checked(not_empty)];

/// There is a header of this name.
#[derive(Debug)]
pub(super) struct HasHeaderKey(String);

impl HasHeaderKey {
    pub(super) fn make(settings: &Settings) -> Result<Box<dyn Predicate>, String> {
        Ok(Box::new(Self(settings.string("name"))))
    }
}

impl Predicate for HasHeaderKey {
    fn holds(&self, record: &ConnectRecord) -> bool {
        record.headers.iter().any(|header| header.key == self.0)
    }
}

/// The value is null.
#[derive(Debug)]
pub(super) struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn holds(&self, record: &ConnectRecord) -> bool {
        record.value.value == Value::Null
    }
}
