//! `TimestampRouter`: the record's time in its topic's name.

use proto::connect::record::ConnectRecord;

use crate::config::properties::Kind;
use crate::transform::java_date::DatePattern;
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::with_default("topic.format", Kind::String, "${topic}-${timestamp}"),
    Setting::with_default("timestamp.format", Kind::String, "yyyyMMdd"),
];

#[derive(Debug)]
struct TimestampRouter {
    topic_format: String,
    /// Java reads the pattern with the first record: what is wrong with it fails that record.
    pattern: Result<DatePattern, String>,
}

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(TimestampRouter {
        topic_format: settings.string("topic.format"),
        pattern: DatePattern::new(&settings.string("timestamp.format")),
    }))
}

impl Transform for TimestampRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let Some(timestamp) = record.timestamp else {
            return Err(TransformError::new("Timestamp missing on record"));
        };
        let pattern = self.pattern.as_ref().map_err(TransformError::new)?;
        let topic = self.topic_format.replace("${topic}", &record.topic);
        record.topic = topic.replace("${timestamp}", &pattern.format(timestamp));
        Ok(Some(record))
    }
}
