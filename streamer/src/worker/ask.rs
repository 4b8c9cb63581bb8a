//! `streamer health`: the worker that runs here with this configuration is asked how it is.

use anyhow::Context as _;

use crate::config::{RestUsers, WorkerConfig};

/// Asks it at one of its doors, and prints what it says. Gives whether all is well.
///
/// # Errors
/// It cannot be asked.
pub async fn health(worker: &WorkerConfig, health: &shell::Health) -> anyhow::Result<bool> {
    let plain = worker.listeners.iter().find(|listener| listener.tls.is_none());
    let listener = plain.or(worker.listeners.first()).context("the REST API listens nowhere (listeners)")?;
    let here = shell::health::here(listener.address);
    let (client, base) = match &listener.tls {
        None => (shell::health::client(), format!("http://{here}")),
        Some(tls) => {
            // Its certificate is for the name that it is known by, wherever that leads from here.
            let name = worker.worker_id.rsplit_once(':').map_or(worker.worker_id.as_str(), |(host, _)| host);
            let client = shell::health::client().use_preconfigured_tls(tls.client.clone()).resolve(name, here);
            (client, format!("https://{name}:{}", here.port()))
        }
    };
    Ok(health.ask(client, &base, worker.rest_users.as_ref().and_then(RestUsers::any)).await)
}
