//! `hstore`: pairs into the text that its input function reads.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::value::Written;

/// Appends a pair.
pub(super) fn push_pair(key: &str, value: Option<&str>, text: &mut String) {
    push_quoted(key, text);
    text.push_str("=>");
    match value {
        Some(value) => push_quoted(value, text),
        None => text.push_str("NULL"),
    }
}

fn push_quoted(part: &str, text: &mut String) {
    text.push('"');
    for character in part.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
}

/// Reads a JSON object's pairs, to the end of `text`.
pub(super) fn read<'de, A: MapAccess<'de>>(mut pairs: A, text: &mut String) -> Result<Written, A::Error> {
    let begin = text.len();
    loop {
        let end = text.len();
        if end > begin {
            text.push(',');
        }
        if pairs.next_key_seed(Quoted { text: &mut *text, is_key: true })?.is_none() {
            text.truncate(end);
            return Ok(Written::Text);
        }
        text.push_str("=>");
        pairs.next_value_seed(Quoted { text: &mut *text, is_key: false })?;
    }
}

/// The same of an object in a text.
pub(super) fn read_json(json: &str, text: &mut String) -> Result<Written, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let written = deserializer.deserialize_map(Pairs(text))?;
    deserializer.end().map(|()| written)
}

struct Pairs<'a>(&'a mut String);

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, pairs: A) -> Result<Written, A::Error> {
        read(pairs, self.0)
    }
}

/// A key, or a value, which may be null.
struct Quoted<'a> {
    text: &'a mut String,
    is_key: bool,
}

impl<'de> DeserializeSeed<'de> for Quoted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.is_key {
            true => deserializer.deserialize_str(self),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl Visitor<'_> for Quoted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, part: &str) -> Result<(), E> {
        push_quoted(part, self.text);
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.is_key {
            return Err(E::custom("a key is a text"));
        }
        self.text.push_str("NULL");
        Ok(())
    }
}
