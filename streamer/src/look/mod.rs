//! Changes shown to a person, and asked for again, beside what runs: `streamer tail`, `streamer explain`, `streamer replay`.
//!
//! Nothing here moves a slot, a position or a consumer group. Values are printed: who calls it asked for them, on a terminal of
//! their own.
//!
//! # Layout
//! - [`reach`]: the command line's words for Kafka, PostgreSQL and the worker
//! - `record`: a record of Kafka; [`change`]: what it, or a message of a slot, says happened to a row
//! - `readable`: Connect's numbers and bytes as times and decimals
//! - `filter`: which changes are wanted
//! - `screen`: a terminal, a pipe or a file; `line`: a change as one line of it
//! - [`tail`]: the changes of topics, of a slot, or of a database
//! - [`explain`]: where an event came from and where it went
//! - [`replay`]: a table, or some of its rows, published again

pub mod change;
pub mod explain;
mod filter;
mod line;
pub mod reach;
mod readable;
mod record;
pub mod replay;
mod screen;
pub mod tail;

use crate::error::TaskError;

/// Why a command ends early. It is the one who calls it that acts: nothing here is a task's failure, which the catalogue of errors has.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A server refused, or is not there.
    #[error(transparent)]
    Failed(#[from] TaskError),
    /// It cannot do what it was asked for.
    #[error("{0}")]
    Cannot(String),
    /// Nobody reads what it prints any more, as behind `| head`: not a failure.
    #[error("the output is closed")]
    Closed,
}

impl Ended {
    fn cannot(why: impl Into<String>) -> Self {
        Self::Cannot(why.into())
    }

    /// The same with the cause.
    fn because(self, cause: impl std::fmt::Display) -> Self {
        match self {
            Self::Cannot(why) => Self::Cannot(format!("{why}: {cause}")),
            ended => ended,
        }
    }
}

/// What a command came to, for `main`: an output that is closed is as good as its end.
///
/// # Errors
/// Why it ended early.
pub fn outcome(result: Result<(), Ended>) -> anyhow::Result<()> {
    match result {
        Ok(()) | Err(Ended::Closed) => Ok(()),
        Err(Ended::Failed(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}
