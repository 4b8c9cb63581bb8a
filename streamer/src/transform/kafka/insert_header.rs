//! `InsertHeader`: a header of the same value on every record.

use proto::connect::record::{ConnectRecord, RecordHeader};

use super::literal;
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid, not_null};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::required("header", Kind::String).checked(not_null),
    Setting::required("value.literal", Kind::String).checked(|name, value| {
        not_null(name, value)?;
        let text = value.unwrap_or_default();
        literal::parse(text)
            .map(|_| ())
            .map_err(|why| invalid(name, text, format_args!("not supported by this worker ({why})")))
    }),
];

#[derive(Debug)]
struct InsertHeader(RecordHeader);

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let value = literal::parse(&settings.string("value.literal"))?;
    Ok(Box::new(InsertHeader(RecordHeader { key: settings.string("header"), value })))
}

impl Transform for InsertHeader {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        record.headers.push(self.0.clone());
        Ok(Some(record))
    }
}
