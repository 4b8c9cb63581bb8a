//! JSON whose numbers keep every digit, and how two such values differ.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

/// A JSON value. A number is its text: no conversion may round what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// As it was written.
    Number(String),
    /// Without its escapes.
    Text(String),
    /// `[…]`
    Array(Vec<Self>),
    /// `{…}`, its keys in the alphabet's order.
    Object(BTreeMap<String, Self>),
}

impl Json {
    /// Reads a value.
    ///
    /// # Errors
    /// It is no JSON.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        Ok(match text.trim_start().as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let members = members.into_iter().map(|(key, value)| Ok((key, Self::parse(value.get())?)));
                Self::Object(members.collect::<serde_json::Result<_>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(items.into_iter().map(|item| Self::parse(item.get())).collect::<serde_json::Result<_>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => serde_json::from_str::<()>(text).map(|()| Self::Null)?,
            _ => Self::Number(serde_json::from_str::<&RawValue>(text)?.get().to_owned()),
        })
    }

    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(key),
            _ => None,
        }
    }

    /// The text of a text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a whole number.
    pub(crate) fn integer(&self) -> Option<i128> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl From<Option<&str>> for Json {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(number) => out.write_str(number),
            Self::Text(value) => out.write_str(&text(value)?),
            Self::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if number == 0 { "[" } else { ", " })?;
                }
                out.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Object(members) => {
                for (number, (key, value)) in members.iter().enumerate() {
                    write!(out, "{}{}: {value}", if number == 0 { "{" } else { ", " }, text(key)?)?;
                }
                out.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// A number's value: sign, digits without zeros at either end, and the power of ten of the last one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number of JSON. What is none gives its text back as digits, equal to itself alone.
    pub(crate) fn of(number: &str) -> Self {
        let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |whole| (true, whole));
        let digits = format!("{whole}{fraction}");
        let kept = digits.trim_end_matches('0');
        let dropped = digits.len() - kept.len();
        let exponent = power.parse::<i64>().unwrap_or_default() - fraction.len() as i64 + dropped as i64;
        let kept = kept.trim_start_matches('0');
        Self { negative, digits: kept.to_owned(), exponent: if kept.is_empty() { 0 } else { exponent } }
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

impl fmt::Display for Decimal {
    /// Without an exponent.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.is_zero() { "0" } else { &self.digits };
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        let point = digits.len() as i64 + self.exponent;
        match (self.exponent, usize::try_from(point)) {
            (0.., _) => write!(out, "{sign}{digits}{}", zeros(self.exponent)),
            (_, Ok(point @ 1..)) => write!(out, "{sign}{}.{}", &digits[..point], &digits[point..]),
            _ => write!(out, "{sign}0.{}{digits}", zeros(-point)),
        }
    }
}

/// Two values at one place that are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where: `value.after.price`, `headers[2][1]`.
    pub(crate) path: String,
    /// What is expected there; nothing when there should be nothing.
    pub(crate) expected: Option<String>,
    /// What is there.
    pub(crate) got: Option<String>,
}

/// All differences. Numbers are the same when their values are; the order of an object's keys means nothing.
pub(crate) fn differences(path: &str, expected: &Json, got: &Json, found: &mut Vec<Difference>) {
    let same = match (expected, got) {
        (Json::Object(expected), Json::Object(got)) => {
            for (key, value) in expected {
                let path = format!("{path}.{key}");
                match got.get(key) {
                    Some(other) => differences(&path, value, other, found),
                    None => found.push(Difference { path, expected: Some(value.to_string()), got: None }),
                }
            }
            for (key, value) in got.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                found.push(Difference { path: format!("{path}.{key}"), expected: None, got: Some(value.to_string()) });
            }
            true
        }
        (Json::Array(expected), Json::Array(got)) if expected.len() == got.len() => {
            for (number, (expected, got)) in expected.iter().zip(got).enumerate() {
                differences(&format!("{path}[{number}]"), expected, got, found);
            }
            true
        }
        (Json::Number(expected), Json::Number(got)) => {
            let (expected, got) = (Decimal::of(expected), Decimal::of(got));
            expected == got || expected.is_zero() && got.is_zero()
        }
        (expected, got) => expected == got,
    };
    if !same {
        found.push(Difference {
            path: path.to_owned(),
            expected: Some(expected.to_string()),
            got: Some(got.to_string()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_value() {
        for (one, other) in [("1.0", "1"), ("100", "1E+2"), ("0.00120", "12e-4"), ("-0.0", "-0")] {
            assert_eq!(Decimal::of(one), Decimal::of(other), "{one} {other}");
        }
        assert_ne!(Decimal::of("9007199254740993"), Decimal::of("9007199254740992"));
        for (number, plain) in
            [("1e3", "1000"), ("12.50", "12.5"), ("-0.00120", "-0.0012"), ("0", "0"), ("1.5e-3", "0.0015")]
        {
            assert_eq!(Decimal::of(number).to_string(), plain);
        }
    }

    #[test]
    fn every_field_that_differs_is_named() -> serde_json::Result<()> {
        let expected = Json::parse(r#"{"a": 1, "b": [1, {"c": null}], "d": "x", "e": true}"#)?;
        let got = Json::parse(r#"{"e": 1, "d": "x", "b": [1, {"c": 0}], "a": 1.0, "f": []}"#)?;
        let mut found = Vec::new();
        differences("value", &expected, &got, &mut found);
        let found: Vec<String> =
            found.iter().map(|one| format!("{} {:?} {:?}", one.path, one.expected, one.got)).collect();
        assert_eq!(
            found,
            [
                r#"value.b[1].c Some("null") Some("0")"#,
                r#"value.e Some("true") Some("1")"#,
                r#"value.f None Some("[]")"#
            ]
        );
        Ok(())
    }
}
