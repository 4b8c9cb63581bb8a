//! `DropHeaders`: removes headers by name.

use proto::connect::record::ConnectRecord;

use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, not_empty_list};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] =
    &[Setting::required("headers", Kind::List).checked(not_empty_list)];

#[derive(Debug)]
struct DropHeaders(Vec<String>);

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(DropHeaders(settings.list("headers"))))
}

impl Transform for DropHeaders {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        record.headers.retain(|header| !self.0.contains(&header.key));
        Ok(Some(record))
    }
}
