//! `Filter`: drops every record that it gets; a predicate decides which.

use proto::connect::record::ConnectRecord;

use crate::transform::settings::Settings;
use crate::transform::{Transform, TransformError};

#[derive(Debug)]
struct Filter;

/// It has no settings.
pub(in crate::transform) fn make(_: &Settings) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(Filter))
}

impl Transform for Filter {
    fn apply(&mut self, _: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        Ok(None)
    }
}
