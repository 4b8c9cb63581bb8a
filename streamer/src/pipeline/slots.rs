//! A connector's pipelines: one, or one a slot (`headwater.slots`), all of them one task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Cut, FIRST_RETRY_PAUSE, TaskContext, TaskHealth, TaskState, keep_running, number_of_slots};
use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::metrics::task::TaskMetrics;

/// Runs the task until it is cancelled (`Ok`) or a person must act.
///
/// What time may mend is tried again here, from the stored position, `errors.max.retries` times in a row (-1: for ever).
///
/// # Errors
/// Stop, or the last Retry when the retries are used up.
pub async fn run(context: TaskContext) -> Result<(), TaskError> {
    let retry = context.config.retry;
    let (mut failures, mut pause) = (0_i64, FIRST_RETRY_PAUSE.min(retry.wait));
    while let Err(error) = number_of_slots::settle(&context).await {
        failures += 1;
        if context.cancel.is_cancelled() {
            return Ok(());
        }
        if !error.is_retry() || retry.max >= 0 && failures > retry.max {
            return Err(error);
        }
        context.metrics.retries.increment(1);
        tracing::warn!(connector = %context.config.name, code = error.id(), %error, ?pause, "starting again from the stored position");
        context.health.set(TaskState::Retrying(error.trace()));
        if !paused(&context, pause).await {
            return Ok(());
        }
        pause = (pause * 2).min(retry.wait);
    }
    match context.config.slots {
        _ if context.cancel.is_cancelled() => Ok(()),
        1 => keep_running(context).await,
        slots => together(&context, context.config.with_slots(slots), None).await,
    }
}

/// Waits; `false` when the task is cancelled meanwhile.
pub(super) async fn paused(context: &TaskContext, pause: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = context.cancel.cancelled() => false,
    }
}

/// Runs pipelines until all are cancelled or have come to the cut. Each tries again by itself; when one fails for good, the
/// others stop cleanly.
///
/// # Errors
/// The first that failed a pipeline.
pub(super) async fn together(
    context: &TaskContext,
    configs: Vec<ConnectorConfig>,
    cut: Option<Arc<Cut>>,
) -> Result<(), TaskError> {
    let stop = context.cancel.child_token();
    // Dropped, it breaks them off.
    let mut pipelines = JoinSet::new();
    let states = Mutex::new(vec![TaskState::Starting; configs.len()]);
    let states = Arc::new(States { states, health: context.health.clone() });
    for (number, config) in configs.into_iter().enumerate() {
        let config = Arc::new(config);
        let (health, mut state) = TaskHealth::new();
        let metrics = TaskMetrics::of(&config, context.lives.of(&config.slot.name));
        let (cancel, cut) = (stop.clone(), cut.clone());
        let running = keep_running(TaskContext { config, health, metrics, cancel, cut, ..context.clone() });
        let states = states.clone();
        pipelines.spawn(async move {
            let mut running = Box::pin(running);
            loop {
                tokio::select! {
                    ended = &mut running => return ended,
                    Ok(()) = state.changed() => states.set(number, state.borrow_and_update().clone()),
                }
            }
        });
    }
    let mut result = Ok(());
    while let Some(ended) = pipelines.join_next().await {
        let broke_off = |error| Err(TaskError::retry("one of the connector's pipelines broke off").because(error));
        if let Err(error) = ended.unwrap_or_else(broke_off) {
            stop.cancel();
            match &result {
                Ok(()) => result = Err(error),
                Err(_) => tracing::error!(connector = %context.config.name, %error, "another pipeline failed too"),
            }
        }
    }
    result
}

/// How each pipeline is; the task is as the worst of them.
struct States {
    states: Mutex<Vec<TaskState>>,
    health: TaskHealth,
}

impl States {
    fn set(&self, number: usize, state: TaskState) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(was) = states.get_mut(number) {
            *was = state;
        }
        // Under the lock, so that the last to change is the last to tell.
        self.health.set(worst(&states));
    }
}

fn worst(states: &[TaskState]) -> TaskState {
    let order = |state: &&TaskState| match state {
        TaskState::Retrying(_) => 0,
        TaskState::Stalled(_) => 1,
        TaskState::Starting => 2,
        TaskState::Running => 3,
    };
    states.iter().min_by_key(order).cloned().unwrap_or(TaskState::Starting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_when_all_of_its_pipelines_do_and_says_why_one_does_not() {
        let why = |text: &str| text.to_owned();
        assert_eq!(worst(&[TaskState::Running, TaskState::Running]), TaskState::Running);
        assert_eq!(worst(&[TaskState::Running, TaskState::Starting]), TaskState::Starting);
        let (stalled, retrying) = (TaskState::Stalled(why("a")), TaskState::Retrying(why("b")));
        assert_eq!(worst(&[TaskState::Starting, stalled.clone(), TaskState::Running]), stalled);
        assert_eq!(worst(&[stalled, retrying.clone()]), retrying);
    }
}
