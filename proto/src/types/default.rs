//! A column default's expression into the schema's default, as Debezium's `PostgresDefaultValueConverter` reads it.

use super::datetime::is_infinite;
use super::decimal::is_not_finite;
use crate::table::{PgType, PgTypeKind};

/// The text of the default that the schema shows, in the form of the type's values; `None` when Debezium shows none.
pub(super) fn parse(expression: &str, pg_type: &PgType) -> Option<String> {
    if let PgTypeKind::Enum { .. } = pg_type.kind {
        // As it was written, a doubled quote stays one.
        let literal = expression.strip_suffix(&format!("::{}", pg_type.name))?;
        return literal.strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned);
    }
    // A column of a domain shows none, not even its own.
    if pg_type.kind != PgTypeKind::Base {
        return None;
    }
    // What stands for a function's result, which is not known. Other types have no default.
    let generated = match pg_type.name.as_str() {
        "bit" | "varbit" | "int2" | "int4" | "int8" => "0",
        "float4" | "float8" | "numeric" => "0.0",
        "bool" => "false",
        "bpchar" | "varchar" | "text" | "xml" => "",
        "json" | "jsonb" => "{}",
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "date" | "timestamp" | "timestamptz" => "1970-01-01",
        "time" | "interval" => "00:00:00",
        _ => return None,
    };
    let is_clock =
        matches!(expression, "CURRENT_TIMESTAMP" | "CURRENT_DATE" | "LOCALTIMESTAMP" | "CURRENT_TIME" | "LOCALTIME");
    let literal = match expression {
        _ if expression.starts_with("NULL::") || expression == "NULL" => return None,
        _ if is_function(expression) || is_clock => generated,
        _ => literal(expression)?,
    };
    Some(match pg_type.name.as_str() {
        "timestamp" | "timestamptz" if is_infinite(literal) => literal.to_owned(),
        // The session's zone is UTC, but a literal has the zone it was written in only in its offset.
        "timestamptz" if !literal.contains(':') => format!("{literal} 00:00:00+00"),
        "timestamp" if !literal.contains(':') => format!("{literal} 00:00:00"),
        // `Boolean.parseBoolean`.
        "bool" => literal.eq_ignore_ascii_case("true").to_string(),
        // A BigDecimal is read, whatever it becomes.
        "numeric" if is_not_finite(literal.as_bytes()) => return None,
        _ => literal.to_owned(),
    })
}

/// What stands in the first quotes, or the expression itself. A quote inside the literal ends it: Debezium's pattern does
/// so, and its readers see the same. The pattern does not go over the end of a line.
fn literal(expression: &str) -> Option<&str> {
    if !expression.contains('\'') {
        return Some(expression);
    }
    expression.lines().find_map(|line| Some(line.split_once('\'')?.1.split_once('\'')?.0))
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
            assert_eq!(literal(expression), Some(text));
        }
        assert_eq!(literal("'two\nlines'::text"), None);
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
