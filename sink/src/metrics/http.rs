//! `/metrics` and `/health`.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::health::Health;
use super::names;
use crate::config::HealthConfig;
use crate::error::SinkError;

/// Serves both until the program ends.
///
/// # Errors
/// Stop when the address cannot be listened on.
pub async fn serve(listen: SocketAddr, health: Health) -> Result<(), SinkError> {
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| SinkError::stop("http-listen", format!("metrics could not be set up: {error}")))?;
    names::describe();
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| {
        SinkError::stop("http-listen", format!("cannot listen on {listen} (--http-listen): {error}"))
    })?;
    let router =
        Router::new().route("/metrics", get(rendered)).route("/health", get(report)).with_state((metrics, health));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "/metrics and /health are no longer served");
        }
    });
    Ok(())
}

/// Asks the sink that runs here how it is, and prints what it says; whether nothing stands still.
pub async fn ask(config: &HealthConfig) -> bool {
    let base = format!("http://{}", shell::health::here(config.http_listen));
    config.health.ask(shell::health::client(), &base, None).await
}

type Shared = State<(PrometheusHandle, Health)>;

async fn rendered(State((metrics, _)): Shared) -> String {
    metrics.run_upkeep();
    metrics.render()
}

async fn report(State((_, health)): Shared) -> (StatusCode, Json<serde_json::Value>) {
    let (healthy, report) = health.report();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}
