//! How Debezium's transforms read what their settings' types do not say.

use proto::connect::avro_names::NameAdjustment;

use crate::transform::java_regex::Pattern;
use crate::transform::settings::{Settings, invalid};

/// The words of `schema.name.adjustment.mode` and `field.name.adjustment.mode`.
pub(super) const ADJUSTMENTS: [(&str, NameAdjustment); 3] =
    [("none", NameAdjustment::None), ("avro", NameAdjustment::Avro), ("avro_unicode", NameAdjustment::AvroUnicode)];

/// A text that is given and not empty, without the blanks around it.
pub(super) fn filled(settings: &Settings, name: &str) -> Option<String> {
    settings.text(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A text that must be given (`Field.isRequired`).
///
/// # Errors
/// That it is not.
pub(super) fn required(settings: &Settings, name: &str) -> Result<String, String> {
    filled(settings, name).ok_or_else(|| invalid(name, "null", "A value is required"))
}

/// A regular expression (`Field.isRegex`).
///
/// # Errors
/// Why it is none.
pub(super) fn pattern(name: &str, text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|why| invalid(name, text, format_args!("A regular expression is expected: {why}")))
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
