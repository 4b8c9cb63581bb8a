//! `/metrics` and `/health`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::health::Health;
use super::names;
use crate::error::SinkError;

/// The histogram's buckets, in seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];
/// How often what the histogram was told is taken in, also where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves both until the program ends.
///
/// # Errors
/// Stop when the address cannot be listened on.
pub async fn serve(listen: SocketAddr, health: Health) -> Result<(), SinkError> {
    let histogram = Matcher::Full(names::COMMIT_TO_APPLIED.to_owned());
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(histogram, &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| SinkError::stop("http-listen", format!("metrics could not be set up: {error}")))?;
    names::describe();
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
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

type Shared = State<(PrometheusHandle, Health)>;

async fn rendered(State((metrics, health)): Shared) -> String {
    names::of_the_moment(&health);
    metrics.run_upkeep();
    metrics.render()
}

async fn report(State((_, health)): Shared) -> (StatusCode, Json<serde_json::Value>) {
    let (healthy, report) = health.report();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}
