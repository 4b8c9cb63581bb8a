//! The page that a program shows of itself to a browser: live, and made of nothing but what is compiled in.
//!
//! A program fills a [`state`], gives it to [`Events`] whenever it is asked for one, and merges [`router`] into its own.
//!
//! # Layout
//! - [`accept`]: whether who asks is a browser
//! - [`assets`]: the page's files, and what a browser may do with them
//! - [`events`]: the state once a second, and at once when something changed
//! - [`state`]: what the streamer and the sink say of themselves
//!
//! The files themselves are in `assets/`: plain HTML, CSS and JavaScript modules.

pub mod accept;
pub mod assets;
pub mod events;
pub mod state;

pub use accept::prefers_page;
pub use assets::{Program, index, router};
pub use events::Events;
