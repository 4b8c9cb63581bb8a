//! The two kinds of failure.

use access::diagnosis::Finding;

/// What ended an attempt.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The world may mend itself: start again from the stored offsets.
    #[error("{0}")]
    Retry(String),
    /// A person must act.
    #[error("{text}")]
    Stop {
        /// Its name in the catalogue of errors (docs/errors).
        id: &'static str,
        /// What happened, what it means for the data, and what to do.
        text: String,
    },
}

impl SinkError {
    /// A failure that time may mend.
    pub fn retry(text: impl Into<String>) -> Self {
        SinkError::Retry(text.into())
    }

    /// A failure that a person must mend, by its name in the catalogue of errors (docs/errors).
    pub fn stop(id: &'static str, text: impl Into<String>) -> Self {
        SinkError::Stop { id, text: text.into() }
    }

    /// Its name in the catalogue of errors; `None` where time mends it.
    pub fn id(&self) -> Option<&'static str> {
        match self {
            SinkError::Retry(_) => None,
            SinkError::Stop { id, .. } => Some(id),
        }
    }

    /// Puts what was being done in front.
    pub fn while_doing(self, what: &str) -> Self {
        match self {
            SinkError::Retry(text) => SinkError::Retry(format!("{what}: {text}")),
            SinkError::Stop { id, text } => SinkError::Stop { id, text: format!("{what}: {text}") },
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
        if finding.passes { SinkError::Retry(text) } else { SinkError::stop(finding.id, text) }
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
        if passes || matches!(code, "55006" | "55P03") {
            SinkError::Retry(text)
        } else {
            SinkError::stop("server-refused", text)
        }
    }
}
