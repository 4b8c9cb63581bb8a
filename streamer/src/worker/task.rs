//! One running task and its state.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trace::Tracer;

use super::storage::statuses::StatusStore;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::trace_line;
use crate::metrics::live::{Live, Lives};
use crate::metrics::task::TaskMetrics;
use crate::pipeline::{self, TaskContext, TaskHealth, TaskState};
use crate::position::OffsetStore;

/// A connector's one task. Dropping it stops the task without waiting; [`RunningTask::stop`] waits.
#[derive(Debug)]
pub struct RunningTask {
    cancel: CancellationToken,
    health: watch::Receiver<TaskState>,
    failure: Arc<OnceLock<String>>,
    run: JoinHandle<()>,
}

/// A task's state as the REST API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// `RUNNING`, `UNASSIGNED`, `RESTARTING`, `FAILED`.
    pub state: &'static str,
    /// Why, where it does not run.
    pub trace: Option<String>,
}

impl RunningTask {
    /// Starts the task. Behind `fence` it publishes nothing any more.
    pub fn start(
        config: Arc<ConnectorConfig>,
        worker: Arc<WorkerConfig>,
        offsets: OffsetStore,
        statuses: StatusStore,
        fence: CancellationToken,
        lives: Lives,
        tracer: Option<Tracer>,
    ) -> Self {
        let cancel = CancellationToken::new();
        let (health, receiver) = TaskHealth::new();
        let failure = Arc::new(OnceLock::new());
        let name = config.name.clone();
        let metrics = TaskMetrics::of(&config, lives.of(&config.slot.name));
        let live = metrics.live.clone();
        let context = TaskContext {
            config,
            worker,
            statuses: statuses.clone(),
            offsets,
            cancel: cancel.clone(),
            health,
            metrics,
            lives,
            cut: None,
            tracer,
        };
        let run = tokio::spawn(watched(name, context, failure.clone(), receiver.clone(), statuses, fence, live));
        Self { cancel, health: receiver, failure, run }
    }

    /// How the task is.
    pub fn status(&self) -> TaskStatus {
        if let Some(trace) = self.failure.get() {
            return TaskStatus { state: "FAILED", trace: Some(trace.clone()) };
        }
        match &*self.health.borrow() {
            TaskState::Starting => TaskStatus { state: "UNASSIGNED", trace: None },
            TaskState::Running => TaskStatus { state: "RUNNING", trace: None },
            TaskState::Stalled(trace) | TaskState::Retrying(trace) => {
                TaskStatus { state: "RESTARTING", trace: Some(trace.clone()) }
            }
        }
    }

    /// Asks the task to stop and waits until it has: its position is stored and its slot free. Behind the fence it is
    /// broken off instead.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        if let Err(error) = (&mut self.run).await {
            tracing::error!(%error, "the task broke off while stopping");
        }
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Runs the task and keeps its failure; writes each new state to the status topic.
async fn watched(
    name: String,
    context: TaskContext,
    failure: Arc<OnceLock<String>>,
    mut health: watch::Receiver<TaskState>,
    statuses: StatusStore,
    fence: CancellationToken,
    live: Arc<Live>,
) {
    let run = tokio::spawn(pipeline::run(context));
    let aborts_with_this = run.abort_handle();
    tokio::pin!(run);
    let result = loop {
        tokio::select! {
            result = &mut run => break result,
            () = fence.cancelled() => {
                // What is queued is thrown away with the producer: it comes again from the slot, by another worker.
                run.abort();
                let _broken_off = run.await;
                return;
            }
            Ok(()) = health.changed() => {
                let state = health.borrow_and_update().clone();
                match state {
                    TaskState::Starting => {}
                    TaskState::Running => statuses.put(&name, Some(0), "RUNNING", None).await,
                    TaskState::Stalled(trace) | TaskState::Retrying(trace) => {
                        statuses.put(&name, Some(0), "RESTARTING", Some(&trace)).await;
                    }
                }
            }
        }
    };
    aborts_with_this.abort();
    let trace = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => {
            let cause = error.cause();
            tracing::error!(connector = %name, code = error.id(), %error, cause, "the task stopped: a person must act");
            live.failed(error.told(), error.id());
            error.trace()
        }
        Err(error) => {
            tracing::error!(connector = %name, %error, "the task broke off");
            let text = format!("the task broke off: {error}");
            live.failed(text.clone(), None);
            trace_line(text)
        }
    };
    statuses.put(&name, Some(0), "FAILED", Some(&trace)).await;
    // Set once, here only.
    let _already_set = failure.set(trace);
}
