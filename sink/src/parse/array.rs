//! Arrays.

use serde_json::Value;

use super::{Unreadable, value};
use crate::plan::table::ColumnType;

/// An array's literal: every element quoted, so that none is taken for something else.
pub(super) fn literal(elements: &[Value], element: &ColumnType, literal: &mut String) -> Result<(), Unreadable> {
    literal.push('{');
    for (index, item) in elements.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        match (value::element(item, element)?, item) {
            (None, _) => literal.push_str("NULL"),
            (Some(text), Value::Number(_)) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                literal.push_str(&text);
            }
            (Some(text), _) => {
                literal.push('"');
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        literal.push('\\');
                    }
                    literal.push(character);
                }
                literal.push('"');
            }
        }
    }
    literal.push('}');
    Ok(())
}

/// The text of an `int2vector` or `oidvector`.
pub(super) fn words(elements: &[Value], element: &ColumnType) -> Result<String, Unreadable> {
    let word = |item: &Value| {
        value::element(item, element)?
            .ok_or_else(|| Unreadable::new(format!("a vector of {} holds a null", element.name)))
    };
    Ok(elements.iter().map(word).collect::<Result<Vec<_>, _>>()?.join(" "))
}
