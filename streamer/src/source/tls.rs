//! A connection's TLS: what `access` needs of it.

use std::sync::Arc;

use access::tls::{self, Certificates};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::TlsConnector;

use super::client_key;
use crate::config::{Connection, SslMode};
use crate::error::TaskError;

/// The connector for an SQL session.
///
/// # Errors
/// As [`certificates`].
pub(super) fn connector(connection: &Connection) -> Result<MakeRustlsConnect, TaskError> {
    tls::connector(certificates(connection)?).map_err(|why| TaskError::stop("tls-settings", why))
}

/// The connector for a replication session.
///
/// # Errors
/// As [`certificates`].
pub(super) fn client(connection: &Connection) -> Result<TlsConnector, TaskError> {
    tls::client(certificates(connection)?)
        .map(|config| Arc::new(config).into())
        .map_err(|why| TaskError::stop("tls-settings", why))
}

/// What the server is known by, and who we are.
///
/// # Errors
/// Stop when a certificate or key file cannot be read, or `verify-*` has no `database.sslrootcert`.
fn certificates(connection: &Connection) -> Result<Certificates<'_>, TaskError> {
    let client = match (&connection.sslcert, &connection.sslkey) {
        (Some(cert), Some(key)) if connection.sslmode != SslMode::Disable => {
            Some((cert.as_str(), client_key::read(connection, key)?))
        }
        _ => None,
    };
    let root = connection.sslrootcert.as_deref();
    Ok(Certificates { prefix: "database.", mode: connection.sslmode, root, client })
}
