//! The two kinds of failure a task can have.
//!
//! *Retry*: the world may mend itself (a server restarting, a network that went away); the task starts again from its
//! stored position. *Stop*: starting again would give the same answer or lose data; a person must act, and the message
//! says how. The kind is decided where the failure is understood, never guessed from a text further up.

use std::error::Error;

use access::diagnosis::{Finding, Severity, told};

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
    /// Its name in the catalogue of errors; `None` where time mends it, and there is nothing to look up.
    id: Option<&'static str>,
    message: String,
    /// What mends it; empty where the message says that, or there is nothing to be done.
    remedy: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// Whether it is the fault of the record at hand.
    is_of_record: bool,
    /// Whether programs know its message from Debezium: nothing is put behind it, and what mends it stands underneath.
    is_debeziums: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_debeziums {
            return f.write_str(&self.message);
        }
        f.write_str(&told(&self.message, &self.remedy))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl Failure {
    fn new(id: Option<&'static str>, message: String) -> Self {
        Self { id, message, remedy: String::new(), source: None, is_of_record: false, is_debeziums: false }
    }
}

impl From<Finding> for TaskError {
    fn from(finding: Finding) -> Self {
        let error = match finding.passes {
            true => TaskError::retry(finding.message).called(finding.id),
            false => TaskError::stop(finding.id, finding.message),
        };
        error.mended_by(finding.remedy)
    }
}

impl TaskError {
    /// A failure that time may mend.
    pub fn retry(message: impl Into<String>) -> Self {
        TaskError::Retry(Failure::new(None, message.into()))
    }

    /// A failure that a person must mend, by its name in the catalogue of errors (docs/errors).
    pub fn stop(id: &'static str, message: impl Into<String>) -> Self {
        TaskError::Stop(Failure::new(Some(id), message.into()))
    }

    /// The same failure by another name in the catalogue of errors.
    pub fn called(self, id: &'static str) -> Self {
        self.with(|failure| Failure { id: Some(id), ..failure })
    }

    /// The same failure with what mends it.
    pub fn mended_by(self, remedy: impl Into<String>) -> Self {
        self.with(|failure| Failure { remedy: remedy.into(), ..failure })
    }

    /// Its name in the catalogue of errors.
    pub fn id(&self) -> Option<&'static str> {
        self.failure().id
    }

    /// What happened, without what mends it.
    pub fn message(&self) -> &str {
        &self.failure().message
    }

    /// What happened and what mends it, for a person.
    pub fn told(&self) -> String {
        told(self.message(), &self.failure().remedy)
    }

    /// As `doctor` says it; `id` is for one that has no name of its own.
    pub fn finding(&self, id: &'static str) -> Finding {
        let Failure { message, remedy, .. } = self.failure();
        Finding {
            id: self.id().unwrap_or(id),
            severity: Severity::Error,
            message: message.clone(),
            remedy: remedy.clone(),
            passes: self.is_retry(),
        }
    }

    fn failure(&self) -> &Failure {
        let (TaskError::Retry(failure) | TaskError::Stop(failure)) = self;
        failure
    }

    fn with(self, change: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            TaskError::Retry(failure) => TaskError::Retry(change(failure)),
            TaskError::Stop(failure) => TaskError::Stop(change(failure)),
        }
    }

    /// The same kind of failure with `cause` kept underneath for the log.
    pub fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.with(|failure| Failure { source: Some(cause.into()), ..failure })
    }

    /// Puts what was being done in front of the message; the kind stays.
    pub fn while_doing(self, what: &str) -> Self {
        self.with(|failure| Failure { message: format!("{what}: {}", failure.message), ..failure })
    }

    /// The same failure, whose message is Debezium's to the letter.
    pub fn in_debeziums_words(self) -> Self {
        self.with(|failure| Failure { is_debeziums: true, ..failure })
    }

    /// The same failure, which is the fault of the record at hand and of no other: whoever knows the record may say which.
    pub fn of_record(self) -> Self {
        self.with(|failure| Failure { is_of_record: true, ..failure })
    }

    /// Whether it is the fault of the record at hand.
    pub fn is_of_record(&self) -> bool {
        self.failure().is_of_record
    }

    /// Whether starting again can help.
    pub fn is_retry(&self) -> bool {
        matches!(self, TaskError::Retry(_))
    }

    /// What stands underneath, on one line; `None` where nothing does.
    pub fn cause(&self) -> Option<String> {
        let causes: Vec<String> = self.causes().iter().map(|cause| one_line(cause)).collect();
        (!causes.is_empty()).then(|| causes.join(": "))
    }

    fn causes(&self) -> Vec<String> {
        let failure = self.failure();
        let remedy = Some(&failure.remedy).filter(|remedy| failure.is_debeziums && !remedy.is_empty());
        let mut causes: Vec<String> = remedy.into_iter().cloned().collect();
        let mut cause = failure.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        causes
    }

    /// The text of a failed task's `trace` in the REST API: the message and its causes, each as [`trace_line`].
    pub fn trace(&self) -> String {
        let mut text = trace_line(self);
        for cause in self.causes() {
            let line = if names_an_exception(&cause) { one_line(&cause) } else { trace_line(cause) };
            text.push_str(&format!("\nCaused by: {line}"));
        }
        text
    }
}

/// A message as Java prints an exception: its class in front, all on one line.
///
/// Programs take a trace apart. Scripts cut the class off; Redpanda Console shows what is behind the first colon of the first
/// cause, or of the first line, and drops every line that ends with a bracket, as the places in Java's stack do.
pub fn trace_line(message: impl ToString) -> String {
    format!("org.apache.kafka.connect.errors.ConnectException: {}", one_line(&message.to_string()))
}

fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    if line.ends_with(')') { line + "." } else { line }
}

/// Whether a text begins with a Java exception's class already.
fn names_an_exception(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(class, _)| class.ends_with("Exception") && !class.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_java_s_form_whatever_its_texts_are() {
        let error = TaskError::stop("slot-in-use", "slot s is in use (by 7)").because(Failure {
            source: Some("x.y.DataException: bad".into()),
            ..Failure::new(None, "line one\n  line two".to_owned())
        });
        assert_eq!(
            error.trace(),
            "org.apache.kafka.connect.errors.ConnectException: slot s is in use (by 7).\n\
             Caused by: org.apache.kafka.connect.errors.ConnectException: line one line two\n\
             Caused by: x.y.DataException: bad"
        );
    }

    #[test]
    fn words_of_debezium_s_stand_alone_and_what_mends_it_underneath() {
        let error = TaskError::stop("publication-missing", "Please create one.").mended_by("CREATE PUBLICATION p;");
        assert_eq!(error.to_string(), "Please create one. CREATE PUBLICATION p;");
        let error = error.in_debeziums_words();
        assert_eq!(error.to_string(), "Please create one.");
        assert_eq!(error.cause().as_deref(), Some("CREATE PUBLICATION p;"));
        assert!(
            error
                .trace()
                .ends_with("\nCaused by: org.apache.kafka.connect.errors.ConnectException: CREATE PUBLICATION p;")
        );
        assert_eq!(error.finding("other").remedy, "CREATE PUBLICATION p;");
    }
}
