//! The two kinds of failure.

use access::diagnosis::Finding;

/// What ended an attempt.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The world may mend itself: start again from the stored offsets.
    #[error("{0}")]
    Retry(String),
    /// A person must act; the text says what happened, what it means for the data, and what to do.
    #[error("{0}")]
    Stop(String),
}

impl SinkError {
    /// A failure that time may mend.
    pub fn retry(text: impl Into<String>) -> Self {
        SinkError::Retry(text.into())
    }

    /// A failure that a person must mend.
    pub fn stop(text: impl Into<String>) -> Self {
        SinkError::Stop(text.into())
    }

    /// Puts what was being done in front.
    pub fn while_doing(self, what: &str) -> Self {
        match self {
            SinkError::Retry(text) => SinkError::Retry(format!("{what}: {text}")),
            SinkError::Stop(text) => SinkError::Stop(format!("{what}: {text}")),
        }
    }

    /// Whether starting again can help.
    pub fn is_retry(&self) -> bool {
        matches!(self, SinkError::Retry(_))
    }
}

/// What `doctor` finds, a start stops for in the same words.
impl From<Finding> for SinkError {
    fn from(finding: Finding) -> Self {
        let text = finding.to_string();
        if finding.passes { SinkError::Retry(text) } else { SinkError::Stop(text) }
    }
}

/// PostgreSQL's error. Only its message is kept: the DETAIL may quote a row.
impl From<tokio_postgres::Error> for SinkError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(server) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            return SinkError::Retry(format!("the session to PostgreSQL broke: {cause}"));
        };
        let code = server.code().code();
        let text = format!("{} (SQLSTATE {code})", server.message());
        // PostgreSQL's manual, appendix A: connection, rollback, resources, operator intervention and system errors pass.
        let passes = ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class));
        if passes || matches!(code, "55006" | "55P03") { SinkError::Retry(text) } else { SinkError::Stop(text) }
    }
}
