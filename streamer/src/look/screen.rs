//! Where a command prints: a terminal, a pipe or a file.

use std::io::{self, IsTerminal as _, Write as _};

use console::{measure_text_width, truncate_str};

use super::Ended;

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    /// How wide a terminal is; `None` for what is none.
    width: Option<usize>,
    pub(super) paint: Paint,
}

/// Colours, where there are some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    is_on: bool,
}

/// How something is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Dim,
    Bold,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Blue => "34",
            Self::Magenta => "35",
            Self::Cyan => "36",
        }
    }
}

impl Paint {
    #[cfg(test)]
    pub(super) const NONE: Self = Self { is_on: false };

    /// Colours only on a terminal, and where NO_COLOR (no-color.org) does not say otherwise.
    fn of(is_terminal: bool) -> Self {
        let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_on: is_terminal && !refuses }
    }

    pub(super) fn text(self, tone: Tone, text: impl std::fmt::Display) -> String {
        match self.is_on {
            true => format!("\x1b[{}m{text}\x1b[0m", tone.code()),
            false => text.to_string(),
        }
    }
}

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = is_terminal.then(|| usize::from(console::Term::stdout().size().1)).filter(|width| *width > 0);
        Self { width, paint: Paint::of(is_terminal) }
    }

    /// Prints a line; `cut` at the terminal's edge.
    ///
    /// # Errors
    /// [`Ended::Closed`] when nobody reads it.
    pub(super) fn line(&self, text: &str, cut: bool) -> Result<(), Ended> {
        let written = match self.width {
            Some(width) if cut && measure_text_width(text) > width => {
                writeln!(io::stdout().lock(), "{}", truncate_str(text, width, "…"))
            }
            _ => writeln!(io::stdout().lock(), "{text}"),
        };
        printed(written)
    }

    /// How many columns a thin line has.
    pub(super) fn rule(&self) -> usize {
        self.width.unwrap_or(80).min(100)
    }

    /// Something for whoever waits, which is no part of what was asked for.
    pub(super) fn note(&self, text: &str) {
        let paint = Paint::of(io::stderr().is_terminal());
        // Whoever closed it does not want to know.
        writeln!(io::stderr().lock(), "{}", paint.text(Tone::Dim, text)).ok();
    }

    /// What was printed is out.
    pub(super) fn flush(&self) -> Result<(), Ended> {
        printed(io::stdout().lock().flush())
    }
}

fn printed(written: io::Result<()>) -> Result<(), Ended> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Ended::Closed),
        Err(error) => Err(Ended::cannot(format!("the output cannot be written: {error}"))),
    }
}

/// A value as a person writes it: text without quotes, where that leaves no doubt; line breaks and other control characters
/// escaped.
pub(super) fn value(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            let is_plain = !text.is_empty()
                && text.trim() == text
                && !text.contains([',', '"', '→'])
                && !text.chars().any(char::is_control)
                && !matches!(text.as_str(), "null" | "true" | "false");
            if is_plain { text.clone() } else { value.to_string() }
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_has_quotes_only_where_it_could_be_taken_for_something_else() {
        for (given, shown) in [
            (json!("John Smith"), "John Smith"),
            (json!(""), "\"\""),
            (json!("a, b"), "\"a, b\""),
            (json!("null"), "\"null\""),
            (json!("line\nbreak"), "\"line\\nbreak\""),
            (json!(null), "null"),
            (json!(1.50), "1.5"),
        ] {
            assert_eq!(value(&given), shown);
        }
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert!(!value(&json!("\u{1b}[31mred")).contains('\u{1b}'));
    }
}
