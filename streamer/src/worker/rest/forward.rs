//! Requests to a worker that stands by: the active one answers them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use super::answer::Refusal;
use crate::worker::herder::Herder;

/// What a forwarded request carries, as Connect's do: it is not forwarded again.
const FORWARDED: &str = "forward=false";
/// The largest body that is passed on.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// Connect's own limit for one request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

impl Api {
    /// The connectors, while this is the active worker.
    ///
    /// # Errors
    /// Connect's answer during a rebalance.
    pub(super) fn herder(&self) -> Result<Arc<Herder>, Refusal> {
        self.active.borrow().clone().ok_or_else(rebalance)
    }
}

/// Answers here while this worker is the active one, and otherwise with what the active one answers.
pub(super) async fn to_active(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Refusal> {
    if api.active.borrow().is_some() {
        return Ok(next.run(request).await);
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    if query.split('&').any(|pair| pair == FORWARDED) {
        return Err(rebalance());
    }
    let leader = api.leader.worker_id().await.filter(|leader| *leader != api.worker.worker_id);
    let leader = leader.ok_or_else(|| {
        Refusal::conflict(
            "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.",
        )
    })?;
    let separator = if query.is_empty() { "" } else { "&" };
    let scheme = api.worker.advertised.scheme();
    let url = format!("{scheme}://{leader}{}?{query}{separator}{FORWARDED}", request.uri().path());
    let mut active = api.active.clone();
    tokio::select! {
        answer = forward(&api.client, &url, request) => answer.map_err(|error| {
            Refusal::conflict(format!(
                "The active worker of this group does not answer at {leader} ({error}): it may have ended, or \
                 rest.advertised.host.name names an address that this worker cannot reach"
            ))
        }),
        // The one that was asked is frozen, or cut off: it is not the active one any more.
        Ok(_) = active.wait_for(Option::is_some) => Err(rebalance()),
    }
}

fn rebalance() -> Refusal {
    Refusal::conflict("Cannot complete request because of a conflicting operation (e.g. worker rebalance)")
}

async fn forward(client: &reqwest::Client, url: &str, request: Request) -> Result<Response, String> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|error| error.to_string())?;
    let mut forwarded = client.request(parts.method, url).timeout(ANSWER_TIMEOUT).body(body);
    for name in [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION] {
        if let Some(value) = parts.headers.get(&name) {
            forwarded = forwarded.header(name, value);
        }
    }
    // Without the URL: what a person needs is the address, which the caller names.
    let answer = forwarded.send().await.map_err(|error| error.without_url().to_string())?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    for name in [header::CONTENT_TYPE, header::LOCATION] {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let body = answer.bytes().await.map_err(|error| error.without_url().to_string())?;
    *response.body_mut() = Body::from(body);
    Ok(response)
}
