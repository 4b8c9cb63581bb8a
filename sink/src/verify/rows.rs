//! Rows as they are compared: by their key, and by a hash of all that is in them.

use std::collections::HashMap;

/// The texts of a key's columns, in the key's order.
pub(super) type Key = Vec<String>;

/// A row as it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    /// The hash of the text of all columns.
    pub(super) hash: i64,
    /// Which transaction of its own server wrote this version of the row (`xmin`): two readings with the same one are of the same
    /// version, whatever was in between.
    pub(super) version: i64,
}

/// What rows come to together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// How many there are.
    pub(super) count: i64,
    /// The sum of their hashes, which does not depend on their order.
    pub(super) hash: i128,
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The source has it, the target has not.
    Missing,
    /// The target has it, the source has not.
    Extra,
    /// Both have it, and not the same.
    Different,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Kind::Missing, Kind::Extra, Kind::Different];

    /// Of two states of a row that are not the same.
    pub(super) fn of(source: Option<Image>, target: Option<Image>) -> Self {
        match (source, target) {
            (Some(_), None) => Kind::Missing,
            (None, _) => Kind::Extra,
            (Some(_), Some(_)) => Kind::Different,
        }
    }

    /// As programs read it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Extra => "extra",
            Kind::Different => "different",
        }
    }
}

/// The hashes of some rows, by key.
pub(super) type Hashes = HashMap<Key, i64>;

/// The keys under which two sides have not the same.
pub(super) fn differing(source: Hashes, mut target: Hashes) -> Vec<Key> {
    let mut keys: Vec<Key> = source
        .into_iter()
        .filter_map(|(key, hash)| if target.remove(&key) == Some(hash) { None } else { Some(key) })
        .collect();
    keys.extend(target.into_keys());
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_differs_where_it_is_on_one_side_only_or_another() {
        let side = |rows: &[(&str, i64)]| rows.iter().map(|(key, hash)| (vec![(*key).to_owned()], *hash)).collect();
        let mut found = differing(side(&[("1", 1), ("2", 2), ("3", 3)]), side(&[("1", 1), ("3", 4), ("5", 5)]));
        found.sort();
        assert_eq!(found, [["2"], ["3"], ["5"]]);
    }
}
