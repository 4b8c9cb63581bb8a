//! A table's name, as the catalog has it and as people write it.

use super::quote_identifier;

/// A table's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema it is in.
    pub schema: String,
    /// Its name in that schema.
    pub name: String,
}

impl TableName {
    /// As people write it: `schema.table`, either of them in double quotes or not (`io.debezium.relational.TableIdParser`). A
    /// name alone is in `public`. Without quotes the schema ends at the first dot, and letters are not folded.
    pub fn parse(text: &str) -> Self {
        let (first, rest) = part(text.trim());
        match rest.trim_start().strip_prefix('.') {
            Some(name) => {
                let name = name.trim();
                let (quoted, behind) = part(name);
                // Debezium cannot name tables with a dot or a space without quotes; here there is no doubt.
                let is_quoted = name.starts_with('"') && behind.trim().is_empty();
                Self { schema: first, name: if is_quoted { quoted } else { name.to_owned() } }
            }
            None => Self { schema: "public".to_owned(), name: first },
        }
    }

    /// The name as SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The identifier that a text begins with, and what is behind it.
fn part(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (name, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        return (name.trim().to_owned(), rest);
    };
    let mut name = String::new();
    let mut rest = quoted;
    while let Some((before, behind)) = rest.split_once('"') {
        name.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return (name, behind),
        }
    }
    // A quote that is never closed is a part of the name.
    (text.to_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off_and_names_without_them_are_taken_as_they_are() {
        for (text, schema, name) in [
            ("public.orders", "public", "orders"),
            ("orders", "public", "orders"),
            (" Sales . Orders ", "Sales", "Orders"),
            (r#""Sig nals"."Sig Table""#, "Sig nals", "Sig Table"),
            (r#""a.b"."c""d""#, "a.b", "c\"d"),
            (r#"public."with.dot""#, "public", "with.dot"),
            ("public.with.dot", "public", "with.dot"),
            (r#""only""#, "public", "only"),
            (r#""open.x"#, "public", "\"open.x"),
            ("", "public", ""),
        ] {
            assert_eq!(
                TableName::parse(text),
                TableName { schema: schema.to_owned(), name: name.to_owned() },
                "{text}"
            );
        }
    }
}
