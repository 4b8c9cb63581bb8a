//! The REST API, with Kafka Connect 4.1's paths, status codes and JSON.
//!
//! # Layout
//! - `answer`: errors in Connect's form
//! - `connectors`: `/connectors…`
//! - `plugins`: `/connector-plugins…`
//! - `observe`: `/`, `/health`, `/metrics`

mod answer;
mod connectors;
mod observe;
mod plugins;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use metrics_exporter_prometheus::PrometheusHandle;

use super::herder::Herder;

/// What the requests work with.
#[derive(Clone)]
pub struct Api {
    /// The connectors.
    pub herder: Arc<Herder>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The Kafka cluster's id.
    pub cluster_id: Arc<str>,
}

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/", get(observe::root))
        .route("/health", get(observe::health))
        .route("/metrics", get(observe::metrics))
        .route("/connectors", get(connectors::list).post(connectors::create))
        .route("/connectors/", get(connectors::list).post(connectors::create))
        .route("/connectors/{name}", get(connectors::show).delete(connectors::delete))
        .route("/connectors/{name}/config", get(connectors::config).put(connectors::put_config))
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route("/connectors/{name}/tasks/{task}/status", get(connectors::task_status))
        .route("/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task))
        .route("/connectors/{name}/restart", post(connectors::restart))
        .route("/connectors/{name}/pause", put(connectors::pause))
        .route("/connectors/{name}/resume", put(connectors::resume))
        .route("/connectors/{name}/stop", put(connectors::stop))
        .route("/connectors/{name}/offsets", get(connectors::offsets).delete(connectors::reset_offsets))
        .route("/connector-plugins", get(plugins::list))
        .route("/connector-plugins/", get(plugins::list))
        .route("/connector-plugins/{plugin}/config/validate", put(plugins::validate))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(api)
}
