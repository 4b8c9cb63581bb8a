//! What `streamer` and `sink` give a shell and what supervises them.
//!
//! # Layout
//! - [`health`]: whether the one that runs here is well, for a container's health check, a probe, a script
//! - [`pages`]: completions and man pages, from the definition of the command line

pub mod health;
pub mod pages;

pub use health::Health;
pub use pages::Pages;
