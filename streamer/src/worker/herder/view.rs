//! A connector as the REST API shows it.

use std::collections::BTreeMap;

use super::{Connector, Task};
use crate::metrics::live::Lives;
use crate::worker::storage::configs::TargetState;
use crate::worker::task::TaskStatus;

/// A connector as the REST API shows it.
#[derive(Debug, Clone)]
pub struct ConnectorView {
    /// Its name.
    pub name: String,
    /// Its configuration, as it was given.
    pub config: BTreeMap<String, String>,
    /// `RUNNING`, `PAUSED`, `STOPPED`; `UNASSIGNED` where no plugin of this worker runs it.
    pub state: &'static str,
    /// Why, where it is unassigned.
    pub trace: Option<String>,
    /// Its task's state, where it has one.
    pub task: Option<TaskStatus>,
    /// What the page shows of its pipelines.
    pub lives: Lives,
}

impl Connector {
    /// Whether it is another plugin's.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.task, Task::Foreign(_))
    }

    pub(super) fn state(&self) -> &'static str {
        match (&self.task, self.target) {
            (Task::Foreign(_), _) => "UNASSIGNED",
            (_, TargetState::Started) => "RUNNING",
            (_, TargetState::Paused) => "PAUSED",
            (_, TargetState::Stopped) => "STOPPED",
        }
    }

    pub(super) fn task_status(&self) -> Option<TaskStatus> {
        match (&self.task, self.target) {
            (Task::Running(task), _) => Some(task.status()),
            (Task::Unusable(trace), _) => Some(TaskStatus { state: "FAILED", trace: Some(trace.clone()) }),
            (Task::None, TargetState::Paused) => Some(TaskStatus { state: "PAUSED", trace: None }),
            (Task::None | Task::Foreign(_), _) => None,
        }
    }

    pub(super) fn view(&self, name: &str) -> ConnectorView {
        ConnectorView {
            name: name.to_owned(),
            config: self.config.clone(),
            state: self.state(),
            trace: match &self.task {
                Task::Foreign(why) => Some(why.clone()),
                Task::None | Task::Running(_) | Task::Unusable(_) => None,
            },
            task: self.task_status(),
            lives: self.lives.clone(),
        }
    }
}
