//! The two kinds of failure a task can have.
//!
//! *Retry*: the world may mend itself (a server restarting, a network that went away); the task starts again from its
//! stored position. *Stop*: starting again would give the same answer or lose data; a person must act, and the message
//! says how. The kind is decided where the failure is understood, never guessed from a text further up.

use std::error::Error;

/// What ended an attempt to run the task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Start again from the stored position.
    #[error("{0}")]
    Retry(Failure),
    /// A person must act first.
    #[error("{0}")]
    Stop(Failure),
}

/// One sentence for a person, and the cause underneath it.
///
/// The text never holds a password or a row's values: PostgreSQL's error details can, so only its message is kept.
#[derive(Debug)]
pub struct Failure {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl TaskError {
    /// A failure that time may mend.
    pub fn retry(message: impl Into<String>) -> Self {
        TaskError::Retry(Failure { message: message.into(), source: None })
    }

    /// A failure that a person must mend.
    pub fn stop(message: impl Into<String>) -> Self {
        TaskError::Stop(Failure { message: message.into(), source: None })
    }

    /// The same kind of failure with `cause` kept underneath for the log.
    pub fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let with = |failure: Failure| Failure { source: Some(cause.into()), ..failure };
        match self {
            TaskError::Retry(failure) => TaskError::Retry(with(failure)),
            TaskError::Stop(failure) => TaskError::Stop(with(failure)),
        }
    }

    /// Puts what was being done in front of the message; the kind stays.
    pub fn while_doing(self, what: &str) -> Self {
        let with = |failure: Failure| Failure { message: format!("{what}: {}", failure.message), ..failure };
        match self {
            TaskError::Retry(failure) => TaskError::Retry(with(failure)),
            TaskError::Stop(failure) => TaskError::Stop(with(failure)),
        }
    }

    /// Whether starting again can help.
    pub fn is_retry(&self) -> bool {
        matches!(self, TaskError::Retry(_))
    }

    /// The text of a failed task's `trace` in the REST API: the form Kafka Connect gives it, so that scripts that cut the
    /// exception's class off keep working.
    pub fn trace(&self) -> String {
        let mut text = format!("org.apache.kafka.connect.errors.ConnectException: {self}");
        let mut cause = match self {
            TaskError::Retry(failure) | TaskError::Stop(failure) => failure.source(),
        };
        while let Some(error) = cause {
            text.push_str(&format!("\nCaused by: {error}"));
            cause = error.source();
        }
        text
    }
}
