//! Everything that talks to PostgreSQL.
//!
//! # Layout
//! - [`session`]: an ordinary SQL session with the connector's settings, and what a server error means
//! - [`validate()`]: the connection check behind `PUT /connectors/{name}/config`
//! - [`preflight`]: what can be wrong, looked at and not touched
//! - [`catalog`]: what `pg_catalog` says about captured tables; [`table_name`]: how they are named
//! - [`replica_identity`]: set before a slot reads
//! - [`server`]: which one it is; [`publication`], [`slot`]: made, checked, dropped; [`share`]: which tables are a slot's
//! - [`snapshot`]: the rows that were there before the slot
//! - `client_key`: the private key to a client's certificate
//! - [`walsender`]: a replication session; [`wal`]: the stream over it
//! - [`activity`]: what the server says of the processes that work for us

pub mod activity;
pub mod catalog;
mod client_key;
pub mod preflight;
pub mod publication;
pub mod replica_identity;
pub mod server;
pub mod session;
pub mod share;
pub mod slot;
pub mod snapshot;
pub mod table_name;
mod tls;
mod validate;
pub mod wal;
pub mod walsender;

pub use validate::validate;

/// Quotes an identifier for SQL, whatever is in it.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string for SQL where a parameter cannot be used (replication commands take none).
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}
