//! Random operations on random tables, as a script for psql.

use std::fmt::Write as _;

use fastrand::Rng;

use super::kind::one_in;
use super::table::{Column, Table, literal};

/// Writes a script; counts the rows that it inserts or changes.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    tables: &'a mut [Table],
    rng: &'a mut Rng,
    text: String,
    rows: usize,
}

impl<'a> Script<'a> {
    /// An empty script.
    pub(crate) fn new(tables: &'a mut [Table], rng: &'a mut Rng) -> Self {
        Self { tables, rng, text: String::new(), rows: 0 }
    }

    /// Rows for each table, for the snapshot to read.
    pub(crate) fn fill(mut self) -> (String, usize) {
        for table in 0..self.tables.len() {
            if !one_in(4, self.rng) {
                let rows = self.rng.usize(1..30);
                self.insert(table, rows);
            }
        }
        (self.text, self.rows)
    }

    /// Operations, alone and in transactions, on about that many rows.
    pub(crate) fn operate(mut self, rows: usize) -> (String, usize) {
        while self.rows < rows {
            if one_in(3, self.rng) {
                self.transaction();
            } else {
                self.operation();
            }
        }
        (self.text, self.rows)
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn transaction(&mut self) {
        self.line("BEGIN;");
        for _ in 0..self.rng.u32(1..5) {
            self.operation();
            if one_in(3, self.rng) {
                self.line("SAVEPOINT s;");
                self.operation();
                let end = if self.rng.bool() { "ROLLBACK TO s;" } else { "RELEASE s;" };
                self.line(end);
            }
        }
        let end = if one_in(5, self.rng) { "ROLLBACK;" } else { "COMMIT;" };
        self.line(end);
    }

    fn operation(&mut self) {
        let table = self.rng.usize(..self.tables.len());
        let can_change = self.tables.get(table).is_some_and(Table::can_change);
        match self.rng.u32(..if can_change { 13 } else { 5 }) {
            0 => self.insert(table, 1),
            1 => {
                let rows = self.rng.usize(2..20);
                self.insert(table, rows);
            }
            2 => self.copy(table),
            3 => self.insert_in_part(table),
            4 if one_in(4, self.rng) => self.truncate(table),
            4 => self.insert(table, 1),
            5..9 => self.update(table),
            9 => self.touch(table),
            10 => self.change_key(table),
            _ => self.delete(table),
        }
    }

    fn insert(&mut self, table: usize, rows: usize) {
        let Some(table) = self.tables.get_mut(table) else { return };
        let rows_of_values: Vec<String> = (0..rows)
            .map(|_| {
                let values = table.row(self.rng);
                format!("({})", values.iter().map(|value| literal(value.as_deref())).collect::<Vec<_>>().join(", "))
            })
            .collect();
        let line = format!("INSERT INTO {} VALUES {};", table.name, rows_of_values.join(", "));
        self.rows += rows;
        self.line(&line);
    }

    /// Some columns get their defaults.
    fn insert_in_part(&mut self, table: usize) {
        let Some(table) = self.tables.get_mut(table) else { return };
        let row = table.row(self.rng);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (column, value) in table.columns.iter().zip(&row) {
            if !(column.can_be_left_out() && self.rng.bool()) {
                names.push(column.name.as_str());
                values.push(literal(value.as_deref()));
            }
        }
        let line = match names.is_empty() {
            true => format!("INSERT INTO {} DEFAULT VALUES;", table.name),
            false => format!("INSERT INTO {} ({}) VALUES ({});", table.name, names.join(", "), values.join(", ")),
        };
        self.rows += 1;
        self.line(&line);
    }

    fn copy(&mut self, table: usize) {
        let rows = self.rng.usize(1..20);
        let Some(table) = self.tables.get_mut(table) else { return };
        let mut text = format!("COPY {} FROM stdin;\n", table.name);
        for _ in 0..rows {
            let fields: Vec<String> = table.row(self.rng).into_iter().map(copied).collect();
            // Writing to a text does not fail.
            let _written = writeln!(text, "{}", fields.join("\t"));
        }
        text.push_str("\\.");
        self.rows += rows;
        self.line(&text);
    }

    fn truncate(&mut self, table: usize) {
        let Some(table) = self.tables.get(table) else { return };
        let line = format!("TRUNCATE {};", table.name);
        self.line(&line);
    }

    /// Some columns of some rows. What is not among them and lies out of line is not in the stream.
    fn update(&mut self, table: usize) {
        let rows = self.rng.usize(1..4);
        let Some(table) = self.tables.get(table) else { return };
        let columns: Vec<&Column> = table.others().filter(|_| one_in(2, self.rng)).collect();
        let set: Vec<String> = columns
            .into_iter()
            .map(|column| format!("{} = {}", column.name, literal(column.value(0, self.rng).as_deref())))
            .collect();
        if set.is_empty() {
            return;
        }
        let line = format!("UPDATE {} SET {} WHERE {};", table.name, set.join(", "), some(table, rows, self.rng));
        self.rows += rows;
        self.line(&line);
    }

    /// An update that changes nothing.
    fn touch(&mut self, table: usize) {
        let Some(table) = self.tables.get(table) else { return };
        let Some(column) = self.rng.choice(&table.columns) else { return };
        let same = format!("{} = {}", column.name, column.name);
        let line = format!("UPDATE {} SET {same} WHERE {};", table.name, some(table, 1, self.rng));
        self.rows += 1;
        self.line(&line);
    }

    fn change_key(&mut self, table: usize) {
        let Some(table) = self.tables.get_mut(table) else { return };
        let number = table.next_number();
        let Some(column) = self.rng.choice(table.keys().collect::<Vec<_>>()) else { return };
        let new = literal(column.value(number, self.rng).as_deref());
        let line = format!("UPDATE {} SET {} = {new} WHERE {};", table.name, column.name, some(table, 1, self.rng));
        self.rows += 1;
        self.line(&line);
    }

    fn delete(&mut self, table: usize) {
        let rows = self.rng.usize(1..4);
        let Some(table) = self.tables.get(table) else { return };
        let line = format!("DELETE FROM {} WHERE {};", table.name, some(table, rows, self.rng));
        self.rows += rows;
        self.line(&line);
    }
}

/// That many rows, whichever.
fn some(table: &Table, rows: usize, rng: &mut Rng) -> String {
    let skipped = rng.usize(..10);
    format!("ctid IN (SELECT ctid FROM {} LIMIT {rows} OFFSET {skipped})", table.name)
}

/// A field of COPY's text format.
fn copied(value: Option<String>) -> String {
    let Some(value) = value else { return "\\N".to_owned() };
    let escapes = [('\\', "\\\\"), ('\t', "\\t"), ('\n', "\\n"), ('\r', "\\r")];
    escapes.iter().fold(value, |text, (character, escape)| text.replace(*character, escape))
}
