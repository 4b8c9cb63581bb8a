//! The documents' code blocks, run as they stand.
//!
//! A block in `sh`, `sql`, `json`, `yaml` or `properties` has a comment on the line before it that says what is done with it:
//!
//! | | |
//! |---|---|
//! | `<!-- run -->` | by bash; it must succeed, and the next block comes behind it, in the same shell |
//! | `<!-- run until it prints what follows -->` | again and again, for what is asked for takes its time |
//! | `<!-- run beside the next until it prints: TEXT -->` | it does not end by itself |
//! | `<!-- run by: COMMAND -->` | it is what the command reads |
//! | `<!-- file: NAME -->` | it is written into the folder in which the commands run |
//! | `<!-- not run: REASON -->` | |
//!
//! A `text` block behind one that is run is what it prints; `…` stands for anything.
//!
//! # Layout
//! - [`block`]: what is in a document
//! - [`shell`]: runs it
//! - [`links`]: whether what it refers to is there

pub mod block;
pub mod links;
pub mod shell;
