//! What a table or a type is, as the source's catalog says it.
//!
//! One query makes it of a catalog, as JSON: in the source inside of the event trigger, whose message brings it, and asked by the sink
//! of either side. Texts that PostgreSQL prints of expressions are made under a search path in which every name outside of
//! `pg_catalog` has its schema.

use serde::{Deserialize, Serialize};

use crate::parse::Unreadable;
use crate::postgres::identifier;

/// What a message of the event triggers says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// A table is like this now.
    Table(Table),
    /// A type is like this now.
    Type(UserType),
    /// Something is gone.
    Dropped(Dropped),
}

impl Told {
    /// The table that it is about, by schema and name.
    pub fn table(&self) -> Option<(&str, &str)> {
        match self {
            Told::Table(Table { schema, name, .. })
            | Told::Dropped(Dropped { kind: DroppedKind::Table, schema, name, .. }) => Some((schema, name)),
            Told::Type(_) | Told::Dropped(_) => None,
        }
    }

    /// Reads a message's content.
    ///
    /// # Errors
    /// When it is not what the event triggers write.
    pub fn read(content: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(content).map_err(|error| {
            // The crate's own words could quote what is there.
            Unreadable(format!(
                "a message says that tables changed, and is not of the form that this sink's event triggers give it (line {}, \
                 column {})",
                error.line(),
                error.column()
            ))
        })
    }
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dropped {
    /// What sort of thing it was.
    pub kind: DroppedKind,
    /// Its number in the source's catalog.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// What can be gone by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DroppedKind {
    /// A table.
    Table,
    /// An index of a table that stays.
    Index,
    /// A type.
    Type,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number in the source's catalog, which stays when it gets another name.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What a partitioned table is partitioned by: `RANGE (day)`.
    pub partition_by: Option<String>,
    /// Of which table it is a partition.
    pub partition_of: Option<Partition>,
    /// A partitioned table's partitions.
    pub partitions: Vec<Partition>,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Its primary key, unique, check, exclusion and foreign key constraints, without those that a partition has from its parent.
    pub constraints: Vec<Constraint>,
    /// Its indexes that are no constraint's.
    pub indexes: Vec<Index>,
    /// The types that its columns are made of and that are not PostgreSQL's own; each behind those that it is made of.
    pub types: Vec<UserType>,
    /// The sequences that its defaults use.
    pub sequences: Vec<Sequence>,
}

/// One side of a partition: the other table, and for which values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// The other table's schema.
    pub schema: String,
    /// The other table.
    pub name: String,
    /// `FOR VALUES …` or `DEFAULT`.
    pub bound: String,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its number, which stays when it gets another name.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type as SQL.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Its collation, where it is not its type's own.
    pub collation: Option<String>,
    /// Whether it takes no NULL.
    pub not_null: bool,
    /// Its default's expression.
    pub default: Option<String>,
    /// What it is generated from.
    pub generated: Option<String>,
    /// Whether it is an identity column: `a` for always, `d` for by default.
    pub identity: Option<String>,
    /// What rows have there that are older than the column: the value's text.
    pub missing: Option<String>,
    /// Whether it is there because the parent has it.
    pub inherited: bool,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// As SQL, behind its name.
    pub definition: String,
    /// The table that a foreign key refers to.
    pub references: Option<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The whole statement that makes it.
    pub definition: String,
}

/// A type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserType {
    /// Its number in the source's catalog.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `e` an enum, `d` a domain, `c` a composite, `r` a range.
    pub kind: String,
    /// An enum's labels, in their order.
    pub labels: Vec<String>,
    /// A domain's type underneath.
    pub base: Option<String>,
    /// Whether a domain takes no NULL.
    pub not_null: bool,
    /// A domain's default.
    pub default: Option<String>,
    /// A domain's checks.
    pub checks: Vec<Check>,
    /// A composite's fields.
    pub attributes: Vec<Attribute>,
    /// What a range is of.
    pub subtype: Option<String>,
}

/// A domain's check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// As SQL, behind its name.
    pub definition: String,
}

/// A field of a composite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type as SQL.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub data_type: String,
    /// The table's column that it goes with.
    pub owned_by: Option<String>,
}

impl Table {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// A column by its number.
    pub fn numbered(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// A constraint by its name.
    pub fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == name)
    }

    /// An index by its name.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }
}

impl Index {
    /// What it is, whatever its name.
    pub fn without_name(&self) -> String {
        self.definition.replacen(&format!(" {} ON ", self.printed_name()), " ON ", 1)
    }

    /// The statement that makes it, of a table with partitions on all of these: PostgreSQL prints what makes that of the table alone.
    pub fn with_partitions(&self) -> String {
        let name = self.printed_name();
        self.definition.replacen(&format!(" {name} ON ONLY "), &format!(" {name} ON "), 1)
    }

    fn printed_name(&self) -> String {
        let quoted = identifier(&self.name);
        let is_quoted = self.definition.contains(&format!(" {quoted} ON "));
        if is_quoted { quoted } else { self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_form_is_told_without_its_content() {
        let dropped = br#"{"dropped":{"kind":"table","oid":7,"schema":"public","name":"t"}}"#;
        assert!(matches!(Told::read(dropped), Ok(Told::Dropped(Dropped { kind: DroppedKind::Table, oid: 7, .. }))));
        for other in ["", "secret", r#"{"secret":1}"#, r#"{"table":{"oid":"secret"}}"#] {
            let error = Told::read(other.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_index_is_the_same_under_another_name() {
        let index = |name: &str, definition: &str| Index { name: name.to_owned(), definition: definition.to_owned() };
        let one = index("a", "CREATE UNIQUE INDEX a ON public.t USING btree (v)");
        let other = index("a \"b", "CREATE UNIQUE INDEX \"a \"\"b\" ON public.t USING btree (v)");
        assert_eq!(one.without_name(), other.without_name());
        let only = index("a", "CREATE INDEX a ON ONLY public.t USING btree (v)");
        assert_eq!(only.with_partitions(), "CREATE INDEX a ON public.t USING btree (v)");
        assert_eq!(other.with_partitions(), other.definition);
    }
}
