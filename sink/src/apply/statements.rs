//! SQL for a table. Values go as arrays of texts, one array a column, and the server's own input functions read them.

use crate::plan::table::{TargetTable, Writes};
use crate::postgres::identifier;

/// Writes rows with all their columns: `$1…` are the columns at `columns`. Without a key each is a new row, and where all are. Of rows that are there,
/// [`replace`] writes what cannot be set.
pub fn upsert(table: &TargetTable, columns: &[usize]) -> String {
    let names: Vec<String> = columns.iter().map(|index| name(table, *index)).collect();
    let key: Vec<String> = table.key.iter().map(|index| name(table, *index)).collect();
    let sets: Vec<String> = columns
        .iter()
        .filter(|index| !table.key.contains(index) && !is_always_identity(table, **index))
        .map(|index| format!("{0} = EXCLUDED.{0}", name(table, *index)))
        .collect();
    let conflict = match (key.is_empty() || table.writes == Writes::Insert, sets.is_empty()) {
        (true, _) => String::new(),
        (false, true) => format!(" ON CONFLICT ({}) DO NOTHING", key.join(", ")),
        (false, false) => format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), sets.join(", ")),
    };
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}{conflict}",
        table.sql_name(),
        names.join(", "),
        casts(table, columns),
        unnest(columns.len()),
    )
}

/// Writes rows that are not there, with all their columns: COPY in its text format, the columns being those at `columns`.
pub fn copy(table: &TargetTable, columns: &[usize]) -> String {
    let names: Vec<String> = columns.iter().map(|index| name(table, *index)).collect();
    format!("COPY {} ({}) FROM STDIN", table.sql_name(), names.join(", "))
}

/// Changes the columns at `columns` of rows that are there; the key's columns are among them.
pub fn update(table: &TargetTable, columns: &[usize]) -> String {
    if let Some(replace) = replace(table, columns) {
        return replace;
    }
    let mut sets = Vec::new();
    let mut matches = Vec::new();
    for (position, index) in columns.iter().enumerate() {
        let value = cast(table, *index, position);
        if table.key.contains(index) {
            matches.push(format!("t.{} = {value}", name(table, *index)));
        } else {
            sets.push(format!("{} = {value}", name(table, *index)));
        }
    }
    if sets.is_empty() {
        // Nothing but the key was sent: only whether the row is there matters.
        let can_be_set = (0..table.columns.len()).find(|index| !is_always_identity(table, *index));
        let same = can_be_set.map(|index| name(table, index)).unwrap_or_default();
        sets.push(format!("{same} = t.{same}"));
    }
    format!(
        "UPDATE {} AS t SET {} FROM {} WHERE {}",
        table.sql_name(),
        sets.join(", "),
        unnest(columns.len()),
        matches.join(" AND ")
    )
}

/// Removes rows by key.
pub fn delete(table: &TargetTable) -> String {
    format!(
        "DELETE FROM {} AS t USING {} WHERE {}",
        table.sql_name(),
        unnest(table.key.len()),
        key_matches(table, 0, "t")
    )
}

/// Removes rows that have these columns' values, of rows that are the same as many as are given: texts are compared, for not every
/// type has an equality.
pub fn delete_whole(table: &TargetTable, columns: &[usize]) -> String {
    let names: Vec<String> = columns.iter().map(|index| format!("t.{}", name(table, *index))).collect();
    let sql_name = table.sql_name();
    format!(
        "WITH gone AS MATERIALIZED (SELECT ROW({})::text AS whole, count(*) AS times FROM {} GROUP BY 1),
         found AS (SELECT t.tableoid AS part, t.ctid AS place, row_number() OVER (PARTITION BY g.whole) AS number, g.times
                   FROM {sql_name} AS t JOIN gone AS g ON g.whole = ROW({})::text)
         DELETE FROM {sql_name} AS t USING found AS f
         WHERE t.tableoid = f.part AND t.ctid = f.place AND f.number <= f.times",
        casts(table, columns),
        unnest(columns.len()),
        names.join(", "),
    )
}

/// The same as [`update`], where a column among them is one that the server lets nobody set (`GENERATED ALWAYS AS IDENTITY`), but only
/// insert: the rows are taken out, and put in again.
pub fn replace(table: &TargetTable, columns: &[usize]) -> Option<String> {
    let is_set = |index: &usize| !table.key.contains(index) && is_always_identity(table, *index);
    if !columns.iter().any(is_set) {
        return None;
    }
    let matches: Vec<String> = table
        .key
        .iter()
        .filter_map(|index| Some((index, columns.iter().position(|column| column == index)?)))
        .map(|(index, position)| format!("t.{} = {}", name(table, *index), cast(table, *index, position)))
        .collect();
    Some(taken_out_and_put_in(table, &matches.join(" AND "), columns, columns.len()))
}

/// Of the rows that match, with `columns` being the first of so many parameters.
fn taken_out_and_put_in(table: &TargetTable, matches: &str, columns: &[usize], parameters: usize) -> String {
    let all = 0..table.columns.len();
    let names: Vec<String> = all.clone().map(|index| name(table, index)).collect();
    let taken: Vec<String> = names.iter().enumerate().map(|(index, name)| format!("t.{name} AS o{index}")).collect();
    let sent: Vec<String> = (0..columns.len()).map(|position| format!("v.c{position}")).collect();
    let values: Vec<String> = all
        .map(|index| match columns.iter().position(|column| *column == index) {
            Some(position) => cast(table, index, position),
            None => format!("v.o{index}"),
        })
        .collect();
    let sql_name = table.sql_name();
    format!(
        "WITH taken AS (DELETE FROM {sql_name} AS t USING {} WHERE {matches} RETURNING {}, {}) \
         INSERT INTO {sql_name} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM taken AS v",
        unnest(parameters),
        taken.join(", "),
        sent.join(", "),
        names.join(", "),
        values.join(", "),
    )
}

/// Gives a row another key, unless there is a row with that key already: `$1…` the new key, then the old.
pub fn rename(table: &TargetTable) -> String {
    let sets: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(position, index)| format!("{} = {}", name(table, *index), cast(table, *index, position)))
        .collect();
    let old = key_matches(table, table.key.len(), "t");
    let new = key_matches(table, 0, "o");
    let sql_name = table.sql_name();
    let matches = format!("{old} AND NOT EXISTS (SELECT FROM {sql_name} AS o WHERE {new})");
    let parameters = table.key.len() * 2;
    if table.key.iter().any(|index| is_always_identity(table, *index)) {
        return taken_out_and_put_in(table, &matches, &table.key, parameters);
    }
    format!("UPDATE {sql_name} AS t SET {} FROM {} WHERE {matches}", sets.join(", "), unnest(parameters))
}

fn is_always_identity(table: &TargetTable, index: usize) -> bool {
    table.columns.get(index).is_some_and(|column| column.is_always_identity)
}

fn name(table: &TargetTable, index: usize) -> String {
    table.columns.get(index).map(|column| identifier(&column.name)).unwrap_or_default()
}

fn cast(table: &TargetTable, index: usize, position: usize) -> String {
    let cast = table.columns.get(index).map(|column| column.cast.as_str()).unwrap_or_default();
    format!("v.c{position}::{cast}")
}

fn casts(table: &TargetTable, columns: &[usize]) -> String {
    let casts: Vec<String> =
        columns.iter().enumerate().map(|(position, index)| cast(table, *index, position)).collect();
    casts.join(", ")
}

fn key_matches(table: &TargetTable, from: usize, alias: &str) -> String {
    let matches: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(position, index)| format!("{alias}.{} = {}", name(table, *index), cast(table, *index, from + position)))
        .collect();
    matches.join(" AND ")
}

fn unnest(columns: usize) -> String {
    let arrays: Vec<String> = (1..=columns).map(|number| format!("${number}::text[]")).collect();
    let names: Vec<String> = (0..columns).map(|number| format!("c{number}")).collect();
    format!("unnest({}) AS v({})", arrays.join(", "), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TargetTable {
        TargetTable::of_texts(["id", "a\"b"])
    }

    #[test]
    fn an_upsert_never_updates_its_key() {
        let expected = "INSERT INTO \"public\".\"t\" (\"id\", \"a\"\"b\") OVERRIDING SYSTEM VALUE \
                        SELECT v.c0::text, v.c1::text FROM unnest($1::text[], $2::text[]) AS v(c0, c1) \
                        ON CONFLICT (\"id\") DO UPDATE SET \"a\"\"b\" = EXCLUDED.\"a\"\"b\"";
        assert_eq!(upsert(&table(), &[0, 1]), expected);
        assert!(upsert(&table(), &[0]).ends_with("DO NOTHING"));
    }

    #[test]
    fn a_rename_leaves_an_existing_row_alone() {
        let expected = "UPDATE \"public\".\"t\" AS t SET \"id\" = v.c0::text FROM unnest($1::text[], $2::text[]) AS v(c0, c1) \
                        WHERE t.\"id\" = v.c1::text AND NOT EXISTS (SELECT FROM \"public\".\"t\" AS o WHERE o.\"id\" = v.c0::text)";
        assert_eq!(rename(&table()), expected);
    }

    #[test]
    fn what_can_only_be_inserted_is_taken_out_and_put_in() {
        let mut table = TargetTable::of_texts(["id", "a", "b"]);
        assert_eq!(replace(&table, &[0, 1]), None);
        if let Some(column) = table.columns.get_mut(1) {
            column.is_always_identity = true;
        }
        assert_eq!(replace(&table, &[0, 2]), None);
        let expected = "WITH taken AS (DELETE FROM \"public\".\"t\" AS t USING unnest($1::text[], $2::text[]) AS v(c0, c1) \
                        WHERE t.\"id\" = v.c0::text \
                        RETURNING t.\"id\" AS o0, t.\"a\" AS o1, t.\"b\" AS o2, v.c0, v.c1) \
                        INSERT INTO \"public\".\"t\" (\"id\", \"a\", \"b\") OVERRIDING SYSTEM VALUE \
                        SELECT v.c0::text, v.c1::text, v.o2 FROM taken AS v";
        assert_eq!(update(&table, &[0, 1]), expected);
        assert!(upsert(&table, &[0, 1, 2]).ends_with("DO UPDATE SET \"b\" = EXCLUDED.\"b\""));
        table.key = vec![1];
        assert!(
            rename(&table).starts_with("WITH taken AS (DELETE")
                && rename(&table).contains("v.c0::text, v.o2 FROM taken")
        );
    }
}
