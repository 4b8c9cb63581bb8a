//! `io.debezium.transforms.SchemaChangeEventFilter`: drops schema change events, which a PostgreSQL connector does not have.

use proto::connect::record::ConnectRecord;

use super::options::required;
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid};
use crate::transform::{Transform, TransformError};

const EXCLUDED: &str = "schema.change.event.exclude.list";

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[Setting::optional(EXCLUDED, Kind::String)];

/// `SchemaChangeEvent.SchemaChangeEventType`.
const EVENTS: [&str; 5] = ["CREATE", "ALTER", "DROP", "TRUNCATE", "DATABASE"];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let list = required(settings, EXCLUDED)?;
    match list.split(',').map(str::trim).find(|event| !EVENTS.contains(event)) {
        Some(event) => Err(invalid(EXCLUDED, event, format_args!("Value must be one of {}", EVENTS.join(", ")))),
        None => Ok(Box::new(SchemaChangeEventFilter)),
    }
}

#[derive(Debug)]
struct SchemaChangeEventFilter;

impl Transform for SchemaChangeEventFilter {
    fn apply(&mut self, record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        Ok(Some(record))
    }
}
