//! How PostgreSQL and Kafka are reached and entered: what `streamer` and `sink` do in the same way.
//!
//! # Layout
//! - [`sslmode`]: how safe a connection has to be
//! - [`tls`]: TLS under an `sslmode`, and which of its failures last
//! - [`https`]: TLS of HTTP, on both sides, with Java's key stores
//! - [`password_file`]: the file of passwords, `.pgpass`
//! - [`kafka`]: Java's security settings of a Kafka client, and whether Kafka lets one in
//! - [`jaas`]: Java's form of who logs in
//! - [`key_store`]: Java's stores of keys and certificates
//! - [`java_properties`]: Java's `.properties` files
//! - [`config_providers`]: values of a configuration that stand elsewhere
//! - [`diagnosis`]: what is wrong, and what mends it, in the words of a start and of `doctor`
//! - [`allocator`]: where the memory comes from that Kafka's client gives back
//!
//! What this crate says of a failure is text for a person; whether it is tried again, the programs decide. No password is in it.

pub mod allocator;
pub mod config_providers;
pub mod diagnosis;
pub mod https;
pub mod jaas;
pub mod java_properties;
pub mod kafka;
pub mod key_store;
pub mod password_file;
pub mod sslmode;
pub mod tls;

pub use sslmode::SslMode;
