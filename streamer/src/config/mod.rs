//! Debezium's and Connect's configuration keys.
//!
//! # Layout
//! - [`properties`]: every key of the connector, its type, default, and how far it is supported
//! - [`check`]: what is wrong with a configuration, all findings at once
//! - `connect_keys`: Connect's own keys
//! - [`connector`]: a connector's configuration in types
//! - [`definitions`]: what a user interface shows of each key
//! - [`plugins`]: the classes that a configuration may name
//! - [`topic_creation`]: how topics are created
//! - [`application_properties`]: Debezium Server's configuration
//! - [`filters`]: which tables and columns are captured
//! - `driver`: what is meant for a JDBC driver
//! - `exactly_once`: records and position in one transaction
//! - `stream_params`: options of the replication stream
//! - `event_failures`: what becomes of a change that cannot be processed
//! - `metric_tags`: what metrics are labelled with
//! - `columns`: what is done to single columns
//! - `values`: how values are represented
//! - `post_processors`: what is done to a row before transforms see it
//! - [`worker`]: the worker's configuration, from the environment or a file
//! - `worker_keys`: its properties by name
//! - `listeners`: where the REST API listens
//! - [`rest_tls`]: its TLS
//! - [`rest_users`]: who may use it
//! - [`secret`]: texts that are never shown
//! - [`snapshot`]: what is read before streaming
//! - `slots`: several slots, each with a share of the tables
//! - [`signals`]: how a running connector is told what to do, and how it tells of it

pub mod application_properties;
pub mod check;
mod columns;
mod connect_keys;
pub mod connector;
pub mod definitions;
mod driver;
mod event_failures;
mod exactly_once;
pub mod filters;
mod listeners;
mod metric_tags;
pub mod plugins;
mod post_processors;
pub mod properties;
pub mod replication;
pub mod rest_tls;
pub mod rest_users;
pub mod secret;
pub mod signals;
mod slots;
pub mod snapshot;
mod stream_params;
pub mod topic_creation;
pub mod topics;
mod values;
pub mod worker;
pub mod worker_keys;

pub use access::SslMode;
pub use check::{Finding, parse_boolean};
pub use connector::{Autocreate, Connection, ConnectorConfig, Heartbeat, Publication, Retry, SkippedOperations, Slot};
pub use driver::{ChannelBinding, Driver, TargetServer};
pub use event_failures::EventFailures;
pub use exactly_once::ExactlyOnce;
pub use filters::{Filters, List};
pub use post_processors::Reselect;
pub use replication::{FlushMode, Guardrail, Identity, OffsetMismatch, Replication};
pub use rest_users::RestUsers;
pub use secret::Secret;
pub use signals::{Notifications, SignalChannel, Signals, Watermarking};
pub use slots::Share;
pub use snapshot::{Isolation, Snapshot, SnapshotMode};
pub use stream_params::StreamParams;
pub use worker::WorkerConfig;
