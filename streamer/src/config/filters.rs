//! Which tables and columns are captured.

use regex::{Regex, RegexBuilder};

/// Include and exclude lists, compiled.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    schemas: List,
    tables: List,
    columns: List,
    signal_table: Option<(String, String)>,
}

/// Either list, or neither.
#[derive(Debug, Clone, Default)]
pub enum List {
    /// Everything.
    #[default]
    All,
    /// What one of these matches.
    Include(Vec<Regex>),
    /// What none of these matches.
    Exclude(Vec<Regex>),
}

/// Schemas that are PostgreSQL's own.
const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

impl Filters {
    /// From the three pairs of lists.
    pub fn new(schemas: List, tables: List, columns: List) -> Self {
        Self { schemas, tables, columns, signal_table: None }
    }

    /// The same, with the signal table, which is captured whatever the lists say.
    pub fn with_signal_table(self, signal_table: Option<(String, String)>) -> Self {
        Self { signal_table, ..self }
    }

    /// Whether a table's changes are published.
    pub fn captures_table(&self, schema: &str, table: &str) -> bool {
        let is_signal_table = self
            .signal_table
            .as_ref()
            .is_some_and(|(signal_schema, signal)| signal_schema == schema && signal == table);
        !SYSTEM_SCHEMAS.contains(&schema)
            && !schema.starts_with("pg_temp")
            && (is_signal_table || self.schemas.passes(schema) && self.tables.passes(&format!("{schema}.{table}")))
    }

    /// A captured table's place in a snapshot: tables come in the order in which `table.include.list` names them.
    pub fn snapshot_place(&self, schema: &str, table: &str) -> usize {
        match &self.tables {
            List::Include(patterns) => {
                let name = format!("{schema}.{table}");
                patterns.iter().position(|pattern| pattern.is_match(&name)).unwrap_or(patterns.len())
            }
            List::All | List::Exclude(_) => 0,
        }
    }

    /// Whether a column is in the record's value.
    pub fn captures_column(&self, schema: &str, table: &str, column: &str) -> bool {
        matches!(self.columns, List::All) || self.columns.passes(&format!("{schema}.{table}.{column}"))
    }
}

impl List {
    /// Whether the list lets a name pass.
    pub fn passes(&self, name: &str) -> bool {
        match self {
            List::All => true,
            List::Include(patterns) => patterns.iter().any(|pattern| pattern.is_match(name)),
            List::Exclude(patterns) => !patterns.iter().any(|pattern| pattern.is_match(name)),
        }
    }
}

/// The patterns of a list: separated by commas that no backslash escapes, each matching a whole name, whatever its case.
///
/// # Errors
/// The pattern that is no regular expression, and why.
pub fn patterns(list: &str) -> Result<Vec<Regex>, String> {
    let mut patterns = Vec::new();
    let mut pattern = String::new();
    let mut characters = list.chars().peekable();
    loop {
        match characters.next() {
            Some('\\') if characters.peek() == Some(&',') => pattern.extend(characters.next()),
            Some('\\') => {
                pattern.push('\\');
                pattern.extend(characters.next());
            }
            Some(',') | None => {
                let trimmed = pattern.trim();
                if !trimmed.is_empty() {
                    let anchored = RegexBuilder::new(&format!("^(?:{trimmed})$"))
                        .case_insensitive(true)
                        .build()
                        .map_err(|error| format!("{trimmed} is not a regular expression: {error}"))?;
                    patterns.push(anchored);
                }
                if characters.peek().is_none() {
                    return Ok(patterns);
                }
                pattern.clear();
            }
            Some(other) => pattern.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(list: &str) -> List {
        List::Include(patterns(list).unwrap())
    }

    #[test]
    fn a_pattern_matches_whole_names_in_any_case() {
        let filters = Filters::new(List::All, include("public\\.or.*, Public\\.A"), List::All);
        assert!(filters.captures_table("public", "orders"));
        assert!(filters.captures_table("PUBLIC", "a"));
        assert!(!filters.captures_table("public", "ab"));
        assert!(!filters.captures_table("xpublic", "orders"));
    }

    #[test]
    fn an_escaped_comma_belongs_to_its_pattern() {
        let list = patterns("public\\.t\\,x,public\\.y{1\\,2}").unwrap();
        assert!(list[0].is_match("public.t,x"));
        assert!(list[1].is_match("public.yy"));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn an_excluded_schema_takes_its_tables_along() {
        let filters = Filters::new(List::Exclude(patterns("audit").unwrap()), List::All, List::All);
        assert!(!filters.captures_table("audit", "t"));
        assert!(filters.captures_table("public", "t"));
        assert!(!filters.captures_table("pg_catalog", "pg_class"), "system tables never pass");
    }

    #[test]
    fn a_column_is_named_with_its_table() {
        let filters = Filters::new(List::All, List::All, List::Exclude(patterns("public\\.t\\.secret").unwrap()));
        assert!(!filters.captures_column("public", "t", "secret"));
        assert!(filters.captures_column("public", "u", "secret"));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        assert!(patterns("a,(b").unwrap_err().starts_with("(b is not a regular expression"));
    }
}
