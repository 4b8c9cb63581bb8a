//! Single message transforms (`transforms`, `predicates`): what a configuration does to records before the converters.
//!
//! # Layout
//! - [`classes`]: which transforms and predicates there are
//! - [`settings`]: what they declare and are given
//! - [`plan`]: the configuration's keys, checked; a chain is made of it for every run
//! - [`predicate`]: Kafka's predicates
//! - `kafka`: Kafka's transforms
//! - `debezium`: Debezium's transforms
//! - [`data`]: what transforms do to keys and values
//! - [`java_regex`], [`java_date`], [`java_decimal`]: Java's regular expressions, date patterns and decimals

pub mod classes;
pub mod data;
mod debezium;
pub mod java_date;
pub mod java_decimal;
pub mod java_regex;
mod kafka;
pub mod plan;
pub mod predicate;
pub mod settings;

pub use classes::{CLASSES, Class};
pub use plan::Plan;
use predicate::Predicate;
use proto::connect::record::ConnectRecord;

use crate::error::TaskError;

/// Why a transform cannot take a record, in one sentence without the record's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TransformError(String);

impl TransformError {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// One transform, configured.
pub trait Transform: std::fmt::Debug + Send {
    /// Takes a record and gives it back changed; `None` drops it.
    ///
    /// # Errors
    /// When the record is not of the form the transform needs.
    fn apply(&mut self, record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError>;
}

/// The connector's transforms in their order.
#[derive(Debug, Default)]
pub struct Chain {
    stages: Vec<Stage>,
}

/// A transform with the predicate that decides which records it gets.
#[derive(Debug)]
struct Stage {
    alias: String,
    class: &'static str,
    transform: Box<dyn Transform>,
    predicate: Option<Box<dyn Predicate>>,
    negate: bool,
}

impl Chain {
    /// Whether records pass unchanged.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Takes a record through all transforms; `None` when one drops it.
    ///
    /// # Errors
    /// Stop when a transform cannot take the record: the error names the transform and the topic.
    pub fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TaskError> {
        for stage in &mut self.stages {
            if stage.predicate.as_ref().is_some_and(|predicate| predicate.holds(&record) == stage.negate) {
                continue;
            }
            let topic = record.topic.clone();
            match stage.transform.apply(record) {
                Ok(Some(changed)) => record = changed,
                Ok(None) => return Ok(None),
                Err(error) => return Err(stage.failed(&topic, &error)),
            }
        }
        Ok(Some(record))
    }
}

impl Stage {
    fn failed(&self, topic: &str, error: &TransformError) -> TaskError {
        TaskError::stop(format!(
            "transform {} ({}) cannot take a record for topic {topic}: {error}. Nothing behind it is published; change the \
             transform, or keep such records from it with a predicate",
            self.alias, self.class
        ))
    }
}
