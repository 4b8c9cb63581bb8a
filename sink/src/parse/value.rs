//! A JSON value into the text that the column's type reads: the way back from what `proto::types` makes of a type, under every
//! handling mode.

use std::fmt;

use proto::types::{DecimalMode, Form, HstoreMode, IntervalMode, Temporal};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use super::array::{self, Seen};
use super::datetime::{date, iso_date, iso_time, iso_timestamp, time, timestamp, zoned_timestamp};
use super::object::{self, content};
use super::reader::Reader;
use super::{Unreadable, binary, hstore, number};

/// What a field's value means for its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Its text, which was appended.
    Text,
    /// NULL.
    Null,
    /// A TOASTed value that the change did not touch: it stays.
    Unchanged,
}

/// Reads a field's value into the text that its column's type reads, at the end of `text`. Where the value is
/// [`Unreadable`], of a form that Debezium does not give the type, something may be there already.
pub struct ValueOf<'a> {
    /// How the column's values are read.
    pub reader: &'a Reader,
    /// Where the text goes.
    pub text: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Result<Written, Unreadable>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let Self { reader, text } = self;
        Place { reader, form: &reader.form, text, seen: None }.deserialize(deserializer)
    }
}

/// The same for a value, or for an element of one.
pub(super) struct Place<'a> {
    pub(super) reader: &'a Reader,
    pub(super) form: &'a Form,
    pub(super) text: &'a mut String,
    /// Of an element: what was seen of all of them.
    pub(super) seen: Option<&'a mut Seen>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Result<Written, Unreadable>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.form {
            // The converter may write these as numbers (`decimal.format`), with more digits than a double has.
            Form::Decimal { scale: Some(scale), mode: DecimalMode::Precise }
            | Form::Money { digits: scale, mode: DecimalMode::Precise } => {
                Ok(self.decimal(<&RawValue>::deserialize(deserializer)?, *scale))
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Nothing is copied on its way.
impl<'de> Visitor<'de> for Place<'_> {
    type Value = Result<Written, Unreadable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ok(Written::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        if let Some(seen) = self.seen
            && self.reader.marking_bit(seen.elements) == Some(value)
        {
            seen.elements += 1;
        }
        let text = match (self.form, value) {
            (Form::Boolean | Form::Text, true) => "true",
            (Form::Boolean | Form::Text, false) => "false",
            (Form::Bit, true) => "1",
            (Form::Bit, false) => "0",
            _ => return Ok(Err(self.reader.unexpected())),
        };
        self.text.push_str(text);
        Ok(Ok(Written::Text))
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<Self::Value, E> {
        if let Some(seen) = &mut self.seen
            && self.reader.marking_number(seen.elements).map(i64::from) == Some(value)
        {
            seen.elements += 1;
        }
        Ok(self.written(|text, form| match form {
            Form::Number | Form::Text | Form::Decimal { .. } | Form::Money { .. } => {
                append(text, format_args!("{value}"));
                Some(())
            }
            Form::Date(Temporal::Days) => date(value, text),
            Form::Time(unit) => time(value, *unit, text),
            Form::Timestamp(unit) => timestamp(value, *unit, text),
            // Under either mode: one that was changed leaves records of the other behind.
            Form::Interval(IntervalMode::Numeric | IntervalMode::String) => {
                append(text, format_args!("{value} microseconds"));
                Some(())
            }
            _ => None,
        }))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        if let Ok(value) = i64::try_from(value) {
            return self.visit_i64(value);
        }
        Ok(self.written(|text, form| match form {
            Form::Number | Form::Text | Form::Decimal { .. } => {
                append(text, format_args!("{value}"));
                Some(())
            }
            _ => None,
        }))
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<Self::Value, E> {
        if let Some(seen) = &mut self.seen
            && self.reader.marking_number(seen.elements).map(f64::from) == Some(value)
        {
            seen.elements += 1;
        }
        Ok(self.written(|text, form| match form {
            Form::Number | Form::Text => {
                // JSON has no others than finite numbers.
                append(text, format_args!("{}", Number::from_f64(value)?));
                Some(())
            }
            // Without an exponent, which money does not know, and without a zero behind the point, which numeric would keep.
            Form::Decimal { .. } | Form::Money { .. } => {
                append(text, format_args!("{value}"));
                Some(())
            }
            _ => None,
        }))
    }

    fn visit_str<E>(mut self, value: &str) -> Result<Self::Value, E> {
        if self.reader.is_mark(value) {
            match &mut self.seen {
                Some(seen) => seen.text = true,
                None => return Ok(Ok(Written::Unchanged)),
            }
        }
        Ok(self.written(|text, form| string(value, form, text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        array::read(elements, self)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        object::read(fields, self)
    }
}

impl Place<'_> {
    fn written(self, write: impl FnOnce(&mut String, &Form) -> Option<()>) -> Result<Written, Unreadable> {
        write(self.text, self.form).map(|()| Written::Text).ok_or_else(|| self.reader.unexpected())
    }

    /// A decimal with the column's scale: its bytes, or its digits.
    fn decimal(self, raw: &RawValue, scale: u32) -> Result<Written, Unreadable> {
        let json = raw.get();
        if json == "null" {
            return Ok(Written::Null);
        }
        self.written(|text, form| match (json.bytes().next()?, form) {
            (b'"', _) => number::unscaled(&content(raw)?, scale, text),
            (b'-' | b'0'..=b'9', Form::Money { .. }) => number::money(json, text),
            (b'-' | b'0'..=b'9', _) => {
                text.push_str(json);
                Some(())
            }
            _ => None,
        })
    }
}

fn string(value: &str, form: &Form, text: &mut String) -> Option<()> {
    match form {
        // `NaN` and the infinities are texts.
        Form::Text | Form::Number | Form::ZonedTime | Form::Interval(_) => text.push_str(value),
        Form::Decimal { mode: DecimalMode::Precise, .. } => return None,
        Form::Decimal { .. } => number::plain(value, text),
        Form::Money { .. } => return number::money(value, text),
        Form::Binary(mode) => return binary::bytea(value, *mode, text),
        Form::Unknown(mode) => return binary::text_of_bytes(value, *mode, text),
        Form::Bits { length } => return binary::bits(value, *length, text),
        Form::Date(Temporal::Iso) => return iso_date(value, text),
        Form::Time(Temporal::Iso) => iso_time(value, text),
        Form::Timestamp(Temporal::Iso) => iso_timestamp(value, text),
        Form::ZonedTimestamp => zoned_timestamp(value, text),
        Form::Hstore(HstoreMode::Json) => return hstore::read_json(value, text).ok().map(|_| ()),
        _ => return None,
    }
    Some(())
}

pub(super) fn append(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _infallible = fmt::Write::write_fmt(text, what);
}

#[cfg(test)]
mod tests;
