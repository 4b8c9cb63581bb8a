//! How Debezium's transforms read what their settings' types do not say.

use crate::transform::settings::{Settings, invalid};

/// A text that is given and not empty, without the blanks around it.
pub(super) fn filled(settings: &Settings, name: &str) -> Option<String> {
    settings.text(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// One of several words, in any case (`EnumeratedValue.parse`). The setting has a default.
///
/// # Errors
/// What is wrong with another word.
pub(super) fn choice<T: Copy>(settings: &Settings, name: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let given = settings.string(name);
    let known = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(given.trim()));
    known.map(|(_, choice)| *choice).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        invalid(name, given, format_args!("Value must be one of {}", words.join(", ")))
    })
}
