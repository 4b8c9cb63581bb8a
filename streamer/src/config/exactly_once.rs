//! Records and position in one Kafka transaction (KIP-618): the worker's `exactly.once.source.support`, and what a connector says
//! about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::WorkerConfig;
use super::check::{Checked, Finding};
use super::connector::Keys;
use super::slots::Share;
use super::worker::{WorkerConfigError, invalid};

/// How long a transaction is open at most where `transaction.boundary` is `poll`, while there is more at hand. Longer is cheaper,
/// and so much later is a change seen by those who read what is committed.
const BATCH: Duration = Duration::from_millis(50);
/// How long it may become where Kafka takes its time to end one.
const LONGEST: Duration = Duration::from_millis(500);

/// `exactly.once.source.support`: whether connectors publish in transactions. `preparing` says that a cluster is about to, which
/// here as in Connect changes nothing in what is published.
///
/// # Errors
/// Another value.
pub(super) fn is_enabled(value: Option<&str>) -> Result<bool, WorkerConfigError> {
    match value.unwrap_or("disabled") {
        value if value.eq_ignore_ascii_case("enabled") => Ok(true),
        value if ["disabled", "preparing"].iter().any(|known| known.eq_ignore_ascii_case(value)) => Ok(false),
        value => Err(invalid("exactly.once.source.support", value, "disabled, preparing or enabled is expected")),
    }
}

/// How a connector publishes in transactions.
#[derive(Debug, Clone)]
pub struct ExactlyOnce {
    /// `transactional.id`, Connect's for the task (`Worker.taskTransactionalId`): a Connect worker that takes over fences this
    /// one, and the other way round.
    pub transactional_id: String,
    /// `transaction.boundary` and `transaction.boundary.interval.ms`: how long a transaction is open at least.
    pub interval: Duration,
    /// And how long where ending one takes a while.
    pub longest: Duration,
    /// Whether one ends as soon as nothing more is at hand (`transaction.boundary` is `poll`).
    pub ends_at_rest: bool,
}

impl ExactlyOnce {
    /// `None` where the worker does not publish in transactions.
    pub(super) fn parse(keys: &Keys<'_>, worker: &WorkerConfig) -> Option<Self> {
        let text = |key| keys.text(key).map(str::trim);
        let by_interval =
            text("transaction.boundary").is_some_and(|boundary| boundary.eq_ignore_ascii_case("interval"));
        let interval = || {
            let given = text("transaction.boundary.interval.ms").and_then(|value| value.parse().ok());
            given.map_or(worker.offset_flush_interval, Duration::from_millis)
        };
        let (interval, longest) = if by_interval { (interval(), interval()) } else { (BATCH, LONGEST) };
        worker.exactly_once.then(|| Self {
            transactional_id: format!("{}-{}-0", worker.group_id, keys.text("name").unwrap_or_default()),
            interval,
            longest,
            ends_at_rest: !by_interval,
        })
    }

    /// For one slot of several: under the name that Connect's task of that number would have, the first under that of the one task
    /// there is. Whoever published for all slots at once is shut out by the first.
    pub(super) fn of_share(self, share: Share) -> Self {
        let of_connector = self.transactional_id.strip_suffix("-0").unwrap_or(&self.transactional_id);
        Self { transactional_id: format!("{of_connector}-{}", share.number - 1), ..self }
    }
}

/// What goes together only with some workers, and what no worker can do (`DistributedHerder.validateSourceConnectorConfig`).
pub(super) fn check(config: &BTreeMap<String, String>, worker: &WorkerConfig, checked: &mut Checked) {
    let is = |key: &str, value: &str| config.get(key).is_some_and(|given| given.eq_ignore_ascii_case(value));
    let mut refuse = |key: &str, message: &str| {
        checked.findings.push(Finding { key: Some(key.to_owned()), message: message.to_owned() });
    };
    if is("exactly.once.support", "required") && !worker.exactly_once {
        refuse("exactly.once.support", "This worker does not have exactly-once source support enabled.");
    }
    if is("transaction.boundary", "connector") {
        refuse(
            "transaction.boundary",
            "The connector does not support connector-defined transaction boundaries with the given configuration. Please \
             reconfigure it to use a different transaction boundary definition.",
        );
    }
    for key in ["transaction.boundary", "transaction.boundary.interval.ms"] {
        if config.contains_key(key) && !worker.exactly_once {
            checked
                .warnings
                .push(format!("{key} has no effect here: the worker's exactly.once.source.support is not enabled"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabled_publishes_in_transactions() {
        let enabled = |value| is_enabled(value).ok();
        assert_eq!(enabled(None), Some(false));
        assert_eq!(enabled(Some("preparing")), Some(false), "the cluster is not there yet");
        assert_eq!(enabled(Some("ENABLED")), Some(true));
        assert_eq!(enabled(Some("true")), None);
    }
}
