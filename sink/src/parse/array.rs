//! Arrays.

use serde_json::Value;

use super::{Unreadable, value};
use crate::plan::table::ColumnType;

/// An array's literal: every element quoted, so that none is taken for something else.
pub(super) fn literal(array: &Value, element: &ColumnType) -> Result<String, Unreadable> {
    let Value::Array(elements) = array else {
        return Err(Unreadable::new(format!("an array of {} is no JSON array", element.name)));
    };
    let mut literal = String::from("{");
    for (index, item) in elements.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        match (value::text(item, element)?, item) {
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
    Ok(literal)
}

/// The text of an `int2vector` or `oidvector`.
pub(super) fn words(array: &Value, element: &ColumnType) -> Result<String, Unreadable> {
    let Value::Array(elements) = array else {
        return Err(Unreadable::new(format!("a vector of {} is no JSON array", element.name)));
    };
    let word = |item: &Value| {
        value::text(item, element)?.ok_or_else(|| Unreadable::new(format!("a vector of {} holds a null", element.name)))
    };
    Ok(elements.iter().map(word).collect::<Result<Vec<_>, _>>()?.join(" "))
}
