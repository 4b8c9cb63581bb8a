//! The transforms of Apache Kafka 4.1 (`org.apache.kafka.connect.transforms`).

use super::settings::Setting;
use crate::config::properties::Kind;

pub(super) mod cast;
pub(super) mod drop_headers;
pub(super) mod extract_field;
mod field_path;
pub(super) mod filter;
pub(super) mod flatten;
pub(super) mod header_from;
pub(super) mod hoist_field;
pub(super) mod insert_field;
pub(super) mod insert_header;
mod literal;
pub(super) mod mask_field;
pub(super) mod regex_router;
pub(super) mod replace_field;
pub(super) mod set_schema_metadata;
pub(super) mod timestamp_converter;
pub(super) mod timestamp_router;
pub(super) mod value_to_key;

/// Whether a null is taken as the field's default.
const REPLACE_NULL_WITH_DEFAULT: Setting = Setting::with_default("replace.null.with.default", Kind::Boolean, "true");

/// Connect's own logical types of a date (days), a time of day and a point in time (milliseconds).
const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// A date's, time's or point in time's milliseconds since 1970, as `java.util.Date` has them.
fn java_date(schema: Option<&proto::connect::schema::Schema>, value: &proto::connect::value::Value) -> Option<i64> {
    use proto::connect::value::Value::{Int32, Int64};
    match (schema?.name.as_deref()?, value) {
        (DATE, Int32(days)) => Some(i64::from(*days) * MILLISECONDS_A_DAY),
        (TIME, Int32(milliseconds)) => Some(i64::from(*milliseconds)),
        (TIMESTAMP, Int64(milliseconds)) => Some(*milliseconds),
        _ => None,
    }
}

const MILLISECONDS_A_DAY: i64 = 86_400_000;
