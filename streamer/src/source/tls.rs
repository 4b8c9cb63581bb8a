//! TLS to PostgreSQL, as libpq's `sslmode` defines it.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::client_key;
use crate::config::{Connection, SslMode};
use crate::error::TaskError;

/// The connector for an SQL session. Below `verify-ca` nothing about the server's certificate is checked, as in libpq.
///
/// # Errors
/// Stop when a certificate or key file cannot be read, or `verify-*` has no `database.sslrootcert`.
pub(super) fn connector(connection: &Connection) -> Result<MakeRustlsConnect, TaskError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        chain: match connection.sslmode {
            SslMode::VerifyCa | SslMode::VerifyFull => Some(chain_verifier(connection, provider.clone())?),
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => None,
        },
        check_name: connection.sslmode == SslMode::VerifyFull,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TaskError::stop("TLS could not be set up").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (&connection.sslcert, &connection.sslkey) {
        (Some(cert), Some(key)) => {
            let key = client_key::read(connection, key)?;
            builder
                .with_client_auth_cert(certificates("database.sslcert", cert)?, key)
                .map_err(|error| TaskError::stop("database.sslcert and database.sslkey do not fit").because(error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn chain_verifier(
    connection: &Connection,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TaskError> {
    let path = connection.sslrootcert.as_deref().ok_or_else(|| {
        TaskError::stop("database.sslmode asks for the server's certificate to be verified, and database.sslrootcert names no CA file: set it")
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("database.sslrootcert", path)? {
        roots.add(certificate).map_err(|error| unreadable("database.sslrootcert", path, "a CA certificate", error))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| unreadable("database.sslrootcert", path, "a CA certificate", error))
}

fn certificates(key: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, TaskError> {
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| unreadable(key, path, "PEM certificates", error))
}

fn unreadable(key: &str, path: &str, wanted: &str, error: impl std::error::Error + Send + Sync + 'static) -> TaskError {
    TaskError::stop(format!("{key}: {path} does not hold {wanted} that can be used: {error}"))
}

/// Checks as much of the server's certificate as `sslmode` asks for. rustls alone knows only all of it.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    check_name: bool,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
