//! The worker's connectors and tasks under the names that Strimzi's dashboard and alerts for Kafka Connect have, and the two
//! that Debezium's example adds.

use super::text::{Kind, Pairs, Text};
use crate::config::plugins;
use crate::worker::herder::ConnectorView;

/// The states that have a number of tasks each, by the name of the metric.
const STATES: [&str; 6] = ["destroyed", "failed", "paused", "restarting", "running", "unassigned"];

/// Adds them; a worker that stands by has no connector.
pub(super) fn write(text: &mut Text, connectors: &[ConnectorView]) {
    let tasks: Vec<_> = connectors.iter().filter_map(|view| Some((view, view.task.as_ref()?))).collect();
    let alone = |value: usize| [(Pairs::new(), value as f64)];
    for prefix in ["kafka_connect_worker", "kafka_connect_worker_metrics"] {
        // The rules of Debezium's example say of no metric what it is.
        let kind = if prefix.ends_with("metrics") { Kind::Untyped } else { Kind::Gauge };
        text.family(
            (&format!("{prefix}_connector_count"), kind, "Connectors of this worker."),
            alone(connectors.len()),
        );
        text.family((&format!("{prefix}_task_count"), kind, "Tasks of this worker."), alone(tasks.len()));
    }
    let assigned = [("connectors", connectors.len()), ("tasks", tasks.len())];
    for (what, count) in assigned {
        let name = format!("kafka_connect_coordinator_assigned_{what}");
        let help = format!("The {what} that the group gave to this worker.");
        text.family((&name, Kind::Gauge, &help), alone(count));
    }
    let rebalancing =
        ("kafka_connect_worker_rebalance_rebalancing", Kind::Gauge, "Whether the group is given out anew.");
    text.family(rebalancing, alone(0));
    for state in STATES {
        let name = format!("kafka_connect_worker_connector_{state}_task_count");
        let help = format!("Tasks of the connector that are {state}.");
        let count =
            |view: &ConnectorView| view.task.iter().filter(|task| task.state.eq_ignore_ascii_case(state)).count();
        text.family((&name, Kind::Gauge, &help), connectors.iter().map(|view| (of(view), count(view) as f64)));
    }
    let total = ("kafka_connect_worker_connector_total_task_count", Kind::Gauge, "Tasks of the connector.");
    text.family(total, connectors.iter().map(|view| (of(view), view.task.iter().count() as f64)));
    for (name, value) in [
        ("status", (|view| view.state.to_ascii_lowercase()) as fn(&ConnectorView) -> String),
        ("connector_class", class),
        ("connector_type", |_| "source".to_owned()),
        ("connector_version", |view| plugins::version(&class(view)).to_owned()),
    ] {
        let series = connectors.iter().map(|view| (with(of(view), name, value(view)), 1.0));
        let help = format!("The label {name} says it.");
        text.family((&format!("kafka_connect_connector_{name}"), Kind::Gauge, &help), series);
    }
    let of_task = |view: &ConnectorView| with(of(view), "task", "0".to_owned());
    text.family(
        ("kafka_connect_connector_task_status", Kind::Gauge, "The label status says how the task is."),
        tasks.iter().map(|(view, task)| (with(of_task(view), "status", task.state.to_ascii_lowercase()), 1.0)),
    );
}

fn of(view: &ConnectorView) -> Pairs {
    vec![("connector".into(), view.name.clone())]
}

fn with(mut labels: Pairs, name: &'static str, value: String) -> Pairs {
    labels.push((name.into(), value));
    labels
}

fn class(view: &ConnectorView) -> String {
    view.config.get("connector.class").cloned().unwrap_or_default()
}
