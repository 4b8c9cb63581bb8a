//! Java's regular expressions (`java.util.regex`) with look-around and back references, and its replacements.

use fancy_regex::{Error, Expr, ParseError, Regex};

use super::settings::invalid;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    whole: Regex,
    anywhere: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it is none, in Java's words where they are known.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let refused = |error: Error| in_javas_words(pattern, &error);
        let parsed = Expr::parse_tree(pattern).map_err(refused)?;
        if shortest_match(&parsed.expr, &mut 0).is_none() {
            return Err(format!("Illegal repetition range: it asks for more than a text can have\n{pattern}"));
        }
        let anywhere = Regex::new(pattern).map_err(refused)?;
        let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(refused)?;
        Ok(Self { whole, anywhere })
    }

    /// Whether the whole text matches (`Matcher.matches`). A pattern that gives up on a text, after a million steps back,
    /// does not match it, and the log says so.
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text).unwrap_or_else(|error| {
            tracing::error!(pattern = self.anywhere.as_str(), text, "a pattern is taken not to match: {error}");
            false
        })
    }

    /// The text with the first match replaced (`Matcher.replaceFirst`).
    ///
    /// # Errors
    /// As [`Replacement::new`] and for a group that the pattern does not have.
    pub fn replace_first(&self, text: &str, replacement: &Replacement) -> Result<String, String> {
        let captures = self.anywhere.captures(text).map_err(|error| error.to_string())?;
        let Some(captures) = captures else { return Ok(text.to_owned()) };
        let (start, end) = captures.get(0).map_or((0, 0), |found| (found.start(), found.end()));
        let mut out = text.get(..start).unwrap_or_default().to_owned();
        for part in &replacement.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Number(digits) => {
                    // Java takes as many digits as still name a group.
                    let groups = self.anywhere.captures_len();
                    let number = |digits: &str| digits.parse::<usize>().ok().filter(|number| *number < groups);
                    let taken = (1..=digits.len()).rev().find(|length| number(&digits[..*length]).is_some());
                    let Some(taken) = taken else { return Err(format!("No group {}", &digits[..1])) };
                    let (group, rest) = digits.split_at(taken);
                    out.push_str(
                        number(group).and_then(|group| captures.get(group)).map_or("", |found| found.as_str()),
                    );
                    out.push_str(rest);
                }
                Part::Name(name) => {
                    if !self.anywhere.capture_names().flatten().any(|known| known == name) {
                        return Err(format!("No group with name {{{name}}}"));
                    }
                    out.push_str(captures.name(name).map_or("", |found| found.as_str()));
                }
            }
        }
        out.push_str(text.get(end..).unwrap_or_default());
        Ok(out)
    }
}

/// How many bytes a text has at least that a part of a pattern matches, roughly and rather more; `None` where no text has as many.
/// `largest` is what the largest part before it has, which is what a reference may stand for.
///
/// The crate multiplies nested repetitions without asking whether the product is still a number.
fn shortest_match(part: &Expr, largest: &mut usize) -> Option<usize> {
    const NO_TEXT: usize = 1 << 40;
    const CHARACTER: usize = 4;
    let mut bytes = match part {
        Expr::Literal { val, .. } => val.len(),
        Expr::LiteralBytes { bytes } => bytes.len(),
        Expr::Backref { .. } | Expr::BackrefWithRelativeRecursionLevel { .. } | Expr::SubroutineCall(_) => *largest,
        _ => CHARACTER,
    };
    for child in part.children_iter() {
        bytes = bytes.checked_add(shortest_match(child, largest)?)?;
    }
    if let Expr::Repeat { lo, .. } = part {
        bytes = bytes.checked_mul((*lo).max(1))?;
    }
    *largest = bytes.max(*largest);
    (bytes < NO_TEXT).then_some(bytes)
}

/// `PatternSyntaxException.getMessage`, for the mistakes that people make.
fn in_javas_words(pattern: &str, error: &Error) -> String {
    match error {
        Error::ParseError(_, ParseError::UnclosedOpenParen) => {
            format!("Unclosed group near index {}\n{pattern}", pattern.chars().count())
        }
        other => other.to_string(),
    }
}

/// A pattern that is none, in the words of Connect's `RegexValidator`.
pub fn check(name: &str, value: Option<&str>) -> Result<(), String> {
    let why = match value {
        None => "Cannot invoke \"String.isEmpty()\" because \"this.pattern\" is null".to_owned(),
        Some(pattern) => match Pattern::new(pattern) {
            Ok(_) => return Ok(()),
            Err(why) => why,
        },
    };
    Err(invalid(name, value.unwrap_or("null"), format_args!("Invalid regex: {why}")))
}

/// A replacement in Java's syntax: `$1`, `${name}`, and a backslash before what is meant as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Digits behind `$`: a group's number, and perhaps digits of the text.
    Number(String),
    Name(String),
}

impl Replacement {
    /// Reads a replacement.
    ///
    /// # Errors
    /// Java's words for what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => plain.push(characters.next().ok_or("character to be escaped is missing")?),
                '$' => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    match characters.next() {
                        Some('{') => {
                            let mut name = String::new();
                            loop {
                                match characters.next() {
                                    Some('}') => break,
                                    Some(letter) if letter.is_ascii_alphanumeric() => name.push(letter),
                                    _ => return Err("named capturing group is missing trailing '}'".to_owned()),
                                }
                            }
                            parts.push(Part::Name(name));
                        }
                        Some(digit) if digit.is_ascii_digit() => {
                            let mut digits = digit.to_string();
                            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                                digits.push(digit);
                            }
                            parts.push(Part::Number(digits));
                        }
                        Some(_) => return Err("Illegal group reference".to_owned()),
                        None => return Err("Illegal group reference: group index is missing".to_owned()),
                    }
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, text: &str) -> Result<String, String> {
        Pattern::new(pattern).unwrap().replace_first(text, &Replacement::new(replacement)?)
    }

    #[test]
    fn a_replacement_names_groups_as_java_does() {
        assert_eq!(replaced("srv\\.(.*)\\.(?<table>.*)", "${table}_$1x$0", "srv.a.b"), Ok("b_axsrv.a.b".to_owned()));
        assert_eq!(replaced("(a)b", "$12", "ab"), Ok("a2".to_owned()), "there is no group 12");
        assert_eq!(replaced("a", "\\$1\\\\", "ab"), Ok("$1\\b".to_owned()));
        assert_eq!(replaced("(a)|(b)", "<$1>", "b"), Ok("<>".to_owned()), "a group without a match is empty");
    }

    #[test]
    fn what_is_wrong_with_a_replacement_is_said_in_javas_words() {
        assert_eq!(replaced("a", "$2", "a"), Err("No group 2".to_owned()));
        assert_eq!(replaced("a", "${b}", "a"), Err("No group with name {b}".to_owned()));
        assert_eq!(replaced("a", "$x", "a"), Err("Illegal group reference".to_owned()));
    }

    #[test]
    fn a_match_is_of_the_whole_text() {
        let pattern = Pattern::new("a|ab").unwrap();
        assert!(pattern.matches("ab") && pattern.matches("a") && !pattern.matches("abc"));
    }

    #[test]
    fn a_pattern_may_look_ahead_and_refer_back() {
        assert!(Pattern::new("srv\\.(?!audit).*").unwrap().matches("srv.public.t"));
        assert!(!Pattern::new("srv\\.(?!audit).*").unwrap().matches("srv.audit.t"));
        assert_eq!(replaced("(.)\\1", "<$1>", "abba"), Ok("a<b>a".to_owned()));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_as_java_does() {
        assert_eq!(Pattern::new("(a").unwrap_err(), "Unclosed group near index 2\n(a");
        assert!(Pattern::new("[a").is_err());
    }

    #[test]
    fn repetitions_of_repetitions_that_no_text_could_have_are_refused() {
        for pattern in ["((((a{9999}){9999}){9999}){9999}){9999}", "(?<!(a{9999999999}){9999999999})(.)\\2"] {
            let refused = Pattern::new(pattern).unwrap_err();
            assert!(refused.starts_with("Illegal repetition range"), "{refused}");
        }
        let doubled: String = (1..50).map(|group| format!("(\\{group}\\{group})")).collect();
        assert!(Pattern::new(&format!("(a{{999}}){doubled}")).is_err(), "each group twice the one before");
        assert!(Pattern::new("(\\w)\\1{2}-[0-9]{4}(-[0-9]{2}){2}").unwrap().matches("aaa-2026-11-28"));
    }
}
