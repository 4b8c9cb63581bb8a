//! `listeners.https.*`: the REST API's TLS (`SSLUtils`, `AbstractConfig.valuesWithPrefixAllOrNothing`).

use std::collections::BTreeMap;
use std::sync::Arc;

use access::https::{self, ClientAuth};
use access::key_store::{self, Identity};

use super::worker::WorkerConfigError;
use access::java_properties::with_prefix;

const PREFIX: &str = "listeners.https.";

/// TLS of the REST API, and of the requests that one worker makes to another.
#[derive(Debug, Clone)]
pub struct RestTls {
    /// For who connects to this worker.
    pub server: Arc<rustls::ServerConfig>,
    /// For this worker's own requests.
    pub client: rustls::ClientConfig,
}

impl RestTls {
    /// From the worker's properties: `listeners.https.ssl.*`, and where there is none of them `ssl.*`.
    ///
    /// # Errors
    /// What is missing or cannot be used: an API that was to be encrypted is never in the clear.
    pub(super) fn of(properties: &BTreeMap<String, String>) -> Result<Self, WorkerConfigError> {
        let own = with_prefix(properties, PREFIX);
        let (prefix, properties) = if own.is_empty() { ("", properties) } else { (PREFIX, &own) };
        let refuse = |name: &str, why: String| WorkerConfigError::RestAccess(format!("{prefix}{name}: {why}"));
        let given = |name: &str| properties.get(name).map(String::as_str).filter(|value| !value.trim().is_empty());
        let read = |name: &str, path: &str| {
            std::fs::read(path).map_err(|error| refuse(name, format!("{path} cannot be read: {error}")))
        };
        // Passing over them would make the API less safe than asked for.
        for name in ["ssl.cipher.suites", "ssl.enabled.protocols", "ssl.provider"] {
            if given(name).is_some_and(|value| name != "ssl.enabled.protocols" || !value.contains("TLSv1.2")) {
                return Err(refuse(
                    name,
                    "TLSv1.2 and TLSv1.3 are spoken, with rustls's own suites: remove it".to_owned(),
                ));
            }
        }
        let store = "ssl.keystore.location";
        let path = given(store).ok_or_else(|| {
            refuse(store, "an https listener needs a key store with the worker's certificate and key".to_owned())
        })?;
        let identity: Identity =
            key_store::identity(&read(store, path)?, given("ssl.keystore.password"), given("ssl.key.password"))
                .map_err(|why| refuse(store, format!("{path}: {why}")))?;
        let trust = "ssl.truststore.location";
        let authorities = match given(trust) {
            None => None,
            Some(path) => Some(
                key_store::trusted(&read(trust, path)?, given("ssl.truststore.password"))
                    .map_err(|why| refuse(trust, format!("{path}: {why}")))?,
            ),
        };
        let auth = match given("ssl.client.auth").unwrap_or("none") {
            "none" => ClientAuth::None,
            "requested" => ClientAuth::Requested,
            "required" => ClientAuth::Required,
            _ => return Err(refuse("ssl.client.auth", "none, requested or required is expected".to_owned())),
        };
        let authorities = authorities.as_deref();
        Ok(Self {
            server: Arc::new(https::server(&identity, auth, authorities).map_err(|why| refuse(store, why))?),
            client: https::client(authorities, Some(&identity)).map_err(|why| refuse(trust, why))?,
        })
    }
}
