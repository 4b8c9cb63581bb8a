//! Whole numbers, floats, booleans.

use std::str::FromStr;

use super::NotA;

pub(super) fn boolean(text: &[u8]) -> Result<bool, NotA> {
    match text {
        b"t" | b"true" => Ok(true),
        b"f" | b"false" => Ok(false),
        _ => Err(NotA("a boolean")),
    }
}

/// A number; Rust reads PostgreSQL's `NaN`, `Infinity` and `1e-05` as they are.
pub(super) fn parse<T: FromStr>(text: &[u8], what: &'static str) -> Result<T, NotA> {
    super::text(text, what)?.parse().map_err(|_| NotA(what))
}
