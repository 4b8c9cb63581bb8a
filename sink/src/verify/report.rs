//! The comparison as people read it.

use super::Comparison;

/// A table with a line for each table, and a summary.
pub(super) fn table(comparisons: &[Comparison]) -> String {
    let width = comparisons.iter().map(|comparison| comparison.table.len()).max().unwrap_or_default().max(5);
    let mut text = format!("  {:<width$}  {:>12}  {:>12}\n", "table", "source", "target");
    for comparison in comparisons {
        let (mark, remark) = match &comparison.target {
            None => ("✗", "  table or column missing in the target"),
            Some(target) if target == &comparison.source => ("✓", ""),
            Some(target) if target.count != comparison.source.count => ("✗", "  number of rows differs"),
            Some(_) => ("✗", "  rows differ"),
        };
        let target = comparison.target.as_ref().map_or_else(|| "-".to_owned(), |rows| rows.count.to_string());
        text.push_str(&format!(
            "{mark} {:<width$}  {:>12}  {target:>12}{remark}\n",
            comparison.table, comparison.source.count
        ));
    }
    let equal = comparisons.iter().filter(|comparison| comparison.is_equal()).count();
    text.push_str(&format!("{equal} of {} tables are equal\n", comparisons.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Rows;

    #[test]
    fn a_difference_is_said_in_words() {
        let rows = |count, hash: &str| Rows { count, hash: hash.to_owned() };
        let comparison = |target| Comparison { table: "public.t".to_owned(), source: rows(2, "5"), target };
        let text = table(&[
            comparison(Some(rows(2, "5"))),
            comparison(Some(rows(1, "3"))),
            comparison(Some(rows(2, "6"))),
            comparison(None),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with('✓') && lines[2].ends_with("number of rows differs"));
        assert!(lines[3].ends_with("rows differ") && lines[4].contains("missing"));
        assert_eq!(lines[5], "1 of 4 tables are equal");
    }
}
