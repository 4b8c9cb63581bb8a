//! Where the REST API listens, and what it is known by.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::rest_tls::RestTls;
use super::worker::{WorkerConfigError, invalid};

/// The REST API's door.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where it is.
    pub address: SocketAddr,
    /// With `https://`.
    pub tls: Option<RestTls>,
}

impl Listener {
    /// The first of `listeners`, or the older pair `rest.host.name` and `rest.port`.
    ///
    /// # Errors
    /// What cannot be listened on, and TLS that cannot be set up.
    pub(super) fn of(properties: &BTreeMap<String, String>, port: i32) -> Result<Self, WorkerConfigError> {
        let given = |name: &str| properties.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let (property, text, is_encrypted) = match given("listeners") {
            Some(listeners) => {
                let first = listeners.split(',').next().unwrap_or_default().trim();
                let (protocol, address) = first.split_once("://").unwrap_or_default();
                let is_encrypted = match protocol.to_ascii_lowercase().as_str() {
                    "http" => false,
                    "https" => true,
                    _ => {
                        return Err(invalid(
                            "listeners",
                            listeners,
                            "http://HOST:PORT or https://HOST:PORT is expected",
                        ));
                    }
                };
                ("listeners", address.to_owned(), is_encrypted)
            }
            None => ("rest.port", format!("{}:{port}", given("rest.host.name").unwrap_or_default()), false),
        };
        let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text };
        let address = std::net::ToSocketAddrs::to_socket_addrs(&text).ok().and_then(|mut addresses| addresses.next());
        let address = address.ok_or_else(|| {
            invalid(property, &text, "a host of this machine and a port are expected, such as 0.0.0.0:8083")
        })?;
        Ok(Self { address, tls: if is_encrypted { Some(RestTls::of(properties)?) } else { None } })
    }

    /// What a request to it begins with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What others can reach this worker by, as far as it can tell.
pub(super) fn known_host(listen: SocketAddr) -> String {
    if !listen.ip().is_unspecified() {
        return listen.ip().to_string();
    }
    let name = std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "127.0.0.1".to_owned() } else { name }
}
