//! `ssl.*` (`SslConfigs`, `DefaultSslEngineFactory`).

use std::collections::BTreeMap;

use super::{Unusable, given, unusable};
use crate::key_store;

/// Which setting names a store, and which has its content.
const TRUST: [&str; 3] = ["ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates"];

/// Java's default has both versions that are spoken here.
const PROTOCOLS: &str = "ssl.enabled.protocols";

/// A client's TLS in librdkafka's words. Without a trust store, the machine's authorities are trusted, as Java trusts the JVM's.
///
/// # Errors
/// What cannot be read, and what would make the connection less safe than asked for.
pub(super) fn translate(
    properties: &BTreeMap<String, String>,
    settings: &mut Vec<(&'static str, String)>,
) -> Result<(), Unusable> {
    let value = |property: &str| given(properties, property);
    for property in ["ssl.engine.factory.class", "ssl.provider", "security.providers"] {
        if value(property).is_some() {
            return Err(unusable(property, "it names Java code, which cannot be loaded here: remove it"));
        }
    }
    if value("ssl.cipher.suites").is_some() {
        let why = "Java's names of cipher suites are not OpenSSL's: remove it, and let the brokers say which they take";
        return Err(unusable("ssl.cipher.suites", why));
    }
    if let Some(protocols) = value(PROTOCOLS).filter(|protocols| !protocols.contains("TLSv1.2")) {
        return Err(unusable(
            PROTOCOLS,
            format!("TLSv1.2 and TLSv1.3 are spoken, {protocols} alone cannot be kept: remove it"),
        ));
    }
    if let Some(authorities) = trusted(properties)? {
        settings.push(("ssl.ca.pem", authorities));
    }
    let store = value("ssl.keystore.location");
    if let (Some(chain), Some(key)) = (value("ssl.keystore.certificate.chain"), value("ssl.keystore.key")) {
        settings.extend([("ssl.certificate.pem", chain.to_owned()), ("ssl.key.pem", key.to_owned())]);
    } else if let Some(path) = store {
        let identity = key_store::identity(
            &read("ssl.keystore.location", path)?,
            value("ssl.keystore.password"),
            value("ssl.key.password"),
        )
        .map_err(|why| unusable("ssl.keystore.location", format!("{path}: {why}")))?;
        settings.extend([("ssl.certificate.pem", identity.chain), ("ssl.key.pem", identity.key)]);
    }
    if let Some(password) = value("ssl.key.password") {
        settings.push(("ssl.key.password", password.to_owned()));
    }
    // Set but empty is how Java is told not to check the name.
    let check = properties.get("ssl.endpoint.identification.algorithm").is_none_or(|value| !value.trim().is_empty());
    settings.push(("ssl.endpoint.identification.algorithm", if check { "https" } else { "none" }.to_owned()));
    Ok(())
}

/// The authorities of a trust store or of PEM in the settings, `None` for the machine's.
///
/// # Errors
/// Why the store cannot be read.
pub(super) fn trusted(properties: &BTreeMap<String, String>) -> Result<Option<String>, Unusable> {
    let [location, password, certificates] = TRUST.map(|property| given(properties, property));
    match (certificates, location) {
        (Some(certificates), _) => Ok(Some(certificates.to_owned())),
        (None, Some(path)) => key_store::trusted(&read(TRUST[0], path)?, password)
            .map(Some)
            .map_err(|why| unusable(TRUST[0], format!("{path}: {why}"))),
        (None, None) => Ok(None),
    }
}

fn read(property: &str, path: &str) -> Result<Vec<u8>, Unusable> {
    std::fs::read(path).map_err(|error| unusable(property, format!("{path} cannot be read: {error}")))
}
