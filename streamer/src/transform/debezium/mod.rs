//! Debezium's own transforms (`io.debezium.transforms`), each with the settings and the results of Debezium's class.
//!
//! # Layout
//! - `options`: how settings are read
//! - `extract_new_record_state`: the row out of its envelope; `field_reference`: what is added to it
//! - `extract_changed_record_state`, `header_to_value`: which columns changed as headers, headers as fields
//! - `extract_schema_to_new_record`: the source columns' types beside the row
//! - `event_router`: the outbox, with `event_router_settings` and `json_payload`, a JSON text as a value with a schema
//! - `decode_message`: logical messages as rows
//! - `by_logical_table_router`: the records of many tables into one topic
//! - `partition_routing`: the partition from fields, by `java_hash`
//! - `timezone_converter`: another time zone; `zoned_text`: texts with an offset
//! - `schema_change_event_filter`: for events that PostgreSQL's connector does not have
//! - `envelope`, `schemas`: what the transforms share: finding things in a record, schemas made from others

pub(super) mod by_logical_table_router;
pub(super) mod decode_message;
mod envelope;
mod event_router;
pub(super) mod event_router_settings;
pub(super) mod extract_changed_record_state;
pub(super) mod extract_new_record_state;
pub(super) mod extract_schema_to_new_record;
mod field_reference;
pub(super) mod header_to_value;
mod java_hash;
mod json_payload;
mod options;
pub(super) mod partition_routing;
pub(super) mod schema_change_event_filter;
mod schemas;
pub(super) mod timezone_converter;
mod zoned_text;
