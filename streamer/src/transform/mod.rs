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
use proto::connect::record::{ConnectRecord, RecordHeader};

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
    /// What transforms added to the last record's own headers.
    added: Vec<RecordHeader>,
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
        let own = record.headers.len();
        let mut is_own = true;
        self.added.clear();
        for stage in &mut self.stages {
            if stage.predicate.as_ref().is_some_and(|predicate| predicate.holds(&record) == stage.negate) {
                continue;
            }
            let topic = record.topic.clone();
            match stage.transform.apply(record) {
                Ok(Some(changed)) => {
                    record = changed;
                    if is_own && ADDS_IN_PLACE.contains(&stage.class) {
                        self.added = record.headers.get(own..).unwrap_or_default().to_vec();
                    }
                    is_own &= stage.class == CHANGED_STATE;
                }
                Ok(None) => return Ok(None),
                Err(error) => return Err(stage.failed(&topic, &error)),
            }
        }
        Ok(Some(record))
    }

    /// What transforms added to the last record's own headers. Debezium's tombstone shares them with its delete, so it comes
    /// with them (`EventDispatcher`); a transform that makes a new record makes new headers.
    pub fn take_added(&mut self) -> Vec<RecordHeader> {
        std::mem::take(&mut self.added)
    }
}

/// Leaves the record the one that it is.
const CHANGED_STATE: &str = "io.debezium.transforms.ExtractChangedRecordState";
/// Transforms that add to a record's headers before they make a new record of it.
const ADDS_IN_PLACE: [&str; 2] = [CHANGED_STATE, "io.debezium.transforms.ExtractNewRecordState"];

impl Stage {
    fn failed(&self, topic: &str, error: &TransformError) -> TaskError {
        TaskError::stop(
            "transform-failed",
            format!(
                "transform {} ({}) cannot take a record for topic {topic}: {error}. Nothing behind it is published; change the \
             transform, or keep such records from it with a predicate",
                self.alias, self.class
            ),
        )
    }
}
