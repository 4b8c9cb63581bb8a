//! Debezium's own transforms (`io.debezium.transforms`), each with the settings and the results of Debezium's class.
//!
//! # Layout
//! - `options`: how settings are read
//! - `extract_new_record_state`: the row out of its envelope; `field_reference`: what is added to it
//! - `event_router`: the outbox, with `event_router_settings` and `json_payload`, a JSON text as a value with a schema
//! - `by_logical_table_router`: the records of many tables into one topic
//! - `envelope`, `schemas`: what the transforms share: finding things in a record, schemas made from others

pub(super) mod by_logical_table_router;
mod envelope;
mod event_router;
pub(super) mod event_router_settings;
pub(super) mod extract_new_record_state;
mod field_reference;
mod json_payload;
mod options;
mod schemas;
