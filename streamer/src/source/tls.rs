//! A connection's TLS: what `access` needs of it.

use access::tls::{self, Certificates};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::client_key;
use crate::config::{Connection, SslMode};
use crate::error::TaskError;

/// The connector for an SQL session.
///
/// # Errors
/// Stop when a certificate or key file cannot be read, or `verify-*` has no `database.sslrootcert`.
pub(super) fn connector(connection: &Connection) -> Result<MakeRustlsConnect, TaskError> {
    let client = match (&connection.sslcert, &connection.sslkey) {
        (Some(cert), Some(key)) if connection.sslmode != SslMode::Disable => {
            Some((cert.as_str(), client_key::read(connection, key)?))
        }
        _ => None,
    };
    let root = connection.sslrootcert.as_deref();
    tls::connector(Certificates { prefix: "database.", mode: connection.sslmode, root, client })
        .map_err(TaskError::stop)
}
