//! `line`, `lseg`, `box`, `path`, `polygon`, `circle` as the driver's objects print them.

use std::borrow::Cow;

use crate::connect::java;

/// A geometric text with its numbers in Java's notation: `{1,2,3}` is `{1.0,2.0,3.0}` to `PGline`.
pub(super) fn with_java_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(['(', ')', '[', ']', '{', '}', '<', '>', ',']);
        match end {
            Some(0) => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
            end => {
                let (number, behind) = rest.split_at(end.unwrap_or(rest.len()));
                match number.trim().parse::<f64>() {
                    Ok(value) => out.push_str(&java::double(value)),
                    Err(_) => out.push_str(number),
                }
                rest = behind;
            }
        }
    }
    out
}

/// What stands in a record of an unknown type, by the type's name.
pub(super) fn text_of<'a>(text: &'a str, is_geometric: bool) -> Cow<'a, str> {
    if is_geometric { Cow::Owned(with_java_numbers(text)) } else { Cow::Borrowed(text) }
}

/// Whether a type has objects of its own in the driver.
pub(super) fn is_geometric(name: &str) -> bool {
    matches!(name, "line" | "lseg" | "box" | "path" | "polygon" | "circle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_javas() {
        for (text, printed) in [
            ("{1,2,3}", "{1.0,2.0,3.0}"),
            ("[(1,2),(3,4)]", "[(1.0,2.0),(3.0,4.0)]"),
            ("(3,4),(1,2)", "(3.0,4.0),(1.0,2.0)"),
            ("<(1,2),3>", "<(1.0,2.0),3.0>"),
            ("<(1e+20,-2),Infinity>", "<(1.0E20,-2.0),Infinity>"),
        ] {
            assert_eq!(with_java_numbers(text), printed);
        }
    }
}
