//! What an interrupted start has built over the tables' rows: it stays.

use std::collections::HashSet;

use tokio_postgres::Client;

use crate::error::SinkError;

/// Names of things of the source by their numbers, which a line of `pg_restore --list` begins with: those of the file's entry, of the
/// catalog and in it (`pg_backup_archiver.c`, `PrintTOCSummary`).
const IN_SOURCE: &str = "SELECT asked.class, asked.number, i.type, i.identity
    FROM unnest($1::bigint[], $2::bigint[]) AS asked (class, number),
         pg_identify_object(asked.class::oid, asked.number::oid, 0) AS i
    WHERE asked.class::oid = ANY (ARRAY['pg_class', 'pg_constraint', 'pg_trigger', 'pg_rewrite', 'pg_event_trigger', 'pg_policy',
                                        'pg_statistic_ext']::regclass[]::oid[])
      AND i.identity IS NOT NULL";

/// Everything of those sorts in the target, but for what PostgreSQL has by itself.
const IN_TARGET: &str = "SELECT i.type, i.identity FROM (
        SELECT 'pg_class'::regclass::oid AS class, oid FROM pg_class WHERE relkind IN ('i', 'I')
        UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
        UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE rulename <> '_RETURN'
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
        UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext) AS built,
        pg_identify_object(built.class, built.oid, 0) AS i
    WHERE built.oid >= 16384 AND i.identity IS NOT NULL";

/// The lines of `pg_restore --list` without what the target has.
///
/// # Errors
/// The servers'.
pub(super) async fn leave_out(source: &Client, target: &Client, list: Vec<String>) -> Result<Vec<String>, SinkError> {
    let (classes, numbers): (Vec<i64>, Vec<i64>) = list.iter().filter_map(|line| place(line)).unzip();
    let there: HashSet<(String, String)> =
        target.query(IN_TARGET, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let found = source.query(IN_SOURCE, &[&classes, &numbers]).await?;
    let built: HashSet<(i64, i64)> = found
        .iter()
        .filter(|row| there.contains(&(row.get(2), row.get(3))))
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    Ok(list.into_iter().filter(|line| place(line).is_none_or(|place| !built.contains(&place))).collect())
}

/// The numbers of the catalog and in it that a line begins with.
fn place(line: &str) -> Option<(i64, i64)> {
    let (_, rest) = line.split_once("; ")?;
    let mut numbers = rest.split(' ');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_in_the_catalog_its_thing_is() {
        assert_eq!(place("3456; 1259 16420 INDEX public a b c owner"), Some((1259, 16420)));
        assert_eq!(place(";     Dumped from database version: 17.6"), None);
        assert_eq!(place(";"), None);
    }
}
