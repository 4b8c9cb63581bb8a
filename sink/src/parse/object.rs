//! Values that come as an object.

use std::borrow::Cow;
use std::fmt;

use proto::types::decimal::Decimal;
use proto::types::{BinaryMode, Form};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{Place, Written, append};
use super::{Unreadable, binary, hstore, number};

/// Reads a decimal with a scale of its own, a point, PostGIS' and pgvector's structs, an hstore's map.
pub(super) fn read<'de, A: MapAccess<'de>>(
    mut fields: A,
    place: Place<'_>,
) -> Result<Result<Written, Unreadable>, A::Error> {
    let Place { reader, form, text, seen } = place;
    let begin = text.len();
    let (is_mark, written) = match form {
        Form::Decimal { scale: None, .. } => (false, variable_scale(parts(fields, ["scale", "value"])?, text)),
        Form::Point => (false, point(parts(fields, ["x", "y"])?, text)),
        Form::PostGis => {
            // The reference system is among the bytes.
            let [wkb, _] = parts(fields, ["wkb", "srid"])?;
            (wkb.and_then(content).is_some_and(|bytes| reader.is_marking_base64(&bytes)), ewkb(wkb, text))
        }
        Form::SparseVector => {
            let [dimensions, vector] = parts(fields, ["dimensions", "vector"])?;
            (dimensions.is_some_and(|dimensions| dimensions.get() == "-1"), sparse_vector([dimensions, vector], text))
        }
        Form::Hstore(_) => {
            hstore::read(fields, text)?;
            (text.get(begin..).is_some_and(|pairs| reader.are_marking_pairs(pairs)), Some(()))
        }
        _ => {
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            (false, None)
        }
    };
    match seen {
        Some(seen) => seen.text |= is_mark,
        None if is_mark => {
            text.truncate(begin);
            return Ok(Ok(Written::Unchanged));
        }
        None => {}
    }
    Ok(written.map(|()| Written::Text).ok_or_else(|| reader.unexpected()))
}

/// The fields of two names, as they stand there.
type Parts<'de> = [Option<&'de RawValue>; 2];

fn parts<'de, A: MapAccess<'de>>(mut fields: A, names: [&str; 2]) -> Result<Parts<'de>, A::Error> {
    let mut parts = [None; 2];
    while let Some(found) = fields.next_key_seed(OneOf(names))? {
        match found {
            Some(index) => {
                let value = fields.next_value()?;
                parts.get_mut(index).into_iter().for_each(|part| *part = Some(value));
            }
            None => {
                fields.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(parts)
}

struct OneOf<'a>([&'a str; 2]);

impl<'de> DeserializeSeed<'de> for OneOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}

/// A JSON text's content.
pub(super) fn content(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        true => serde_json::from_str(raw.get()).ok().map(Cow::Owned),
        false => Some(Cow::Borrowed(inner)),
    }
}

/// Appends a JSON number as it stands there, or what is no number and has a name.
fn coordinate(raw: &RawValue, text: &mut String) -> Option<()> {
    let number = match raw.get() {
        "\"NaN\"" => "NaN",
        "\"Infinity\"" => "Infinity",
        "\"-Infinity\"" => "-Infinity",
        other => Some(other).filter(|other| other.starts_with(|first: char| first == '-' || first.is_ascii_digit()))?,
    };
    text.push_str(number);
    Some(())
}

fn variable_scale([scale, value]: Parts<'_>, text: &mut String) -> Option<()> {
    let scale = scale?.get().parse().ok().filter(|scale| *scale <= Decimal::MOST_BEHIND_POINT)?;
    number::unscaled(&content(value?)?, scale, text)
}

fn point([x, y]: Parts<'_>, text: &mut String) -> Option<()> {
    text.push('(');
    coordinate(x?, text)?;
    text.push(',');
    coordinate(y?, text)?;
    text.push(')');
    Some(())
}

fn ewkb(wkb: Option<&RawValue>, text: &mut String) -> Option<()> {
    binary::hex(&content(wkb?)?, BinaryMode::Bytes, text)
}

/// Debezium has the entries in a hash's order.
fn sparse_vector([dimensions, vector]: Parts<'_>, text: &mut String) -> Option<()> {
    let dimensions: i32 = dimensions?.get().parse().ok()?;
    let mut entries: Vec<(i32, &RawValue)> = serde_json::from_str(vector?.get()).ok()?;
    entries.sort_by_key(|(place, _)| *place);
    text.push('{');
    for (index, (place, value)) in entries.into_iter().enumerate() {
        append(text, format_args!("{}{place}:", if index > 0 { "," } else { "" }));
        coordinate(value, text)?;
    }
    append(text, format_args!("}}/{dimensions}"));
    Some(())
}
