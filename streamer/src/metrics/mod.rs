//! What is counted.
//!
//! # Layout
//! - [`names`]: the metrics' names
//! - [`labels`]: what a connector's metrics are labelled with
//! - [`live`]: what the page shows of a connector
//! - [`task`]: one connector's metrics

pub mod labels;
pub mod live;
pub mod names;
pub mod task;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Makes the process count; the handle renders `/metrics`.
///
/// # Errors
/// When something counts already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    names::describe();
    Ok(handle)
}
