//! Metrics: their names, and the text that Prometheus reads.

pub mod names;

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
