//! `RegexRouter`: another topic for records whose topic matches a pattern.

use proto::connect::record::ConnectRecord;

use crate::config::properties::Kind;
use crate::transform::java_regex::{self, Pattern, Replacement};
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::required("regex", Kind::String).checked(java_regex::check),
    Setting::required("replacement", Kind::String),
];

#[derive(Debug)]
struct RegexRouter {
    regex: Pattern,
    replacement: String,
}

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(RegexRouter {
        regex: Pattern::new(&settings.string("regex"))?,
        replacement: settings.string("replacement"),
    }))
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        if self.regex.matches(&record.topic) {
            // Java reads the replacement with the first record that matches: what is wrong with it fails that record.
            record.topic = Replacement::new(&self.replacement)
                .and_then(|replacement| self.regex.replace_first(&record.topic, &replacement))
                .map_err(TransformError::new)?;
        }
        Ok(Some(record))
    }
}
