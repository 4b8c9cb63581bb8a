//! `/`, `/health`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use page::Program;
use serde_json::{Value, json};

use super::Api;
use crate::worker::CONNECT_VERSION;

/// The page for a browser; for a program versions and the cluster, as Connect answers.
pub(super) async fn root(State(api): State<Api>, headers: HeaderMap) -> Response {
    if page::prefers_page(&headers) {
        return page::index(Program::Streamer);
    }
    let answer = Json(json!({
        "version": CONNECT_VERSION,
        "commit": concat!("headwater-", env!("CARGO_PKG_VERSION")),
        "kafka_cluster_id": &*api.cluster_id,
    }));
    ([(header::VARY, "Accept")], answer).into_response()
}

/// 200 while every task that should run does, or while this worker stands by behind an active one; 503 otherwise, with
/// the tasks that do not.
pub(super) async fn health(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let active = api.active.borrow().clone();
    let Some(herder) = active else {
        return match api.leader.worker_id().await.filter(|leader| *leader != api.worker.worker_id) {
            Some(leader) => {
                let message = format!("Standing by: the active worker of the group is {leader}.");
                (StatusCode::OK, Json(json!({ "status": "healthy", "message": message })))
            }
            None => {
                let message = "Worker is still starting up.";
                (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "starting", "message": message })))
            }
        };
    };
    let mut standing = Vec::new();
    for connector in herder.connectors().await {
        if let Some(task) = connector.task.filter(|task| matches!(task.state, "FAILED" | "RESTARTING")) {
            standing.push(json!({ "connector": connector.name, "state": task.state, "trace": task.trace }));
        }
    }
    if standing.is_empty() {
        let message = "Worker has completed startup and is ready to handle requests.";
        (StatusCode::OK, Json(json!({ "status": "healthy", "message": message })))
    } else {
        let message = "Some tasks do not run; see GET /connectors/{name}/status.";
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unhealthy", "message": message, "tasks": standing })))
    }
}

/// Prometheus' text.
pub(super) async fn metrics(State(api): State<Api>) -> String {
    let active = api.active.borrow().clone();
    let connectors = match active {
        Some(herder) => herder.connectors().await,
        None => Vec::new(),
    };
    crate::metrics::render(&api.metrics, &connectors)
}
