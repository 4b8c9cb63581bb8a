//! TLS of HTTP, on both sides, with what Java's key stores hold.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::key_store::Identity;

/// Whether a server asks who its clients are (`ssl.client.auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// It does not.
    #[default]
    None,
    /// It looks at the certificate of who has one.
    Requested,
    /// Nobody gets in without.
    Required,
}

/// A client that trusts these authorities (PEM), the public ones without, and that shows who it is when it is asked.
///
/// # Errors
/// What is wrong with the certificates or the key.
pub fn client(authorities: Option<&str>, identity: Option<&Identity>) -> Result<ClientConfig, String> {
    let roots = match authorities {
        Some(pem) => roots(pem)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(certificates(&identity.chain)?, key(identity)?)
            .map_err(|error| format!("certificate and private key do not fit: {error}")),
    }
}

/// A server with this certificate, and the authorities (PEM) of those whom it lets in.
///
/// # Errors
/// What is wrong with the certificates or the key, or that clients are asked for certificates of nobody's.
pub fn server(identity: &Identity, auth: ClientAuth, authorities: Option<&str>) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS could not be set up: {error}"))?;
    let builder = match auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Requested | ClientAuth::Required => {
            let authorities =
                authorities.ok_or("ssl.client.auth asks for certificates, and no trust store says whose")?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider());
            let verifier = if auth == ClientAuth::Requested { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    builder
        .with_single_cert(certificates(&identity.chain)?, key(identity)?)
        .map_err(|error| format!("certificate and private key do not fit: {error}"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("a trusted certificate cannot be used: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("a certificate cannot be read: {error}"))?;
    if found.is_empty() { Err("there is no certificate".to_owned()) } else { Ok(found) }
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
        .map_err(|error| format!("the private key is no PEM without a password: {error}"))
}
