//! A column default's expression into the schema's default, as Debezium's `PostgresDefaultValueConverter` reads it.

use super::codec::Codec;
use super::datetime::Unit;
use crate::table::{PgType, PgTypeKind};

/// The text of the default that the schema shows, in the form of the type's values; `None` when Debezium shows none.
pub(super) fn parse(expression: &str, codec: &Codec, base: &PgType) -> Option<String> {
    if expression.starts_with("NULL::") || expression == "NULL" {
        return None;
    }
    let has_default = match base.kind {
        PgTypeKind::Enum { .. } => true,
        PgTypeKind::Base => !matches!(
            base.name.as_str(),
            "bytea"
                | "money"
                | "oid"
                | "inet"
                | "cidr"
                | "macaddr"
                | "macaddr8"
                | "timetz"
                | "hstore"
                | "point"
                | "citext"
        ),
        _ => false,
    };
    if !has_default {
        return None;
    }
    // A function's result is not known: the type's zero stands for it.
    let zero = match codec {
        Codec::Int16 | Codec::Int32 | Codec::Int64 | Codec::Float32 | Codec::Float64 | Codec::Decimal { .. } => {
            Some("0")
        }
        Codec::Text => Some(""),
        Codec::Uuid => Some("00000000-0000-0000-0000-000000000000"),
        Codec::Date => Some("1970-01-01"),
        Codec::Time { .. } => Some("00:00:00"),
        Codec::Timestamp { .. } => Some("1970-01-01 00:00:00"),
        Codec::ZonedTimestamp { .. } => Some("1970-01-01 00:00:00+00"),
        Codec::Interval(_) => Some("00:00:00"),
        _ => None,
    };
    let is_clock =
        matches!(expression, "CURRENT_TIMESTAMP" | "CURRENT_DATE" | "LOCALTIMESTAMP" | "CURRENT_TIME" | "LOCALTIME");
    let is_time = matches!(
        codec,
        Codec::Date
            | Codec::Time { unit: Unit::Milliseconds | Unit::Microseconds }
            | Codec::Timestamp { .. }
            | Codec::ZonedTimestamp { .. }
    );
    if is_function(expression) || is_clock && is_time {
        return zero.map(str::to_owned);
    }
    let literal = literal(expression);
    Some(match codec {
        // The session's zone is UTC, but a literal has the zone it was written in only in its offset.
        Codec::ZonedTimestamp { .. } if !literal.contains(':') => format!("{literal} 00:00:00+00"),
        Codec::Timestamp { .. } if !literal.contains(':') => format!("{literal} 00:00:00"),
        Codec::Boolean => literal.to_ascii_lowercase(),
        _ => literal.to_owned(),
    })
}

/// What stands in the first quotes, or the expression itself. A quote inside the literal ends it: Debezium's pattern does
/// so, and its readers see the same.
fn literal(expression: &str) -> &str {
    expression.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')).map_or(expression, |(literal, _)| literal)
}

/// `name(…)`, perhaps inside parentheses.
fn is_function(expression: &str) -> bool {
    let inner = expression.strip_prefix('(').unwrap_or(expression);
    let name = inner.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).count();
    name > 0 && inner.get(name..).is_some_and(|rest| rest.starts_with('(') && rest.contains(')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_loses_its_quotes_and_cast() {
        for (expression, text) in
            [("42", "42"), ("'v'::character varying", "v"), ("''::text", ""), ("'it''s'::text", "it")]
        {
            assert_eq!(literal(expression), text);
        }
    }

    #[test]
    fn functions_are_told_from_other_expressions() {
        for (expression, is) in [
            ("now()", true),
            ("nextval('sq'::regclass)", true),
            ("(floor((random() * (0)::double precision)))::integer", true),
            ("(1 + 1)", false),
            ("CURRENT_USER", false),
            ("'f(x)'::text", false),
        ] {
            assert_eq!(is_function(expression), is, "{expression}");
        }
    }
}
