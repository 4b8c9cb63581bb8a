//! A field's path (`org.apache.kafka.connect.transforms.field`, KIP-821): one name, or with `field.syntax.version` V2 names
//! between dots, in backticks where a name has a dot itself.

use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings, invalid};

/// The setting that chooses the syntax.
pub(super) const FIELD_SYNTAX_VERSION: Setting = Setting::with_default("field.syntax.version", Kind::String, "V1")
    .checked(|name, value| match value {
        Some(value) if value.eq_ignore_ascii_case("V1") || value.eq_ignore_ascii_case("V2") => Ok(()),
        other => Err(invalid(name, other.unwrap_or("null"), "String must be one of (case insensitive): V1, V2")),
    });

/// The names that lead to the field that a setting names.
///
/// # Errors
/// A backtick that is not closed.
pub(super) fn steps(settings: &Settings, name: &str) -> Result<Vec<String>, String> {
    let path = settings.string(name);
    let is_v2 = settings.text(FIELD_SYNTAX_VERSION.name).is_some_and(|version| version.eq_ignore_ascii_case("V2"));
    if is_v2 { nested(&path) } else { Ok(vec![path]) }
}

/// `SingleFieldPath.buildFieldPathV2`.
fn nested(path: &str) -> Result<Vec<String>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let Some(quoted) = rest.strip_prefix('`') else {
            let (step, behind) = rest.split_once('.').unwrap_or((rest, ""));
            steps.push(step.to_owned());
            rest = behind;
            continue;
        };
        let start = path.len() - rest.len();
        let mut step = String::new();
        let mut from = 0;
        let mut search = 0;
        loop {
            let Some(at) = quoted.get(search..).and_then(|text| text.find('`')).map(|found| search + found) else {
                return Err(format!(
                    "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at \
                     position {start} to escape it"
                ));
            };
            let (inside, behind) = (quoted.get(from..at).unwrap_or_default(), quoted.get(at + 1..).unwrap_or_default());
            let is_escaped = quoted.get(..at).is_some_and(|before| before.ends_with('\\'));
            search = at + 1;
            if !behind.is_empty() && !behind.starts_with('.') {
                // A backtick inside the name.
                continue;
            }
            if is_escaped {
                if behind.is_empty() {
                    continue;
                }
                step.push_str(inside.strip_suffix('\\').unwrap_or(inside));
                step.push('`');
                from = at + 1;
                continue;
            }
            step.push_str(inside);
            rest = behind.strip_prefix('.').unwrap_or(behind);
            break;
        }
        steps.push(step);
    }
    if path.ends_with('.') || path.is_empty() {
        steps.push(String::new());
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::nested;

    #[test]
    fn dots_separate_names_and_backticks_keep_a_names_own_dots() {
        let steps = |path: &str| nested(path).unwrap();
        assert_eq!(steps("a.b.c"), ["a", "b", "c"]);
        assert_eq!(steps("`foo.bar`.baz"), ["foo.bar", "baz"]);
        assert_eq!(steps("a.`b.c`"), ["a", "b.c"]);
        assert_eq!(steps("a."), ["a", ""]);
        assert_eq!(steps("`a`b.c`.d"), ["a`b.c", "d"], "a backtick that no dot follows belongs to the name");
        assert_eq!(steps("`a\\`.b`.c"), ["a`.b", "c"], "an escaped one too");
    }

    #[test]
    fn a_backtick_without_its_pair_is_an_error() {
        assert!(nested("a.`b").unwrap_err().contains("[a.`b]"));
        assert!(nested("`a\\`").unwrap_err().contains("position 0"));
    }
}
