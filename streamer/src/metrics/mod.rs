//! What is counted.
//!
//! # Layout
//! - [`names`]: the metrics' names
//! - [`labels`]: what a connector's metrics are labelled with
//! - [`live`]: what the page shows of a connector
//! - [`task`]: one connector's metrics
//! - [`beans`]: what Debezium's MBeans say; [`progress`]: a snapshot's
//! - [`slots`]: what the server says of a connector's slots
//! - `moment`, `debezium`, `connect`: what is asked at the moment of a scrape: our own, Debezium's, Kafka Connect's; `text` writes it

pub mod beans;
mod connect;
mod debezium;
pub mod labels;
pub mod live;
mod moment;
pub mod names;
pub mod progress;
pub mod slots;
pub mod task;
mod text;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::worker::herder::ConnectorView;
use beans::Beans;
use text::Text;

/// The histograms' buckets, in seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];
/// How often what histograms were told is taken in, also where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Makes the process count; the handle renders `/metrics`.
///
/// # Errors
/// When something counts already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let handle = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS)?.install_recorder()?;
    names::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// All metrics as Prometheus reads them.
pub fn render(handle: &PrometheusHandle, connectors: &[ConnectorView]) -> String {
    handle.run_upkeep();
    let mut text = Text::default();
    let present = Beans::present();
    moment::write(&mut text, &present);
    debezium::write(&mut text, &present);
    connect::write(&mut text, connectors);
    handle.render() + &text.into_string()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::live::Lives;
    use super::*;
    use crate::worker::task::TaskStatus;

    /// Those of docs/metrics.md whose names begin so.
    fn written(prefix: &str) -> BTreeSet<&'static str> {
        let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name);
        let document = include_str!("../../../docs/metrics.md");
        document.lines().filter_map(row).filter(|name| name.starts_with(prefix)).collect()
    }

    #[test]
    fn the_document_has_every_metric_and_no_other() {
        let constant = |line: &'static str| line.strip_suffix("\";")?.split_once("= \"").map(|(_, name)| name);
        let own = include_str!("names.rs").lines().filter_map(constant);
        assert_eq!(
            written("headwater_streamer_"),
            own.filter(|name| name.starts_with("headwater_streamer_")).collect()
        );

        let debezium: BTreeSet<String> =
            debezium::attributes().map(|attribute| format!("debezium_metrics_{attribute}")).collect();
        assert_eq!(written("debezium_"), debezium.iter().map(String::as_str).collect());

        let view = ConnectorView {
            name: "c".to_owned(),
            config: BTreeMap::new(),
            state: "RUNNING",
            trace: None,
            task: Some(TaskStatus { state: "FAILED", trace: None }),
            lives: Lives::default(),
        };
        let mut text = Text::default();
        connect::write(&mut text, &[view]);
        let text = text.into_string();
        let connect = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        assert_eq!(written("kafka_"), connect.map(|(name, _)| name).collect());
        assert!(text.contains("kafka_connect_worker_connector_failed_task_count{connector=\"c\"} 1\n"), "{text}");
        assert!(
            text.contains("kafka_connect_connector_task_status{connector=\"c\",task=\"0\",status=\"failed\"} 1\n"),
            "{text}"
        );
    }
}
