//! Tables with a column of every type that comes back under a connector's modes, and random changes of their rows.

use fastrand::Rng;

use super::kind::{self, Kind, PRELUDE, TYPES, one_in};
use super::table::literal;

/// Two tables with a column of every type: `whole`, whose replica identity is the whole row, and `keyed`, whose old values are not
/// sent, with the types that have something to stand for a TOASTed value.
#[derive(Debug)]
pub struct RoundTrip {
    rng: Rng,
    modes: Modes,
    tables: [Table; 2],
}

/// The modes that decide what comes back, as docs/compatibility.md has them.
#[derive(Debug)]
struct Modes {
    decimal: String,
    time: String,
    interval: String,
    binary: String,
    shows_unknown: bool,
    is_exact: bool,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    sql: &'static str,
    kind: Kind,
    is_array: bool,
}

impl RoundTrip {
    /// With the values of a seed, for a connector with these settings.
    pub fn new(seed: u64, settings: &[(&str, &str)]) -> Self {
        let setting = |name: &str, default: &str| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map_or(default, |(_, value)| *value).to_owned()
        };
        let modes = Modes {
            decimal: setting("decimal.handling.mode", "precise"),
            time: setting("time.precision.mode", "adaptive"),
            interval: setting("interval.handling.mode", "numeric"),
            binary: setting("binary.handling.mode", "bytes"),
            shows_unknown: setting("include.unknown.datatypes", "false") == "true",
            is_exact: setting("headwater.value.fidelity", "debezium") == "exact",
        };
        let types = TYPES.iter().flat_map(|(sql, kind)| [(*sql, *kind, false), (*sql, *kind, true)]);
        let columns = types.enumerate().map(|(number, (sql, kind, is_array))| Column {
            name: format!("c{number}"),
            sql,
            kind,
            is_array,
        });
        let whole: Vec<Column> = columns.filter(|column| modes.show(column)).collect();
        let keyed = whole.iter().filter(|column| modes.has_stand_in(column)).cloned().collect();
        let tables = [Table { name: "whole", columns: whole }, Table { name: "keyed", columns: keyed }];
        Self { rng: Rng::with_seed(seed), modes, tables }
    }

    /// What creates both. Their keys are always generated, and `keyed` has a column that is computed.
    pub fn create(&self) -> String {
        let mut sql = PRELUDE.to_owned();
        for Table { name, columns } in &self.tables {
            let columns: Vec<String> = columns
                .iter()
                .map(|column| format!("{} {}{}", column.name, column.sql, if column.is_array { "[]" } else { "" }))
                .collect();
            let columns = columns.join(", ");
            sql.push_str(&format!(
                "CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns});\n"
            ));
        }
        sql.push_str(
            "ALTER TABLE whole REPLICA IDENTITY FULL;
             ALTER TABLE keyed ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED;\n",
        );
        sql
    }

    /// The next change of a row. The server may refuse it, for a value that is rounded beyond its type's range.
    pub fn change(&mut self) -> String {
        let Self { rng, modes, tables: [whole, keyed] } = self;
        let Table { name, columns } = if rng.bool() { whole } else { keyed };
        let row = format!("id = (SELECT id FROM {name} ORDER BY id OFFSET {} LIMIT 1)", rng.u32(..30));
        match rng.u32(..20) {
            0..9 => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let values: Vec<String> =
                    columns.iter().map(|column| literal(modes.value(column, rng).as_deref())).collect();
                format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), values.join(", "))
            }
            9..15 => {
                let changed: Vec<&Column> = columns.iter().filter(|_| one_in(4, rng)).collect();
                let set: Vec<String> = changed
                    .into_iter()
                    .map(|column| format!("{} = {}", column.name, literal(modes.value(column, rng).as_deref())))
                    .collect();
                let set = if set.is_empty() { "c0 = c0".to_owned() } else { set.join(", ") };
                format!("UPDATE {name} SET {set} WHERE {row}")
            }
            15 => format!("UPDATE {name} SET c0 = c0 WHERE {row}"),
            16..18 => format!("UPDATE {name} SET id = DEFAULT WHERE {row}"),
            _ => format!("DELETE FROM {name} WHERE {row}"),
        }
    }
}

impl Modes {
    /// Whether the column's values are in the records.
    fn show(&self, column: &Column) -> bool {
        match (column.kind, column.is_array) {
            // Not even as the bytes of a text.
            (
                Kind::Money | Kind::Interval | Kind::Xml | Kind::Point | Kind::VarBit(_) | Kind::Name | Kind::Bit(_),
                true,
            ) => false,
            (Kind::Shape(_) | Kind::Pair, _) => self.shows_unknown,
            (Kind::Name, false) => self.shows_unknown || self.is_exact,
            (_, true) => self.shows_unknown || !is_domain(column.sql),
            (_, false) => true,
        }
    }

    /// Whether something stands for a value that was not sent, or the type is stored in its row.
    fn has_stand_in(&self, column: &Column) -> bool {
        let is_hex_or_bytes = matches!(self.binary.as_str(), "bytes" | "hex");
        match (column.kind, column.is_array) {
            (Kind::Numeric | Kind::Decimal(..), false) => self.decimal == "string",
            (Kind::Numeric | Kind::Decimal(..), true) if self.decimal == "precise" => false,
            _ if self.is_exact => true,
            (Kind::Bytea | Kind::Shape(_) | Kind::Pair, false) => is_hex_or_bytes,
            (Kind::Date, true) => self.time != "isostring",
            (_, true) => matches!(
                column.sql,
                "text"
                    | "varchar"
                    | "varchar(20)"
                    | "char(7)"
                    | "json"
                    | "jsonb"
                    | "bytea"
                    | "integer"
                    | "bigint"
                    | "uuid"
            ),
            (_, false) => true,
        }
    }

    /// A value that comes back, or NULL.
    fn value(&self, column: &Column, rng: &mut Rng) -> Option<String> {
        if one_in(8, rng) {
            return None;
        }
        if !column.is_array {
            return Some(self.item(column, rng));
        }
        let length = rng.usize(..4);
        let items: Vec<Option<String>> = (0..length)
            .map(|_| (!one_in(5, rng) || !self.takes_null_elements(column)).then(|| self.item(column, rng)))
            .collect();
        Some(kind::array_of(column.kind, &items))
    }

    /// A NULL among the elements spoils some arrays.
    fn takes_null_elements(&self, column: &Column) -> bool {
        !matches!(column.kind, Kind::Mood | Kind::Words | Kind::Ltree | Kind::Shape(_) | Kind::Pair)
            && !is_domain(column.sql)
    }

    fn item(&self, column: &Column, rng: &mut Rng) -> String {
        loop {
            let text = kind::value(column.kind, rng);
            if self.keeps(column, &text) {
                return text;
            }
        }
    }

    /// Whether a value, or an element, comes back as it was, and is printed as it was.
    fn keeps(&self, column: &Column, text: &str) -> bool {
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let has_micros = fraction.bytes().take_while(u8::is_ascii_digit).count() > 3;
        let has_few_digits = text.bytes().filter(u8::is_ascii_digit).count() <= 15;
        // Debezium's driver reads arrays through a clock of milliseconds, and through Java's calendar.
        let is_drivers = column.is_array && !self.is_exact;
        let is_old = text.contains("BC") || text.get(..4).is_some_and(|year| year < "1583");
        let is_moved = is_drivers && is_old && !text.contains("infinity");
        // Into the year 294277, which the server writes and does not read.
        let is_rounded = text.starts_with("294276") && column.sql.contains('(');
        match column.kind {
            Kind::Numeric | Kind::Decimal(..) if text == "NaN" => self.decimal != "precise" && !column.is_array,
            Kind::Numeric | Kind::Decimal(..) => match self.decimal.as_str() {
                "string" => true,
                "double" if !has_few_digits => false,
                // Without a scale of the column's, zeros at the end are gone.
                _ => column.kind != Kind::Numeric || !fraction.ends_with('0'),
            },
            Kind::Money => self.decimal != "double" || has_few_digits,
            Kind::Date => !is_moved,
            Kind::Timestamp => {
                let is_last = text.starts_with("294276") && (is_rounded || self.time != "isostring");
                let is_cut = self.time == "connect" && has_micros;
                !(is_last || is_cut || is_moved)
            }
            Kind::Zoned => !(is_rounded || is_moved),
            Kind::Time => {
                // It may be rounded up to 24 o'clock.
                let is_midnight =
                    self.time == "isostring" && (text.starts_with("24") || text.starts_with("23:59:59.9"));
                let is_cut = self.time == "connect" && has_micros;
                !(is_midnight || is_cut || is_drivers && (!fraction.is_empty() || text.starts_with("24")))
            }
            Kind::ZonedTime => {
                let is_turned = !self.is_exact && !text.ends_with("+00");
                !(is_turned || text.starts_with("24") || is_drivers && !fraction.is_empty())
            }
            Kind::Interval => self.interval == "string" || matches!(text, "0" | "-00:00:01.5"),
            Kind::VarBit(_) => text.is_empty() || text.starts_with('1'),
            _ => true,
        }
    }
}

fn is_domain(sql: &str) -> bool {
    matches!(sql, "positive" | "label" | "price")
}
