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

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It cannot do what it was asked for.
    #[error(transparent)]
    Failed(#[from] TaskError),
    /// Nobody reads what it prints any more, as behind `| head`: not a failure.
    #[error("the output is closed")]
    Closed,
}

/// What a command came to, for `main`: an output that is closed is as good as its end.
///
/// # Errors
/// The command's failure.
pub fn outcome(result: Result<(), Ended>) -> Result<(), TaskError> {
    match result {
        Ok(()) | Err(Ended::Closed) => Ok(()),
        Err(Ended::Failed(error)) => Err(error),
    }
}
