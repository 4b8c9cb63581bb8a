//! Where the REST API listens, and what it is known by.

use std::net::SocketAddr;

use super::worker::{WorkerConfigError, invalid};

/// The first HTTP listener, or the older pair of properties.
pub(super) fn listen_address(
    listeners: Option<&str>,
    host: Option<&str>,
    port: i32,
) -> Result<SocketAddr, WorkerConfigError> {
    let (property, text) = match listeners {
        Some(listeners) => {
            let first = listeners.split(',').next().unwrap_or_default().trim();
            let Some(address) = first.strip_prefix("http://").or_else(|| first.strip_prefix("HTTP://")) else {
                return Err(invalid(
                    "listeners",
                    listeners,
                    "an http:// listener is expected; https is not supported yet",
                ));
            };
            ("listeners", address.to_owned())
        }
        None => ("rest.port", format!("{}:{port}", host.unwrap_or_default())),
    };
    let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text };
    let address = std::net::ToSocketAddrs::to_socket_addrs(&text).ok().and_then(|mut addresses| addresses.next());
    address
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
