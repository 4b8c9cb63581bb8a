//! Free ports, taken ports.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, bail};

/// A port that nobody listens on.
///
/// # Errors
/// There is none.
pub fn free() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Fails when somebody listens on a port.
///
/// # Errors
/// Somebody does.
pub fn require_free(port: u16, what_for: &str) -> anyhow::Result<()> {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        bail!(
            "port {port} is taken, and {what_for} needs it. If a stack of before still runs, scripts/stop-all.sh stops it; \
             otherwise `ss -ltnp sport = :{port}` names the program"
        );
    }
    Ok(())
}

/// A port that nobody listens on, and that no connection is given by the system meanwhile: who listens there may go away and
/// come back. Linux gives out those from 32768 up.
///
/// # Errors
/// There is none.
pub fn lasting() -> anyhow::Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(12_000..32_000)).take(1_000).find(is_free).context("no free port")
}
