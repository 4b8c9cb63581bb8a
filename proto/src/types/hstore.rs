//! `hstore` as JSON text.

use super::NotA;
use super::modes::HstoreMode;
use crate::connect::java;
use crate::connect::json::write_string;
use crate::connect::writer::ValueWriter;

/// The pairs of an hstore's text: `"a"=>"1", "b"=>NULL`.
///
/// # Errors
/// When the text is not of that form.
pub fn parse(text: &str) -> Result<Vec<(String, Option<String>)>, NotA> {
    const WHAT: NotA = NotA("an hstore");
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = quoted(rest).ok_or(WHAT)?;
        rest = behind.trim_start().strip_prefix("=>").ok_or(WHAT)?.trim_start();
        let value = match rest.strip_prefix("NULL") {
            Some(behind) => {
                rest = behind;
                None
            }
            None => {
                let (value, behind) = quoted(rest).ok_or(WHAT)?;
                rest = behind;
                Some(value)
            }
        };
        pairs.push((key, value));
        rest = rest.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').ok_or(WHAT)?.trim_start();
        }
    }
    Ok(pairs)
}

/// A quoted text and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    if characters.next()?.1 != '"' {
        return None;
    }
    let mut value = String::new();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Writes an hstore in the mode's form.
pub(super) fn write(pairs: &[(String, Option<String>)], mode: HstoreMode, writer: &mut impl ValueWriter) {
    if mode == HstoreMode::Json {
        return writer.string(&json(pairs));
    }
    writer.begin_map(true);
    for (key, value) in ordered(pairs) {
        writer.entry();
        writer.string(key);
        writer.entry_value();
        match value {
            Some(value) => writer.string(value),
            None => writer.null(),
        }
        writer.end_entry();
    }
    writer.end_map();
}

/// In the order of Java's `HashMap`.
fn ordered(pairs: &[(String, Option<String>)]) -> Vec<&(String, Option<String>)> {
    let mut ordered: Vec<_> = pairs.iter().collect();
    let buckets = java::buckets_for(pairs.len());
    ordered.sort_by_key(|(key, _)| java::bucket(key, buckets));
    ordered
}

/// Writes a JSON string. Jackson writes this object into a `Writer`, which takes characters beyond the basic plane as
/// they are.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut escaped = Vec::new();
    out.push(b'"');
    for part in text.split_inclusive(|character| character > '\u{ffff}') {
        let (plain, beyond) = match part.char_indices().next_back() {
            Some((at, '\u{10000}'..)) => part.split_at(at),
            _ => (part, ""),
        };
        escaped.clear();
        write_string(plain, &mut escaped);
        out.extend_from_slice(escaped.get(1..escaped.len() - 1).unwrap_or_default());
        out.extend_from_slice(beyond.as_bytes());
    }
    out.push(b'"');
}

/// The JSON object that Debezium makes of it.
pub fn json(pairs: &[(String, Option<String>)]) -> String {
    let mut out = vec![b'{'];
    for (index, (key, value)) in ordered(pairs).into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(key, &mut out);
        out.push(b':');
        match value {
            Some(value) => write_text(value, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    // Only whole strings were written.
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_nulls_are_understood() {
        let pairs = parse(r#""a"=>"1", "b"=>NULL, "c d"=>"x,\"y\\", "NULL"=>"NULL""#).unwrap();
        let expected = [("a", Some("1")), ("b", None), ("c d", Some("x,\"y\\")), ("NULL", Some("NULL"))];
        let owned = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(pairs, owned);
    }

    #[test]
    fn keys_come_in_the_order_of_a_java_hash_map() {
        assert_eq!(json(&parse(r#""zz"=>"1", "b"=>"2", "aaa"=>"3""#).unwrap()), r#"{"zz":"1","aaa":"3","b":"2"}"#);
    }

    #[test]
    fn characters_beyond_the_basic_plane_stay_as_they_are() {
        assert_eq!(json(&parse(r#""a\"😀"=>"é🦀x🦀""#).unwrap()), r#"{"a\"😀":"é🦀x🦀"}"#);
    }

    #[test]
    fn half_a_pair_is_refused() {
        for text in [r#""a""#, r#""a"=>"#, r#""a"=>"b" "c"=>"d""#, r#"a=>b"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
