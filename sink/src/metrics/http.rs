//! `/metrics`, `/health`, and the page at `/`.

use std::net::SocketAddr;
use std::time::Duration;

use ::page::{Events, Program};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::names;
use super::page::{About, Look};
use crate::config::HealthConfig;
use crate::error::SinkError;

/// The histogram's buckets, in seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];
/// How often what the histogram was told is taken in, also where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves them until the program ends.
///
/// # Errors
/// Stop when the address cannot be listened on.
pub async fn serve(listen: SocketAddr, health: Health, about: About) -> Result<(), SinkError> {
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
    // They end with the program.
    let events = Events::new(CancellationToken::new());
    let mut look = Look::new(about, health.clone());
    tokio::spawn(events.clone().send(async move || look.look()));
    let router = Router::new()
        .route("/", get(root))
        .route("/metrics", get(rendered))
        .route("/health", get(report))
        .merge(::page::router(events))
        .with_state((metrics, health));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "/, /metrics and /health are no longer served");
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

/// The page for a browser; for a program what there is, as far as it is not a secret.
async fn root(headers: HeaderMap) -> Response {
    if ::page::prefers_page(&headers) {
        return ::page::index(Program::Sink);
    }
    let answer = Json(serde_json::json!({ "program": "sink", "version": env!("CARGO_PKG_VERSION") }));
    ([(header::VARY, "Accept")], answer).into_response()
}

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
