//! The `.properties` format (`java.util.Properties.load`).

use std::collections::BTreeMap;

/// Reads keys and values: comments with `#` or `!`, `=`, `:` or a blank between key and value, a backslash at a line's end
/// to go on in the next, and Java's escapes. The last value of a key counts.
///
/// # Errors
/// The number of the line with a `\u` that is not followed by four hexadecimal digits.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, PropertiesError> {
    let mut properties = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while ends_in_lone_backslash(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let error = || PropertiesError { line: number + 1 };
        properties.insert(unescaped(key).ok_or_else(error)?, unescaped(value).ok_or_else(error)?);
    }
    Ok(properties)
}

/// The properties whose keys begin with a prefix, without it.
pub fn with_prefix(properties: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    properties.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct PropertiesError {
    line: usize,
}

fn ends_in_lone_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// At the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (index, character) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if matches!(character, '=' | ':' | ' ' | '\t' | '\x0c') {
            let (key, rest) = line.split_at(index);
            let rest = rest.trim_start_matches([' ', '\t', '\x0c']);
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, rest.trim_start_matches([' ', '\t', '\x0c']));
        }
    }
    (line, "")
}

fn unescaped(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    let unit = (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()?;
                    units.push(unit);
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend(plain.encode_utf16(&mut [0; 2]).iter());
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_line_is_read() {
        let text = "# comment\n! too\n\na=1\n b : two words \nc 3\nd\ne=x\\\n   y\nf\\=g=h\\tj\nu=\\u00e9\\uD83E\\uDD80\na=last\n";
        let expected =
            [("a", "last"), ("b", "two words "), ("c", "3"), ("d", ""), ("e", "xy"), ("f=g", "h\tj"), ("u", "é🦀")];
        let expected = expected.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn half_an_escape_is_refused_by_its_line() {
        assert_eq!(parse("a=1\nb=\\u12"), Err(PropertiesError { line: 2 }));
    }
}
