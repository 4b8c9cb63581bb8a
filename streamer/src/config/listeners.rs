//! Where the REST API listens, and what it is known by.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::rest_tls::RestTls;
use super::worker::{WorkerConfigError, invalid};

/// A door of the REST API.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where it is.
    pub address: SocketAddr,
    /// With `https://`.
    pub tls: Option<RestTls>,
}

impl Listener {
    /// All of `listeners`, or the older pair `rest.host.name` and `rest.port`.
    ///
    /// # Errors
    /// What cannot be listened on, and TLS that cannot be set up.
    pub(super) fn all(properties: &BTreeMap<String, String>, port: i32) -> Result<Vec<Self>, WorkerConfigError> {
        let given = |name: &str| properties.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let Some(listeners) = given("listeners") else {
            let address = address("rest.port", &format!("{}:{port}", given("rest.host.name").unwrap_or_default()))?;
            return Ok(vec![Self { address, tls: None }]);
        };
        let mut all = Vec::new();
        for listener in listeners.split(',').map(str::trim) {
            let (protocol, host_and_port) = listener.split_once("://").unwrap_or_default();
            let tls = match protocol.to_ascii_lowercase().as_str() {
                "http" => None,
                "https" => Some(RestTls::of(properties)?),
                _ => return Err(invalid("listeners", listener, "http://HOST:PORT or https://HOST:PORT is expected")),
            };
            all.push(Self { address: address("listeners", host_and_port)?, tls });
        }
        Ok(all)
    }

    /// The one that other workers are told of: of the protocol `asked` (`rest.advertised.listener`), otherwise of http, otherwise
    /// the first (`RestServer.determineAdvertisedProtocol`).
    ///
    /// # Errors
    /// No listener has the protocol that is asked for.
    pub(super) fn advertised<'a>(all: &'a [Self], asked: Option<&str>) -> Result<&'a Self, WorkerConfigError> {
        let of = |scheme: &str| all.iter().find(|listener| listener.scheme().eq_ignore_ascii_case(scheme));
        let advertised = asked.map_or_else(|| of("http").or(all.first()), of);
        advertised.ok_or_else(|| {
            invalid(
                "rest.advertised.listener",
                asked.unwrap_or_default(),
                "one of the protocols of listeners is expected",
            )
        })
    }

    /// What a request to it begins with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)
    }
}

fn address(property: &str, text: &str) -> Result<SocketAddr, WorkerConfigError> {
    let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let found = std::net::ToSocketAddrs::to_socket_addrs(&text).ok().and_then(|mut addresses| addresses.next());
    found
        .ok_or_else(|| invalid(property, &text, "a host of this machine and a port are expected, such as 0.0.0.0:8083"))
}

/// What others can reach this worker by, as far as it can tell.
pub(super) fn known_host(listen: SocketAddr) -> String {
    if !listen.ip().is_unspecified() {
        return listen.ip().to_string();
    }
    let name = std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "127.0.0.1".to_owned() } else { name }
}
