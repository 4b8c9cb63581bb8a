//! Messages of the slot into row changes.
//!
//! # Layout
//! - [`relations`]: what each table looks like as of the change, compiled to its envelope
//! - `signals`: what signals do to the running stream
//! - [`stream`]: every message in its turn
//! - [`transaction`]: where in the stream we are: transaction, ordinal, last commit
//! - [`watchdog`]: tells when the stream stands still

pub mod relations;
mod signals;
pub mod stream;
pub mod transaction;
pub mod watchdog;
