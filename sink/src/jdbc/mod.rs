//! A configuration of Debezium's JDBC sink connector, run as it is.
//!
//! The topics it names go into tables that it names, table by table, as `JdbcChangeEventSink` does it: what comes is what records say,
//! and there is no source to ask. What is as there, better, or refused stands in docs/compatibility.md.
//!
//! # Layout
//! - [`settings`]: the configuration; `keys`: its properties; `address`: its `connection.url`; `transforms`: those of Connect's that it may have
//! - [`naming`]: which table a topic's records are of, which column a field is
//! - [`schema`]: the schema that a record brings along
//! - `column`: a field's schema into the form of its values, and into a column's type
//! - [`layout`]: what the records of a topic have in common, until they change
//! - [`topic`]: a topic's records into changes of its tables
//! - `tables`: tables and columns that the target lacks
//! - `start`: from the configuration to the first record

mod address;
mod column;
mod keys;
pub mod layout;
pub mod naming;
pub mod schema;
pub mod settings;
mod start;
mod tables;
pub mod topic;
mod transforms;

pub(crate) use start::own_schema;
pub use start::run;
