//! The REST API, with Kafka Connect 4.1's paths, status codes and JSON.
//!
//! # Layout
//! - `answer`: errors in Connect's form
//! - `connectors`: `/connectors…`
//! - `offsets`: `/connectors/{name}/offsets`
//! - `snapshots`: `/connectors/{name}/incremental-snapshot`
//! - `topics`: `/connectors/{name}/topics`
//! - `plugins`: `/connector-plugins…`
//! - `same_site`: not for pages of other sites
//! - `basic_auth`: who may ask at all
//! - [`mod@tls`]: HTTPS, handshakes included
//! - `forward`: a worker that stands by lets the active one answer
//! - `loggers`: `/admin/loggers…`
//! - `observe`: `/`, `/health`, `/metrics`; what the page at `/` shows is of [`page`](super::page)

mod answer;
mod basic_auth;
mod connectors;
mod forward;
mod loggers;
mod observe;
mod offsets;
mod plugins;
mod same_site;
mod snapshots;
pub mod tls;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post, put};
use metrics_exporter_prometheus::PrometheusHandle;
use page::Events;
use tokio::sync::watch;

use super::group::Leader;
use super::herder::Herder;
use super::log_levels::LogLevels;
use crate::config::WorkerConfig;

/// What the requests work with.
#[derive(Clone)]
pub struct Api {
    /// The worker's configuration.
    pub worker: Arc<WorkerConfig>,
    /// The connectors, while this worker is the active one.
    pub active: watch::Receiver<Option<Arc<Herder>>>,
    /// Who is active otherwise.
    pub leader: Leader,
    /// For requests that the active worker answers.
    pub client: reqwest::Client,
    /// The log's levels.
    pub levels: LogLevels,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The Kafka cluster's id.
    pub cluster_id: Arc<str>,
}

/// All routes; `events` are those of the page.
pub fn router(api: Api, events: Events) -> Router {
    let of_the_active_worker = Router::new()
        .route("/connectors", get(connectors::list).post(connectors::create))
        .route("/connectors/", get(connectors::list).post(connectors::create))
        .route("/connectors/{name}", get(connectors::show).delete(connectors::delete))
        .route(
            "/connectors/{name}/config",
            get(connectors::config).put(connectors::put_config).patch(connectors::patch_config),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route("/connectors/{name}/tasks/{task}/status", get(connectors::task_status))
        .route("/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task))
        .route("/connectors/{name}/restart", post(connectors::restart))
        .route("/connectors/{name}/pause", put(connectors::pause))
        .route("/connectors/{name}/resume", put(connectors::resume))
        .route("/connectors/{name}/stop", put(connectors::stop))
        .route("/connectors/{name}/offsets", get(offsets::show).patch(offsets::alter).delete(offsets::reset))
        .route("/connectors/{name}/incremental-snapshot", post(snapshots::ask))
        .route("/connectors/{name}/topics", get(topics::show))
        .route("/connectors/{name}/topics/reset", put(topics::reset))
        .route("/connector-plugins/{plugin}/config/validate", put(plugins::validate))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(middleware::from_fn_with_state(api.clone(), forward::to_active));
    let users = api.worker.rest_users.clone();
    let router = Router::new()
        .merge(of_the_active_worker)
        .merge(page::router(events))
        .route("/", get(observe::root))
        .route("/health", get(observe::health))
        .route("/metrics", get(observe::metrics))
        .route("/connector-plugins", get(plugins::list))
        .route("/connector-plugins/", get(plugins::list))
        .route("/connector-plugins/{plugin}/config", get(plugins::config))
        .route("/admin/loggers", get(loggers::list))
        .route("/admin/loggers/", get(loggers::list))
        .route("/admin/loggers/{logger}", get(loggers::show).put(loggers::set))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(api)
        .layer(middleware::from_fn(same_site::only));
    match users {
        Some(users) => router.layer(middleware::from_fn_with_state(users, basic_auth::check)),
        None => router,
    }
}
