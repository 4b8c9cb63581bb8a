//! TLS to PostgreSQL, as libpq's `sslmode` defines it.

use std::error::Error;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, MD_5_WITH_RSA_ENCRYPTION, SHA_1_WITH_RSA_ENCRYPTION,
    SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};

use crate::SslMode;

/// What is known of a server, and shown to it.
#[derive(Debug)]
pub struct Certificates<'a> {
    /// What stands before each setting's name in messages, such as `database.`.
    pub prefix: &'a str,
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslrootcert`: a PEM file.
    pub root: Option<&'a str>,
    /// `sslcert`, a PEM file, and the key to it.
    pub client: Option<(&'a str, PrivateKeyDer<'static>)>,
}

/// The connector for an SQL session: [`client`]'s.
///
/// # Errors
/// As [`client`].
pub fn connector(certificates: Certificates<'_>) -> Result<MakeRustlsConnect, String> {
    client(certificates).map(MakeRustlsConnect::new)
}

/// TLS for any session. Below `verify-ca` nothing about the server's certificate is checked, as in libpq.
///
/// # Errors
/// When a certificate file cannot be read or used, or `verify-*` has no `sslrootcert`.
pub fn client(certificates: Certificates<'_>) -> Result<ClientConfig, String> {
    let Certificates { prefix, mode, root, client } = certificates;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        chain: if mode.verifies() { Some(chain_verifier(prefix, mode, root, provider.clone())?) } else { None },
        check_name: mode == SslMode::VerifyFull,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match client {
        Some((path, key)) => builder
            .with_client_auth_cert(read(&format!("{prefix}sslcert"), path)?, key)
            .map_err(|error| format!("{prefix}sslcert and {prefix}sslkey do not fit: {error}"))?,
        None => builder.with_no_client_auth(),
    };
    Ok(config)
}

/// What a login over a channel is bound to (`tls-server-end-point`, RFC 5929, section 4.1): the hash of the server's certificate, in
/// DER, by the hash of its signature. `None` where the signature has none that is known, such as Ed25519's.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = Certificate::from_der(certificate).ok()?.signature_algorithm().oid;
    Some(match algorithm {
        // MD5 and SHA-1 are replaced.
        MD_5_WITH_RSA_ENCRYPTION | SHA_1_WITH_RSA_ENCRYPTION | SHA_256_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_256 => {
            Sha256::digest(certificate).to_vec()
        }
        SHA_384_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_384 => Sha384::digest(certificate).to_vec(),
        SHA_512_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_512 => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

/// A key in PEM, without a password.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn plain_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| format!("sslkey: {path} does not hold a private key in PEM without a password: {error}"))
}

/// Why a connection failed, where it is for a certificate: trying again does not mend that.
pub fn refused_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => {
                return Some(format!("the server's certificate is not accepted: {why}"));
            }
            Some(rustls::Error::AlertReceived(why)) => {
                return Some(format!(
                    "the server breaks the TLS handshake off: {why:?}. It may ask for a client's certificate"
                ));
            }
            _ => {}
        }
        cause = error.source();
    }
    None
}

fn chain_verifier(
    prefix: &str,
    mode: SslMode,
    root: Option<&str>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let setting = format!("{prefix}sslrootcert");
    let path = root.ok_or_else(|| {
        format!(
            "{prefix}sslmode={} asks for the server's certificate to be verified, and {setting} names no CA file: set it",
            mode.as_str()
        )
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in read(&setting, path)? {
        roots.add(certificate).map_err(|error| unusable(&setting, path, "a CA certificate", error))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| unusable(&setting, path, "a CA certificate", error))
}

fn read(setting: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| unusable(setting, path, "PEM certificates", error))
}

fn unusable(setting: &str, path: &str, wanted: &str, error: impl std::fmt::Display) -> String {
    format!("{setting}: {path} does not hold {wanted} that can be used: {error}")
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
