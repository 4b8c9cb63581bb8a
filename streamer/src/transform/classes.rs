//! Which transforms and predicates there are, by their Java class.

use super::Transform;
use super::data::Side;
use super::debezium::{
    by_logical_table_router, decode_message, event_router_settings, extract_changed_record_state,
    extract_new_record_state, extract_schema_to_new_record, header_to_value, partition_routing,
    schema_change_event_filter, timezone_converter,
};
use super::kafka::{
    cast, drop_headers, extract_field, filter, flatten, header_from, hoist_field, insert_field, insert_header,
    mask_field, regex_router, replace_field, set_schema_metadata, timestamp_converter, timestamp_router, value_to_key,
};
use super::predicate::{
    HAS_HEADER_KEY, HasHeaderKey, Predicate, RecordIsTombstone, TOPIC_NAME_MATCHES, TopicNameMatches,
};
use super::settings::{Setting, Settings};
use crate::config::connector::DEBEZIUM_VERSION;

/// Kafka's version whose transforms these are.
pub const KAFKA_VERSION: &str = "4.1.1";

/// A class that `transforms.<alias>.type` or `predicates.<alias>.type` may name.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// The Java class.
    pub name: &'static str,
    /// What it declares.
    pub settings: &'static [Setting],
    /// How one is made.
    pub make: Make,
}

/// How a transform or predicate is made of its settings. What is wrong then, beyond what the settings' own checks find,
/// Connect says when the task starts: the error is the exception's text.
#[derive(Debug, Clone, Copy)]
pub enum Make {
    /// A transform.
    Transform(fn(&Settings) -> Result<Box<dyn Transform>, String>),
    /// A predicate.
    Predicate(fn(&Settings) -> Result<Box<dyn Predicate>, String>),
    /// A transform that Debezium's distribution has and this worker does not, for this reason.
    Refused(&'static str),
}

impl Class {
    /// The version that Connect lists it with.
    pub fn version(&self) -> &'static str {
        if self.name.starts_with("org.apache.kafka.") { KAFKA_VERSION } else { DEBEZIUM_VERSION }
    }

    /// The kind that Connect lists it as.
    pub fn kind(&self) -> &'static str {
        if matches!(self.make, Make::Predicate(_)) { "predicate" } else { "transformation" }
    }

    /// Whether it can be used here.
    pub fn is_supported(&self) -> bool {
        !matches!(self.make, Make::Refused(_))
    }

    /// The class of a name: all of it, or, as Connect has it too, the part behind the last dot.
    pub fn find(name: &str) -> Option<&'static Class> {
        let alias = |class: &&Class| class.name.rsplit('.').next() == Some(name);
        CLASSES.iter().find(|class| class.name == name).or_else(|| CLASSES.iter().find(alias))
    }
}

const fn transform(
    name: &'static str,
    settings: &'static [Setting],
    make: fn(&Settings) -> Result<Box<dyn Transform>, String>,
) -> Class {
    Class { name, settings, make: Make::Transform(make) }
}

const fn predicate(
    name: &'static str,
    settings: &'static [Setting],
    make: fn(&Settings) -> Result<Box<dyn Predicate>, String>,
) -> Class {
    Class { name, settings, make: Make::Predicate(make) }
}

const fn refused(name: &'static str, why: &'static str) -> Class {
    Class { name, settings: &[], make: Make::Refused(why) }
}

/// Every class, in the order in which `GET /connector-plugins?connectorsOnly=false` lists them.
#[rustfmt::skip]
pub const CLASSES: &[Class] = &[
    transform("io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent", decode_message::SETTINGS, decode_message::make),
    refused("io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb", "it reads TimescaleDB's catalog for every chunk; capture the hypertables' chunks by table.include.list and route them with ByLogicalTableRouter"),
    transform("io.debezium.transforms.ByLogicalTableRouter", by_logical_table_router::SETTINGS, by_logical_table_router::make),
    refused("io.debezium.transforms.ContentBasedRouter", "it runs scripts of a JVM's script engine; ExtractNewRecordState's route.by.field and ByLogicalTableRouter route without scripts"),
    transform("io.debezium.transforms.ExtractChangedRecordState", extract_changed_record_state::SETTINGS, extract_changed_record_state::make),
    transform("io.debezium.transforms.ExtractNewRecordState", extract_new_record_state::SETTINGS, extract_new_record_state::make),
    transform("io.debezium.transforms.ExtractSchemaToNewRecord", extract_schema_to_new_record::SETTINGS, extract_schema_to_new_record::make),
    refused("io.debezium.transforms.Filter", "it runs scripts of a JVM's script engine; a publication's row filter, skipped.operations and Kafka's Filter with a predicate filter without scripts"),
    refused("io.debezium.transforms.GeometryFormatTransformer", "geometries cannot be converted between WKB and EWKB here"),
    transform("io.debezium.transforms.HeaderToValue", header_to_value::SETTINGS, header_to_value::make),
    transform("io.debezium.transforms.SchemaChangeEventFilter", schema_change_event_filter::SETTINGS, schema_change_event_filter::make),
    refused("io.debezium.transforms.SwapGeometryCoordinates", "the coordinates of geometries cannot be swapped here"),
    transform("io.debezium.transforms.TimezoneConverter", timezone_converter::SETTINGS, timezone_converter::make),
    refused("io.debezium.transforms.VectorToJsonConverter", "vectors are not written as JSON here: leave it out, and they come as they are"),
    transform("io.debezium.transforms.outbox.EventRouter", event_router_settings::SETTINGS, event_router_settings::make),
    refused("io.debezium.transforms.openlineage.OpenLineage", "it reports to OpenLineage, which this worker does not"),
    transform("io.debezium.transforms.partitions.PartitionRouting", partition_routing::SETTINGS, partition_routing::make),
    refused("io.debezium.transforms.tracing.ActivateTracingSpan", "it needs OpenTelemetry's agent in the JVM; without it Debezium's does nothing either: leave it out"),
    transform("org.apache.kafka.connect.transforms.Cast$Key", cast::SETTINGS, |settings| cast::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.Cast$Value", cast::SETTINGS, |settings| cast::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.DropHeaders", drop_headers::SETTINGS, drop_headers::make),
    transform("org.apache.kafka.connect.transforms.ExtractField$Key", extract_field::SETTINGS, |settings| extract_field::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.ExtractField$Value", extract_field::SETTINGS, |settings| extract_field::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.Filter", &[], filter::make),
    transform("org.apache.kafka.connect.transforms.Flatten$Key", flatten::SETTINGS, |settings| flatten::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.Flatten$Value", flatten::SETTINGS, |settings| flatten::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.HeaderFrom$Key", header_from::SETTINGS, |settings| header_from::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.HeaderFrom$Value", header_from::SETTINGS, |settings| header_from::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.HoistField$Key", hoist_field::SETTINGS, |settings| hoist_field::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.HoistField$Value", hoist_field::SETTINGS, |settings| hoist_field::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.InsertField$Key", insert_field::SETTINGS, |settings| insert_field::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.InsertField$Value", insert_field::SETTINGS, |settings| insert_field::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.InsertHeader", insert_header::SETTINGS, insert_header::make),
    transform("org.apache.kafka.connect.transforms.MaskField$Key", mask_field::SETTINGS, |settings| mask_field::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.MaskField$Value", mask_field::SETTINGS, |settings| mask_field::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.RegexRouter", regex_router::SETTINGS, regex_router::make),
    transform("org.apache.kafka.connect.transforms.ReplaceField$Key", replace_field::SETTINGS, |settings| replace_field::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.ReplaceField$Value", replace_field::SETTINGS, |settings| replace_field::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.SetSchemaMetadata$Key", set_schema_metadata::SETTINGS, |settings| set_schema_metadata::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.SetSchemaMetadata$Value", set_schema_metadata::SETTINGS, |settings| set_schema_metadata::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.TimestampConverter$Key", timestamp_converter::SETTINGS, |settings| timestamp_converter::make(Side::Key, settings)),
    transform("org.apache.kafka.connect.transforms.TimestampConverter$Value", timestamp_converter::SETTINGS, |settings| timestamp_converter::make(Side::Value, settings)),
    transform("org.apache.kafka.connect.transforms.TimestampRouter", timestamp_router::SETTINGS, timestamp_router::make),
    transform("org.apache.kafka.connect.transforms.ValueToKey", value_to_key::SETTINGS, value_to_key::make),
    predicate("org.apache.kafka.connect.transforms.predicates.HasHeaderKey", HAS_HEADER_KEY, HasHeaderKey::make),
    predicate("org.apache.kafka.connect.transforms.predicates.RecordIsTombstone", &[], |_| Ok(Box::new(RecordIsTombstone))),
    predicate("org.apache.kafka.connect.transforms.predicates.TopicNameMatches", TOPIC_NAME_MATCHES, TopicNameMatches::make),
];
