//! Random tables: columns of any type, keys of any shape or none, every replica identity.

use fastrand::Rng;

use super::kind::{self, Kind, TYPES, one_in, pick, value};

/// A table, and how many rows it has had.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its quoted name.
    pub(crate) name: String,
    /// Its columns in their order.
    pub(crate) columns: Vec<Column>,
    /// What of an old row deletes and updates publish.
    identity: Identity,
    rows: u32,
}

#[derive(Debug)]
pub(crate) struct Column {
    /// Quoted.
    pub(crate) name: String,
    kind: Kind,
    sql: &'static str,
    is_array: bool,
    is_key: bool,
    can_be_null: bool,
    default: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Default,
    Full,
    Nothing,
    /// The key is a unique index, and no primary key.
    Index,
}

impl Table {
    /// A table of the `number`th name.
    pub(crate) fn random(number: usize, rng: &mut Rng) -> Self {
        let name = pick(&["t", "Order", "größe", "with space", "a-b", "under_score", "select", "x$y"], rng);
        let mut columns: Vec<Column> = (0..rng.usize(1..9)).map(|number| Column::random(number, rng)).collect();
        let keys = rng.usize(..3);
        for number in 0..keys {
            let place = rng.usize(..=columns.len());
            columns.insert(place, Column::key(number, rng));
        }
        let identity = match (rng.u32(..6), keys) {
            (0 | 1, _) => Identity::Full,
            (2, _) => Identity::Nothing,
            (3, 1..) => Identity::Index,
            _ => Identity::Default,
        };
        Self { name: format!("\"{name}{number}\""), columns, identity, rows: 0 }
    }

    /// The statements that create it.
    pub(crate) fn create(&self) -> String {
        let name = &self.name;
        let columns: Vec<String> = self.columns.iter().map(Column::declare).collect();
        let keys: Vec<&str> = self.keys().map(|column| column.name.as_str()).collect();
        let key = match (keys.is_empty(), self.identity) {
            (false, Identity::Default | Identity::Full | Identity::Nothing) => {
                format!(", PRIMARY KEY ({})", keys.join(", "))
            }
            _ => String::new(),
        };
        let identity = match self.identity {
            Identity::Default => String::new(),
            Identity::Full => format!("ALTER TABLE {name} REPLICA IDENTITY FULL;\n"),
            Identity::Nothing => format!("ALTER TABLE {name} REPLICA IDENTITY NOTHING;\n"),
            Identity::Index => {
                let index = name.replacen('"', "\"key of ", 1);
                let keys = keys.join(", ");
                format!(
                    "CREATE UNIQUE INDEX {index} ON {name} ({keys});\n\
                     ALTER TABLE {name} REPLICA IDENTITY USING INDEX {index};\n"
                )
            }
        };
        format!("CREATE TABLE {name} ({}{key});\n{identity}", columns.join(", "))
    }

    /// Whether PostgreSQL lets rows of a published table change.
    pub(crate) fn can_change(&self) -> bool {
        match self.identity {
            Identity::Full | Identity::Index => true,
            Identity::Default => self.keys().next().is_some(),
            Identity::Nothing => false,
        }
    }

    /// The key's columns.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_key)
    }

    /// The columns that are no key's.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.is_key)
    }

    /// A row's values in the columns' order, null for none.
    pub(crate) fn row(&mut self, rng: &mut Rng) -> Vec<Option<String>> {
        let number = self.next_number();
        self.columns.iter().map(|column| column.value(number, rng)).collect()
    }

    /// The number of a row that there was not yet.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.rows += 1;
        self.rows
    }
}

impl Column {
    fn random(number: usize, rng: &mut Rng) -> Self {
        let name = pick(&["c", "Col", "naïve", "two words", "a.b", "d-e", "from", "_", "9"], rng);
        let (sql, kind) = rng.choice(TYPES).copied().unwrap_or(("text", Kind::Text));
        let is_array = one_in(6, rng);
        let can_be_null = !one_in(3, rng);
        let name = format!("\"{name}{number}\"");
        let column = Self { name, kind, sql, is_array, is_key: false, can_be_null, default: None };
        let default = one_in(4, rng).then(|| column.some_value(rng));
        Self { default, ..column }
    }

    fn key(number: usize, rng: &mut Rng) -> Self {
        let able = TYPES.iter().filter(|(_, kind)| kind::can_be_key(*kind));
        let (sql, kind) = rng.choice(able.collect::<Vec<_>>()).copied().unwrap_or(("integer", Kind::Integer(32)));
        let name = format!("\"{}{number}\"", pick(&["id", "Key", "kľúč"], rng));
        Self { name, kind, sql, is_array: false, is_key: true, can_be_null: false, default: None }
    }

    fn declare(&self) -> String {
        let array = if self.is_array { "[]" } else { "" };
        let null = if self.can_be_null { "" } else { " NOT NULL" };
        let default = self.default.as_ref().map(|default| format!(" DEFAULT {}", quote(default))).unwrap_or_default();
        format!("{} {}{array}{null}{default}", self.name, self.sql)
    }

    /// Whether an insert may leave it out.
    pub(crate) fn can_be_left_out(&self) -> bool {
        !self.is_key && (self.can_be_null || self.default.is_some())
    }

    /// A value; a key's is that row's alone.
    pub(crate) fn value(&self, row: u32, rng: &mut Rng) -> Option<String> {
        if self.is_key {
            return kind::unique(self.kind, row, rng);
        }
        if self.can_be_null && one_in(6, rng) {
            return None;
        }
        Some(self.some_value(rng))
    }

    /// Debezium has no number for NaN, and no array of some types with a NULL in it: it takes null for them, which stops it
    /// where null cannot be.
    fn some_value(&self, rng: &mut Rng) -> String {
        let is_exact = matches!(self.kind, Kind::Numeric | Kind::Decimal(..));
        let is_null_to_debezium =
            |text: &str| is_exact && text.contains("NaN") || self.is_array && text.contains("NULL");
        loop {
            let text = if self.is_array { kind::array(self.kind, rng) } else { value(self.kind, rng) };
            if self.can_be_null || !is_null_to_debezium(&text) {
                return text;
            }
        }
    }
}

/// A literal.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal or NULL.
pub(crate) fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), quote)
}
