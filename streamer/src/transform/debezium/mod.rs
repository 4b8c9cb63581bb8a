//! Debezium's own transforms (`io.debezium.transforms`), each with the settings and the results of Debezium's class.
//!
//! # Layout
//! - `options`: how settings are read
//! - `extract_new_record_state`: the row out of its envelope; `field_reference`: what is added to it
//! - `envelope`, `schemas`: what the transforms share: finding things in a record, schemas made from others

mod envelope;
pub(super) mod extract_new_record_state;
mod field_reference;
mod options;
mod schemas;
