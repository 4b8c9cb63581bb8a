//! Which rows.

use std::str::FromStr;

use crate::source::{quote_identifier, quote_literal};

/// Rows whose column is in a range, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    column: String,
    first: String,
    last: String,
}

impl FromStr for KeyRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(column, range)| Some((column, range.split_once("..")?)));
        match parts {
            Some((column, (first, last))) if !column.is_empty() && !first.is_empty() && !last.is_empty() => {
                Ok(Self { column: column.to_owned(), first: first.to_owned(), last: last.to_owned() })
            }
            _ => Err("COLUMN=FIRST..LAST is expected".to_owned()),
        }
    }
}

impl KeyRange {
    /// As SQL. The values are literals that take the column's type.
    pub(super) fn sql(&self) -> String {
        format!(
            "{} BETWEEN {} AND {}",
            quote_identifier(&self.column),
            quote_literal(&self.first),
            quote_literal(&self.last)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_sql_with_its_values_quoted() {
        let range: KeyRange = "id=1..100".parse().unwrap();
        assert_eq!(range.sql(), r#""id" BETWEEN '1' AND '100'"#);
        let range: KeyRange = "a b=o'x..p".parse().unwrap();
        assert_eq!(range.sql(), r#""a b" BETWEEN 'o''x' AND 'p'"#);
        for wrong in ["", "id", "id=1", "id=..5", "=1..2"] {
            assert!(wrong.parse::<KeyRange>().is_err(), "{wrong}");
        }
    }
}
