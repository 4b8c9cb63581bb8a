//! How a task is, and who hears of it.

use tokio::sync::watch;

use super::TaskContext;
use crate::error::TaskError;

/// How a task is, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Not yet reading.
    Starting,
    /// Reading and publishing.
    Running,
    /// Running, and standing still for the reason of this trace.
    Stalled(String),
    /// Waiting to start again after the failure with this trace.
    Retrying(String),
}

/// The task's end of its state; the worker reads the other end.
#[derive(Debug, Clone)]
pub struct TaskHealth {
    state: watch::Sender<TaskState>,
}

impl TaskHealth {
    /// A state nobody has heard of yet.
    pub fn new() -> (Self, watch::Receiver<TaskState>) {
        let (state, receiver) = watch::channel(TaskState::Starting);
        (Self { state }, receiver)
    }

    /// It runs, and stands still for this reason, or for none any more.
    pub fn stalled(&self, context: &TaskContext, why: Option<String>) {
        let state = why.as_ref().map_or(TaskState::Running, |why| TaskState::Stalled(TaskError::retry(why).trace()));
        let is_other_kind = |was: &TaskState| match was {
            TaskState::Running => why.is_some(),
            TaskState::Stalled(_) => why.is_none(),
            // Not the stream's any more.
            TaskState::Starting | TaskState::Retrying(_) => false,
        };
        let changed = self.state.send_if_modified(|was| {
            let changes = is_other_kind(was);
            if changes {
                *was = state;
            }
            changes
        });
        if changed {
            context.metrics.stalled.set(if why.is_some() { 1.0 } else { 0.0 });
            match why {
                Some(why) => {
                    tracing::warn!(connector = %context.config.name, "standing still: {why}");
                    context.metrics.live.failed(why, None);
                }
                None => tracing::info!(connector = %context.config.name, "going on"),
            }
        }
    }

    /// Whether it reads and publishes, or would.
    pub(super) fn runs(&self) -> bool {
        matches!(*self.state.borrow(), TaskState::Running | TaskState::Stalled(_))
    }

    pub(super) fn set(&self, state: TaskState) {
        self.state.send_replace(state);
    }
}
