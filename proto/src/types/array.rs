//! Arrays.

use md5::{Digest as _, Md5};

use super::codec::{Codec, Kept};
use super::modes::Phase;
use super::{NotA, Unconvertible, decimal};
use crate::connect::writer::ValueWriter;

/// One element of an array's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// NULL.
    Null,
    /// A value's text.
    Text(String),
    /// An array inside the array.
    Nested,
}

/// How the arrays of a type are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ArrayLayout {
    /// What separates elements (`pg_type.typdelim`).
    pub(super) delimiter: char,
    /// Whether a null may be among the elements; else it spoils the array.
    pub(super) takes_null: bool,
}

impl ArrayLayout {
    /// By the elements' type, and whether the schema requires them. Debezium stumbles over a NULL in an `ltree[]`.
    pub(super) fn of(element: &str, is_required: bool) -> Self {
        let delimiter = match element {
            "box" => ';',
            "geometry" | "geography" => ':',
            _ => ',',
        };
        Self { delimiter, takes_null: !is_required && element != "ltree" }
    }
}

/// The elements of an array's text: `{1,NULL,"a b"}`, `[0:1]={5,6}`. Of an inner array only the place is kept: Debezium
/// has nothing but a null for it.
///
/// # Errors
/// When the text is not of that form.
pub fn parse(text: &str) -> Result<Vec<Element>, NotA> {
    parse_delimited(text, ',')
}

fn parse_delimited(text: &str, delimiter: char) -> Result<Vec<Element>, NotA> {
    const WHAT: NotA = NotA("an array");
    let body = match text.strip_prefix('[') {
        Some(bounds) => bounds.split_once("]=").ok_or(WHAT)?.1,
        None => text,
    };
    let inner = body.strip_prefix('{').and_then(|body| body.strip_suffix('}')).ok_or(WHAT)?;
    let mut elements = Vec::new();
    if inner.is_empty() {
        return Ok(elements);
    }
    let mut characters = inner.chars().peekable();
    loop {
        let element = match characters.peek() {
            Some('"') => {
                characters.next();
                Element::Text(quoted(&mut characters).ok_or(WHAT)?)
            }
            Some('{') => {
                skip_nested(&mut characters).ok_or(WHAT)?;
                Element::Nested
            }
            _ => {
                let mut bare = String::new();
                while let Some(character) = characters.next_if(|character| *character != delimiter) {
                    bare.push(if character == '\\' { characters.next().ok_or(WHAT)? } else { character });
                }
                if bare.eq_ignore_ascii_case("NULL") { Element::Null } else { Element::Text(bare) }
            }
        };
        elements.push(element);
        match characters.next() {
            Some(character) if character == delimiter => {}
            None => return Ok(elements),
            Some(_) => return Err(WHAT),
        }
    }
}

/// The rest of a quoted element.
fn quoted(characters: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut value = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

/// Passes over an inner array.
fn skip_nested(characters: &mut impl Iterator<Item = char>) -> Option<()> {
    let mut depth = 0_u32;
    loop {
        match characters.next()? {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(());
                }
            }
            '"' => {
                quoted(characters)?;
            }
            _ => {}
        }
    }
}

/// Writes an array. A numeric that `BigDecimal` does not have spoils it whole: Debezium's driver reads all or nothing.
pub(super) fn write(
    text: &str,
    element: &Codec,
    layout: ArrayLayout,
    elements_from: Phase,
    writer: &mut impl ValueWriter,
) -> Result<Kept, Unconvertible> {
    let elements = parse_delimited(text, layout.delimiter)?;
    let is_not_finite =
        |value: &Element| matches!(value, Element::Text(text) if decimal::is_not_finite(text.as_bytes()));
    let is_spoilt = matches!(element, Codec::Decimal { .. }) && elements.iter().any(is_not_finite)
        || !layout.takes_null && elements.iter().any(|value| !matches!(value, Element::Text(_)));
    if is_spoilt {
        return Err(Unconvertible::NoForm);
    }
    let mut kept = Kept::All;
    writer.begin_array();
    for value in &elements {
        writer.element();
        match value {
            Element::Text(text) => kept = kept.and(element.write(text.as_bytes(), elements_from, writer)?),
            Element::Null => writer.null(),
            Element::Nested => {
                writer.null();
                kept = Kept::Part;
            }
        }
    }
    writer.end_array();
    Ok(kept)
}

/// Writes an array whose elements stand between spaces, or what Debezium has of it.
pub(super) fn write_words(
    text: &str,
    element: &Codec,
    is_emptied: bool,
    writer: &mut impl ValueWriter,
) -> Result<Kept, Unconvertible> {
    if is_emptied && text.is_empty() {
        return Err(Unconvertible::NoForm);
    }
    writer.begin_array();
    for word in text.split_ascii_whitespace().filter(|_| !is_emptied) {
        writer.element();
        let _whole = element.write(word.as_bytes(), Phase::Streaming, writer)?;
    }
    writer.end_array();
    Ok(Kept::unless(is_emptied))
}

/// An array of values that need no conversion.
pub(super) fn write_all<W: ValueWriter, T>(
    writer: &mut W,
    values: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut W, T),
) {
    writer.begin_array();
    for value in values {
        writer.element();
        write(writer, value);
    }
    writer.end_array();
}

/// `UUID.nameUUIDFromBytes`: the MD5 of the name with the version and variant of a name-based UUID.
pub fn name_uuid(name: &[u8]) -> String {
    let mut bytes: [u8; 16] = Md5::digest(name).into();
    if let Some(version) = bytes.get_mut(6) {
        *version = *version & 0x0F | 0x30;
    }
    if let Some(variant) = bytes.get_mut(8) {
        *variant = *variant & 0x3F | 0x80;
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |range| hex.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> Element {
        Element::Text(value.to_owned())
    }

    #[test]
    fn quotes_nulls_and_bounds_are_understood() {
        let elements = parse(r#"{a,"b c","q\"uo",NULL,"NULL","",ü}"#).unwrap();
        let expected = vec![text("a"), text("b c"), text("q\"uo"), Element::Null, text("NULL"), text(""), text("ü")];
        assert_eq!(elements, expected);
        assert_eq!(parse("[0:1]={5,6}").unwrap(), vec![text("5"), text("6")]);
        assert_eq!(parse("{}").unwrap(), vec![]);
    }

    #[test]
    fn an_inner_array_keeps_its_place() {
        assert_eq!(parse(r#"{{1,"}"},{3,4}}"#).unwrap(), vec![Element::Nested, Element::Nested]);
    }

    #[test]
    fn the_uuid_of_the_placeholder_is_javas() {
        assert_eq!(name_uuid(b"__debezium_unavailable_value"), "b68a35a7-17ad-35b3-af2a-ae46edb4545a");
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in "[{}\",\\\\a\\[\\]=:]{0,30}") {
            let _parsed = parse(&text);
        }
    }
}
